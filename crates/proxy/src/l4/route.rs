//! The rule of a stream route, ready to be carried out.

use crate::fault::Fault;
use crate::upstream::UpstreamCell;
use std::sync::Arc;
use telemetry::StreamMetrics;

/// A rule, compiled.
#[derive(Debug)]
pub struct CompiledStream {
    choices: Box<[Choice]>,
    /// Sum of all weights; 0: everything is refused.
    total: u32,
    /// Counts what comes of its streams.
    pub metrics: Arc<StreamMetrics>,
}

#[derive(Debug)]
struct Choice {
    /// Sum of the weights up to and including this one: the first with `draw < upto` is chosen.
    upto: u32,
    /// `None`: the reference is broken.
    cell: Option<Arc<UpstreamCell>>,
}

impl CompiledStream {
    /// Compiles a rule. `cell` finds the cell of an upstream.
    pub fn new(
        route: &ir::StreamRoute,
        metrics: Arc<StreamMetrics>,
        mut cell: impl FnMut(&ir::UpstreamId) -> Arc<UpstreamCell>,
    ) -> Self {
        let mut total: u32 = 0;
        let weighty = route.backends.iter().filter(|backend| backend.weight > 0);
        let choices = weighty.map(|backend| {
            total = total.saturating_add(backend.weight);
            Choice {
                upto: total,
                cell: match &backend.target {
                    ir::StreamTarget::Upstream(id) => Some(cell(id)),
                    ir::StreamTarget::Broken { .. } => None,
                },
            }
        });
        let choices = choices.collect();
        Self {
            choices,
            total,
            metrics,
        }
    }

    /// Where a stream goes, given a `draw` below the total weight, or why it is refused: an invalid backend, and one
    /// without endpoints, refuses its share (GEP-1901; `BackendRefs` of TCPRoute).
    pub fn choose(&self, draw: impl FnOnce(u32) -> u32) -> Result<Arc<UpstreamCell>, Fault> {
        let chosen = match (&*self.choices, self.total) {
            (_, 0) => None,
            ([only], _) => Some(only),
            (several, total) => {
                let draw = draw(total);
                several.iter().find(|choice| draw < choice.upto)
            }
        };
        let cell = chosen.and_then(|choice| choice.cell.as_ref());
        match cell {
            None => Err(Fault::BrokenBackend),
            Some(cell) if cell.now().endpoints.is_empty() => Err(Fault::NoEndpoints),
            Some(cell) => Ok(Arc::clone(cell)),
        }
    }

    /// Whether streams may go to this upstream.
    pub fn leads_to(&self, cell: &Arc<UpstreamCell>) -> bool {
        let mut cells = self.choices.iter().filter_map(|choice| choice.cell.as_ref());
        cells.any(|known| Arc::ptr_eq(known, cell))
    }
}
