//! Benchmarks: the instruction gate, which is part of the tests, and everything else that `narthex-bench` measures.

use crate::run::{cargo, wait};
use crate::{Outcome, gate};

/// `cargo xtask bench gate …` or `cargo xtask bench …`.
pub fn run(words: &[String]) -> Outcome {
    if let Some((first, rest)) = words.split_first()
        && first == "gate"
    {
        return gate::run(rest);
    }
    let mut command = cargo(&[
        "run",
        "--release",
        "--quiet",
        "--package",
        "narthex-bench",
        "--bin",
        "narthex-bench",
        "--",
    ]);
    wait(command.args(words))
}
