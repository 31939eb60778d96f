//! What tables of every form hold: for each metric its proxies with value, spread and ratios, and the verdicts on Narthex.

use super::Done;
use crate::figure::{Better, Figure, Metric};
use crate::peer::{HAPROXY, HAPROXY_SYSTEM, NAMES, NARTHEX, RELAY};
use crate::target::{Verdict, number};

/// One metric of one scenario.
pub struct Block {
    /// Which.
    pub metric: Metric,
    /// Where the values come from.
    pub method: &'static str,
    /// How many rounds.
    pub rounds: usize,
    /// One per proxy, in the order of [`NAMES`].
    pub rows: Vec<Row>,
    /// Targets of this metric.
    pub verdicts: Vec<Verdict>,
    /// A sentence if a peer is ahead of Narthex.
    pub behind: Option<String>,
}

/// One proxy in a block.
pub struct Row {
    /// Which.
    pub proxy: &'static str,
    /// Median.
    pub value: String,
    /// Half the range, as a percentage; nothing after a single round.
    pub spread: String,
    /// Times HAProxy.
    pub to_haproxy: String,
    /// Times the relay.
    pub to_relay: String,
}

/// The blocks of a scenario.
pub fn blocks(done: &Done) -> Vec<Block> {
    let section = &done.section;
    section
        .metrics()
        .into_iter()
        .map(|metric| {
            let mut figures: Vec<&Figure> = section.figures.iter().filter(|f| f.metric == metric).collect();
            figures.sort_by_key(|figure| NAMES.iter().position(|name| *name == figure.proxy));
            let haproxy = section
                .find(HAPROXY, metric)
                .or_else(|| section.find(HAPROXY_SYSTEM, metric));
            let relay = section.find(RELAY, metric);
            let ratio = |figure: &Figure, other: Option<&Figure>| {
                other.map_or_else(|| "-".into(), |other| ratio(figure.ratio_to(other)))
            };
            Block {
                metric,
                method: figures.first().map_or("", |figure| figure.method),
                rounds: figures
                    .iter()
                    .map(|figure| figure.values.len())
                    .max()
                    .unwrap_or(0),
                rows: figures
                    .iter()
                    .map(|figure| Row {
                        proxy: figure.proxy,
                        value: number(figure.median()),
                        spread: spread(figure),
                        to_haproxy: ratio(figure, haproxy),
                        to_relay: ratio(figure, relay),
                    })
                    .collect(),
                verdicts: done
                    .scenario
                    .targets
                    .iter()
                    .filter(|target| target.metric == metric)
                    .filter_map(|target| target.verdict(section))
                    .collect(),
                behind: behind(metric, &figures),
            }
        })
        .collect()
}

/// The sentence that a row where a peer is ahead gets; no one has to look for it.
fn behind(metric: Metric, figures: &[&Figure]) -> Option<String> {
    let ours = figures.iter().find(|figure| figure.proxy == NARTHEX)?;
    let rivals = figures
        .iter()
        .filter(|figure| figure.proxy != NARTHEX && figure.proxy != RELAY);
    let mut ahead: Vec<(&str, f64)> = rivals
        .filter_map(|rival| {
            let lead = match metric.better {
                Better::Lower => ours.ratio_to(rival) - 1.0,
                Better::Higher => 1.0 - ours.ratio_to(rival),
            };
            // Less than a hundredth is a draw.
            (lead.is_finite() && lead > 0.01).then_some((rival.proxy, lead))
        })
        .collect();
    ahead.sort_by(|a, b| b.1.total_cmp(&a.1));
    if ahead.is_empty() {
        return None;
    }
    let better = match metric.better {
        Better::Lower => "more",
        Better::Higher => "less",
    };
    let names: Vec<String> = ahead
        .iter()
        .map(|(name, lead)| format!("{name} (narthex has {:.0} % {better})", lead * 100.0))
        .collect();
    Some(format!("Ahead of narthex here: {}.", names.join(", ")))
}

fn ratio(value: f64) -> String {
    if value.is_finite() {
        format!("{value:.2}x")
    } else {
        "-".into()
    }
}

fn spread(figure: &Figure) -> String {
    let spread = figure.spread() * 100.0;
    if figure.values.len() > 1 && spread.is_finite() {
        format!("±{spread:.0} %")
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn a_block_has_its_proxies_in_order_with_ratios_and_verdicts() {
        let blocks = blocks(&sample());
        let names: Vec<_> = blocks[0].rows.iter().map(|row| row.proxy).collect();
        assert_eq!(names, ["narthex", "haproxy", "nginx", "relay"]);
        assert_eq!(blocks[0].rows[0].to_haproxy, "0.80x");
        assert_eq!(blocks[0].rows[0].to_relay, "1.60x");
        assert!(blocks[0].verdicts[0].met);
    }

    #[test]
    fn a_peer_that_is_ahead_is_named_and_the_relay_is_not() {
        let behind = blocks(&sample())[0].behind.clone();
        assert_eq!(
            behind.as_deref(),
            Some("Ahead of narthex here: nginx (narthex has 14 % more).")
        );
    }
}
