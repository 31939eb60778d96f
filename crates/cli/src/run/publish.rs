//! The arrow from control to the data plane, which don't know each other.

use super::listening;
use control::{ApplyReport, Publish, Published};
use proxy::DataPlane;
use std::sync::Arc;

/// Hands snapshots to the data plane and tells what it could not do with them.
pub struct ToDataPlane {
    data_plane: Arc<DataPlane>,
}

impl ToDataPlane {
    /// To this data plane.
    pub fn new(data_plane: Arc<DataPlane>) -> Self {
        Self { data_plane }
    }
}

impl Publish for ToDataPlane {
    async fn publish(&mut self, published: Published) -> ApplyReport {
        let applied = self
            .data_plane
            .publish(&published.snapshot, published.generation)
            .await;
        let mut failed_binds = Vec::with_capacity(applied.failed.len());
        for failure in &applied.failed {
            let reason = listening::reason(&published.snapshot, failure.address, failure.udp, &failure.error);
            failed_binds.push((failure.name(), reason));
        }
        for certificate in &applied.broken {
            tracing::error!(
                "certificate {} can't be used: {}",
                certificate.id.0,
                certificate.reason
            );
        }
        if !applied.stragglers.is_empty() {
            let workers = applied.stragglers.len();
            tracing::warn!(
                "generation {}: {workers} workers have not taken it over yet",
                applied.generation
            );
        }
        ApplyReport { failed_binds }
    }
}
