//! (h) How long answers take at a rate that every proxy can bear. The rate is one for all: shares of what the slowest can do.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Client, Kind, Load, Until};
use crate::measure::{self, Metrics, Work};
use crate::peer::{RELAY, Setup};
use crate::target::{Limit, Target, number};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "h",
    title: "latency at 30 % and 70 % of the slowest proxy's capacity, open loop",
    targets: &[Target::new(AT_70[1], Limit::TimesBest(1.0))],
    run,
};

/// Of each rate: p50, p99, p99.9.
const AT_30: [Metric; 3] = [
    Metric::cost("p50 at 30 %", "µs"),
    Metric::cost("p99 at 30 %", "µs"),
    Metric::cost("p99.9 at 30 %", "µs"),
];
const AT_70: [Metric; 3] = [
    Metric::cost("p50 at 70 %", "µs"),
    Metric::cost("p99 at 70 %", "µs"),
    Metric::cost("p99.9 at 70 %", "µs"),
];
/// Which of the load's quantiles they are.
const QUANTILES: [usize; 3] = [0, 2, 3];
const METHOD: &str = "from when each request was due; the same Poisson schedule for all";

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let work = Work {
        peers: bench.peers.iter().collect(),
        load: Load::plain(bench.origin()),
        tls: false,
        setup: Setup::default(),
        units: 1.0,
        metrics: Metrics::cpu(AT_30[0]),
    };
    let mut entries = measure::start_all(bench, &work, &mut section)?;
    let mut slowest = ("", f64::INFINITY);
    for entry in &mut entries {
        let (outcome, _) = entry.window(Until::Elapsed(bench.window()))?;
        let rate = outcome.answered as f64 / outcome.elapsed.as_secs_f64();
        if entry.peer.name != RELAY && rate < slowest.1 {
            slowest = (entry.peer.name, rate);
        }
    }
    section.note(format!(
        "The slowest is {} with {} requests per second.",
        slowest.0,
        number(slowest.1)
    ));
    for (share, metrics) in [(0.3, AT_30), (0.7, AT_70)] {
        let rate = slowest.1 * share;
        let mut clients = Vec::new();
        for entry in &entries {
            let mut load = Load::plain(entry.running.address);
            load.kind = Kind::Paced(rate);
            clients.push((entry.peer.name, Client::start(bench, &load)?, Vec::new(), None));
        }
        for round in 1..=bench.rounds() {
            bench.progress(format_args!(
                "{} requests per second: round {round} of {}",
                number(rate),
                bench.rounds()
            ));
            for (_, client, rounds, failed) in &mut clients {
                if failed.is_some() {
                    continue;
                }
                match client.window(Until::Elapsed(bench.window() * 3 / 2)) {
                    Ok(outcome) => rounds.push(outcome.latencies),
                    Err(problem) => *failed = Some(problem),
                }
            }
        }
        for (name, _, rounds, failed) in clients {
            if let Some(problem) = failed {
                measure::leave_out(name, &problem, &mut section)?;
                continue;
            }
            for (metric, quantile) in metrics.into_iter().zip(QUANTILES) {
                let values = rounds
                    .iter()
                    .map(|latencies| latencies[quantile].as_secs_f64() * 1e6);
                section.push(name, metric, METHOD, values.collect());
            }
        }
    }
    Ok(section)
}
