//! (c) What a connection costs: one small GET on each.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::origin::BODY;
use crate::peer::Setup;
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "c",
    title: "one small GET per connection",
    targets: &[Target::new(CPU, Limit::TimesBest(0.9))],
    run,
};

const CPU: Metric = Metric::cost("CPU time per connection with one request", "µs");
const CALLS: Metric = Metric::cost("system calls per connection with one request", "calls");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let mut load = Load::plain(bench.origin());
    load.kind = Kind::Once {
        bytes: BODY as u64,
        resume: false,
    };
    let work = Work {
        peers: bench.peers.iter().collect(),
        load,
        tls: false,
        setup: Setup::default(),
        units: 1.0,
        metrics: Metrics {
            calls: Some(CALLS),
            ..Metrics::cpu(CPU)
        },
    };
    measure::costs(bench, &work, &mut section)?;
    section.note("The relay opens a connection to the origin for every one of its own; the proxies keep theirs, so they can be cheaper.");
    Ok(section)
}
