//! (m) HTTP/2 and gRPC: measured once the engine speaks HTTP/2.

use super::Scenario;
use crate::bench::Bench;
use crate::figure::Section;

/// The row of the table.
pub const SCENARIO: Scenario = Scenario {
    key: "m",
    title: "HTTP/2 and gRPC",
    targets: &[],
    run,
};

// The signature is that of every scenario.
#[allow(clippy::unnecessary_wraps)]
fn run(_: &Bench) -> Result<Section, String> {
    let mut section = Section::default();
    section.note("Not measured: the engine has no HTTP/2 yet.");
    Ok(section)
}
