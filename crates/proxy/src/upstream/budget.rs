//! How much may be sent again to an upstream (`ir::RetryBudget`): a share of what was sent of late, and in any case a few.
//!
//! All workers count into the same windows: a worker that has few requests would else have no share worth the name.

use crate::time::Instant;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What was sent to an upstream of late, and what of it was sent again.
#[derive(Debug)]
pub(crate) struct Budget {
    settings: ir::RetryBudget,
    since: Instant,
    requests: Window,
    retries: Window,
    /// Retries once more, over the interval of the rate.
    recent: Window,
}

impl Budget {
    /// Nothing was sent yet.
    pub fn new(settings: ir::RetryBudget, now: Instant) -> Self {
        Self {
            settings,
            since: now,
            requests: Window::new(settings.interval),
            retries: Window::new(settings.interval),
            recent: Window::new(settings.least_interval),
        }
    }

    /// Whether it is one of these settings.
    pub fn is_for(&self, settings: &ir::RetryBudget) -> bool {
        self.settings == *settings
    }

    /// Counts a request that is sent for the first time.
    pub fn sent(&self, now: Instant) {
        self.requests.add(self.age(now));
    }

    /// Whether one may be sent again; if so, it is counted.
    pub fn retry(&self, now: Instant) -> bool {
        let age = self.age(now);
        let (requests, retries) = (self.requests.sum(age), self.retries.sum(age));
        // This one belongs to both sides.
        let share = (retries + 1) * 100 <= u64::from(self.settings.percent) * (requests + retries + 1);
        if !share && self.recent.sum(age) >= u64::from(self.settings.least) {
            return false;
        }
        self.retries.add(age);
        self.recent.add(age);
        true
    }

    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}

/// Counts over the last interval, by tenths of it.
#[derive(Debug)]
struct Window {
    tenth: Duration,
    /// Each holds the number of its tenth since the start in the upper half and a count in the lower one.
    counts: [AtomicU64; TENTHS],
}

impl Window {
    fn new(interval: Duration) -> Self {
        Self {
            tenth: (interval / TENTHS as u32).max(Duration::from_micros(100)),
            counts: Default::default(),
        }
    }

    fn number(&self, age: Duration) -> u128 {
        age.as_nanos() / self.tenth.as_nanos()
    }

    fn add(&self, age: Duration) {
        let number = self.number(age);
        let count = &self.counts[(number % TENTHS as u128) as usize];
        let number = u64::from(number as u32);
        // Cannot fail: something is always put there.
        let _ = count.fetch_update(Relaxed, Relaxed, |held| {
            let same = held >> 32 == number;
            Some(if same { held + 1 } else { number << 32 | 1 })
        });
    }

    fn sum(&self, age: Duration) -> u64 {
        // The numbers begin again after 2^32.
        let last = self.number(age) as u32;
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        counts
            .filter(|held| last.wrapping_sub((held >> 32) as u32) < TENTHS as u32)
            .map(|held| held & u64::from(u32::MAX))
            .sum()
    }
}

const TENTHS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(percent: u32, least: u32) -> (Budget, Instant) {
        let now = Instant::now();
        let settings = ir::RetryBudget {
            percent,
            interval: Duration::from_secs(10),
            least,
            least_interval: Duration::from_secs(1),
        };
        (Budget::new(settings, now), now)
    }

    fn retries(budget: &Budget, at: Instant, tries: usize) -> usize {
        (0..tries).filter(|_| budget.retry(at)).count()
    }

    #[test]
    fn of_what_is_sent_a_share_may_be_retries() {
        let (budget, now) = budget(20, 1);
        for _ in 0..800 {
            budget.sent(now);
        }
        assert_eq!(retries(&budget, now, 1000), 200, "200 of 1000");
    }

    #[test]
    fn a_few_may_be_in_any_case_in_each_interval() {
        let (budget, now) = budget(0, 3);
        assert_eq!(retries(&budget, now, 10), 3);
        assert_eq!(retries(&budget, now + Duration::from_millis(500), 10), 0);
        assert_eq!(retries(&budget, now + Duration::from_millis(1100), 10), 3);
    }

    #[test]
    fn a_short_interval_goes_on_after_months() {
        let now = Instant::now();
        let settings = ir::RetryBudget {
            percent: 0,
            interval: Duration::from_secs(10),
            least: 2,
            least_interval: Duration::from_millis(1),
        };
        let budget = Budget::new(settings, now);
        for day in [0, 4, 5, 50, 400] {
            for millisecond in [0, 2, 4] {
                let at = now + Duration::from_secs(day * 86_400) + Duration::from_millis(millisecond);
                assert_eq!(retries(&budget, at, 5), 2, "day {day}");
            }
        }
    }

    #[test]
    fn what_was_sent_before_the_interval_does_not_count() {
        let (budget, now) = budget(50, 1);
        for _ in 0..100 {
            budget.sent(now);
        }
        assert_eq!(retries(&budget, now + Duration::from_secs(9), 200), 100);
        let (later, now) = self::budget(50, 1);
        for _ in 0..100 {
            later.sent(now);
        }
        assert_eq!(retries(&later, now + Duration::from_secs(11), 200), 1);
    }
}
