//! (g) What a large routing table costs: 1,000 hosts with five routes each, by path, expression and header field.

mod configurations;

use super::Scenario;
use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Load, Until};
use crate::measure::{self, CPU_METHOD, Entry, Metrics, Work};
use crate::peer::{HAPROXY, HAPROXY_SYSTEM, NARTHEX, NGINX, Peer, Setup};
use crate::target::{Limit, Target};

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "g",
    title: "1,000 hosts, 5,000 routes with header and regex matches",
    targets: &[Target::new(TIMES, Limit::Value(1.1))],
    run,
};

const CPU: Metric = Metric::cost("CPU time per request with 5,000 routes", "µs");
const TIMES: Metric = Metric::cost("times the CPU time of the same request with one route", "x");
const MEMORY: Metric = Metric::cost("memory with 5,000 routes", "MiB");

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let can = |peer: &&Peer| [NARTHEX, HAPROXY, HAPROXY_SYSTEM, NGINX].contains(&peer.name);
    let mut pairs = Vec::new();
    for peer in bench.peers.iter().filter(can) {
        match pair(bench, peer) {
            Ok(pair) => pairs.push((pair, Vec::new())),
            Err(problem) => measure::leave_out(peer.name, &problem, &mut section)?,
        }
    }
    for round in 1..=bench.rounds() {
        bench.progress(format_args!("round {round} of {}", bench.rounds()));
        for ((small, large), rounds) in &mut pairs {
            let until = Until::Elapsed(bench.window());
            let cost = |entry: &mut Entry<'_>| {
                let (outcome, spent) = entry.window(until)?;
                Ok::<_, String>(spent.total * 1e6 / outcome.answered as f64)
            };
            rounds.push((cost(small)?, cost(large)?));
        }
    }
    for ((_, large), rounds) in &pairs {
        let name = large.peer.name;
        section.push(
            name,
            CPU,
            CPU_METHOD,
            rounds.iter().map(|round| round.1).collect(),
        );
        let times = rounds.iter().map(|(small, large)| large / small).collect();
        section.push(name, TIMES, CPU_METHOD, times);
        let mib = large.running.process.pss() as f64 / 1024.0;
        section.push(name, MEMORY, "PSS of /proc/PID/smaps_rollup", vec![mib]);
    }
    section.note("Requests go to 200 of the hosts in turn and match by prefix, exact path, expression and header field in turn.");
    section.note("HAProxy and nginx have the hosts in a hash or tree and the five routes once; Narthex has 5,000 routes of their own. Envoy, Traefik and Caddy are not configured for this.");
    Ok(section)
}

/// The proxy with one route and with all, sent the same requests but for the host.
fn pair<'a>(bench: &Bench, peer: &'a Peer) -> Result<(Entry<'a>, Entry<'a>), String> {
    let config = configurations::of(peer.name, HOSTS);
    let start = |hosts: Vec<String>, config: Option<&str>| {
        let mut load = Load::plain(bench.origin());
        load.paths = hosts
            .iter()
            .enumerate()
            .map(|(index, host)| format!("{host}{}", PATHS[index % PATHS.len()]))
            .collect();
        load.headers = "X-Canary: always\r\n".into();
        let work = Work {
            peers: Vec::new(),
            load,
            tls: false,
            setup: Setup {
                config,
                ..Setup::default()
            },
            units: 1.0,
            metrics: Metrics::cpu(CPU),
        };
        Entry::start(bench, peer, &work)
    };
    let spread = (0..HOSTS).step_by(5).map(|host| format!("h{host}.example"));
    Ok((
        start(vec![crate::peer::HOST.into(); 200], None)?,
        start(spread.collect(), Some(&config))?,
    ))
}

const HOSTS: usize = 1_000;
const PATHS: [&str; 4] = ["/api/carts/7", "/health", "/v2/items/lamp", "/elsewhere"];
