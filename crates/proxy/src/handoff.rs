//! Evens out connections between workers. The kernel spreads them by a hash, so that of a few long-lived ones (a
//! connection pool's, a load balancer's) one worker may get most, and then works while others sleep. A worker that
//! accepts a connection while another has clearly fewer hands it over.

use crate::connection::Accepted;
use crate::worker::{Command, WorkerState};
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// What workers know about each other.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    all: Box<[Peer]>,
}

/// One worker as others see it. In a cache line of its own: its owner writes to it with every connection.
#[derive(Debug)]
#[repr(align(64))]
struct Peer {
    open: AtomicUsize,
    /// Of the plan that it serves by: a connection is only understood by who knows its bind.
    generation: AtomicU64,
    /// Weak: the channel ends with the data plane.
    inbox: mpsc::WeakUnboundedSender<Command>,
}

impl Peers {
    pub(crate) fn new(inboxes: &[mpsc::UnboundedSender<Command>]) -> Arc<Self> {
        let peer = |inbox: &mpsc::UnboundedSender<Command>| Peer {
            open: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            inbox: inbox.downgrade(),
        };
        Arc::new(Self {
            all: inboxes.iter().map(peer).collect(),
        })
    }

    /// Open connections of each worker. Of one that is draining: as many as there can be.
    pub(crate) fn open(&self) -> Vec<usize> {
        self.all.iter().map(|peer| peer.open.load(Relaxed)).collect()
    }

    /// A worker tells how many connections it has.
    pub(crate) fn tell_open(&self, index: usize, open: usize) {
        if let Some(own) = self.all.get(index) {
            own.open.store(open, Relaxed);
        }
    }

    /// A worker tells what it serves by.
    pub(crate) fn tell_generation(&self, index: usize, generation: u64) {
        if let Some(own) = self.all.get(index) {
            own.generation.store(generation, Relaxed);
        }
    }

    /// Another worker that should have the next connection of worker `index`. Only one is looked at, whichever `random`
    /// says: of many workers that is as good as looking at all (the power of two choices).
    fn lighter(
        &self,
        index: usize,
        open: usize,
        generation: u64,
        random: impl Fn(u32) -> u32,
    ) -> Option<&Peer> {
        if self.all.len() < 2 {
            return None;
        }
        let other = random(self.all.len() as u32 - 1) as usize;
        let other = &self.all[if other < index { other } else { other + 1 }];
        let there = other.open.load(Relaxed);
        let clearly_fewer = there.checked_add(SLACK + there / 8)? <= open;
        (clearly_fewer && other.generation.load(Relaxed) >= generation).then_some(other)
    }
}

/// Gives a connection to another worker, if that is better. Gives it back otherwise, which is nearly always.
pub(crate) fn hand_over(worker: &WorkerState, accepted: Accepted<TcpStream>) -> Option<Accepted<TcpStream>> {
    let open = worker.connections.open();
    if open < SLACK {
        return Some(accepted);
    }
    let generation = worker.plan().generation;
    let lighter = worker
        .peers
        .lighter(worker.index, open, generation, |bound| worker.random.below(bound));
    let Some(inbox) = lighter.and_then(|other| other.inbox.upgrade()) else {
        return Some(accepted);
    };
    // A socket that can't be taken out of this worker's event loop, or put back, is lost: it closes.
    let accepted = accepted.map(TcpStream::into_std).ok()?;
    match inbox.send(Command::Adopt(accepted)) {
        // That worker has just ended.
        Err(mpsc::error::SendError(Command::Adopt(accepted))) => adopt(accepted),
        _ => None,
    }
}

/// Takes a connection into this worker's event loop.
pub(crate) fn adopt(accepted: Accepted<StdStream>) -> Option<Accepted<TcpStream>> {
    accepted.map(TcpStream::from_std).ok()
}

/// Differences below this are nothing: the next connection evens them out.
const SLACK: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(open: &[usize]) -> Arc<Peers> {
        let (inbox, _) = mpsc::unbounded_channel();
        let peers = Peers::new(&vec![inbox; open.len()]);
        for (index, open) in open.iter().enumerate() {
            peers.tell_open(index, *open);
            peers.tell_generation(index, 5);
        }
        peers
    }

    fn hands_over(open: &[usize], generation: u64) -> bool {
        peers(open).lighter(0, open[0], generation, |_| 0).is_some()
    }

    #[test]
    fn only_a_clear_difference_is_worth_a_hand_over() {
        assert!(!hands_over(&[100], 5));
        assert!(!hands_over(&[1, 0], 5));
        assert!(hands_over(&[2, 0], 5));
        assert!(!hands_over(&[110, 100], 5));
        assert!(hands_over(&[114, 100], 5));
        assert!(!hands_over(&[100, 200], 5));
        assert!(!hands_over(&[100, usize::MAX], 5), "it is draining");
    }

    #[test]
    fn a_worker_that_may_not_know_the_bind_yet_is_given_nothing() {
        assert!(hands_over(&[9, 0], 4));
        assert!(!hands_over(&[9, 0], 6));
    }

    #[test]
    fn every_other_worker_can_be_chosen_and_never_the_worker_itself() {
        let peers = peers(&[0, 0, 9, 0]);
        let chosen = |which| {
            let other = peers.lighter(2, 9, 0, |bound| {
                assert_eq!(bound, 3);
                which
            });
            peers
                .all
                .iter()
                .position(|peer| std::ptr::eq(peer, other.unwrap()))
        };
        assert_eq!([chosen(0), chosen(1), chosen(2)], [Some(0), Some(1), Some(3)]);
    }
}
