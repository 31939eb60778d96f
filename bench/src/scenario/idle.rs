//! (j) Connections that made one request and now wait: our memory for each, plain and with TLS, over HTTP/1.1 and HTTP/2.

use super::Scenario;
use crate::bench::Bench;
use crate::client::{self, Client};
use crate::figure::{Metric, Section};
use crate::load::{self, Kind, Load, Until};
use crate::origin::BODY;
use crate::peer::{HAPROXY, HOST, NARTHEX, NGINX, Peer, Running, Setup};
use crate::target::{Limit, Target};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

const PLAIN: Metric = Metric::cost("memory per idle plain connection", "KiB");
const TLS: Metric = Metric::cost("memory per idle TLS connection", "KiB");
const HTTP2_PLAIN: Metric = Metric::cost("memory per idle HTTP/2 connection", "KiB");
const HTTP2_TLS: Metric = Metric::cost("memory per idle HTTP/2 connection over TLS", "KiB");
const METHOD: &str = "PSS of the process, after minus before";
/// What the file limit leaves may be fewer.
const CONNECTIONS: usize = 10_000;
/// Narthex's allocator takes 5 s to stop using a page and 5 s more to give it up (`.cargo/config.toml`).
const SETTLED: Duration = Duration::from_secs(12);

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "j",
    title: "10,000 idle connections: memory of each",
    targets: &[
        Target::new(PLAIN, Limit::Value(4.0)),
        Target::new(TLS, Limit::Value(12.0)),
        Target::new(HTTP2_PLAIN, Limit::Value(16.0)),
    ],
    run,
};

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let count = if bench.quick { 2_000 } else { CONNECTIONS }.min(room());
    if !bench.quick && count < CONNECTIONS {
        section.note(format!(
            "{count} connections, as the limit of open files allows (ulimit -n): a proxy needs two files for each."
        ));
    }
    let named = |peer: &&Peer| [NARTHEX, HAPROXY, NGINX].contains(&peer.name);
    for peer in bench.peers.iter().filter(named) {
        for (metric, tls) in [(PLAIN, false), (TLS, true)] {
            bench.progress(format_args!(
                "{}: {count} idle {} connections",
                peer.name,
                if tls { "TLS" } else { "plain" }
            ));
            let each = one(bench, peer, count, tls)?;
            section.push(peer.name, metric, METHOD, vec![each]);
        }
        for (metric, tls) in [(HTTP2_PLAIN, false), (HTTP2_TLS, true)] {
            let over = if tls { " over TLS" } else { "" };
            bench.progress(format_args!(
                "{}: {count} idle connections of HTTP/2{over}",
                peer.name
            ));
            let each = one_http2(bench, peer, count, tls)?;
            section.push(peer.name, metric, METHOD, vec![each]);
        }
    }
    section
        .note("Each connection made one request and got its answer; all were used again after the reading.");
    Ok(section)
}

/// KiB per connection.
fn one(bench: &Bench, peer: &Peer, count: usize, tls: bool) -> Result<f64, String> {
    let running = peer.start(bench, &Setup::default())?;
    let (each, mut connections) = grown(bench, peer, &running, count, |count| {
        open(bench, peer, &running, count, tls)
    })?;
    for (number, connection) in connections.iter_mut().enumerate() {
        let used = connection.get(HOST, "/bench").map(|answer| answer.status);
        if !matches!(used, Ok(200)) {
            return Err(format!(
                "{}: idle connection {number} was lost: {used:?}",
                peer.name
            ));
        }
    }
    Ok(each)
}

/// The same over HTTP/2.
fn one_http2(bench: &Bench, peer: &Peer, count: usize, tls: bool) -> Result<f64, String> {
    let setup = Setup {
        http2: true,
        ..Setup::default()
    };
    let running = peer.start(bench, &setup)?;
    // One request on each connection.
    let ask = |client: &mut load::Client, connections: usize| {
        let outcome = client.window(Until::Requests(connections as u64))?;
        match outcome.failures.first() {
            Some(failure) => Err(format!("{}: {failure}", peer.name)),
            None => Ok(()),
        }
    };
    let (each, mut client) = grown(bench, peer, &running, count, |count| {
        let mut load = Load::plain(if tls { running.tls } else { running.address });
        load.tls = tls.then(|| bench.certificate.chain_file.clone());
        load.connections = count;
        load.kind = Kind::Streams {
            bytes: BODY as u64,
            each: 1,
        };
        let mut client = load::Client::start(bench, &load)?;
        ask(&mut client, count)?;
        Ok(client)
    })?;
    ask(&mut client, count)?;
    Ok(each)
}

/// What the process has grown by for each of so many connections, in KiB, and those connections.
fn grown<T>(
    bench: &Bench,
    peer: &Peer,
    running: &Running,
    count: usize,
    open: impl Fn(usize) -> Result<T, String>,
) -> Result<(f64, T), String> {
    // The others' allocators give nothing back later on.
    let settled = if bench.quick && peer.name != NARTHEX {
        Duration::from_secs(2)
    } else {
        SETTLED
    };
    // A few first: buffers and pools that exist once are not what a connection costs.
    drop(open(50)?);
    std::thread::sleep(settled);
    let before = running.process.pss();
    let connections = open(count)?;
    std::thread::sleep(settled);
    let after = running.process.pss();
    Ok((after.saturating_sub(before) as f64 / count as f64, connections))
}

fn open(
    bench: &Bench,
    peer: &Peer,
    running: &Running,
    count: usize,
    tls: bool,
) -> Result<Vec<Client>, String> {
    let root = CertificateDer::from_pem_file(&bench.certificate.chain_file).map_err(|e| e.to_string())?;
    let config = client::tls(&[root])?;
    let (address, config) = if tls {
        (running.tls, Some(&config))
    } else {
        (running.address, None)
    };
    let start = Instant::now();
    let mut connections = Vec::with_capacity(count);
    for number in 0..count {
        let opened = Client::connect(address, HOST, config).and_then(|mut client| {
            let answer = client.get(HOST, "/bench")?;
            if answer.status == 200 {
                Ok(client)
            } else {
                Err(std::io::Error::other(format!("status {}", answer.status)))
            }
        });
        connections.push(opened.map_err(|error| format!("{}: connection {number}: {error}", peer.name))?);
        // The first must not have been idle for as long as any proxy lets it (60 s) when the last is read.
        if start.elapsed() > Duration::from_secs(40) {
            return Err(format!("{}: {number} connections took 40 s to open", peer.name));
        }
    }
    Ok(connections)
}

/// Connections for which a process has files, both sides and some more.
fn room() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|rest| rest.split_whitespace().nth(1)?.parse::<usize>().ok())
        .unwrap_or(1024);
    (files / 2).saturating_sub(500)
}
