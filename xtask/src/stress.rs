//! `cargo xtask conformance stress`: requests without a pause while the cluster around Narthex fails or changes.
//! `conformance/bed/stress/` holds the scenarios.

use crate::Outcome;
use crate::bed::{self, parts::INSTALLED, parts::Parts};
use crate::conformance::{USAGE, install};
use crate::run::wait;

const MANIFESTS: &str = "conformance/bed/stress/install";
/// A Node for each replica.
const NODES: u16 = 3;

/// Runs all scenarios, or one, in a fresh bed.
pub fn run<'a>(mut words: impl Iterator<Item = &'a str>) -> Outcome {
    let mut keep = false;
    let mut arguments = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "--keep" => keep = true,
            "--only" | "--seconds" => {
                let value = words.next().ok_or(USAGE)?;
                arguments.extend([word.trim_start_matches('-').to_owned(), value.to_owned()]);
            }
            _ => return Err(format!("{word}: unknown\n{USAGE}")),
        }
    }
    let program = Parts::ready()?.stress()?;
    let _ = bed::Bed::at_home().down();
    let bed = bed::up(NODES, INSTALLED)?;
    let outcome = install(&bed, MANIFESTS).and_then(|()| {
        let mut command = bed.command(&program.to_string_lossy())?;
        for pair in arguments.chunks(2) {
            command.arg(format!("-{}={}", pair[0], pair[1]));
        }
        wait(&mut command).map_err(|_| "requests failed or statuses were withdrawn; see above".to_owned())
    });
    if keep {
        eprintln!("the bed is up; cargo xtask bed down ends it");
        return outcome;
    }
    outcome.and(bed.down())
}
