//! One thread of the data plane: its event loop, the plan it serves by, and everything that only it touches.

use crate::clock::Clock;
use crate::plan::Plan;
use crate::upstream::Upstreams;
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;

/// A worker's own state. Not shared with other threads, so none of it needs a lock.
#[derive(Debug)]
pub struct WorkerState {
    /// Position among the workers, from 0.
    pub index: usize,
    /// Time.
    pub clock: Clock,
    /// Randomness for weights, shares and choices.
    pub random: Random,
    /// Connections to upstreams.
    pub upstreams: Upstreams,
    plan: RefCell<PlanPin>,
    draining: Cell<bool>,
}

impl WorkerState {
    /// The newest plan. Hold it for one exchange, then ask again.
    pub fn plan(&self) -> PlanPin {
        self.plan.borrow().clone()
    }

    /// Whether no new request shall be invited: responses carry `Connection: close`.
    pub fn draining(&self) -> bool {
        self.draining.get()
    }
}

/// A plan held for the time of an exchange. Cloning it costs no atomic operation.
#[derive(Debug, Clone)]
#[expect(
    clippy::redundant_allocation,
    reason = "the Arc's count is shared by all workers, the Rc's is not"
)]
pub struct PlanPin(Rc<Arc<Plan>>);

impl Deref for PlanPin {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

/// Pseudo-random numbers, one generator per worker (wyrand). Not for secrets.
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        let state = self.0.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.0.set(state);
        let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        ((product >> 64) ^ product) as u64
    }

    /// Evenly from 0 to `bound - 1`; 0 if `bound` is 0.
    pub fn below(&self, bound: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u32
    }
}
