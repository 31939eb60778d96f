//! Metrics of one upstream: connecting, waiting for the first byte, trying again.

use crate::Shard;
use crate::cells::{Count, DurationSum, Durations, PerWorker};
use crate::registry::Keyed;
use std::time::Duration;

/// Metrics of one upstream. Each worker writes a block of its own, made when it is first needed.
#[derive(Debug)]
pub struct UpstreamMetrics {
    id: Box<str>,
    blocks: PerWorker<Block>,
}

#[derive(Debug, Default)]
struct Block {
    connect: Durations,
    connect_failures: Count,
    first_byte: Durations,
    retries: Count,
}

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
    pub(crate) fn new(id: Box<str>, workers: usize) -> Self {
        Self {
            id,
            blocks: PerWorker::new(workers),
        }
    }

    /// A connection to one of the endpoints was made, in this time.
    pub fn connected(&self, shard: &Shard, took: Duration) {
        self.blocks.of(shard.worker()).connect.add(took);
    }

    /// A connection to one of the endpoints could not be made.
    pub fn connect_failed(&self, shard: &Shard) {
        self.blocks.of(shard.worker()).connect_failures.add(1);
    }

    /// The first byte of a response came, this long after the request head was sent.
    #[inline]
    pub fn first_byte(&self, shard: &Shard, after: Duration) {
        self.blocks.of(shard.worker()).first_byte.add(after);
    }

    /// A request was sent again, to this or another endpoint.
    pub fn retried(&self, shard: &Shard) {
        self.blocks.of(shard.worker()).retries.add(1);
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Whether any worker ever counted something.
    pub(crate) fn is_used(&self) -> bool {
        self.blocks.used().next().is_some()
    }

    pub(crate) fn connect(&self) -> DurationSum {
        DurationSum::of(self.blocks.used().map(|block| &block.connect))
    }

    pub(crate) fn connect_failures(&self) -> u64 {
        self.blocks.used().map(|block| block.connect_failures.get()).sum()
    }

    pub(crate) fn first_bytes(&self) -> DurationSum {
        DurationSum::of(self.blocks.used().map(|block| &block.first_byte))
    }

    pub(crate) fn retries(&self) -> u64 {
        self.blocks.used().map(|block| block.retries.get()).sum()
    }
}

impl Keyed for UpstreamMetrics {
    fn key(&self) -> &str {
        &self.id
    }
}
