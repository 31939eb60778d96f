//! (d) What large bodies cost, down and up.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::origin::LARGE;
use crate::peer::Setup;
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "d",
    title: "1 MiB response and 1 MiB upload, 8 connections",
    targets: &[
        Target::new(DOWN, Limit::TimesBest(1.0)),
        Target::new(UP, Limit::TimesBest(1.0)),
    ],
    run,
};

const DOWN: Metric = Metric::cost("CPU time per MiB of response", "µs");
const DOWN_CALLS: Metric = Metric::cost("system calls per MiB of response", "calls");
const DOWN_MEMORY: Metric = Metric::cost("memory with 8 responses under way", "MiB");
const UP: Metric = Metric::cost("CPU time per MiB of upload", "µs");
const UP_CALLS: Metric = Metric::cost("system calls per MiB of upload", "calls");
const UP_MEMORY: Metric = Metric::cost("memory with 8 uploads under way", "MiB");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let both = [
        ("/large", Kind::Get(LARGE as u64), DOWN, DOWN_CALLS, DOWN_MEMORY),
        ("/upload", Kind::Post(LARGE as u64), UP, UP_CALLS, UP_MEMORY),
    ];
    for (path, kind, cpu, calls, memory) in both {
        let mut load = Load::plain(bench.origin());
        load.paths = vec![path.into()];
        load.kind = kind;
        load.connections = 8;
        let work = Work {
            peers: bench.peers.iter().collect(),
            load,
            tls: false,
            setup: Setup::default(),
            units: LARGE as f64 / f64::from(1 << 20),
            metrics: Metrics {
                calls: Some(calls),
                memory: Some(memory),
                ..Metrics::cpu(cpu)
            },
        };
        measure::costs(bench, &work, &mut section)?;
    }
    Ok(section)
}
