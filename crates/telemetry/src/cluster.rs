//! What the connection with a cluster reports: watches, statuses written, who leads.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Metrics of the connection with a cluster. None is hot, so one lock guards them all. Nothing of it is scraped before
/// [`ClusterMetrics::connected`].
#[derive(Debug, Default)]
pub struct ClusterMetrics {
    figures: Mutex<ClusterFigures>,
}

/// A copy of everything, for a scrape.
#[derive(Debug, Default, Clone)]
pub(crate) struct ClusterFigures {
    pub(crate) connected: bool,
    pub(crate) leads: bool,
    /// By kind.
    pub(crate) watch_restarts: BTreeMap<&'static str, u64>,
    /// By kind and outcome.
    pub(crate) status_writes: BTreeMap<(&'static str, &'static str), u64>,
    pub(crate) statuses_waiting: u64,
}

/// What became of an attempt to write a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusWrite {
    /// It is there.
    Written,
    /// Somebody else was quicker; it is tried again.
    Conflict,
    /// The API server refused it or did not answer.
    Failed,
}

impl ClusterMetrics {
    /// There is a cluster; these kinds are watched.
    pub fn connected(&self, kinds: impl IntoIterator<Item = &'static str>) {
        self.change(|figures| {
            figures.connected = true;
            figures
                .watch_restarts
                .extend(kinds.into_iter().map(|kind| (kind, 0)));
        });
    }

    /// A watch broke off and begins again.
    pub fn watch_restarted(&self, kind: &'static str) {
        self.change(|figures| *figures.watch_restarts.entry(kind).or_default() += 1);
    }

    /// A status of this kind was written, or not.
    pub fn status_write(&self, kind: &'static str, outcome: StatusWrite) {
        let outcome = match outcome {
            StatusWrite::Written => "written",
            StatusWrite::Conflict => "conflict",
            StatusWrite::Failed => "failed",
        };
        self.change(|figures| *figures.status_writes.entry((kind, outcome)).or_default() += 1);
    }

    /// So many statuses differ from what is there and wait to be written.
    pub fn set_statuses_waiting(&self, count: usize) {
        self.change(|figures| figures.statuses_waiting = count as u64);
    }

    /// Whether this process leads.
    pub fn set_leads(&self, leads: bool) {
        self.change(|figures| figures.leads = leads);
    }

    pub(crate) fn figures(&self) -> ClusterFigures {
        self.figures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn change(&self, change: impl FnOnce(&mut ClusterFigures)) {
        change(&mut self.figures.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
