//! Metrics of one upstream: connecting, waiting for the first byte, trying again.

use crate::Shard;
use std::time::Duration;

/// Metrics of one upstream. Each worker writes a block of its own, made when it is first needed.
#[derive(Debug)]
pub struct UpstreamMetrics {}

/// The state of an upstream at the moment of a scrape.
#[derive(Debug, Clone, Copy)]
pub struct UpstreamGauges<'a> {
    /// Id of the upstream.
    pub upstream: &'a str,
    /// Endpoints that can be chosen.
    pub endpoints: u64,
    /// Exchanges in flight over all workers.
    pub in_flight: u64,
}

impl UpstreamMetrics {
    pub(crate) fn new(id: &str, workers: usize) -> Self {
        let _ = (id, workers);
        Self {}
    }

    /// A connection to one of the endpoints was made, in this time.
    pub fn connected(&self, shard: &Shard, took: Duration) {
        let _ = (shard, took);
    }

    /// A connection to one of the endpoints could not be made.
    pub fn connect_failed(&self, shard: &Shard) {
        let _ = shard;
    }

    /// The first byte of a response came, this long after the request head was sent.
    #[inline]
    pub fn first_byte(&self, shard: &Shard, after: Duration) {
        let _ = (shard, after);
    }

    /// A request was sent again, to this or another endpoint.
    pub fn retried(&self, shard: &Shard) {
        let _ = shard;
    }
}
