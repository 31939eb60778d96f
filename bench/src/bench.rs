//! What every scenario stands on: the options of the run, the proxies found, an origin, a folder for files.

use crate::certificate::Certificate;
use crate::peer::{Peer, Running};
use crate::process::Scratch;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Given to every scenario.
pub struct Bench {
    /// `--quick`: fewer and shorter rounds.
    pub quick: bool,
    /// When the run began.
    pub began: Instant,
    /// Proxies on this machine, ours first, the relay last.
    pub peers: Vec<Peer>,
    /// Files of this run.
    pub scratch: Scratch,
    /// For every proxy the same.
    pub certificate: Certificate,
    /// The origin behind every proxy, on CPU 1.
    pub origin: Running,
}

impl Bench {
    /// How often each proxy is measured.
    pub fn rounds(&self) -> usize {
        if self.quick { 2 } else { 5 }
    }

    /// Length of one measured window.
    pub fn window(&self) -> Duration {
        Duration::from_millis(if self.quick { 300 } else { 1_000 })
    }

    /// The proxies that understand HTTP: all but the relay.
    pub fn proxies(&self) -> Vec<&Peer> {
        self.peers.iter().filter(|peer| peer.is_proxy()).collect()
    }

    /// Where the origin listens.
    pub fn origin(&self) -> SocketAddr {
        self.origin.address
    }

    /// Says on standard error what is going on.
    pub fn progress(&self, what: impl std::fmt::Display) {
        eprintln!("{:>5.0?} {what} …", self.began.elapsed());
    }
}
