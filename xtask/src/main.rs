//! Chores of the project: `cargo xtask help` lists them. One file per chore.

mod arrows;
mod bed;
mod bench;
mod conformance;
mod gate;
mod generate;
mod links;
mod run;
mod stress;
mod test;

use std::process::ExitCode;

/// What a chore answers: `Err` holds what is wrong and what to do.
type Outcome = Result<(), String>;
/// A chore, given the words after its name.
type Chore = fn(&[String]) -> Outcome;

/// Name, what it does, and the function. `help` and the dispatch below follow from it.
const CHORES: &[(&str, &str, Chore)] = &[
    (
        "test",
        "formatting, lints, arrows, generated files, links, every test",
        test::run,
    ),
    (
        "arrows",
        "checks that crates depend only on what ARCHITECTURE.md allows",
        arrows::run,
    ),
    (
        "gen",
        "writes the generated pages of docs/reference (--check: fails if one is stale)",
        generate::run,
    ),
    (
        "links",
        "checks that relative links in Markdown files lead somewhere",
        links::run,
    ),
    (
        "bench",
        "gate: instructions against committed counts (--bless writes them); else what narthex-bench measures",
        bench::run,
    ),
    (
        "bed",
        "a Kubernetes cluster without containers, for tests: up, down, status, run CMD, kill, freeze, thaw, slow",
        bed::run,
    ),
    (
        "conformance",
        "suites and checks in the bed: gateway-api, ingress, checks, stress; h2spec, grpc and websocket without it",
        conformance::run,
    ),
    (
        "bless",
        "rewrites the expected files of golden tests after a look at the difference",
        test::bless,
    ),
];

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_else(|| "help".into());
    let rest: Vec<String> = words.collect();
    let Some((_, _, chore)) = CHORES.iter().find(|(chore, ..)| *chore == name) else {
        eprintln!("usage: cargo xtask CHORE\n");
        for (chore, does, _) in CHORES {
            eprintln!("  {chore:<11} {does}");
        }
        return if name == "help" {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(2)
        };
    };
    match chore(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("xtask {name}: {problem}");
            ExitCode::FAILURE
        }
    }
}
