//! What happens to a request or a response besides being forwarded.

use crate::upstream::UpstreamCell;
use std::sync::Arc;

/// A filter, ready to run.
#[derive(Debug)]
pub enum CompiledFilter {}

/// Compiles a rule's filters and puts them in the order in which they run. `cell` gives the cell of an upstream.
pub fn compile(
    filters: &[ir::Filter],
    cell: &mut dyn FnMut(&ir::UpstreamId) -> Arc<UpstreamCell>,
) -> Box<[CompiledFilter]> {
    let _ = (filters, cell);
    Box::default()
}
