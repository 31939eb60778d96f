//! Which requests are copied. The copying itself is `exchange/mirror.rs`.

use crate::upstream::UpstreamCell;
use std::sync::Arc;

/// Where copies go and how many.
#[derive(Debug)]
pub struct CompiledMirror {
    /// Where to.
    pub cell: Arc<UpstreamCell>,
    /// Share of requests.
    pub fraction: ir::Fraction,
}

impl CompiledMirror {
    /// Whether this request is one of them. `draw` gives a random number below its argument.
    pub fn chosen(&self, draw: &dyn Fn(u32) -> u32) -> bool {
        let ir::Fraction {
            numerator,
            denominator,
        } = self.fraction;
        numerator >= denominator || draw(denominator) < numerator
    }
}
