//! Counts that need a tool around the proxy: system calls by strace, instructions and allocations by callgrind, counters by perf.

use super::{Entry, Work};
use crate::bench::Bench;
use crate::load::{Client, Until};
use crate::peer::{Peer, Setup};
use crate::process::{Process, Start, installed};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// System calls per exchange, of a short window with strace attached to the proxy and its children.
pub fn system_calls(bench: &Bench, entry: &mut Entry<'_>) -> Result<f64, String> {
    if !installed("strace") {
        return Err("no system calls: strace is not installed".into());
    }
    let out = bench.scratch.path().join(format!("strace.{}", entry.peer.name));
    let mut command: Vec<String> = ["strace", "-f", "-c", "-o"].map(String::from).to_vec();
    command.push(out.display().to_string());
    let family = entry.running.process.family();
    for id in &family {
        command.extend(["-p".into(), id.to_string()]);
    }
    let log = bench.scratch.path().join("strace.log");
    let mut strace = Process::start(&Start::default(), &command, &log)?;
    let attached = Instant::now();
    while !family.iter().all(|id| all_traced(*id)) {
        if attached.elapsed() > Duration::from_secs(5) {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            return Err(format!("strace could not attach: {}", log.trim()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let outcome = entry.client.window(Until::Elapsed(bench.window()))?;
    strace.signal("INT")?;
    strace.wait(Duration::from_secs(10))?;
    let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let calls = strace_total(&text).ok_or("strace printed no total")?;
    Ok(calls / outcome.answered as f64)
}

/// Whether every thread of a process has a tracer.
fn all_traced(id: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{id}/task"));
    tasks.into_iter().flatten().flatten().all(|task| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        !status.contains("TracerPid:\t0\n")
    })
}

/// The calls in the line `total`, behind shares, seconds and microseconds per call.
fn strace_total(text: &str) -> Option<f64> {
    let line = text.lines().rfind(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// What callgrind counted, per exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// Instructions in user space.
    pub instructions: f64,
    /// Calls of the allocator.
    pub allocations: f64,
}

/// How the output says it.
pub const CALLGRIND_METHOD: &str = "callgrind, a long run minus a short one";

/// Counts under callgrind: a long run minus a short one, divided by the difference, so that start and stop cancel out.
pub fn callgrind(bench: &Bench, peer: &Peer, work: &Work<'_>) -> Result<Counted, String> {
    if !installed("valgrind") {
        return Err("no instructions: valgrind is not installed".into());
    }
    let counts = if bench.quick { [400, 1_200] } else { [2_000, 8_000] };
    // Side by side: counts do not depend on how fast anything runs.
    let [short, long] = std::thread::scope(|scope| {
        counts
            .map(|requests| scope.spawn(move || callgrind_run(bench, peer, work, requests)))
            .map(|run| run.join().unwrap_or_else(|_| Err("a run's thread ended".into())))
    });
    let (short, long) = (short?, long?);
    let per = |of: fn(&Counted) -> f64| (of(&long) - of(&short)) / (counts[1] - counts[0]) as f64;
    Ok(Counted {
        instructions: per(|counted| counted.instructions),
        // Growth of a table once in a while, or the lack of it, is no allocation per exchange.
        allocations: (per(|counted| counted.allocations).max(0.0) * 20.0).round() / 20.0,
    })
}

fn callgrind_run(bench: &Bench, peer: &Peer, work: &Work<'_>, requests: u64) -> Result<Counted, String> {
    let out = bench
        .scratch
        .path()
        .join(format!("callgrind.{}.{requests}", peer.name));
    let under = [
        "valgrind".into(),
        "--quiet".into(),
        "--tool=callgrind".into(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    let setup = Setup {
        under: &under,
        cpus: "0,1",
        ..work.setup.clone()
    };
    let running = peer.start(bench, &setup)?;
    let mut load = work.load.clone();
    load.target = running.address;
    if work.tls {
        // Handshakes cancel out, but under valgrind each takes its time.
        load.connections = load.connections.min(16);
        load.target = running.tls;
        load.tls = Some(bench.certificate.chain_file.clone());
    }
    let mut client = Client::start(bench, &load)?;
    client.window(Until::Requests(requests))?;
    // Open connections would keep some proxies from ending.
    drop(client);
    running.process.stop(Duration::from_secs(60))?;
    let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    Ok(Counted {
        instructions: totals(&text).ok_or_else(|| format!("{}: no totals", out.display()))?,
        allocations: calls(&text, is_allocation),
    })
}

/// The `totals:` or `summary:` line of a file that callgrind wrote.
pub fn callgrind_total(out: &Path) -> Result<f64, String> {
    let text = std::fs::read_to_string(out).map_err(|error| format!("{}: {error}", out.display()))?;
    totals(&text).ok_or_else(|| format!("{}: no totals", out.display()))
}

fn totals(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| {
        line.strip_prefix("totals: ")
            .or_else(|| line.strip_prefix("summary: "))
    })?;
    line.split(' ').next()?.parse().ok()
}

/// How often functions were called whose name the filter likes.
fn calls(text: &str, liked: impl Fn(&str) -> bool) -> f64 {
    let mut names: HashMap<&str, bool> = HashMap::new();
    let mut called = false;
    let mut sum = 0.0;
    for line in text.lines() {
        // A name stands in full once, behind its number; `fn=` and `cfn=` share the numbers.
        let function = line.strip_prefix("cfn=").or_else(|| line.strip_prefix("fn="));
        if let Some(function) = function {
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number, liked(name));
            }
            called = line.starts_with('c') && names.get(number).copied().unwrap_or(false);
        } else if let Some(rest) = line.strip_prefix("calls=")
            && called
        {
            sum += rest
                .split(' ')
                .next()
                .and_then(|word| word.parse::<f64>().ok())
                .unwrap_or(0.0);
        }
    }
    sum
}

/// Entries of the allocators in use: the system's and jemalloc's.
fn is_allocation(name: &str) -> bool {
    let name = name.strip_prefix("_rjem_").unwrap_or(name);
    let name = name.strip_prefix("je_").unwrap_or(name);
    [
        "malloc",
        "calloc",
        "realloc",
        "mallocx",
        "rallocx",
        "aligned_alloc",
        "posix_memalign",
    ]
    .contains(&name)
}

/// Whether this machine counts instructions in hardware.
pub fn has_counters() -> bool {
    let output = std::process::Command::new("perf")
        .args(["stat", "-x,", "-e", "instructions", "true"])
        .output();
    output.is_ok_and(|output| {
        let text = String::from_utf8_lossy(&output.stderr);
        output.status.success() && perf_count(&text, "instructions").is_some()
    })
}

/// Hardware counts per exchange: instructions in user space, in the kernel, cycles.
pub fn counters(bench: &Bench, entry: &mut Entry<'_>) -> Result<[f64; 3], String> {
    let out: PathBuf = bench.scratch.path().join(format!("perf.{}", entry.peer.name));
    let family: Vec<String> = entry
        .running
        .process
        .family()
        .iter()
        .map(u32::to_string)
        .collect();
    let events = ["instructions:u", "instructions:k", "cycles"];
    let command = [
        "perf".to_owned(),
        "stat".into(),
        "-x,".into(),
        "-e".into(),
        events.join(","),
        "-o".into(),
        out.display().to_string(),
        "-p".into(),
        family.join(","),
    ];
    let mut perf = Process::start(
        &Start::default(),
        &command,
        &bench.scratch.path().join("perf.log"),
    )?;
    // perf says nothing once it counts; it opens its counters within this time on any machine.
    std::thread::sleep(Duration::from_millis(300));
    let outcome = entry.client.window(Until::Elapsed(bench.window()))?;
    perf.signal("INT")?;
    perf.wait(Duration::from_secs(10))?;
    let text = std::fs::read_to_string(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let mut counts = [0.0; 3];
    for (count, event) in counts.iter_mut().zip(events) {
        let total = perf_count(&text, event).ok_or_else(|| format!("perf has no {event}"))?;
        *count = total / outcome.answered as f64;
    }
    Ok(counts)
}

/// A count in what `perf stat -x,` wrote: value, unit, event.
fn perf_count(text: &str, event: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        let mut fields = line.split(',');
        let value = fields.next()?.parse().ok()?;
        (fields.nth(1)? == event).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_of_strace_is_its_fourth_column() {
        let text = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n \
                    48.51    0.126174           4     29872        13 sendto\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.260092           3     75417        32 total\n";
        assert_eq!(strace_total(text), Some(75_417.0));
    }

    #[test]
    fn calls_of_the_allocator_are_summed_over_callers() {
        let text = "fn=(1) main\n0 5\ncfn=(2) _rjem_malloc\ncalls=3 0\n0 100\ncfn=(3) other\ncalls=7 0\n0 9\n\
                    fn=(4) more\ncfn=(2)\ncalls=4 0\n0 1\nfn=(2)\n0 5\ncfn=(3)\ncalls=1 0\ntotals: 120\n";
        assert!((calls(text, is_allocation) - 7.0).abs() < 1e-9);
        assert_eq!(totals(text), Some(120.0));
    }

    #[test]
    fn a_counter_that_is_not_supported_is_none() {
        assert_eq!(
            perf_count("<not supported>,,instructions,0,100.00,,\n", "instructions"),
            None
        );
        assert_eq!(
            perf_count("12345,,instructions:u,99,100.00,,\n", "instructions:u"),
            Some(12_345.0)
        );
    }
}
