//! (b) What TLS 1.3 costs: per request on connections that stay, and per connection with a full and a resumed handshake.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::origin::BODY;
use crate::peer::{HAPROXY, HAPROXY_SYSTEM, NGINX, Setup};
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "b",
    title: "TLS 1.3 (ECDSA P-256, X25519, AES-128-GCM): keep-alive, full and resumed handshakes",
    targets: &[
        Target::new(
            INSTRUCTIONS,
            Limit::TimesBestOf(0.8, &[NGINX, HAPROXY, HAPROXY_SYSTEM]),
        ),
        Target::new(FULL, Limit::TimesBest(1.0)),
    ],
    run,
};

const CPU: Metric = Metric::cost("CPU time per request over TLS", "µs");
const INSTRUCTIONS: Metric = Metric::cost("user instructions per request over TLS", "instructions");
const FULL_CPU: Metric = Metric::cost("CPU time per full handshake with one request", "µs");
const FULL: Metric = Metric::rate("full handshakes, with one request each, per CPU second", "1/s");
const RESUMED_CPU: Metric = Metric::cost("CPU time per resumed handshake with one request", "µs");
const RESUMED: Metric = Metric::rate("resumed handshakes, with one request each, per CPU second", "1/s");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let work = |kind: Kind, metrics: Metrics| {
        let mut load = Load::plain(bench.origin());
        load.kind = kind;
        Work {
            // The relay would leave TLS to the origin.
            peers: bench.proxies(),
            load,
            tls: true,
            setup: Setup::default(),
            units: 1.0,
            metrics,
        }
    };
    let bytes = BODY as u64;
    let kept = work(Kind::Get(bytes), Metrics::cpu(CPU));
    measure::costs(bench, &kept, &mut section)?;
    measure::instructions(bench, &kept, INSTRUCTIONS, None, &mut section);
    for (resume, cpu, rate) in [(false, FULL_CPU, FULL), (true, RESUMED_CPU, RESUMED)] {
        let metrics = Metrics {
            per_cpu_second: Some(rate),
            ..Metrics::cpu(cpu)
        };
        measure::costs(bench, &work(Kind::Once { bytes, resume }, metrics), &mut section)?;
    }
    section.note("The load offers one suite and one group, so that every proxy does the same arithmetic; every connection is new and closed after its request.");
    Ok(section)
}
