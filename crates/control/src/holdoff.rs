//! How long to wait for a burst of changes to end. No clock and no I/O: time comes in as an argument.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Least and most time between a change and its translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldOff {
    /// Quiet time after the last change.
    pub min: Duration,
    /// Longest wait after the first change while others keep coming.
    pub max: Duration,
}

impl Default for HoldOff {
    fn default() -> Self {
        Self {
            // A write that takes several system calls rarely pauses for longer.
            min: Duration::from_millis(10),
            // Someone who copies a large directory sees a state in between at most this often.
            max: Duration::from_millis(100),
        }
    }
}

/// What is known about a thing that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It is complete, as far as one can tell.
    Settled,
    /// Somebody is writing it and has not closed it yet.
    Writing,
    /// It is not there. Editors that write by renaming leave such a gap.
    Gone,
}

/// Changes that wait for their burst to end.
#[derive(Debug)]
pub(crate) struct Waiting<K> {
    limits: HoldOff,
    changes: BTreeMap<K, Wait>,
}

/// Things that may be looked at now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch<K> {
    /// The things, and what is known about them.
    pub changes: Vec<(K, Change)>,
    /// When the first of them changed.
    pub since: Instant,
}

#[derive(Debug)]
struct Wait {
    first: Instant,
    last: Instant,
    change: Change,
}

/// For a writer that keeps its file open without writing; what it wrote so far is taken then.
const PATIENCE: Duration = Duration::from_secs(1);

impl<K: Ord + Clone> Waiting<K> {
    /// Nothing waits yet.
    pub(crate) fn new(limits: HoldOff) -> Self {
        Self {
            limits,
            changes: BTreeMap::new(),
        }
    }

    /// Something changed, at `now`.
    pub(crate) fn note(&mut self, key: K, change: Change, now: Instant) {
        self.changes
            .entry(key)
            .and_modify(|wait| {
                wait.last = now;
                wait.change = change;
            })
            .or_insert(Wait {
                first: now,
                last: now,
                change,
            });
    }

    /// Something that was taken is not ready after all: it waits on since it changed first.
    pub(crate) fn again(&mut self, key: K, change: Change, since: Instant, now: Instant) {
        let wait = self.changes.entry(key).or_insert(Wait {
            first: since,
            last: now,
            change,
        });
        wait.first = wait.first.min(since);
    }

    /// Whether the longest wait of a thing is over, so that it is taken as it is.
    pub(crate) fn is_overdue(&self, since: Instant, now: Instant) -> bool {
        now >= since + self.limits.max
    }

    /// When to call [`Self::take`] next.
    pub(crate) fn due(&self) -> Option<Instant> {
        let writing = self
            .changes
            .values()
            .filter(|wait| wait.change == Change::Writing)
            .map(|wait| self.ready(wait))
            .min();
        let others = || {
            self.changes
                .values()
                .filter(|wait| wait.change != Change::Writing)
        };
        let first = others().map(|wait| wait.first).min();
        let earliest = others().map(|wait| self.ready(wait)).min();
        let latest = others().map(|wait| self.ready(wait)).max();
        // All of a burst together, but nothing waits longer than the limit for the rest.
        let burst = match (first, earliest, latest) {
            (Some(first), Some(earliest), Some(latest)) => {
                Some(latest.min(earliest.max(first + self.limits.max)))
            }
            _ => None,
        };
        burst.into_iter().chain(writing).min()
    }

    /// What is ready, if the time has come.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Batch<K>> {
        if self.due().is_none_or(|due| due > now) {
            return None;
        }
        let ready: Vec<(K, Change)> = self
            .changes
            .iter()
            .filter(|(_, wait)| self.ready(wait) <= now)
            .map(|(key, wait)| (key.clone(), wait.change))
            .collect();
        let since = ready
            .iter()
            .filter_map(|(key, _)| self.changes.remove(key))
            .map(|wait| wait.first)
            .min()?;
        Some(Batch {
            changes: ready,
            since,
        })
    }

    fn ready(&self, wait: &Wait) -> Instant {
        match wait.change {
            Change::Settled => (wait.last + self.limits.min).min(wait.first + self.limits.max),
            Change::Gone => wait.last + self.limits.min * 2,
            Change::Writing => wait.last + PATIENCE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, Change, HoldOff, Waiting};
    use std::time::{Duration, Instant};

    /// A clock that the test moves, in milliseconds.
    struct Clock(Instant);

    impl Clock {
        fn at(&self, millis: u64) -> Instant {
            self.0 + Duration::from_millis(millis)
        }
    }

    impl Batch<&'static str> {
        fn keys(&self) -> Vec<&'static str> {
            self.changes.iter().map(|(key, _)| *key).collect()
        }
    }

    fn start() -> (Clock, Waiting<&'static str>) {
        (Clock(Instant::now()), Waiting::new(HoldOff::default()))
    }

    #[test]
    fn a_single_change_waits_for_the_least_time() {
        let (clock, mut waiting) = start();
        assert_eq!(waiting.due(), None);
        waiting.note("a", Change::Settled, clock.at(0));
        assert_eq!(waiting.due(), Some(clock.at(10)));
        assert!(waiting.take(clock.at(9)).is_none());
        let batch = waiting.take(clock.at(10)).unwrap();
        assert_eq!((batch.keys(), batch.since), (vec!["a"], clock.at(0)));
        assert_eq!(waiting.due(), None);
    }

    #[test]
    fn changes_that_keep_coming_are_taken_together_until_the_longest_wait() {
        let (clock, mut waiting) = start();
        for millis in (0..100).step_by(5) {
            assert!(waiting.take(clock.at(millis)).is_none(), "{millis}");
            waiting.note("a", Change::Settled, clock.at(millis));
        }
        assert_eq!(waiting.due(), Some(clock.at(100)));
        assert_eq!(waiting.take(clock.at(100)).unwrap().since, clock.at(0));
    }

    #[test]
    fn a_burst_over_several_files_is_one_batch() {
        let (clock, mut waiting) = start();
        waiting.note("a", Change::Settled, clock.at(0));
        waiting.note("b", Change::Settled, clock.at(8));
        assert!(waiting.take(clock.at(12)).is_none());
        assert_eq!(waiting.take(clock.at(18)).unwrap().keys(), ["a", "b"]);
    }

    #[test]
    fn an_early_file_does_not_wait_for_late_ones_beyond_the_longest_wait() {
        let (clock, mut waiting) = start();
        waiting.note("a", Change::Settled, clock.at(0));
        for millis in (0..=100).step_by(4) {
            waiting.note("b", Change::Settled, clock.at(millis));
        }
        waiting.note("c", Change::Settled, clock.at(99));
        assert_eq!(waiting.due(), Some(clock.at(100)));
        assert_eq!(waiting.take(clock.at(100)).unwrap().keys(), ["a", "b"]);
        assert_eq!(waiting.take(clock.at(109)).unwrap().keys(), ["c"]);
    }

    #[test]
    fn a_file_that_is_being_written_holds_up_nobody_else() {
        let (clock, mut waiting) = start();
        waiting.note("slow", Change::Writing, clock.at(0));
        waiting.note("a", Change::Settled, clock.at(0));
        assert_eq!(waiting.take(clock.at(10)).unwrap().keys(), ["a"]);
        assert_eq!(waiting.due(), Some(clock.at(1000)));
        waiting.note("slow", Change::Settled, clock.at(20));
        assert_eq!(waiting.take(clock.at(30)).unwrap().keys(), ["slow"]);
    }

    #[test]
    fn a_writer_that_never_closes_is_not_waited_for_forever() {
        let (clock, mut waiting) = start();
        waiting.note("slow", Change::Writing, clock.at(0));
        waiting.note("slow", Change::Writing, clock.at(500));
        assert!(waiting.take(clock.at(1400)).is_none());
        assert_eq!(waiting.take(clock.at(1500)).unwrap().keys(), ["slow"]);
    }

    #[test]
    fn the_gap_of_a_rename_write_is_waited_out() {
        let (clock, mut waiting) = start();
        waiting.note("a", Change::Gone, clock.at(0));
        assert!(waiting.take(clock.at(15)).is_none());
        waiting.note("a", Change::Settled, clock.at(15));
        assert_eq!(waiting.take(clock.at(25)).unwrap().keys(), ["a"]);
        waiting.note("a", Change::Gone, clock.at(30));
        assert_eq!(waiting.take(clock.at(50)).unwrap().keys(), ["a"]);
    }

    #[test]
    fn what_was_not_ready_after_all_keeps_the_time_of_its_first_change() {
        let (clock, mut waiting) = start();
        waiting.note("a", Change::Settled, clock.at(0));
        let batch = waiting.take(clock.at(10)).unwrap();
        waiting.again("a", Change::Settled, batch.since, clock.at(10));
        let batch = waiting.take(clock.at(20)).unwrap();
        assert_eq!(batch.since, clock.at(0));
        assert!(!waiting.is_overdue(batch.since, clock.at(99)));
        assert!(waiting.is_overdue(batch.since, clock.at(100)));
    }
}
