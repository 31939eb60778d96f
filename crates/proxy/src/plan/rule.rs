//! One rule, ready to be carried out: filters compiled, backends with their cells and shares.

use crate::filter::CompiledFilter;
use crate::sessions::Sessions;
use crate::upstream::UpstreamCell;
use std::sync::Arc;

/// A route's rules, compiled once and kept for as long as the route is unchanged.
#[derive(Debug)]
pub struct CompiledRoute {
    /// What it was compiled from. Keeps the allocation alive, by whose address the route is recognised.
    pub route: Arc<ir::Route>,
    /// By the same index as `route.rules`.
    pub rules: Box<[CompiledRule]>,
}

/// A rule, compiled.
#[derive(Debug)]
pub struct CompiledRule {
    /// In the order in which they run.
    pub filters: Arc<[CompiledFilter]>,
    /// What to do after the filters.
    pub action: Action,
    /// Time limits, if it has any of its own.
    pub timeouts: Option<Arc<ir::Timeouts>>,
    /// When to try again, if the rule decides about that.
    pub retry: Option<Box<ir::Retry>>,
    /// Its requests are of gRPC; those of gRPC-Web are made so.
    pub grpc: bool,
    /// Counts what comes of its requests.
    pub metrics: Arc<telemetry::RouteMetrics>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Action {
    /// One of these by weight.
    Forward {
        /// Choices.
        backends: Box<[Backend]>,
        /// Sum of all weights; 0: answered with 500.
        total_weight: u32,
    },
    /// A filter answers.
    Answer,
    /// A fixed status.
    Status(u16),
}

/// One choice.
#[derive(Debug)]
pub struct Backend {
    /// Sum of the weights up to and including this one: the first with `draw < upto` is chosen.
    pub upto: u32,
    /// Filters for this choice only.
    pub filters: Arc<[CompiledFilter]>,
    /// Where it goes.
    pub target: Target,
    /// How a client is kept at one endpoint.
    pub sessions: Option<Box<Sessions>>,
}

/// A resolved reference.
#[derive(Debug)]
pub enum Target {
    /// Forwarded to one of its endpoints.
    Upstream(Arc<UpstreamCell>),
    /// Answered with this status.
    Broken(u16),
}

impl Target {
    /// The upstream, if it is one.
    pub fn cell(&self) -> Option<&Arc<UpstreamCell>> {
        match self {
            Self::Upstream(cell) => Some(cell),
            Self::Broken(_) => None,
        }
    }
}

impl CompiledRule {
    /// Time limits of its own.
    #[inline]
    pub fn timeouts(&self) -> &ir::Timeouts {
        self.timeouts.as_deref().unwrap_or(&NO_TIMEOUTS)
    }

    /// The backend for a random `draw` below the total weight. None: no backend with a weight.
    pub fn choose(&self, draw: impl FnOnce(u32) -> u32) -> Option<&Backend> {
        let Action::Forward {
            backends,
            total_weight,
        } = &self.action
        else {
            return None;
        };
        match (&**backends, *total_weight) {
            (_, 0) => None,
            ([only], _) => Some(only),
            (several, total) => {
                let draw = draw(total);
                several.iter().find(|backend| draw < backend.upto)
            }
        }
    }
}

const NO_TIMEOUTS: ir::Timeouts = ir::Timeouts {
    request: None,
    backend_request: None,
    tunnel_idle: None,
};
