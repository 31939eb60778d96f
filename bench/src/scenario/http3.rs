//! (o) HTTP/3 from clients, HTTP/1.1 to the origin: small GETs on many streams, and large ones.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::origin::{BODY, LARGE};
use crate::peer::{CADDY, ENVOY, NARTHEX, Setup, TRAEFIK};
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "o",
    title: "HTTP/3: small GETs, 10 streams on each connection, and 1 MiB",
    targets: &[
        Target::new(CPU, Limit::TimesBest(1.0)),
        Target::new(MIB, Limit::TimesBest(1.0)),
    ],
    run,
};

const CPU: Metric = Metric::cost("CPU time per request over HTTP/3, 64 connections", "µs");
const CALLS: Metric = Metric::cost("system calls per request over HTTP/3", "calls");
const MEMORY: Metric = Metric::cost("memory with 64 connections of HTTP/3 and 640 streams", "MiB");
const INSTRUCTIONS: Metric = Metric::cost(
    "user instructions per request over HTTP/3, 8 connections",
    "instructions",
);
const MIB: Metric = Metric::cost("CPU time per MiB over HTTP/3, 8 connections", "µs");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let work = |load: Load, units: f64, metrics: Metrics| Work {
        peers: { bench.peers.iter() }
            .filter(|peer| [NARTHEX, ENVOY, TRAEFIK, CADDY].contains(&peer.name))
            .collect(),
        load,
        tls: true,
        setup: Setup {
            http3: true,
            ..Setup::default()
        },
        units,
        metrics,
    };
    let mut small = Load::plain(bench.origin());
    small.kind = Kind::Http3 {
        bytes: BODY as u64,
        each: 10,
    };
    let metrics = Metrics {
        calls: Some(CALLS),
        memory: Some(MEMORY),
        ..Metrics::cpu(CPU)
    };
    measure::costs(bench, &work(small.clone(), 1.0, metrics), &mut section)?;
    let mut few = small.clone();
    few.connections = 8;
    measure::instructions(
        bench,
        &work(few, 1.0, Metrics::cpu(CPU)),
        INSTRUCTIONS,
        None,
        &mut section,
    );
    let mut large = small;
    large.paths = vec!["/large".into()];
    large.connections = 8;
    large.kind = Kind::Http3 {
        bytes: LARGE as u64,
        each: 1,
    };
    let mib = LARGE as f64 / f64::from(1 << 20);
    measure::costs(bench, &work(large, mib, Metrics::cpu(MIB)), &mut section)?;
    section.note("Requests go on to the origin over HTTP/1.1.");
    section.note("haproxy, haproxy-system and nginx have no HTTP/3 as they are built here: HAProxy needs a library of TLS with QUIC, nginx 1.25 or newer.");
    Ok(section)
}
