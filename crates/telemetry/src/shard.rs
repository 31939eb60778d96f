//! One worker's own cells: connections, handshakes, faults.

use crate::cells::Count;
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

/// The cells of one worker. Can be sent to the worker's thread, but not shared between threads.
#[derive(Debug)]
pub struct Shard {
    worker: usize,
    cells: Arc<Cells>,
    one_thread: PhantomData<Cell<()>>,
}

/// Protocol version of a TLS handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

/// How a TLS handshake ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handshake {
    /// With a new session.
    Full(TlsVersion),
    /// With a resumed session.
    Resumed(TlsVersion),
    /// Not at all; the version may not be known.
    Failed,
}

impl Shard {
    pub(crate) fn new(worker: usize, cells: Arc<Cells>) -> Self {
        Self {
            worker,
            cells,
            one_thread: PhantomData,
        }
    }

    /// Which worker this is.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// A downstream connection was accepted.
    pub fn connection_opened(&self) {
        self.cells.opened.add(1);
    }

    /// A downstream connection ended.
    pub fn connection_closed(&self) {
        self.cells.closed.add(1);
    }

    /// A downstream connection was refused or closed before its first request for want of room.
    pub fn connection_refused(&self) {
        self.cells.refused.add(1);
    }

    /// A TLS handshake ended.
    pub fn tls_handshake(&self, how: Handshake) {
        self.cells.handshakes[how.index()].add(1);
    }

    /// A fault happened. `code` is its stable short code; at most 64 different ones are told apart, the rest
    /// count as `other`.
    pub fn fault(&self, code: &'static str) {
        for (known, count) in &self.cells.faults {
            if *known.get_or_init(|| code) == code {
                return count.add(1);
            }
        }
        self.cells.other_faults.add(1);
    }
}

impl Handshake {
    /// Version, resumed and result of each kind, by index.
    pub(crate) const LABELS: [[&str; 3]; 5] = [
        ["1.2", "false", "ok"],
        ["1.3", "false", "ok"],
        ["1.2", "true", "ok"],
        ["1.3", "true", "ok"],
        ["", "", "failed"],
    ];

    fn index(self) -> usize {
        match self {
            Self::Full(TlsVersion::Tls12) => 0,
            Self::Full(TlsVersion::Tls13) => 1,
            Self::Resumed(TlsVersion::Tls12) => 2,
            Self::Resumed(TlsVersion::Tls13) => 3,
            Self::Failed => 4,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Cells {
    pub(crate) opened: Count,
    pub(crate) closed: Count,
    pub(crate) refused: Count,
    pub(crate) handshakes: [Count; 5],
    pub(crate) faults: [(OnceLock<&'static str>, Count); 64],
    pub(crate) other_faults: Count,
}

impl Cells {
    /// Faults by code, those that happened.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let known = self
            .faults
            .iter()
            .filter_map(|(code, count)| Some((*code.get()?, count.get())));
        known.chain(
            [("other", self.other_faults.get())]
                .into_iter()
                .filter(|(_, count)| *count > 0),
        )
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self {
            opened: Count::default(),
            closed: Count::default(),
            refused: Count::default(),
            handshakes: Default::default(),
            faults: std::array::from_fn(|_| Default::default()),
            other_faults: Count::default(),
        }
    }
}
