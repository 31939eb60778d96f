//! (e) What a streamed response costs: 10 KiB in five chunks that the origin writes one by one.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::origin::STREAM;
use crate::peer::Setup;
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "e",
    title: "10 KiB chunked responses, five chunks written one by one",
    targets: &[Target::new(CPU, Limit::TimesBest(1.0))],
    run,
};

const CPU: Metric = Metric::cost("CPU time per streamed MiB", "µs");

const USER: Metric = Metric::cost("of it in the program", "µs");
const SYSTEM: Metric = Metric::cost("of it in the kernel", "µs");
const CALLS: Metric = Metric::cost("system calls per streamed MiB", "calls");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let mut load = Load::plain(bench.origin());
    load.paths = vec!["/stream".into()];
    load.kind = Kind::Get(STREAM as u64);
    let work = Work {
        peers: bench.peers.iter().collect(),
        load,
        tls: false,
        setup: Setup::default(),
        units: STREAM as f64 / f64::from(1 << 20),
        metrics: Metrics {
            user: Some(USER),
            system: Some(SYSTEM),
            calls: Some(CALLS),
            ..Metrics::cpu(CPU)
        },
    };
    measure::costs(bench, &work, &mut section)?;
    Ok(section)
}
