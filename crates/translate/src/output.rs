//! What comes out of a translation.

use crate::input::Key;
use api::core::ServiceType;
use api::status::{
    GatewayClassStatus, GatewayStatus, IngressStatus, ListenerSetStatus, PolicyStatus, RouteStatus,
};
use ir::{Diagnostic, List, Origin, Snapshot};
use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
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
    /// Secrets and ConfigMaps that something refers to, whether they exist or not; and, with an empty name, namespaces of
    /// which the Pods are asked for.
    pub named: Arc<BTreeSet<(Named, Key)>>,
    /// Services that Gateways should have. The same allocation as before if nothing changed.
    pub services: Arc<Services>,
}

/// Services of Gateways, for whoever writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// What should be there, sorted by Gateway. One that is missing here is left as it is.
    pub wanted: Vec<GatewayService>,
    /// Gateways that another controller serves: a Service that we made for one has to go.
    pub elsewhere: BTreeSet<Key>,
}

/// The Service that a Gateway should have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayService {
    /// `Service ns/name`
    pub origin: Origin,
    /// `Gateway ns/name`, in the same namespace.
    pub gateway: Origin,
    /// Its type.
    pub kind: ServiceType,
    /// Labels, those by which it is known to be ours among them.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Ports, sorted.
    pub ports: Vec<MappedPort>,
    /// The address that its load balancer should give it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The address inside the cluster that it should have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_ip: Option<IpAddr>,
    /// Where it leads to; empty: to our own Pods.
    pub endpoints: Vec<IpAddr>,
    /// Ports of the Service that this follows from; `None`: there was no Service. Where it has changed since, the next
    /// translation knows better.
    #[serde(skip)]
    pub before: Option<Vec<MappedPort>>,
}

/// What a port of a Service carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// As Services have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A port of a Service and where it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct MappedPort {
    /// Of transport.
    pub protocol: Protocol,
    /// What clients connect to.
    pub port: u16,
    /// Where we listen.
    pub target: u16,
}

/// Kinds of which only those objects are read that something refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Named {
    /// Secrets.
    Secret,
    /// ConfigMaps.
    ConfigMap,
    /// Pods: all those of a namespace.
    Pod,
}

impl Named {
    /// The kind.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Pod => "Pod",
        }
    }
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
    /// Of a policy.
    Policy(Box<PolicyStatus>),
    /// Of an Ingress.
    Ingress(Box<IngressStatus>),
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::GatewayClass(status) => status.serialize(serializer),
            Self::Gateway(status) => status.serialize(serializer),
            Self::ListenerSet(status) => status.serialize(serializer),
            Self::HttpRoute(status) | Self::StreamRoute(status) => status.serialize(serializer),
            Self::Policy(status) => status.serialize(serializer),
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
