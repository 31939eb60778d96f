//! What is live now, for those who show it. One writer ([`crate::run()`]), any number of readers, no lock.

use crate::Locations;
use arc_swap::ArcSwap;
use ir::{Diagnostic, List, Snapshot};
use std::sync::Arc;
use tokio::sync::watch;
use translate::{ObjectStatus, Services};

/// The newest [`Live`], and a way to wait for the next.
#[derive(Debug)]
pub struct State {
    live: ArcSwap<Live>,
    generation: watch::Sender<u64>,
}

/// One generation and all that is known about it.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// 0 before the first.
    pub generation: u64,
    /// What is served.
    pub snapshot: Arc<Snapshot>,
    /// The status that each object would get.
    pub statuses: List<ObjectStatus>,
    /// Services that Gateways should have.
    pub services: Arc<Services>,
    /// All findings, sorted.
    pub diagnostics: Arc<[Diagnostic]>,
    /// Where objects and findings stand in the files.
    pub locations: Locations,
    /// How many times a file was parsed since the start.
    pub files_parsed: u64,
    /// Why the generation is not live in full, if it isn't.
    pub error: Option<String>,
    /// Whether it was saved before a restart and nobody knows what has changed since then.
    pub recalled: bool,
}

impl State {
    /// Nothing is live yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            live: ArcSwap::default(),
            generation: watch::Sender::new(0),
        })
    }

    /// The newest generation that all workers acknowledged.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Whether a first generation is live.
    pub fn is_ready(&self) -> bool {
        self.live.load().generation > 0
    }

    /// Waits until a generation newer than this one is live.
    pub async fn newer_than(&self, generation: u64) -> Arc<Live> {
        let mut generations = self.generation.subscribe();
        // The sender lives as long as `self`.
        let _ = generations.wait_for(|&live| live > generation).await;
        self.live()
    }

    /// Waits until what is live meets a condition.
    pub async fn until(&self, mut condition: impl FnMut(&Live) -> bool) -> Arc<Live> {
        let mut generations = self.generation.subscribe();
        loop {
            let live = self.live();
            if condition(&live) {
                return live;
            }
            // The sender lives as long as `self`.
            let _ = generations.changed().await;
        }
    }

    pub(crate) fn set(&self, live: Live) {
        let generation = live.generation;
        self.live.store(Arc::new(live));
        // Also when only findings changed: waiters look at what is live now.
        self.generation.send_replace(generation);
    }
}
