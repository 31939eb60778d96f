//! The scenarios of the suite: one row each, one file each. `--list`, `--only`, the table and the picture follow from this table.

mod bodies;
mod change;
mod h2;
mod handshakes;
mod http3;
mod idle;
mod keepalive;
mod latency;
mod once;
mod routes;
mod start;
mod streaming;
mod streams;
mod websocket;
mod workers;

use crate::bench::Bench;
use crate::figure::Section;
use crate::target::Target;

/// One thing that is measured.
pub struct Scenario {
    /// The letter that `--only` takes.
    pub key: &'static str,
    /// One line: what happens.
    pub title: &'static str,
    /// What Narthex is held to.
    pub targets: &'static [Target],
    /// Measures; `Err` says why there is no figure.
    pub run: fn(&Bench) -> Result<Section, String>,
}

/// All, in the order in which they run.
pub const SCENARIOS: &[Scenario] = &[
    keepalive::SCENARIO,
    handshakes::SCENARIO,
    once::SCENARIO,
    bodies::SCENARIO,
    streaming::SCENARIO,
    websocket::SCENARIO,
    routes::SCENARIO,
    latency::SCENARIO,
    workers::SCENARIO,
    idle::SCENARIO,
    start::SCENARIO,
    change::SCENARIO,
    h2::SCENARIO,
    streams::SCENARIO,
    http3::SCENARIO,
];
