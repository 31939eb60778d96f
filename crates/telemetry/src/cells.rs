//! Counters and histograms with one writer and any number of readers.

use crate::buckets;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A count that one thread raises. Adding is a plain load, add and store: with a single writer nothing is lost,
/// and no locked instruction is paid for.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A value per worker, made when that worker first writes. What nobody uses costs two words.
#[derive(Debug)]
pub(crate) struct PerWorker<T> {
    workers: usize,
    blocks: OnceLock<Box<[OnceLock<Box<T>>]>>,
}

impl<T: Default> PerWorker<T> {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            workers,
            blocks: OnceLock::new(),
        }
    }

    /// The worker's own block.
    #[inline]
    pub(crate) fn of(&self, worker: usize) -> &T {
        let blocks = self
            .blocks
            .get_or_init(|| (0..self.workers).map(|_| OnceLock::new()).collect());
        blocks[worker].get_or_init(Box::default)
    }

    /// The blocks that were written to.
    pub(crate) fn used(&self) -> impl Iterator<Item = &T> {
        let blocks = self.blocks.get().map_or(&[][..], |blocks| &blocks[..]);
        blocks
            .iter()
            .filter_map(|block| block.get().map(|block| &**block))
    }
}

/// Durations of one kind, as one worker saw them. Cells come in runs, made when first needed: what one endpoint
/// does falls into two or three of them.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    nanos: Count,
    runs: [OnceLock<Box<[Count; RUN]>>; buckets::CELLS.div_ceil(RUN)],
}

const RUN: usize = 32;

impl Durations {
    #[inline]
    pub(crate) fn add(&self, duration: Duration) {
        let nanos = duration
            .as_secs()
            .saturating_mul(1_000_000_000)
            .saturating_add(u64::from(duration.subsec_nanos()));
        self.nanos.add(nanos);
        let cell = buckets::cell(nanos);
        self.runs[cell / RUN].get_or_init(Box::default)[cell % RUN].add(1);
    }
}

/// Durations of all workers, added up for a scrape.
#[derive(Debug, Clone)]
pub(crate) struct DurationSum {
    /// Observations.
    pub(crate) count: u64,
    /// Of all of them.
    pub(crate) nanos: u64,
    /// By classic bucket, not cumulative; the last is `+Inf`.
    pub(crate) classic: [u64; buckets::CLASSIC.len() + 1],
    /// Native zero bucket.
    pub(crate) zero: u64,
    /// By native bucket.
    pub(crate) native: [u64; buckets::NATIVE],
}

impl DurationSum {
    pub(crate) fn of<'a>(parts: impl Iterator<Item = &'a Durations>) -> Self {
        let mut sum = Self {
            count: 0,
            nanos: 0,
            classic: [0; buckets::CLASSIC.len() + 1],
            zero: 0,
            native: [0; buckets::NATIVE],
        };
        for part in parts {
            sum.nanos = sum.nanos.wrapping_add(part.nanos.get());
            for (run_at, run) in part.runs.iter().enumerate() {
                let Some(run) = run.get() else { continue };
                for (at, count) in run.iter().enumerate() {
                    sum.take(run_at * RUN + at, count.get());
                }
            }
        }
        sum
    }

    fn take(&mut self, cell: usize, count: u64) {
        if count == 0 {
            return;
        }
        self.count += count;
        self.classic[buckets::classic(cell)] += count;
        match buckets::native(cell) {
            Some(bucket) => self.native[bucket] += count,
            None => self.zero += count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classic_and_native_views_agree_about_the_count() {
        let durations = Durations::default();
        for micros in [0, 1, 400, 999, 1_000, 1_001, 70_000_000, 9_000_000_000] {
            durations.add(Duration::from_micros(micros));
        }
        let sum = DurationSum::of([&durations, &durations].into_iter());
        assert_eq!(sum.count, 16);
        assert_eq!(sum.classic.iter().sum::<u64>(), 16);
        assert_eq!(sum.zero + sum.native.iter().sum::<u64>(), 16);
        assert_eq!(sum.classic[1], 4, "999 us and 1000 us are at most a millisecond");
        assert_eq!(
            sum.classic[buckets::CLASSIC.len()],
            4,
            "70 s and 9000 s are beyond the last bound"
        );
    }

    #[test]
    fn what_nobody_uses_holds_no_block() {
        let cells: PerWorker<Durations> = PerWorker::new(64);
        assert_eq!(cells.used().count(), 0);
        cells.of(3).add(Duration::from_millis(1));
        assert_eq!(cells.used().count(), 1);
    }
}
