//! (k) From start to ready, and memory, by number of routes; CPU time while nothing happens.

use super::Scenario;
use crate::bench::Bench;
use crate::client::Client;
use crate::figure::{Metric, Section};
use crate::layout;
use crate::peer::{NARTHEX, Running, Setup};
use crate::target::{Limit, Target};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

const READY: [Metric; 3] = [
    Metric::cost("start to ready, no routes", "ms"),
    Metric::cost("start to ready, 5,000 routes", "ms"),
    Metric::cost("start to ready, 40,000 routes", "ms"),
];
const MEMORY: [Metric; 3] = [
    Metric::cost("memory, no routes", "MiB"),
    Metric::cost("memory, 5,000 routes", "MiB"),
    Metric::cost("memory, 40,000 routes", "MiB"),
];
const READY_FILES: Metric = Metric::cost("start to ready, 5,000 routes in as many files", "ms");
const MEMORY_FILES: Metric = Metric::cost("memory, 5,000 routes in as many files", "MiB");
const IDLE_FILES: Metric = Metric::cost("CPU time while idle, 5,000 routes in as many files", "ms/s");
const IDLE: Metric = Metric::cost("CPU time while idle, 5,000 routes", "ms/s");
const ROUTES: [usize; 3] = [0, 5_000, 40_000];
/// What the start freed is back with the system after this: the allocator takes 5 s to stop using a page and 5 s more
/// to give it up (`.cargo/config.toml`).
const SETTLED: Duration = Duration::from_secs(12);

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "k",
    title: "start to ready, memory and idle CPU by number of routes",
    targets: &[
        Target::new(READY[1], Limit::Value(300.0)),
        Target::new(MEMORY[0], Limit::Value(15.0)),
        Target::new(MEMORY[1], Limit::Value(40.0)),
        Target::new(MEMORY[2], Limit::Value(120.0)),
        Target::new(IDLE, Limit::Value(1.0)),
    ],
    run,
};

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let sizes = if bench.quick { &ROUTES[..2] } else { &ROUTES[..] };
    for (index, &routes) in sizes.iter().enumerate() {
        bench.progress(format_args!("start with {routes} routes"));
        let file = bench.scratch.write(
            &format!("{routes}-routes.yaml"),
            &layout::one_text(routes, bench.origin()),
        )?;
        let file = file.display().to_string();
        let mut starts = Vec::new();
        for _ in 1..bench.rounds() {
            starts.push(start(bench, &file)?.1);
        }
        let (running, ready) = start(bench, &file)?;
        starts.push(ready);
        std::thread::sleep(SETTLED);
        section.push(NARTHEX, READY[index], READ_READY, starts);
        section.push(NARTHEX, MEMORY[index], READ_MEMORY, vec![mib(&running)]);
        if routes == 5_000 {
            section.push(NARTHEX, IDLE, READ_CPU, vec![idle(bench, &running)]);
        }
    }
    if !bench.quick {
        bench.progress("start with 5,000 routes in as many files");
        let folder = bench.scratch.path().join("5000-files");
        layout::one_object_to_a_file(&folder, 5_000, bench.origin())?;
        let (running, ready) = start(bench, &folder.display().to_string())?;
        std::thread::sleep(SETTLED);
        section.push(NARTHEX, READY_FILES, READ_READY, vec![ready]);
        section.push(NARTHEX, MEMORY_FILES, READ_MEMORY, vec![mib(&running)]);
        section.push(NARTHEX, IDLE_FILES, READ_CPU, vec![idle(bench, &running)]);
    }
    section.note(
        "Two workers. HTTPRoutes with a host and a filter each, ten to a Service; in one file where nothing else is said. \
         Memory is read 12 s after the start.",
    );
    Ok(section)
}

const READ_READY: &str = "first 200 of /readyz, asked every 2 ms";
const READ_MEMORY: &str = "PSS of the process";

const READ_CPU: &str = "task/*/schedstat";

/// Milliseconds of CPU time per second while nothing happens.
fn idle(bench: &Bench, running: &Running) -> f64 {
    let window = Duration::from_secs(if bench.quick { 10 } else { 30 });
    let before = running.process.cpu_time().total;
    std::thread::sleep(window);
    (running.process.cpu_time().total - before) * 1e3 / window.as_secs_f64()
}

fn mib(running: &Running) -> f64 {
    running.process.pss() as f64 / 1024.0
}

/// Narthex with the Gateway and what is at `path`, and the milliseconds until it was ready.
fn start(bench: &Bench, path: &str) -> Result<(Running, f64), String> {
    let ours = bench.peers.iter().find(|peer| peer.name == NARTHEX);
    let setup = Setup {
        workers: 2,
        cpus: "0,1",
        config: Some(layout::GATEWAY),
        flags: &["--admin-address", "@ADMIN@", path],
        ..Setup::default()
    };
    let start = Instant::now();
    let running = ours.ok_or("no narthex")?.start(bench, &setup)?;
    while start.elapsed() < Duration::from_secs(60) {
        if is_ready(running.admin) {
            return Ok((running, start.elapsed().as_secs_f64() * 1e3));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err("not ready within 60 s".into())
}

fn is_ready(admin: SocketAddr) -> bool {
    Client::connect(admin, "admin", None)
        .and_then(|mut client| client.get("admin", "/readyz"))
        .is_ok_and(|answer| answer.status == 200)
}
