//! What Narthex tells about itself: metrics, the access log, logs of the control side.
//!
//! Metric families are declared once in [`families`]; fields of the access log once in [`access`]. Workers write
//! only their own cells ([`Shard`], and a block per worker in [`RouteMetrics`] and [`UpstreamMetrics`]) and take
//! no lock; a scrape adds the cells up.

pub mod access;
mod buckets;
mod cells;
mod cluster;
mod control;
mod exposition;
pub mod families;
pub mod logs;
mod process;
pub mod reference;
mod registry;
mod route;
mod scrape;
mod shard;
mod stream;
mod upstream;

pub use access::{AccessLog, AccessRecord};
pub use cluster::{ClusterMetrics, StatusWrite};
pub use control::{CertificateExpiry, ControlMetrics, DiagnosticCount};
pub use exposition::Format;
pub use route::{Figures, Method, RouteLabels, RouteMetrics};
pub use shard::{Handshake, Shard, TlsVersion};
pub use stream::{StreamFigures, StreamMetrics};
pub use upstream::{UpstreamGauges, UpstreamMetrics};

use registry::Registry;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// All metrics of a process.
pub struct Telemetry {
    workers: usize,
    shards: Box<[Arc<shard::Cells>]>,
    routes: Registry<RouteMetrics>,
    streams: Registry<StreamMetrics>,
    upstreams: Registry<UpstreamMetrics>,
    upstream_gauges: OnceLock<GaugeSource>,
    access_log: Arc<access::Lines>,
    control: ControlMetrics,
    cluster: ClusterMetrics,
}

type GaugeSource = Box<dyn Fn(&mut dyn FnMut(UpstreamGauges<'_>)) + Send + Sync>;

impl Telemetry {
    /// Metrics for a process with this many workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            shards: (0..workers).map(|_| Arc::default()).collect(),
            routes: Registry::new(),
            streams: Registry::new(),
            upstreams: Registry::new(),
            upstream_gauges: OnceLock::new(),
            access_log: Arc::default(),
            control: ControlMetrics::default(),
            cluster: ClusterMetrics::default(),
        })
    }

    /// Number of workers that this was made for.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The cells of one worker (`0..workers`). Only one thread may hold the shard of a worker at a time: cells are
    /// written without read-modify-write instructions, a second writer would lose counts.
    pub fn shard(&self, worker: usize) -> Shard {
        Shard::new(worker, Arc::clone(&self.shards[worker]))
    }

    /// The metrics of a rule. The same labels give the same cells as long as somebody holds them, and for five
    /// minutes after, so that counters go on over a change of plan. Ask when a plan is built, not per request.
    pub fn route(&self, labels: &RouteLabels<'_>) -> Arc<RouteMetrics> {
        self.routes.get(&RouteMetrics::key(labels), |key| {
            RouteMetrics::new(key, self.workers)
        })
    }

    /// The metrics of requests that no rule matched, or that never got as far: all labels empty.
    pub fn unrouted(&self) -> Arc<RouteMetrics> {
        self.route(&RouteLabels::default())
    }

    /// The metrics of a stream route's rule. Lives as [`Telemetry::route`] says.
    pub fn stream(&self, labels: &RouteLabels<'_>) -> Arc<StreamMetrics> {
        self.streams.get(&StreamMetrics::key(labels), |key| {
            StreamMetrics::new(key, self.workers)
        })
    }

    /// The metrics of an upstream, by its id. Lives as [`Telemetry::route`] says.
    pub fn upstream(&self, id: &str) -> Arc<UpstreamMetrics> {
        self.upstreams
            .get(id, |id| UpstreamMetrics::new(id, self.workers))
    }

    /// Where the current state of upstreams is read from when scraped: called with a function to call per upstream.
    /// The first source given stays.
    pub fn read_upstreams_from(
        &self,
        source: impl Fn(&mut dyn FnMut(UpstreamGauges<'_>)) + Send + Sync + 'static,
    ) {
        let _ = self.upstream_gauges.set(Box::new(source));
    }

    /// What the connection with a cluster reports.
    pub fn cluster(&self) -> &ClusterMetrics {
        &self.cluster
    }

    /// What the control side reports.
    pub fn control(&self) -> &ControlMetrics {
        &self.control
    }

    /// Everything, in one of the exposition formats.
    pub fn scrape(&self, format: Format) -> Vec<u8> {
        scrape::scrape(self, format)
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}
