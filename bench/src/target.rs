//! The targets that Narthex is held to, and whether a section meets them.

use crate::figure::{Better, Figure, Metric, Section};
use crate::peer::{NARTHEX, RELAY};

/// A limit for Narthex's figure of one metric.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Which metric of the scenario.
    pub metric: Metric,
    /// The limit.
    pub limit: Limit,
}

/// What Narthex's figure is compared with. For a rate, factors say how far the other may be ahead in cost.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// A value, in the metric's unit.
    Value(f64),
    /// A factor of one proxy's figure.
    Times(f64, &'static str),
    /// A factor of the best figure among these proxies.
    TimesBestOf(f64, &'static [&'static str]),
    /// A factor of the best figure of any proxy (the relay is none).
    TimesBest(f64),
    /// So much above the figure of the relay.
    RelayPlus(f64),
    /// A factor of the relay's figure.
    TimesRelay(f64),
}

/// How a target came out.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The target in words, for example `<= 0.90x haproxy`.
    pub target: String,
    /// What Narthex's figure is in the same terms, for example `0.84x`.
    pub found: String,
    /// Whether it is met.
    pub met: bool,
}

impl Target {
    /// Shorthand for tables of targets.
    pub const fn new(metric: Metric, limit: Limit) -> Self {
        Self { metric, limit }
    }

    /// Compares; nothing where Narthex or what it is compared with has no figure.
    pub fn verdict(&self, section: &Section) -> Option<Verdict> {
        let ours = section.find(NARTHEX, self.metric)?;
        let unit = self.metric.unit;
        let (target, found, met) = match self.limit {
            Limit::Value(most) => {
                let value = ours.median();
                (
                    format!("<= {} {unit}", number(most)),
                    format!("{} {unit}", number(value)),
                    value <= most,
                )
            }
            Limit::RelayPlus(more) => {
                let (value, floor) = (ours.median(), section.find(RELAY, self.metric)?.median());
                (
                    format!("<= relay + {}", number(more)),
                    format!(
                        "relay {} {}",
                        if value < floor { '-' } else { '+' },
                        number((value - floor).abs())
                    ),
                    // Counts come from two windows of a run each; a hundredth of a call is not a call.
                    value <= floor + more + 0.05,
                )
            }
            Limit::Times(factor, proxy) => against(section, ours, factor, proxy)?,
            Limit::TimesRelay(factor) => against(section, ours, factor, RELAY)?,
            Limit::TimesBestOf(factor, proxies) => against_best(section, ours, factor, proxies)?,
            Limit::TimesBest(factor) => {
                let all: Vec<&'static str> = section.figures.iter().map(|figure| figure.proxy).collect();
                against_best(section, ours, factor, &all)?
            }
        };
        Some(Verdict { target, found, met })
    }
}

/// How many times the other's cost ours is; of rates the inverse.
fn cost_ratio(ours: &Figure, other: &Figure) -> f64 {
    match ours.metric.better {
        Better::Lower => ours.ratio_to(other),
        Better::Higher => other.ratio_to(ours),
    }
}

fn against(section: &Section, ours: &Figure, factor: f64, proxy: &str) -> Option<(String, String, bool)> {
    let ratio = cost_ratio(ours, section.find(proxy, ours.metric)?);
    Some((
        format!("<= {factor:.2}x {proxy}"),
        format!("{ratio:.2}x"),
        ratio <= factor,
    ))
}

fn against_best(
    section: &Section,
    ours: &Figure,
    factor: f64,
    proxies: &[&'static str],
) -> Option<(String, String, bool)> {
    let rivals = section.figures.iter().filter(|figure| {
        figure.metric == ours.metric
            && proxies.contains(&figure.proxy)
            && figure.proxy != NARTHEX
            && figure.proxy != RELAY
    });
    let best = rivals.max_by(|a, b| cost_ratio(ours, a).total_cmp(&cost_ratio(ours, b)))?;
    let ratio = cost_ratio(ours, best);
    Some((
        format!("<= {factor:.2}x the best peer"),
        format!("{ratio:.2}x {}", best.proxy),
        ratio <= factor,
    ))
}

/// With three significant digits, and thousands separated.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    match value.abs() {
        size if size >= 1000.0 => {
            let digits = format!("{value:.0}");
            let (sign, digits) = digits.split_at(usize::from(value < 0.0));
            let mut grouped = String::from(sign);
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index).is_multiple_of(3) {
                    grouped.push(',');
                }
                grouped.push(digit);
            }
            grouped
        }
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Metric = Metric::cost("CPU time", "µs");
    const RATE: Metric = Metric::rate("handshakes", "1/s");

    fn section(metric: Metric, figures: &[(&'static str, f64)]) -> Section {
        let mut section = Section::default();
        for (proxy, value) in figures {
            section.push(proxy, metric, "a test", vec![*value]);
        }
        section
    }

    #[test]
    fn a_factor_of_one_proxy_is_met_or_missed() {
        let section = section(COST, &[("narthex", 9.5), ("haproxy", 10.0)]);
        let strict = Target::new(COST, Limit::Times(0.9, "haproxy")).verdict(&section);
        assert_eq!(
            strict.map(|verdict| (verdict.met, verdict.found)),
            Some((false, "0.95x".into()))
        );
        let lax = Target::new(COST, Limit::Times(1.0, "haproxy")).verdict(&section);
        assert!(lax.is_some_and(|verdict| verdict.met));
    }

    #[test]
    fn the_relay_is_never_the_best_peer() {
        let section = section(
            COST,
            &[("narthex", 9.0), ("relay", 1.0), ("nginx", 10.0), ("envoy", 30.0)],
        );
        let verdict = Target::new(COST, Limit::TimesBest(1.0)).verdict(&section);
        assert!(verdict.is_some_and(|verdict| verdict.met && verdict.found.ends_with("nginx")));
    }

    #[test]
    fn of_rates_the_highest_is_the_best() {
        let section = section(RATE, &[("narthex", 900.0), ("nginx", 1000.0), ("envoy", 100.0)]);
        let verdict = Target::new(RATE, Limit::TimesBest(1.0)).verdict(&section);
        assert!(verdict.is_some_and(|verdict| !verdict.met && verdict.found.ends_with("nginx")));
    }

    #[test]
    fn a_target_without_its_figure_has_no_verdict() {
        let section = section(COST, &[("narthex", 9.0)]);
        assert!(
            Target::new(COST, Limit::Times(0.9, "haproxy"))
                .verdict(&section)
                .is_none()
        );
    }

    #[test]
    fn numbers_have_three_digits_and_separated_thousands() {
        assert_eq!(
            [0.5, 12.34, 123.4, 12345.6, -1234.0].map(number),
            ["0.50", "12.3", "123", "12,346", "-1,234"]
        );
    }
}
