//! What the loop needs to know.

use crate::cluster::Cluster;
use crate::{DnsOptions, EchoAddresses, HoldOff, StaticEndpoint};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Telemetry;
use translate::Settings;

/// Adds to the settings what takes time to make.
pub type Completion = Box<dyn FnOnce(&mut Settings) + Send>;

/// What [`crate::run`] needs to know.
pub struct ControlOptions {
    /// Files and directories; `-` is standard input, read once.
    pub paths: Vec<PathBuf>,
    /// A cluster with objects.
    pub cluster: Option<Cluster>,
    /// Where the objects of the cluster are saved, for a restart while its API server is away; unset: nowhere.
    pub state_dir: Option<PathBuf>,
    /// Settings of the translation.
    pub settings: Settings,
    /// Called once all files are read, before the first translation, so that both are made at the same time.
    pub complete: Option<Completion>,
    /// Endpoints given by flags.
    pub endpoints: Vec<StaticEndpoint>,
    /// Where Services without endpoints are echoed; unset: nowhere.
    pub echo: Option<Box<dyn EchoAddresses>>,
    /// How long to wait for a burst of changes to end.
    pub hold_off: HoldOff,
    /// How often files are looked at without an event; more rarely where there are very many.
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
            cluster: None,
            state_dir: None,
            settings: Settings::default(),
            complete: None,
            endpoints: Vec::new(),
            echo: None,
            hold_off: HoldOff::default(),
            rescan: Duration::from_secs(3),
            dns: DnsOptions::default(),
            telemetry: None,
        }
    }
}
