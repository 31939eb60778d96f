//! Everything that must hold before a change lands, cheapest first. `.ci/run` calls exactly this.

use crate::run::{cargo, wait};
use crate::{Outcome, arrows, gate, generate, links};
use std::time::Instant;

/// A step of `cargo xtask test`.
type Step = fn() -> Outcome;

/// `cargo xtask test`: stops at the first step that fails.
pub fn run(_: &[String]) -> Outcome {
    let steps: &[(&str, Step)] = &[
        ("formatting", || {
            wait(&mut cargo(&["fmt", "--all", "--check"]))
                .map_err(|e| format!("{e}\nhint: run cargo fmt --all"))
        }),
        ("arrows", || arrows::run(&[])),
        ("links", || links::run(&[])),
        ("lints", || {
            wait(&mut cargo(&[
                "clippy",
                "--workspace",
                "--all-targets",
                "--locked",
                "--quiet",
                "--",
                "-D",
                "warnings",
            ]))
        }),
        ("generated pages", || generate::run(&["--check".into()])),
        ("tests", || {
            wait(&mut cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]))
        }),
        ("gate", || gate::run(&[])),
        ("dependencies", dependencies),
    ];
    for (name, step) in steps {
        let start = Instant::now();
        eprintln!("xtask: {name} …");
        step().map_err(|problem| format!("{name}: {problem}"))?;
        eprintln!("xtask: {name} ok ({:.0?})", start.elapsed());
    }
    Ok(())
}

/// `cargo xtask bless`: the golden tests write what they got.
pub fn bless(_: &[String]) -> Outcome {
    wait(cargo(&["test", "--package", "narthex-translate", "--test", "golden"]).env("NARTHEX_BLESS", "1"))
}

/// Licences, bans and sources, by cargo-deny where it is installed: building it would take longer than all tests.
fn dependencies() -> Outcome {
    if !cargo(&["deny", "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!(
            "xtask: cargo-deny is not installed; deny.toml was not checked (cargo install cargo-deny --locked)"
        );
        return Ok(());
    }
    wait(&mut cargo(&[
        "deny",
        "--offline",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}
