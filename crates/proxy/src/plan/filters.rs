//! Compiled filters, held once for all rules that have the same.

use crate::filter::{self, CompiledFilter};
use crate::upstream::UpstreamCell;
use hashbrown::HashMap;
use std::sync::Arc;

/// Compiled filters by what they were compiled from.
#[derive(Debug)]
pub(super) struct Filters {
    /// By the address of the list, which each entry keeps alive.
    known: HashMap<usize, Known, foldhash::fast::RandomState>,
    /// Number of entries at which the next look for unused ones is due.
    sweep_at: usize,
}

#[derive(Debug)]
struct Known {
    _from: Arc<[ir::Filter]>,
    compiled: Arc<[CompiledFilter]>,
}

impl Filters {
    pub fn new() -> Self {
        Self {
            known: HashMap::default(),
            sweep_at: FIRST_SWEEP,
        }
    }

    /// What a list is compiled to.
    pub fn get(
        &mut self,
        filters: &Arc<[ir::Filter]>,
        cell: &mut dyn FnMut(&ir::UpstreamId) -> Arc<UpstreamCell>,
    ) -> Arc<[CompiledFilter]> {
        if filters.is_empty() {
            return Arc::default();
        }
        let address = Arc::as_ptr(filters).addr();
        // What no rule uses any more may hold the cell of an upstream that has gone and come back since.
        if let Some(known) = self.known.get(&address)
            && Arc::strong_count(&known.compiled) > 1
        {
            return Arc::clone(&known.compiled);
        }
        if self.known.len() >= self.sweep_at {
            self.known
                .retain(|_, known| Arc::strong_count(&known.compiled) > 1);
            self.sweep_at = (self.known.len() * 2).max(FIRST_SWEEP);
        }
        let compiled: Arc<[CompiledFilter]> = filter::compile(filters, cell);
        let known = Known {
            _from: Arc::clone(filters),
            compiled: Arc::clone(&compiled),
        };
        self.known.insert(address, known);
        compiled
    }
}

const FIRST_SWEEP: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_list_is_compiled_once_and_unused_ones_go() {
        let mut filters = Filters::new();
        let mut get = |list: &Arc<[ir::Filter]>| filters.get(list, &mut |_| unreachable!("no mirror"));
        let list = |port| Arc::from([ir::Filter::HttpsRedirect { status: 308, port }]);
        let first: Arc<[ir::Filter]> = list(1);
        let used = get(&first);
        assert!(Arc::ptr_eq(&used, &get(&first)));
        for _ in 0..10 * FIRST_SWEEP {
            get(&list(2));
        }
        assert!(Arc::ptr_eq(&used, &get(&first)));
        assert!(filters.known.len() <= 2 * FIRST_SWEEP);
    }
}
