//! Series by their labels, kept over changes of plan.
//!
//! A plan asks for the series of its rules and holds them. Two plans that ask for the same labels get the same
//! cells, so counters go on. A series that no plan holds any more stays for [`KEPT`], so that its last counts are
//! scraped and a rule that comes back goes on counting; then it goes.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a series outlives the last plan that held it: two scrapes at the slowest usual interval.
pub(crate) const KEPT: Duration = Duration::from_secs(300);

#[derive(Debug)]
pub(crate) struct Registry<T> {
    series: Mutex<Series<T>>,
}

/// What tells a series from all others. It knows that itself, so that it is held once.
pub(crate) trait Keyed {
    fn key(&self) -> &str;
}

#[derive(Debug)]
struct Series<T> {
    by_key: HashSet<ByKey<T>>,
    /// Since when nobody holds those that nobody holds.
    unheld: HashMap<Box<str>, Instant>,
    /// Number of entries at which the next look for unheld ones is due, so that churn without scrapes stays bounded.
    sweep_at: usize,
}

/// A series, equal to all with the same key.
#[derive(Debug)]
struct ByKey<T>(Arc<T>);

impl<T: Keyed> Registry<T> {
    pub(crate) fn new() -> Self {
        Self {
            series: Mutex::new(Series {
                by_key: HashSet::new(),
                unheld: HashMap::new(),
                sweep_at: FIRST_SWEEP,
            }),
        }
    }

    /// The series with this key, made if need be.
    pub(crate) fn get(&self, key: &str, make: impl FnOnce(Box<str>) -> T) -> Arc<T> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = series.by_key.get(key).map(|known| Arc::clone(&known.0)) {
            series.unheld.remove(key);
            return value;
        }
        if series.by_key.len() >= series.sweep_at {
            series.sweep(Instant::now());
        }
        let value = Arc::new(make(key.into()));
        series.by_key.insert(ByKey(Arc::clone(&value)));
        value
    }

    /// Every series, sorted by key, after those that nobody has held for long are gone.
    pub(crate) fn all(&self, now: Instant) -> Vec<Arc<T>> {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.sweep(now);
        let mut all: Vec<_> = series.by_key.iter().map(|known| Arc::clone(&known.0)).collect();
        all.sort_unstable_by(|a, b| a.key().cmp(b.key()));
        all
    }
}

impl<T: Keyed> Series<T> {
    fn sweep(&mut self, now: Instant) {
        let unheld = &mut self.unheld;
        self.by_key.retain(|ByKey(value)| {
            let (key, is_held) = (value.key(), Arc::strong_count(value) > 1);
            if !is_held {
                let since = *unheld.entry(key.into()).or_insert(now);
                if now.saturating_duration_since(since) < KEPT {
                    return true;
                }
            }
            unheld.remove(key);
            is_held
        });
        self.sweep_at = (self.by_key.len() * 2).max(FIRST_SWEEP);
    }
}

impl<T: Keyed> Borrow<str> for ByKey<T> {
    fn borrow(&self) -> &str {
        self.0.key()
    }
}

/// As that of the key alone.
impl<T: Keyed> Hash for ByKey<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key().hash(state);
    }
}

impl<T: Keyed> PartialEq for ByKey<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.key() == other.0.key()
    }
}

impl<T: Keyed> Eq for ByKey<T> {}

const FIRST_SWEEP: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for (Box<str>, u8) {
        fn key(&self) -> &str {
            &self.0
        }
    }

    #[test]
    fn the_same_key_gives_the_same_series_while_somebody_holds_it_and_a_while_after() {
        let registry: Registry<(Box<str>, u8)> = Registry::new();
        let start = Instant::now();
        let first = registry.get("a", |key| (key, 1));
        assert!(Arc::ptr_eq(&first, &registry.get("a", |key| (key, 2))));
        assert_eq!(registry.all(start + KEPT * 2).len(), 1, "it is held");
        drop(first);
        assert_eq!(registry.all(start + KEPT * 3).len(), 1, "unheld from here on");
        assert_eq!(registry.get("a", |key| (key, 2)).1, 1, "back within the time");
        assert_eq!(registry.all(start + KEPT * 4).len(), 1, "unheld anew");
        assert_eq!(registry.all(start + KEPT * 5).len(), 0);
    }

    #[test]
    fn all_comes_sorted() {
        let registry: Registry<(Box<str>, u8)> = Registry::new();
        let _held: Vec<_> = ["c", "a", "b"]
            .map(|key| registry.get(key, |key| (key, 0)))
            .into();
        let all = registry.all(Instant::now());
        assert!(all.iter().map(|value| value.key()).eq(["a", "b", "c"]));
    }
}
