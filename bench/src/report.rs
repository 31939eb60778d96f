//! What a run found, and the forms it is shown in: tables, JSON, a picture, a page. All are derived from the figures.

pub mod json;
pub mod machine;
pub mod markdown;
mod rows;
pub mod svg;
pub mod table;

use crate::bench::Bench;
use crate::figure::Section;
use crate::scenario::Scenario;
use machine::Machine;
use std::time::Duration;

/// Everything of one run.
#[derive(Default)]
pub struct Report {
    /// Where it ran.
    pub machine: Machine,
    /// Name and version of each proxy.
    pub proxies: Vec<(&'static str, String)>,
    /// A sentence for each peer or tool that was not there.
    pub missing: Vec<String>,
    /// Whether it was a quick run.
    pub quick: bool,
    /// What the check of the load generator said.
    pub check: Vec<String>,
    /// Scenarios with figures.
    pub done: Vec<Done>,
    /// Keys of scenarios without, and why.
    pub failed: Vec<(&'static str, String)>,
    /// How long it took.
    pub took: Duration,
}

/// A scenario and what it found.
pub struct Done {
    /// Its row.
    pub scenario: &'static Scenario,
    /// Its figures.
    pub section: Section,
}

/// Name and version of each proxy.
pub fn proxies(bench: &Bench) -> Vec<(&'static str, String)> {
    bench
        .peers
        .iter()
        .map(|peer| (peer.name, peer.version.clone()))
        .collect()
}

/// A scenario as tests of the forms use it.
#[cfg(test)]
fn sample() -> Done {
    use crate::figure::Metric;
    use crate::target::{Limit, Target};
    const COST: Metric = Metric::cost("CPU time per request", "µs");
    const SCENARIO: &Scenario = &Scenario {
        key: "a",
        title: "a sample",
        targets: &[Target::new(COST, Limit::Times(0.9, "haproxy"))],
        run: |_| Ok(Section::default()),
    };
    let mut section = Section::default();
    section.push("narthex", COST, "a test", vec![8.0, 9.0]);
    section.push("relay", COST, "a test", vec![5.0, 5.625]);
    section.push("nginx", COST, "a test", vec![7.0, 7.875]);
    section.push("haproxy", COST, "a test", vec![10.0, 11.25]);
    section.note("A note.");
    Done {
        scenario: SCENARIO,
        section,
    }
}

/// A report of one scenario.
#[cfg(test)]
fn sample_report() -> Report {
    Report {
        proxies: vec![("narthex", "0.1.0".into()), ("nginx", "1.22.1".into())],
        done: vec![sample()],
        ..Report::default()
    }
}
