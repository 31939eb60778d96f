//! gateway.networking.k8s.io: ListenerSet, listeners that join a Gateway from objects of their own.

use crate::gateway::Listener;
use crate::meta::{Meta, list, resource};
use serde::{Deserialize, Serialize};

/// A ListenerSet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerSet {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: ListenerSetSpec,
}
resource!(ListenerSet, "gateway.networking.k8s.io", ["v1"], true);

/// `ListenerSet.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerSetSpec {
    /// The Gateway to join.
    pub parent_ref: ParentGateway,
    /// Listeners.
    #[serde(deserialize_with = "list")]
    pub listeners: Vec<Listener>,
}

/// `ListenerSet.spec.parentRef`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ParentGateway {
    /// Unset: gateway.networking.k8s.io.
    pub group: Option<String>,
    /// Unset: Gateway.
    pub kind: Option<String>,
    /// Unset: the ListenerSet's.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}
