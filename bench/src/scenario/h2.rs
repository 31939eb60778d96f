//! (m) HTTP/2 from clients, HTTP/1.1 to the origin: small GETs on many streams, and large ones.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::origin::{BODY, LARGE};
use crate::peer::{CADDY, ENVOY, HAPROXY, NARTHEX, NGINX, Setup, TRAEFIK};
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "m",
    title: "HTTP/2: small GETs, 10 streams on each connection, and 1 MiB",
    targets: &[
        Target::new(INSTRUCTIONS, Limit::TimesBest(0.9)),
        Target::new(CPU, Limit::TimesBest(1.0)),
        Target::new(TLS_CPU, Limit::TimesBest(1.0)),
        Target::new(MIB, Limit::TimesBest(1.0)),
    ],
    run,
};

const CPU: Metric = Metric::cost("CPU time per request, 64 connections", "µs");
const CALLS: Metric = Metric::cost("system calls per request", "calls");
const MEMORY: Metric = Metric::cost("memory with 64 connections and 640 streams", "MiB");
const TLS_CPU: Metric = Metric::cost("CPU time per request over TLS, 64 connections", "µs");
const INSTRUCTIONS: Metric = Metric::cost("user instructions per request, 8 connections", "instructions");
const ALLOCATIONS: Metric = Metric::cost("allocations per request", "calls");
const MIB: Metric = Metric::cost("CPU time per MiB, 8 connections", "µs");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let plain = &[NARTHEX, HAPROXY, NGINX, ENVOY][..];
    let tls = &[NARTHEX, HAPROXY, NGINX, ENVOY, TRAEFIK, CADDY][..];
    let work = |peers: &[&str], load: Load, tls: bool, units: f64, metrics: Metrics| Work {
        peers: { bench.peers.iter() }
            .filter(|peer| peers.contains(&peer.name))
            .collect(),
        load,
        tls,
        setup: Setup {
            http2: true,
            ..Setup::default()
        },
        units,
        metrics,
    };
    let mut small = Load::plain(bench.origin());
    small.kind = Kind::Streams {
        bytes: BODY as u64,
        each: 10,
    };
    let metrics = Metrics {
        calls: Some(CALLS),
        memory: Some(MEMORY),
        ..Metrics::cpu(CPU)
    };
    measure::costs(
        bench,
        &work(plain, small.clone(), false, 1.0, metrics),
        &mut section,
    )?;
    measure::costs(
        bench,
        &work(tls, small.clone(), true, 1.0, Metrics::cpu(TLS_CPU)),
        &mut section,
    )?;
    let mut few = small.clone();
    few.connections = 8;
    let few = work(plain, few, false, 1.0, Metrics::cpu(CPU));
    measure::instructions(bench, &few, INSTRUCTIONS, Some(ALLOCATIONS), &mut section);
    let mut large = small;
    large.paths = vec!["/large".into()];
    large.connections = 8;
    large.kind = Kind::Streams {
        bytes: LARGE as u64,
        each: 1,
    };
    let mib = LARGE as f64 / f64::from(1 << 20);
    measure::costs(
        bench,
        &work(plain, large, false, mib, Metrics::cpu(MIB)),
        &mut section,
    )?;
    section.note("Requests go on to the origin over HTTP/1.1.");
    Ok(section)
}
