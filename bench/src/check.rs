//! Holds our load generator against `wrk`.

use crate::bench::Bench;

/// Lines to print.
pub fn run(_bench: &Bench) -> Result<Vec<String>, String> {
    Ok(Vec::new())
}
