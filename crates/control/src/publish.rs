//! How a snapshot reaches the data plane. The CLI wires it; this crate does not know the data plane.

use ir::Snapshot;
use std::future::Future;
use std::sync::Arc;

/// Hands snapshots to whoever serves them.
pub trait Publish {
    /// Makes a snapshot live. Resolves when every worker has acknowledged it.
    fn publish(&mut self, published: Published) -> impl Future<Output = ApplyReport>;
}

/// A snapshot on its way to the data plane.
#[derive(Debug, Clone)]
pub struct Published {
    /// Counts up from 1.
    pub generation: u64,
    /// What to serve.
    pub snapshot: Arc<Snapshot>,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplyReport {
    /// Sockets that could not be opened: address and reason. Everything else is live.
    pub failed_binds: Vec<(String, String)>,
}

impl ApplyReport {
    /// One sentence about what failed, if anything did.
    pub fn error(&self) -> Option<String> {
        if self.failed_binds.is_empty() {
            return None;
        }
        let sockets: Vec<_> = self
            .failed_binds
            .iter()
            .map(|(address, reason)| format!("{address}: {reason}"))
            .collect();
        Some(format!("can't listen on {}", sockets.join("; ")))
    }
}
