//! (n) What streams cost: TCP per MiB and per connection, TLS passed through, UDP datagrams.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Kind, Load};
use crate::measure::{self, Metrics, Work};
use crate::origin::{BODY, LARGE};
use crate::peer::{HAPROXY, NARTHEX, NGINX, RELAY, Setup};
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "n",
    title: "streams: TCP, TLS passed through by name, UDP",
    targets: &[
        Target::new(MIB, Limit::TimesRelay(1.1)),
        Target::new(CONNECTION, Limit::TimesRelay(1.1)),
        Target::new(TLS_MIB, Limit::TimesRelay(1.1)),
        Target::new(DATAGRAMS, Limit::Times(1.0, NGINX)),
    ],
    run,
};

const MIB: Metric = Metric::cost("CPU time per MiB over TCP", "µs");
const CONNECTION: Metric = Metric::cost("CPU time per TCP connection with one exchange", "µs");
const CALLS: Metric = Metric::cost("system calls per TCP connection with one exchange", "calls");
const TLS_MIB: Metric = Metric::cost("CPU time per MiB of TLS passed through", "µs");
const DATAGRAM: Metric = Metric::cost("CPU time per datagram there and back", "µs");
const DATAGRAMS: Metric = Metric::rate("datagrams there and back per CPU second", "1/s");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let tcp = &[NARTHEX, HAPROXY, NGINX, RELAY][..];
    let udp = &[NARTHEX, NGINX, RELAY][..];
    let setup = Setup {
        streams: true,
        ..Setup::default()
    };
    let work = |peers: &[&str], load: Load, tls: bool, units: f64, metrics: Metrics| Work {
        peers: bench
            .peers
            .iter()
            .filter(|peer| peers.contains(&peer.name))
            .collect(),
        load,
        tls,
        setup: setup.clone(),
        units,
        metrics,
    };
    let mut large = Load::plain(bench.origin());
    large.paths = vec!["/large".into()];
    large.kind = Kind::Get(LARGE as u64);
    large.connections = 8;
    let mib = LARGE as f64 / f64::from(1 << 20);
    measure::costs(
        bench,
        &work(tcp, large.clone(), false, mib, Metrics::cpu(MIB)),
        &mut section,
    )?;
    let mut once = Load::plain(bench.origin());
    once.kind = Kind::Once {
        bytes: BODY as u64,
        resume: false,
    };
    let metrics = Metrics {
        calls: Some(CALLS),
        ..Metrics::cpu(CONNECTION)
    };
    measure::costs(bench, &work(tcp, once, false, 1.0, metrics), &mut section)?;
    let narthex = bench.peers.iter().find(|peer| peer.name == NARTHEX);
    let narthex = narthex.ok_or("there is no narthex")?;
    let beside = Setup {
        cpus: "1",
        ..Setup::default()
    };
    let behind = narthex.start(bench, &beside)?;
    let mut passed = work(tcp, large, true, mib, Metrics::cpu(TLS_MIB));
    passed.setup.origin = Some(behind.tls);
    measure::costs(bench, &passed, &mut section)?;
    behind.process.signal("KILL")?;
    let mut datagrams = Load::plain(bench.origin());
    datagrams.kind = Kind::Datagram(64);
    let metrics = Metrics {
        per_cpu_second: Some(DATAGRAMS),
        ..Metrics::cpu(DATAGRAM)
    };
    measure::costs(bench, &work(udp, datagrams, false, 1.0, metrics), &mut section)?;
    section.note("TLS ends behind the proxy, in a Narthex beside the origin; the relay passes it on without a look at the name.");
    section.note("A datagram of 64 bytes comes back on each of 64 sockets before the next one is sent.");
    Ok(section)
}
