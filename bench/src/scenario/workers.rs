//! (i) What a request costs with one and with two workers.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::Load;
use crate::measure::{self, Metrics, Work};
use crate::peer::Setup;

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "i",
    title: "small keep-alive GET with 1 and 2 workers, on both CPUs",
    targets: &[],
    run,
};

const ONE: Metric = Metric::cost("CPU time per request, 1 worker", "µs");
const TWO: Metric = Metric::cost("CPU time per request, 2 workers", "µs");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    for (workers, cpu) in [(1, ONE), (2, TWO)] {
        let work = Work {
            // The relay has one thread.
            peers: bench.proxies(),
            load: Load::plain(bench.origin()),
            tls: false,
            setup: Setup {
                workers,
                cpus: "0,1",
                ..Setup::default()
            },
            units: 1.0,
            metrics: Metrics::cpu(cpu),
        };
        measure::costs(bench, &work, &mut section)?;
    }
    section.note("Load and origin share CPU 1 with the second worker, so this says what a worker more costs, not how fast two are.");
    Ok(section)
}
