//! What comes out of a translation.

use crate::input::Key;
use api::status::{GatewayClassStatus, GatewayStatus, IngressStatus, ListenerSetStatus, RouteStatus};
use ir::{Diagnostic, List, Origin, Snapshot};
use serde::{Serialize, Serializer};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The answer of [`crate::Translator::translate`].
#[derive(Debug, Clone, Default)]
pub struct Translation {
    /// What the data plane needs.
    pub snapshot: Snapshot,
    /// What Kubernetes should be told, sorted by object. A status that did not change keeps its `Arc`.
    pub statuses: List<ObjectStatus>,
    /// The users' mistakes, sorted by object and field, each one once.
    pub diagnostics: Arc<[Diagnostic]>,
    /// Names of ExternalName Services, to be resolved and handed back in [`crate::Objects::resolved`]. Sorted.
    pub external_names: Vec<String>,
    /// Secrets that something refers to, whether they exist or not.
    pub secrets: Arc<BTreeSet<Key>>,
}

/// The status that an object should have. Serialises as `{kind, namespace, name, status}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectStatus {
    /// The object.
    #[serde(flatten)]
    pub origin: Origin,
    /// `metadata.generation` that the status is about.
    #[serde(skip)]
    pub generation: i64,
    /// The status.
    pub status: Status,
}

/// Status by kind. Only the parts that are ours: the writer merges them with those of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Of a GatewayClass.
    GatewayClass(Box<GatewayClassStatus>),
    /// Of a Gateway.
    Gateway(Box<GatewayStatus>),
    /// Of a ListenerSet.
    ListenerSet(Box<ListenerSetStatus>),
    /// Of an HTTPRoute; the same for many.
    HttpRoute(Arc<RouteStatus>),
    /// Of a TCPRoute, UDPRoute or TLSRoute.
    StreamRoute(Arc<RouteStatus>),
    /// Of an Ingress.
    Ingress(IngressStatus),
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::GatewayClass(status) => status.serialize(serializer),
            Self::Gateway(status) => status.serialize(serializer),
            Self::ListenerSet(status) => status.serialize(serializer),
            Self::HttpRoute(status) | Self::StreamRoute(status) => status.serialize(serializer),
            Self::Ingress(status) => status.serialize(serializer),
        }
    }
}

/// The previous allocation if it says the same.
pub(crate) fn share_with<T: PartialEq>(new: T, previous: Option<&Arc<T>>) -> Arc<T> {
    match previous {
        Some(previous) if **previous == new => Arc::clone(previous),
        _ => Arc::new(new),
    }
}

/// Puts the new status of an object in the place of the old one.
pub(crate) fn move_status(
    statuses: &mut List<ObjectStatus>,
    old: Option<&Arc<ObjectStatus>>,
    new: Option<&Arc<ObjectStatus>>,
) {
    match (old, new) {
        (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {}
        (_, Some(new)) => insert_status(statuses, new),
        (Some(old), None) => remove_status(statuses, old),
        (None, None) => {}
    }
}

/// By kind, then by key: the order of `Origin`.
pub(crate) fn insert_status(statuses: &mut List<ObjectStatus>, status: &Arc<ObjectStatus>) {
    statuses.insert(|other| other.origin.cmp(&status.origin), Arc::clone(status));
}

/// Takes a status out.
pub(crate) fn remove_status(statuses: &mut List<ObjectStatus>, status: &ObjectStatus) {
    statuses.remove(|other| other.origin.cmp(&status.origin));
}
