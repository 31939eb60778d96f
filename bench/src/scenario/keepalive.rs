//! (a) What every request costs: small GETs on connections that stay.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::Load;
use crate::measure::{self, Entry, Metrics, Work, count};
use crate::peer::{HAPROXY, NGINX, Setup};
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "a",
    title: "small keep-alive GET, 64 connections, one worker",
    targets: &[
        Target::new(CPU, Limit::Times(0.9, HAPROXY)),
        Target::new(INSTRUCTIONS, Limit::Times(0.3, HAPROXY)),
        Target::new(INSTRUCTIONS, Limit::Times(0.3, NGINX)),
        Target::new(CALLS, Limit::RelayPlus(1.0)),
        Target::new(COUNTED, Limit::Times(0.6, HAPROXY)),
        Target::new(COUNTED, Limit::Times(0.6, NGINX)),
        Target::new(COUNTED, Limit::TimesRelay(1.25)),
        Target::new(CYCLES, Limit::TimesBest(1.0)),
    ],
    run,
};

const CPU: Metric = Metric::cost("CPU time per request", "µs");
const USER: Metric = Metric::cost("of it in the program", "µs");
const SYSTEM: Metric = Metric::cost("of it in the kernel", "µs");
const CALLS: Metric = Metric::cost("system calls per request", "calls");
const INSTRUCTIONS: Metric = Metric::cost("user instructions per request", "instructions");
const ALLOCATIONS: Metric = Metric::cost("allocations per request", "calls");
const MEMORY: Metric = Metric::cost("memory with 64 connections", "MiB");
const COUNTED: Metric = Metric::cost("user and kernel instructions per request", "instructions");
const CYCLES: Metric = Metric::cost("cycles per request", "cycles");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let work = Work {
        peers: bench.peers.iter().collect(),
        load: Load::plain(bench.origin()),
        tls: false,
        setup: Setup::default(),
        units: 1.0,
        metrics: Metrics {
            cpu: CPU,
            user: Some(USER),
            system: Some(SYSTEM),
            per_cpu_second: None,
            calls: Some(CALLS),
            memory: Some(MEMORY),
        },
    };
    measure::costs(bench, &work, &mut section)?;
    if count::has_counters() {
        for peer in &bench.peers {
            bench.progress(format_args!("perf stat: {}", peer.name));
            let mut entry = Entry::start(bench, peer, &work)?;
            let [user, kernel, cycles] = count::counters(bench, &mut entry)?;
            section.push(peer.name, COUNTED, "perf stat", vec![user + kernel]);
            section.push(peer.name, CYCLES, "perf stat", vec![cycles]);
        }
    } else {
        section.note(
            "This machine has no hardware counters (perf stat -e instructions), so there are no kernel instructions and no cycles.",
        );
    }
    measure::instructions(bench, &work, INSTRUCTIONS, Some(ALLOCATIONS), &mut section);
    Ok(section)
}
