//! The compiled snapshot that workers serve by. Private form of [`ir::Snapshot`]: never printed, never sent.

mod build;
mod filters;
mod rule;

pub use build::{Builder, Built};
pub use rule::{Action, Backend, CompiledRoute, CompiledRule, Target};

use crate::connection::SocketSlot;
use crate::l4::{CompiledStream, Streams};
use crate::tls::TlsBind;
use crate::upstream::UpstreamCell;
use router::{Answer, Head};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;

/// Everything that an exchange looks up. Immutable; parts are shared with the plans before and after it.
#[derive(Debug, Default)]
pub struct Plan {
    /// Counts published snapshots.
    pub generation: u64,
    /// Settings of the downstream side.
    pub http: Arc<ir::HttpSettings>,
    sockets: Vec<Option<Arc<PlanSocket>>>,
    udp: Vec<Arc<PlanUdp>>,
    upstreams: ir::List<UpstreamCell>,
}

/// What answers on one bind.
pub struct PlanSocket {
    /// Its name in every plan.
    pub slot: SocketSlot,
    /// The bind it was made from.
    pub bind: Arc<ir::Bind>,
    /// Its listeners.
    pub router: router::Socket<Arc<CompiledRoute>>,
    /// By listener; empty if none has any.
    pub identities: Box<[Option<Arc<CertifiedKey>>]>,
    /// Set where TLS ends here.
    pub tls: Option<Arc<TlsBind>>,
    /// Its stream listeners, if it has any.
    pub streams: Option<Arc<Streams>>,
}

/// What answers on one UDP bind.
pub struct PlanUdp {
    /// The bind it was made from.
    pub bind: Arc<ir::UdpBind>,
    /// Its listener's routes.
    pub routes: router::StreamRoutes<Arc<CompiledStream>>,
}

/// A request's rule.
#[derive(Debug, Clone, Copy)]
pub struct Found<'p> {
    /// What the rule says.
    pub rule: &'p CompiledRule,
    /// The rule as the snapshot has it, with its origin.
    pub source: &'p ir::Rule,
    /// The conditions that held.
    pub matched: &'p ir::Match,
    /// The listener that it answers on.
    pub listener: &'p Arc<ir::Listener>,
    /// Who that listener's Gateway is to upstreams that ask.
    pub identity: Option<&'p Arc<CertifiedKey>>,
}

impl Plan {
    /// What answers on connections of `slot`. None: the bind is gone, its connections should close.
    pub fn socket(&self, slot: SocketSlot) -> Option<&Arc<PlanSocket>> {
        self.sockets.get(slot.0 as usize)?.as_ref()
    }

    /// Everything that answers.
    pub fn sockets(&self) -> impl Iterator<Item = &Arc<PlanSocket>> {
        self.sockets.iter().flatten()
    }

    /// Everything that answers on UDP.
    pub fn udp(&self) -> &[Arc<PlanUdp>] {
        &self.udp
    }

    /// The cells of the snapshot's upstreams, in order of id.
    pub fn upstreams(&self) -> Vec<Arc<UpstreamCell>> {
        self.upstreams.iter().cloned().collect()
    }
}

impl PlanSocket {
    /// The rule for a request. Allocates nothing.
    pub fn find(&self, head: &Head<'_>) -> Option<Found<'_>> {
        let Answer { listener, found } = self.router.find(head)?;
        let index = found.rule as usize;
        let source = &found.route.rules[index];
        Some(Found {
            rule: &found.compiled.rules[index],
            source,
            matched: &source.matches[found.matched as usize],
            listener: &self.bind.listeners[listener],
            identity: self.identities.get(listener).and_then(Option::as_ref),
        })
    }
}

impl fmt::Debug for PlanUdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanUdp")
            .field("address", &self.bind.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for PlanSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanSocket")
            .field("slot", &self.slot)
            .field("address", &self.bind.address)
            .finish_non_exhaustive()
    }
}
