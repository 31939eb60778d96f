//! Benchmarks that print their figures. `cargo run --release -p narthex-bench -- help` lists them; bench/README.md says how they measure.

mod bench;
mod certificate;
mod check;
mod churn;
mod cleanup;
mod client;
mod figure;
mod layout;
mod load;
mod lookup;
mod measure;
mod origin;
mod peer;
mod process;
mod recording;
mod relay;
mod report;
mod scenario;
mod suite;
mod target;

use std::process::ExitCode;

/// A benchmark, given the words after its name; `Err` says why there is no figure.
type Benchmark = fn(&[String]) -> Result<(), String>;

/// Name, what it prints, and the function.
const BENCHMARKS: &[(&str, &str, Benchmark)] = &[
    (
        "suite",
        "every scenario, side by side with the peers (cargo xtask bench)",
        suite::run,
    ),
    (
        "churn",
        "1,000,000 requests while routes, certificates and endpoints change 50 times a second: none may fail",
        churn::run,
    ),
    (
        "router",
        "instructions and time per routing lookup, by kind and size of table",
        lookup::run,
    ),
    (
        "telemetry",
        "instructions to record one request: metrics, access log",
        recording::run,
    ),
    (
        "recording",
        "(part of telemetry) records many requests",
        recording::record_many,
    ),
    ("load", "(part of others) sends what JSON says", load::run),
    ("relay", "(part of others) relays LISTEN to ORIGIN", relay::run),
    (
        "origin",
        "(part of others) serves a fixed small answer on ADDR",
        origin::run,
    ),
    (
        "look-up",
        "(part of others) looks up COUNT requests in a table of KIND and SIZE",
        lookup::look_up,
    ),
];

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    // `cargo xtask bench` hands on its words, and means the suite.
    if words.first().is_none_or(|word| word.starts_with('-')) {
        words.insert(0, "suite".into());
    }
    let name = words.first().map_or("help", String::as_str);
    let Some((_, _, benchmark)) = BENCHMARKS.iter().find(|(known, ..)| *known == name) else {
        eprintln!("usage: cargo run --release -p narthex-bench -- BENCHMARK\n");
        for (known, prints, _) in BENCHMARKS {
            eprintln!("  {known:<10} {prints}");
        }
        return if name == "help" {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        };
    };
    match benchmark(&words[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{name}: {problem}");
            ExitCode::FAILURE
        }
    }
}
