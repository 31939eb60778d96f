//! Which endpoint serves the next exchange. Sans-I/O: no connection, no clock; weights, load and randomness come in.
//!
//! Each worker has a balancer of its own per upstream, so that a choice writes nothing that is shared. Round robin is
//! exact per worker, not over all of them; workers start at different points so that they don't march in step.

mod least_request;
mod round_robin;

pub use least_request::least_request;
pub use round_robin::RoundRobin;

use crate::worker::Random;

/// The state of one upstream's choice.
#[derive(Debug)]
pub enum Balancer {
    /// Smooth weighted round robin.
    RoundRobin(RoundRobin),
    /// Of two random endpoints the one with less to do. Keeps the weights.
    LeastRequest(Box<[u32]>),
}

impl Balancer {
    /// A balancer for endpoints with these weights.
    pub fn new(kind: ir::Balance, weights: &[u32], random: &Random) -> Self {
        match kind {
            ir::Balance::RoundRobin => Self::RoundRobin(RoundRobin::new(weights, random)),
            ir::Balance::LeastRequest => Self::LeastRequest(weights.into()),
        }
    }

    /// Chooses among the endpoints that `usable` allows. `load` tells how many exchanges an endpoint has at hand.
    /// None: no usable endpoint has a weight.
    pub fn pick(
        &mut self,
        random: &Random,
        load: impl Fn(usize) -> u32,
        usable: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        match self {
            Self::RoundRobin(state) => state.pick(usable),
            Self::LeastRequest(weights) => least_request(weights, random, load, usable),
        }
    }
}
