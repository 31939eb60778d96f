//! The admin listener: health, metrics and a read-only view of the configuration in use.
//!
//! Knows where its answers come from only as [`Source`]; nothing it serves changes anything, and no private key
//! is in what it can see (`ir::PrivateKey` serialises as `(key)`).

mod pages;

use serde::Serialize;
use std::net::SocketAddr;
use std::sync::Arc;
use telemetry::Telemetry;
use tokio::net::TcpListener;

/// Where the admin listener's answers come from. Asked while a request is answered, on the control side's runtime,
/// so none of these may wait.
pub trait Source: Send + Sync + 'static {
    /// Whether requests are served.
    fn readiness(&self) -> Readiness;

    /// Generation that is live in all workers; 0 before the first.
    fn generation(&self) -> u64;

    /// The snapshot that is in use.
    fn snapshot(&self) -> Option<Arc<ir::Snapshot>>;

    /// Status of every object, as `translate` gave it: an array of `{kind, namespace, name, generation, status}`.
    fn statuses(&self) -> serde_json::Value;

    /// Findings, each with its place where that is known.
    fn diagnostics(&self) -> Vec<PlacedDiagnostic>;

    /// Sockets that are open: address asked for, address opened.
    fn sockets(&self) -> Vec<OpenSocket>;

    /// Upstreams with the state of their endpoints: an array.
    fn upstreams(&self) -> serde_json::Value;

    /// Metrics.
    fn telemetry(&self) -> Arc<Telemetry>;
}

/// Whether requests are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// The first plan is not live yet.
    Starting,
    /// Requests are served.
    Ready,
    /// No new connections are taken.
    Draining,
}

/// A finding and where to look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlacedDiagnostic {
    /// The finding.
    #[serde(flatten)]
    pub diagnostic: ir::Diagnostic,
    /// File that holds the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

/// A socket that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OpenSocket {
    /// What the snapshot asks for.
    pub bind: ir::BindAddress,
    /// What was opened.
    pub address: SocketAddr,
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, source: Arc<dyn Source>) -> std::io::Result<()> {
    axum::serve(listener, pages::router(source)).await
}
