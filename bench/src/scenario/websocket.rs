//! (f) What a WebSocket message costs: it goes to the origin and comes back.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::peer::Setup;
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "f",
    title: "WebSocket echo, 64 connections, messages of 64 bytes",
    targets: &[Target::new(CPU, Limit::TimesBest(1.0))],
    run,
};

const CPU: Metric = Metric::cost("CPU time per message there and back", "µs");
const CALLS: Metric = Metric::cost("system calls per message there and back", "calls");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let mut load = Load::plain(bench.origin());
    load.kind = Kind::Echo(64);
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
    Ok(section)
}
