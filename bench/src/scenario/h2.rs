//! (m) HTTP/2 from clients: to an origin of HTTP/1.1 small GETs on many streams, and large ones; calls of gRPC to one of HTTP/2.

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
    title: "HTTP/2: small GETs, 10 streams on each connection, 1 MiB, and calls of gRPC",
    targets: &[
        Target::new(INSTRUCTIONS, Limit::TimesBest(0.9)),
        Target::new(CPU, Limit::TimesBest(1.0)),
        Target::new(TLS_CPU, Limit::TimesBest(1.0)),
        Target::new(MIB, Limit::TimesBest(1.0)),
        Target::new(CALL_INSTRUCTIONS, Limit::TimesBest(0.9)),
        Target::new(CALL_CPU, Limit::TimesBest(1.0)),
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
const CALL_CPU: Metric = Metric::cost("CPU time per unary call of gRPC, 64 connections", "µs");
const CALL_INSTRUCTIONS: Metric = Metric::cost(
    "user instructions per unary call of gRPC, 8 connections",
    "instructions",
);

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
    calls(bench, &mut section)?;
    section.note("Requests go on to the origin over HTTP/1.1, calls over HTTP/2.");
    Ok(section)
}

/// Unary calls of gRPC, HTTP/2 on both sides.
fn calls(bench: &Bench, section: &mut Section) -> Result<(), String> {
    let work = |connections: usize| {
        let mut load = Load::plain(bench.origin());
        load.connections = connections;
        load.kind = Kind::Calls {
            bytes: BODY as u64,
            each: 10,
        };
        Work {
            peers: { bench.peers.iter() }
                .filter(|peer| [NARTHEX, HAPROXY, NGINX].contains(&peer.name))
                .collect(),
            load,
            tls: false,
            setup: Setup {
                grpc: true,
                ..Setup::default()
            },
            units: 1.0,
            metrics: Metrics::cpu(CALL_CPU),
        }
    };
    measure::costs(bench, &work(64), section)?;
    measure::instructions(bench, &work(8), CALL_INSTRUCTIONS, None, section);
    Ok(())
}
