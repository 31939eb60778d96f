//! What a small proxied keep-alive GET costs, per request: CPU time by `/proc`, user instructions by callgrind.
//!
//! The proxy has CPU 0, load and origin share CPU 1; proxies take turns, several rounds. Ratios are medians of
//! rounds. Instructions are the difference of a long and a short run divided by the difference in requests, so
//! that start and stop cancel out.

use crate::load::{Load, Until};
use crate::peers::{HOST, Peer, start_origin};
use crate::process::{CpuTime, Scratch, installed};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const CONNECTIONS: usize = 64;
const ROUNDS: usize = 5;
const REQUESTS: u64 = 60_000;
/// Short and long run under callgrind, which is some fifty times slower.
const COUNTED: [u64; 2] = [2_000, 12_000];

/// `plain [--quick]`
pub fn run(words: &[String]) -> Result<(), String> {
    let rounds = if words.iter().any(|word| word == "--quick") {
        2
    } else {
        ROUNDS
    };
    let scratch = Scratch::new("plain")?;
    let origin = start_origin(&scratch)?;
    let (peers, missing): (Vec<Peer>, Vec<Peer>) = Peer::ALL.into_iter().partition(|peer| peer.available());
    for peer in &missing {
        println!(
            "{} is not installed and is left out (Debian package {})",
            peer.name(),
            peer.name()
        );
    }
    let mut results: Vec<Figures> = peers.iter().map(|_| Figures::default()).collect();
    for round in 1..=rounds {
        for (peer, figures) in peers.iter().zip(&mut results) {
            eprintln!("round {round} of {rounds}: {} …", peer.name());
            figures.cpu.push(cpu_round(*peer, origin.address, &scratch)?);
        }
    }
    if installed("valgrind") {
        for (peer, figures) in peers.iter().zip(&mut results) {
            eprintln!("callgrind: {} …", peer.name());
            figures.instructions = Some(instructions(*peer, origin.address, &scratch)?);
        }
    } else {
        println!("valgrind is not installed: no instruction counts (Debian package valgrind)");
    }
    print(&peers, &results);
    Ok(())
}

/// Figures of one proxy.
#[derive(Default)]
struct Figures {
    /// Microseconds per request, user and system, of each round.
    cpu: Vec<(f64, f64)>,
    /// User instructions per request.
    instructions: Option<f64>,
}

fn cpu_round(peer: Peer, origin: SocketAddr, scratch: &Scratch) -> Result<(f64, f64), String> {
    let running = peer.start(origin, scratch, &[])?;
    offer(running.address, REQUESTS / 10)?;
    let before = running.process.cpu_time();
    offer(running.address, REQUESTS)?;
    let after = running.process.cpu_time();
    let per_request = |part: fn(CpuTime) -> f64| (part(after) - part(before)) * 1e6 / REQUESTS as f64;
    Ok((per_request(|time| time.user), per_request(|time| time.system)))
}

fn instructions(peer: Peer, origin: SocketAddr, scratch: &Scratch) -> Result<f64, String> {
    let mut totals = [0.0; 2];
    for (total, requests) in totals.iter_mut().zip(COUNTED) {
        let out = scratch
            .path()
            .join(format!("callgrind.{}.{requests}", peer.name()));
        let prefix = ["valgrind", "--quiet", "--tool=callgrind"].map(String::from);
        let prefix = [&prefix[..], &[format!("--callgrind-out-file={}", out.display())]].concat();
        let running = peer.start(origin, scratch, &prefix)?;
        offer(running.address, requests)?;
        running.process.stop(Duration::from_secs(60))?;
        *total = callgrind_total(&out)?;
    }
    Ok((totals[1] - totals[0]) / (COUNTED[1] - COUNTED[0]) as f64)
}

/// The `summary:` or `totals:` lines of every part that callgrind wrote.
pub fn callgrind_total(out: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let line = text.lines().find_map(|line| {
        line.strip_prefix("totals: ")
            .or_else(|| line.strip_prefix("summary: "))
    });
    line.and_then(|rest| rest.split(' ').next()?.parse().ok())
        .ok_or_else(|| format!("{}: no totals", out.display()))
}

/// Sends the load from CPU 1, in a process of its own so that the pinning holds.
fn offer(target: SocketAddr, requests: u64) -> Result<(), String> {
    let here = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new("taskset")
        .args(["-c", "1"])
        .arg(here)
        .args(["load", &target.to_string(), &requests.to_string()])
        .status()
        .map_err(|error| format!("taskset: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err("the run is void: a wrong answer".into())
    }
}

/// `load ADDR REQUESTS`: the load as a process; fails on a single wrong answer.
pub fn load(words: &[String]) -> Result<(), String> {
    let [target, requests] = words else {
        return Err("usage: load ADDR REQUESTS".into());
    };
    let target = target.parse().map_err(|error| format!("{target}: {error}"))?;
    let requests = requests.parse().map_err(|error| format!("{requests}: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let load = Load {
        target,
        host: HOST,
        path: "/bench",
        connections: CONNECTIONS,
        until: Until::Requests(requests),
    };
    let outcome = runtime.block_on(async {
        let limit = Duration::from_secs(300);
        tokio::time::timeout(limit, crate::load::run(load))
            .await
            .map_err(|_| format!("not answered within {limit:?}"))
    })?;
    if outcome.failed == 0 {
        Ok(())
    } else {
        Err(format!(
            "{} failures, e.g. {:?}",
            outcome.failed, outcome.failures
        ))
    }
}

fn print(peers: &[Peer], results: &[Figures]) {
    println!(
        "\nplain: small keep-alive GET, {CONNECTIONS} connections, one worker, defaults on; per request"
    );
    println!(
        "CPU time from /proc (10 ms ticks over {REQUESTS} requests), user instructions from callgrind\n"
    );
    println!(
        "{:<10} {:>10} {:>10} {:>10} {:>9} {:>14} {:>9}",
        "", "user us", "system us", "CPU us", "ratio", "instructions", "ratio"
    );
    let ours = &results[0];
    for (peer, figures) in peers.iter().zip(results) {
        let ratio = median(
            ours.cpu
                .iter()
                .zip(&figures.cpu)
                .map(|(a, b)| (a.0 + a.1) / (b.0 + b.1)),
        );
        let (instructions, instruction_ratio) = match (figures.instructions, ours.instructions) {
            (Some(theirs), Some(our)) => (format!("{theirs:.0}"), format!("{:.2}", our / theirs)),
            _ => ("-".into(), "-".into()),
        };
        println!(
            "{:<10} {:>10.2} {:>10.2} {:>10.2} {:>9.2} {:>14} {:>9}",
            peer.name(),
            median(figures.cpu.iter().map(|round| round.0)),
            median(figures.cpu.iter().map(|round| round.1)),
            median(figures.cpu.iter().map(|round| round.0 + round.1)),
            ratio,
            instructions,
            instruction_ratio
        );
    }
    println!("\nratio: narthex divided by that proxy; below 1 narthex is cheaper");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
