//! The compiled snapshot that workers serve by. Private form of [`ir::Snapshot`]: never printed, never sent.

mod rule;

pub use rule::{Action, Backend, CompiledRoute, CompiledRule, Target};

use crate::connection::SocketSlot;
use std::sync::Arc;

/// Everything that an exchange looks up. Immutable; parts are shared with the plans before and after it.
#[derive(Debug)]
pub struct Plan {
    /// Counts published snapshots.
    pub generation: u64,
    /// Settings of the downstream side.
    pub http: Arc<ir::HttpSettings>,
    sockets: Vec<Option<Arc<PlanSocket>>>,
}

/// What answers on one bind.
#[derive(Debug)]
pub struct PlanSocket {
    /// The bind it was made from.
    pub bind: Arc<ir::Bind>,
}

impl Plan {
    /// What answers on connections of `slot`. None: the bind is gone, its connections should close.
    pub fn socket(&self, slot: SocketSlot) -> Option<&PlanSocket> {
        self.sockets.get(slot.0 as usize)?.as_deref()
    }
}
