//! Values that many units come to, held once: thousands of routes have the same status.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

/// Values that are in use, each held once.
#[derive(Debug)]
pub(crate) struct Common<T: ?Sized> {
    known: HashSet<Arc<T>>,
    /// Number of values at which the next look for unused ones is due.
    sweep_at: usize,
}

impl<T: ?Sized> Default for Common<T> {
    fn default() -> Self {
        Self {
            known: HashSet::new(),
            sweep_at: FIRST_SWEEP,
        }
    }
}

impl<T: ?Sized + Eq + Hash> Common<T> {
    /// The allocation that everybody uses for this value.
    pub fn get(&mut self, value: impl Borrow<T> + Into<Arc<T>>) -> Arc<T> {
        if let Some(known) = self.known.get(value.borrow()) {
            return Arc::clone(known);
        }
        let value = value.into();
        if self.known.len() >= self.sweep_at {
            self.known.retain(|known| Arc::strong_count(known) > 1);
            self.sweep_at = (self.known.len() * 2).max(FIRST_SWEEP);
        }
        self.known.insert(Arc::clone(&value));
        value
    }
}

const FIRST_SWEEP: usize = 256;

#[cfg(test)]
mod tests {
    use super::{Common, FIRST_SWEEP};
    use std::sync::Arc;

    #[test]
    fn equal_values_are_one_and_unused_ones_go() {
        let mut common: Common<str> = Common::default();
        let first = common.get("a");
        assert!(Arc::ptr_eq(&first, &common.get("a")));
        for number in 0..10 * FIRST_SWEEP {
            common.get(number.to_string());
        }
        assert!(common.known.len() <= 2 * FIRST_SWEEP);
        assert!(Arc::ptr_eq(&first, &common.get("a")));
    }
}
