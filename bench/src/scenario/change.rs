//! (l) One route, then the endpoints of one Service, changed again and again among many: time from the write until
//! a request from outside sees it, and CPU time of each change.

use super::Scenario;
use crate::bench::Bench;
use crate::client::Client;
use crate::figure::{Metric, Section, median};
use crate::layout;
use crate::peer::{NARTHEX, Running, Setup};
use crate::target::{Limit, Target};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const P50: Metric = Metric::cost("route: write to live, p50", "ms");
const P99: Metric = Metric::cost("route: write to live, p99", "ms");
const P99_NET: Metric = Metric::cost("route: write to live less the hold-off, p99", "ms");
const ENDPOINT_P50: Metric = Metric::cost("endpoints: write to live, p50", "ms");
const ENDPOINT_P99: Metric = Metric::cost("endpoints: write to live, p99", "ms");
const ENDPOINT_P99_NET: Metric = Metric::cost("endpoints: write to live less the hold-off, p99", "ms");
const CPU: [Metric; 2] = [
    Metric::cost("route: CPU time per change, 3,000 routes", "ms"),
    Metric::cost("route: CPU time per change, 30,000 routes", "ms"),
];
const CPU_RATIO: Metric = Metric::cost("route: CPU time, 30,000 to 3,000 routes", "x");
const ENDPOINT_CPU: [Metric; 2] = [
    Metric::cost("endpoints: CPU time per change, 3,000 routes", "ms"),
    Metric::cost("endpoints: CPU time per change, 30,000 routes", "ms"),
];
const ENDPOINT_CPU_RATIO: Metric = Metric::cost("endpoints: CPU time, 30,000 to 3,000 routes", "x");
const SEEN: &str = "requests back to back on one connection";
const SPENT: &str = "task/*/schedstat, no requests meanwhile; median of changes, so without the look over all files every 3 s or less often";
/// `--hold-off`'s default: a change waits so long for others.
const HOLD_OFF: f64 = 10.0;

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "l",
    title: "one route or one Service's endpoints changed among 3,000 routes (CPU also among 30,000)",
    targets: &[
        Target::new(P99_NET, Limit::Value(10.0)),
        Target::new(ENDPOINT_P99_NET, Limit::Value(10.0)),
        Target::new(CPU_RATIO, Limit::Value(1.5)),
        Target::new(ENDPOINT_CPU_RATIO, Limit::Value(1.5)),
    ],
    run,
};

fn run(bench: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    let mut spent = Vec::new();
    for (index, routes) in [3_000, 30_000].into_iter().enumerate() {
        bench.progress(format_args!("{routes} routes, one object to a file"));
        let world = World::start(bench, routes)?;
        if index == 0 {
            let (route, endpoints) = (world.live(false)?, world.live(true)?);
            section.push(NARTHEX, P50, SEEN, vec![quantile(&route, 0.5)]);
            section.push(NARTHEX, P99, SEEN, vec![quantile(&route, 0.99)]);
            section.push(NARTHEX, P99_NET, SEEN, vec![quantile(&route, 0.99) - HOLD_OFF]);
            section.push(NARTHEX, ENDPOINT_P50, SEEN, vec![quantile(&endpoints, 0.5)]);
            section.push(NARTHEX, ENDPOINT_P99, SEEN, vec![quantile(&endpoints, 0.99)]);
            section.push(
                NARTHEX,
                ENDPOINT_P99_NET,
                SEEN,
                vec![quantile(&endpoints, 0.99) - HOLD_OFF],
            );
        }
        let pair = (world.spent(false)?, world.spent(true)?);
        section.push(NARTHEX, CPU[index], SPENT, vec![pair.0]);
        section.push(NARTHEX, ENDPOINT_CPU[index], SPENT, vec![pair.1]);
        spent.push(pair);
    }
    let [(route, endpoints), (route_of_many, endpoints_of_many)] = spent[..] else {
        return Err("two sizes were to be measured".into());
    };
    let ratios = [
        (CPU_RATIO, route_of_many, route),
        (ENDPOINT_CPU_RATIO, endpoints_of_many, endpoints),
    ];
    for (metric, many, few) in ratios {
        if many > 0.0 && few > 0.0 {
            section.push(NARTHEX, metric, SPENT, vec![many / few]);
        } else {
            section.note(format!(
                "No \"{}\": the machine was too busy to tell a change from idling.",
                metric.name
            ));
        }
    }
    section.note(
        "One object to a file in one folder, as a cluster tells of single objects; each change rewrites one file by rename, \
         another object every time. Ten routes to a Service. Endpoints change between one and none (200 and 503).",
    );
    section.note(format!(
        "The hold-off ({HOLD_OFF:.0} ms by default) is what a change waits for others that belong to it."
    ));
    Ok(section)
}

/// Narthex in front of many routes.
struct World<'a> {
    bench: &'a Bench,
    routes: usize,
    folder: PathBuf,
    running: Running,
    changes: usize,
}

impl<'a> World<'a> {
    fn start(bench: &'a Bench, routes: usize) -> Result<Self, String> {
        let folder = bench.scratch.path().join(format!("{routes}-changing"));
        layout::one_object_to_a_file(&folder, routes, bench.origin())?;
        let path = folder.display().to_string();
        let setup = Setup {
            config: Some(layout::GATEWAY),
            flags: &[&path],
            ..Setup::default()
        };
        let ours = bench.peers.iter().find(|peer| peer.name == NARTHEX);
        let running = ours.ok_or("no narthex")?.start(bench, &setup)?;
        // Work that the start left behind is no part of a change.
        std::thread::sleep(Duration::from_secs(if bench.quick { 8 } else { 12 }));
        Ok(Self {
            bench,
            routes,
            folder,
            running,
            changes: if bench.quick { 60 } else { 200 },
        })
    }

    /// Milliseconds from each write until a request saw it, sorted.
    fn live(&self, endpoints: bool) -> Result<Vec<f64>, String> {
        let mut times = Vec::with_capacity(self.changes);
        let mut client = Client::connect(self.running.address, "bench", None).map_err(|e| e.to_string())?;
        for number in 1..=self.changes {
            let route = self.pick(number);
            let host = layout::host(route);
            std::thread::sleep(PAUSE);
            self.change(endpoints, route, number)?;
            let written = Instant::now();
            loop {
                let answer = client.get(&host, "/api").map_err(|error| error.to_string())?;
                let seen = if endpoints {
                    answer.status == 503
                } else {
                    answer.head.contains(&format!("\r\nx-edit: {number}\r\n"))
                };
                if seen {
                    break;
                }
                if answer.status != 200 {
                    return Err(format!("status {} for {host}", answer.status));
                }
                if written.elapsed() > Duration::from_secs(10) {
                    return Err(format!("change {number} was not live within 10 s"));
                }
            }
            times.push(written.elapsed().as_secs_f64() * 1e3);
            if endpoints {
                self.endpoints(route, true)?;
            }
        }
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    /// Milliseconds of CPU time per change; nobody asks meanwhile, and what idling costs is taken off.
    fn spent(&self, endpoints: bool) -> Result<f64, String> {
        let idle = self.samples(|_| Ok(()))?;
        let changed =
            self.samples(|number| self.change(endpoints, self.pick(number), self.changes + number))?;
        if endpoints {
            for number in 1..=self.changes {
                self.endpoints(self.pick(number), true)?;
            }
        }
        self.last_is_live(endpoints)?;
        Ok(median(&changed) - median(&idle))
    }

    /// Milliseconds of CPU time in every pause after `change`. All files are looked over every 3 s, whatever changes:
    /// that falls into a few pauses, which a median leaves out.
    fn samples(&self, change: impl Fn(usize) -> Result<(), String>) -> Result<Vec<f64>, String> {
        let mut samples = Vec::with_capacity(self.changes);
        for number in 1..=self.changes {
            let before = self.running.process.cpu_time().total;
            change(number)?;
            std::thread::sleep(PAUSE);
            samples.push((self.running.process.cpu_time().total - before) * 1e3);
        }
        Ok(samples)
    }

    fn last_is_live(&self, endpoints: bool) -> Result<(), String> {
        let host = layout::host(self.pick(self.changes));
        let wanted = format!("\r\nx-edit: {}\r\n", 2 * self.changes);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            let answer = Client::connect(self.running.address, &host, None)
                .and_then(|mut client| client.get(&host, "/api"))
                .map_err(|error| error.to_string())?;
            if answer.status == 200 && (endpoints || answer.head.contains(&wanted)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err("the last change did not become live within 10 s".into())
    }

    /// Routes all over the table, no two of one Service.
    fn pick(&self, number: usize) -> usize {
        let services = layout::services(self.routes);
        (number * services / (self.changes + 1)) * layout::ROUTES_PER_SERVICE
    }

    fn change(&self, endpoints: bool, route: usize, edit: usize) -> Result<(), String> {
        if endpoints {
            return self.endpoints(route, false);
        }
        let text = layout::route(route, edit as u64);
        layout::write(self.folder(), &format!("r{route}.yaml"), &text)
    }

    fn endpoints(&self, route: usize, some: bool) -> Result<(), String> {
        let service = route / layout::ROUTES_PER_SERVICE;
        let text = layout::slice(service, some.then(|| self.bench.origin()));
        layout::write(self.folder(), &format!("e{service}.yaml"), &text)
    }

    fn folder(&self) -> &Path {
        &self.folder
    }
}

fn quantile(sorted: &[f64], quantile: f64) -> f64 {
    let index = ((sorted.len().max(1) - 1) as f64 * quantile).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Longer than a change takes with its hold-off: each is alone.
const PAUSE: Duration = Duration::from_millis(50);
