//! Connections to endpoints: which endpoint, a pooled connection to it or a new one, and giving it back.

use crate::stream::Stream;
use crate::worker::WorkerState;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

/// What all workers share about one upstream.
#[derive(Debug)]
pub struct UpstreamCell {
    /// Its name in snapshots.
    pub id: ir::UpstreamId,
}

/// A worker's connections to all upstreams.
#[derive(Debug, Default)]
pub struct Upstreams {}

/// What kind of connection an exchange needs.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A connection that was never used: the exchange met a closed idle one before.
    pub fresh: bool,
    /// Endpoints that failed this exchange already; avoided while there are others.
    pub avoid: smallvec::SmallVec<[SocketAddr; 2]>,
    /// Client and its destination, for an upstream that wants the PROXY protocol.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
}

/// A connection to an endpoint, for one exchange. Dropping it closes it.
#[derive(Debug)]
pub struct UpstreamConnection {
    /// Its bytes.
    pub stream: Stream,
    endpoint: SocketAddr,
    reused: bool,
    settings: Arc<ir::UpstreamSettings>,
}

/// Why there is no connection. Nothing of the request was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectFault {
    /// The upstream has no endpoint.
    #[error("no endpoints")]
    NoEndpoints,
    /// Every endpoint is at its limit of exchanges.
    #[error("all endpoints are at their limit of requests")]
    Saturated,
    /// The last endpoint tried did not answer in time.
    #[error("{endpoint} did not accept a connection in time")]
    TimedOut {
        /// Which.
        endpoint: SocketAddr,
    },
    /// The last endpoint tried refused or could not be reached.
    #[error("cannot connect to {endpoint}: {error}")]
    Failed {
        /// Which.
        endpoint: SocketAddr,
        /// How.
        error: std::io::Error,
    },
}

impl UpstreamConnection {
    /// Whether it served an exchange before, so that the endpoint may just have closed it.
    pub fn reused(&self) -> bool {
        self.reused
    }

    /// The other end.
    pub fn endpoint(&self) -> SocketAddr {
        self.endpoint
    }

    /// Settings of its upstream.
    pub fn settings(&self) -> &Arc<ir::UpstreamSettings> {
        &self.settings
    }

    /// Returns it to the pool: the exchange is over and both sides may go on. Nothing may be left unread.
    pub fn give_back(self, worker: &WorkerState) {
        let _ = worker;
    }
}

/// A connection to one of the upstream's endpoints: pooled if there is one, else new; the next endpoint when one
/// cannot be connected to.
#[expect(clippy::unused_async, reason = "connecting waits")]
pub async fn checkout(
    worker: &Rc<WorkerState>,
    cell: &Arc<UpstreamCell>,
    wanted: &Wanted,
) -> Result<UpstreamConnection, ConnectFault> {
    let _ = (worker, cell, wanted);
    Err(ConnectFault::NoEndpoints)
}
