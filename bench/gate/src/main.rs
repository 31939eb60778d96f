//! The instruction gate: four short workloads under callgrind against committed counts (`baseline.json`).
//! `cargo xtask bench gate` builds and runs it; a package of its own, so that the tests build no more than it needs and
//! what it counts does not move when the other benchmarks are changed.

mod baseline;
mod codec;
mod count;
mod lookup;
mod objects;
mod plain;

use std::process::ExitCode;

/// As in the program under test: what allocating costs belongs to every count.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Something that is counted.
pub struct Workload {
    /// Its key in the baseline.
    pub name: &'static str,
    /// What one unit of it is.
    pub unit: &'static str,
    /// Instructions per unit; callgrind's output goes to the path.
    pub count: fn(&std::path::Path) -> Result<f64, String>,
}

/// Everything that is counted, in the order of the report.
const WORKLOADS: &[Workload] = &[
    Workload {
        name: "plain",
        unit: "proxied keep-alive GET",
        count: plain::count,
    },
    Workload {
        name: "router",
        unit: "lookup among 5,000 rules of 1,000 hosts",
        count: lookup::count,
    },
    Workload {
        name: "codec",
        unit: "request and response, read and written",
        count: codec::count,
    },
    Workload {
        name: "translate",
        unit: "route, 5,000 of them from nothing",
        count: objects::count_all,
    },
    Workload {
        name: "change",
        unit: "change of one route among 5,000, translated",
        count: objects::count_change,
    },
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [] => baseline::compare(WORKLOADS),
        ["--bless"] => baseline::bless(WORKLOADS),
        ["work", "plain", origin] => plain::work(origin),
        ["work", "router"] => lookup::work(),
        ["work", "codec"] => codec::work(),
        ["work", "translate"] => objects::work_all(),
        ["work", "change"] => objects::work_change(),
        _ => {
            eprintln!(
                "usage: cargo xtask bench gate [--bless]\n\n\
                 Counts instructions and compares them with bench/gate/baseline.json; --bless writes that file."
            );
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("gate: {problem}");
            ExitCode::FAILURE
        }
    }
}
