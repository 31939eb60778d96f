//! The instruction gate: builds `narthex-gate` and runs it, with callgrind at hand.

use crate::Outcome;
use crate::run::{cargo, wait};
use std::process::{Command, Stdio};

/// `cargo xtask bench gate [--bless]`. Without valgrind it fails in CI, and says elsewhere that it was left out.
pub fn run(words: &[String]) -> Outcome {
    if !valgrind() {
        let hint = "install valgrind (apt-get install valgrind)";
        if std::env::var("CI").is_ok_and(|ci| ci == "true") || words.iter().any(|word| word == "--bless") {
            return Err(format!("valgrind is not installed\nhint: {hint}"));
        }
        eprintln!("xtask: instructions were not counted, valgrind is not installed and could not be; {hint}");
        return Ok(());
    }
    let mut command = cargo(&[
        "run",
        "--profile",
        "gate",
        "--locked",
        "--quiet",
        "--package",
        "narthex-gate",
        "--",
    ]);
    // Instructions that some environments add for their own processors would change the counts.
    command.args(words).env_remove("RUSTFLAGS");
    wait(&mut command)
}

/// Whether it is there, if need be by now.
fn valgrind() -> bool {
    let installed = || {
        Command::new("valgrind")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if installed() {
        return true;
    }
    eprintln!("xtask: installing valgrind …");
    // Only root may; for everybody else this fails at once. Package lists of a fresh container may be missing.
    for words in [
        &["update", "--quiet"][..],
        &["install", "--yes", "--quiet", "valgrind"],
    ] {
        let _ = Command::new("apt-get")
            .args(words)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
    installed()
}
