//! The picture: for each target a group of bars, one per proxy. Colours are readable on light and on dark ground.

use super::{Done, Report};
use crate::figure::{Better, Figure, Metric};
use crate::peer::{NAMES, NARTHEX, RELAY};
use crate::target::number;
use std::fmt::Write as _;

const WIDTH: usize = 900;
const COLUMN: usize = 440;
const ROW: usize = 17;
const LABEL: usize = 104;
const VALUE: usize = 74;
const HEAD: usize = 26;
const TOP: usize = 48;

/// As SVG text.
pub fn render(report: &Report) -> String {
    let groups: Vec<Group<'_>> = report.done.iter().flat_map(groups).collect();
    let mut body = String::new();
    // The next group goes where there is more room.
    let mut bottoms = [TOP; 2];
    for group in &groups {
        let column = usize::from(bottoms[1] < bottoms[0]);
        group.draw(&mut body, column * (COLUMN + 20), bottoms[column]);
        bottoms[column] += group.height();
    }
    let height = bottoms[0].max(bottoms[1]) + 8;
    let machine = &report.machine;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\" role=\"img\">\n{STYLE}\
         <text x=\"0\" y=\"16\" class=\"title\">Narthex and its peers, side by side on the same machine</text>\n\
         <text x=\"0\" y=\"34\" class=\"faint\">{}</text>\n{body}</svg>\n",
        escape(&format!(
            "{}, {}, {} CPUs; shorter bars are better unless a heading says otherwise",
            machine.date, machine.processor, machine.processors
        ))
    )
}

const STYLE: &str = "<style>\
    text { fill: #1f2328 } .faint { fill: #59636e } .title { font-weight: 600; font-size: 15px } .head { font-weight: 600 }\
    .bar { fill: #9aa4af } .ours { fill: #1a7f64 } .floor { fill: none; stroke: #818b96; stroke-dasharray: 3 2 }\
    @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .faint { fill: #9198a1 } .bar { fill: #656c76 } .ours { fill: #3fb68b } }\
    </style>\n";

/// Bars of one metric.
struct Group<'a> {
    heading: String,
    figures: Vec<&'a Figure>,
}

/// One group for each metric that has a target and figures of several proxies; of a scenario without targets, its first metric.
fn groups(done: &Done) -> Vec<Group<'_>> {
    let section = &done.section;
    let targets = done.scenario.targets;
    let mut metrics: Vec<Metric> = section.metrics();
    if targets.is_empty() {
        metrics.truncate(1);
    } else {
        metrics.retain(|metric| targets.iter().any(|target| target.metric == *metric));
    }
    metrics
        .into_iter()
        .filter_map(|metric| {
            let mut figures: Vec<&Figure> = section
                .figures
                .iter()
                .filter(|figure| figure.metric == metric && figure.median().is_finite())
                .collect();
            figures.sort_by_key(|figure| NAMES.iter().position(|name| *name == figure.proxy));
            let more = match metric.better {
                Better::Lower => "",
                Better::Higher => " (longer is better)",
            };
            (figures.len() > 1).then(|| Group {
                heading: format!("({}) {}, {}{more}", done.scenario.key, metric.name, metric.unit),
                figures,
            })
        })
        .collect()
}

impl Group<'_> {
    fn height(&self) -> usize {
        HEAD + ROW * self.figures.len() + 12
    }

    fn draw(&self, out: &mut String, x: usize, y: usize) {
        let most = self
            .figures
            .iter()
            .map(|figure| figure.median())
            .fold(0.0, f64::max);
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"{}\" class=\"head\">{}</text>",
            y + 16,
            escape(&self.heading)
        );
        for (index, figure) in self.figures.iter().enumerate() {
            let top = y + HEAD + index * ROW;
            let length = figure.median() / most.max(f64::MIN_POSITIVE) * (COLUMN - LABEL - VALUE) as f64;
            let class = match figure.proxy {
                NARTHEX => "ours",
                RELAY => "floor",
                _ => "bar",
            };
            let _ = writeln!(
                out,
                "<text x=\"{x}\" y=\"{text}\"{weight}>{name}</text>\
                 <rect x=\"{bar}\" y=\"{rect}\" width=\"{length:.1}\" height=\"11\" rx=\"2\" class=\"{class}\"/>\
                 <text x=\"{value:.1}\" y=\"{text}\" class=\"faint\">{median}</text>",
                text = top + 12,
                weight = if class == "ours" { " class=\"head\"" } else { "" },
                name = escape(figure.proxy),
                bar = x + LABEL,
                rect = top + 2,
                length = length.max(1.0),
                value = (x + LABEL + 6) as f64 + length,
                median = number(figure.median()),
            );
        }
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample_report;

    #[test]
    fn the_longest_bar_fills_its_column_and_ours_stands_out() {
        let text = render(&sample_report());
        assert_eq!(text.matches("<rect").count(), 4);
        assert!(text.contains(&format!("width=\"{:.1}\"", (COLUMN - LABEL - VALUE) as f64)));
        assert_eq!(text.matches("class=\"ours\"").count(), 1);
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escape("a < b & c"), "a &lt; b &amp; c");
    }
}
