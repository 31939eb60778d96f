//! Objects that have listeners: Gateways and ListenerSets.

use crate::input::Key;
use crate::scope::Scope;
use api::Resource;
use api::gateway::{Gateway, Listener};
use api::listener_set::ListenerSet;
use ir::Origin;
use std::fmt;

/// An object that has listeners.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// A Gateway.
    Gateway(Key),
    /// A ListenerSet.
    ListenerSet(Key),
}

/// A listener, by where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The object.
    pub holder: Holder,
    /// Position in its spec.
    pub index: usize,
}

impl Holder {
    /// `Gateway` or `ListenerSet`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gateway(_) => Gateway::KIND,
            Self::ListenerSet(_) => ListenerSet::KIND,
        }
    }

    /// Namespace and name.
    pub fn key(&self) -> &Key {
        let (Self::Gateway(key) | Self::ListenerSet(key)) = self;
        key
    }

    /// As a place that findings point at.
    pub fn origin(&self) -> Origin {
        self.key().origin(self.kind())
    }

    /// One of its listeners.
    pub fn place(&self, index: usize) -> Place {
        Place {
            holder: self.clone(),
            index,
        }
    }
}

/// `Gateway shop/front`
impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.key())
    }
}

impl Place {
    /// The listener as it stands in the spec.
    pub fn listener<'a>(&self, scope: &mut Scope<'a>) -> Option<&'a Listener> {
        let listeners = match &self.holder {
            Holder::Gateway(key) => &scope.gateway(key)?.spec.listeners,
            Holder::ListenerSet(key) => &scope.listener_set(key)?.spec.listeners,
        };
        listeners.get(self.index)
    }
}
