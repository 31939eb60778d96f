//! The control side: objects from files, kept up to date, translated, published to the data plane.
//!
//! ```text
//! files ─► store ─► hold-off ─► translate ─► publish ─► state (what admin and the CLI show)
//!            └ overlay: endpoints of flags, echo        DNS answers join at the store
//! ```
//!
//! [`once()`] does it a single time for `check`, `explain` and the like; [`run()`] goes on until it is dropped.

mod cluster;
mod dns;
mod endpoints;
mod files;
mod holdoff;
mod locations;
mod once;
mod options;
mod overlay;
mod publish;
mod report;
mod run;
mod saved;
mod shape;
mod state;
mod store;
pub mod text;
mod unserved;
mod watch;
mod world;

pub use cluster::{ClientError, Cluster, ClusterOptions, Farewell, LeaderOptions, Where};
pub use dns::DnsOptions;
pub use endpoints::{EchoAddresses, EndpointError, StaticEndpoint};
pub use holdoff::HoldOff;
pub use locations::{Locations, Place};
pub use once::{Loaded, Once, load, once};
pub use options::{Completion, ControlOptions};
pub use publish::{ApplyReport, Publish, Published};
pub use run::run;
pub use state::{Live, State};
