//! What one exchange costs a proxy: rounds of windows in which the proxies take turns, and short runs that count.

pub mod count;

use crate::bench::Bench;
use crate::figure::{Metric, Section};
use crate::load::{Client, Kind, Load, Outcome, Until};
use crate::peer::{NARTHEX, Peer, Running, Setup};
use crate::process::CpuTime;

/// Where CPU time comes from, as the output says it.
pub const CPU_METHOD: &str = "/proc/PID/task/*/schedstat (ns)";
/// Where its two parts come from.
pub const PARTS_METHOD: &str = "schedstat, split as the ticks of /proc/PID/stat";

/// A scenario whose figures are costs per exchange.
pub struct Work<'a> {
    /// The proxies that take part.
    pub peers: Vec<&'a Peer>,
    /// What is sent; the target is filled in.
    pub load: Load,
    /// Whether to send it to the listener with TLS.
    pub tls: bool,
    /// How the proxies run.
    pub setup: Setup<'a>,
    /// Units in one exchange, for example MiB in its body.
    pub units: f64,
    /// What is measured.
    pub metrics: Metrics,
}

/// What is measured, each per unit.
#[derive(Clone, Copy)]
pub struct Metrics {
    /// CPU time, user and system.
    pub cpu: Metric,
    /// Its part in the program.
    pub user: Option<Metric>,
    /// Its part in the kernel.
    pub system: Option<Metric>,
    /// Exchanges per second of CPU time.
    pub per_cpu_second: Option<Metric>,
    /// System calls.
    pub calls: Option<Metric>,
    /// Memory of the process after the last round.
    pub memory: Option<Metric>,
}

impl Metrics {
    /// CPU time alone.
    pub const fn cpu(cpu: Metric) -> Self {
        Self {
            cpu,
            user: None,
            system: None,
            per_cpu_second: None,
            calls: None,
            memory: None,
        }
    }
}

/// A proxy that runs, and its load.
pub struct Entry<'a> {
    /// Which.
    pub peer: &'a Peer,
    /// The process.
    pub running: Running,
    /// Its load.
    pub client: Client,
    resumes: bool,
}

impl<'a> Entry<'a> {
    /// Starts both and sends a little, so that connections are open and code is warm.
    pub fn start(bench: &Bench, peer: &'a Peer, work: &Work<'_>) -> Result<Self, String> {
        let running = peer.start(bench, &work.setup)?;
        let mut load = work.load.clone();
        load.target = running.address;
        if work.tls {
            // The relay has one port, whatever passes over it.
            load.target = if peer.is_proxy() {
                running.tls
            } else {
                running.address
            };
            load.tls = Some(bench.certificate.chain_file.clone());
        }
        let mut client = Client::start(bench, &load)?;
        // At least one exchange on each connection, then some more.
        client.window(Until::Requests(load.connections as u64))?;
        client.window(Until::Elapsed(bench.window() / 4))?;
        Ok(Self {
            peer,
            running,
            client,
            resumes: matches!(load.kind, Kind::Once { resume: true, .. }),
        })
    }

    /// One window, and the CPU time that the proxy spent in it.
    pub fn window(&mut self, until: Until) -> Result<(Outcome, CpuTime), String> {
        let before = self.running.process.cpu_time();
        let outcome = self.client.window(until)?;
        let after = self.running.process.cpu_time();
        // Some connections find no ticket to resume with: a ticket serves once.
        if self.resumes && outcome.resumed * 20 < outcome.answered * 19 {
            return Err(format!(
                "only {} of {} sessions were resumed",
                outcome.resumed, outcome.answered
            ));
        }
        let spent = CpuTime {
            user: after.user - before.user,
            system: after.system - before.system,
            total: after.total - before.total,
        };
        Ok((outcome, spent))
    }
}

/// Starts every proxy of the work. One that cannot take part is a sentence; Narthex must.
pub fn start_all<'a>(
    bench: &Bench,
    work: &Work<'a>,
    section: &mut Section,
) -> Result<Vec<Entry<'a>>, String> {
    let mut entries = Vec::new();
    for peer in &work.peers {
        match Entry::start(bench, peer, work) {
            Ok(entry) => entries.push(entry),
            Err(problem) if peer.name == NARTHEX => return Err(format!("narthex: {problem}")),
            Err(problem) => section.note(format!("{} is left out: {}", peer.name, first_line(&problem))),
        }
    }
    Ok(entries)
}

/// Measures the work and adds its figures.
pub fn costs(bench: &Bench, work: &Work<'_>, section: &mut Section) -> Result<(), String> {
    let metrics = work.metrics;
    let mut entries = start_all(bench, work, section)?;
    let mut rounds: Vec<Vec<(f64, CpuTime)>> = entries.iter().map(|_| Vec::new()).collect();
    let mut failed: Vec<Option<String>> = entries.iter().map(|_| None).collect();
    for round in 1..=bench.rounds() {
        bench.progress(format_args!(
            "{}: round {round} of {}",
            metrics.cpu.name,
            bench.rounds()
        ));
        for (index, entry) in entries.iter_mut().enumerate() {
            if failed[index].is_some() {
                continue;
            }
            match entry.window(Until::Elapsed(bench.window())) {
                Ok((outcome, spent)) => rounds[index].push((outcome.answered as f64 * work.units, spent)),
                Err(problem) => failed[index] = Some(problem),
            }
        }
    }
    for ((entry, rounds), failed) in entries.iter_mut().zip(&rounds).zip(failed) {
        let name = entry.peer.name;
        if let Some(problem) = failed {
            leave_out(name, &problem, section)?;
            continue;
        }
        add(name, metrics, rounds, section);
        if let Some(metric) = metrics.memory {
            let mib = entry.running.process.pss() as f64 / 1024.0;
            section.push(name, metric, "PSS of /proc/PID/smaps_rollup", vec![mib]);
        }
        if let Some(metric) = metrics.calls {
            bench.progress(format_args!("{}: {name}", metric.name));
            match count::system_calls(bench, entry) {
                Ok(calls) => section.push(name, metric, "strace -f -c", vec![calls / work.units]),
                Err(problem) => section.note(format!("{name}: {}", first_line(&problem))),
            }
        }
    }
    // All at once would take their time one after the other.
    for entry in &entries {
        entry.running.process.signal("KILL")?;
    }
    Ok(())
}

fn add(name: &'static str, metrics: Metrics, rounds: &[(f64, CpuTime)], section: &mut Section) {
    let values = |of: fn(f64, &CpuTime) -> f64| rounds.iter().map(|(units, time)| of(*units, time)).collect();
    let cpu = values(|units, time| time.total * 1e6 / units);
    section.push(name, metrics.cpu, CPU_METHOD, cpu);
    // Of all rounds together: a window of a quick run is a few ticks long.
    let ticks = |of: fn(&CpuTime) -> f64| rounds.iter().map(|(_, time)| of(time)).sum::<f64>();
    let (user, system) = (ticks(|time| time.user), ticks(|time| time.system));
    for (metric, part) in [(metrics.user, user), (metrics.system, system)] {
        if let Some(metric) = metric
            && user + system > 0.0
        {
            let share = part / (user + system);
            let values = rounds
                .iter()
                .map(|(units, time)| time.total * 1e6 / units * share);
            section.push(name, metric, PARTS_METHOD, values.collect());
        }
    }
    if let Some(metric) = metrics.per_cpu_second {
        let rate = values(|units, time| units / time.total);
        section.push(name, metric, CPU_METHOD, rate);
    }
}

/// A wrong answer voids what a proxy did in the scenario; Narthex's voids the scenario.
pub fn leave_out(name: &'static str, problem: &str, section: &mut Section) -> Result<(), String> {
    if name == NARTHEX {
        return Err(format!("narthex: {problem}"));
    }
    section.note(format!("{name} is left out: {}", first_line(problem)));
    Ok(())
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Counts instructions of every proxy that runs under callgrind, and adds them.
pub fn instructions(
    bench: &Bench,
    work: &Work<'_>,
    instructions: Metric,
    allocations: Option<Metric>,
    section: &mut Section,
) {
    let mut not_counted = Vec::new();
    for peer in &work.peers {
        if !peer.runs_under_valgrind() {
            not_counted.push(peer.name);
            continue;
        }
        bench.progress(format_args!("{}: {}", instructions.name, peer.name));
        match count::callgrind(bench, peer, work) {
            Ok(counted) => {
                let method = count::CALLGRIND_METHOD;
                section.push(peer.name, instructions, method, vec![counted.instructions]);
                if let Some(metric) = allocations {
                    section.push(peer.name, metric, method, vec![counted.allocations]);
                }
            }
            Err(problem) => section.note(format!(
                "{}: no instructions: {}",
                peer.name,
                first_line(&problem)
            )),
        }
    }
    if !not_counted.is_empty() {
        section.note(format!(
            "{} do not run under callgrind: no instructions for them.",
            not_counted.join(", ")
        ));
    }
}
