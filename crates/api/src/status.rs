//! Status of the objects that Narthex writes about, as the API servers take it.

use crate::gateway::{GatewayAddress, ParentRef, RouteGroupKind};
use serde::{Deserialize, Serialize};

/// A condition (`metav1.Condition`). The time of its last change is the writer's business, not the translation's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// `Accepted`, `Programmed`, `ResolvedRefs`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: ConditionStatus,
    /// CamelCase word.
    pub reason: String,
    /// Sentence for people.
    pub message: String,
    /// `metadata.generation` of the object that the condition is about.
    pub observed_generation: i64,
}

/// State of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ConditionStatus {
    /// Holds.
    True,
    /// Does not hold.
    False,
    /// Not known.
    Unknown,
}

/// `GatewayClass.status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayClassStatus {
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// Sorted by name.
    pub supported_features: Vec<SupportedFeature>,
}

/// A feature of Gateway API that is supported.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SupportedFeature {
    /// Name as in `pkg/features` of Gateway API.
    pub name: String,
}

/// `Gateway.status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// Addresses in use.
    pub addresses: Vec<GatewayAddress>,
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// One per listener, in the order of the spec.
    pub listeners: Vec<ListenerStatus>,
    /// Accepted ListenerSets; unset where none may join.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attached_listener_sets: Option<i32>,
}

/// `ListenerSet.status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerSetStatus {
    /// Conditions.
    pub conditions: Vec<Condition>,
    /// One per listener, in the order of the spec.
    pub listeners: Vec<ListenerStatus>,
}

/// `Gateway.status.listeners[]` and `ListenerSet.status.listeners[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerStatus {
    /// Name of the listener.
    pub name: String,
    /// Kinds of routes that it serves.
    pub supported_kinds: Vec<RouteGroupKind>,
    /// Accepted routes.
    pub attached_routes: i32,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// `status` of any route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteStatus {
    /// One per parentRef that refers to a Gateway of ours, or to a ListenerSet that belongs to one.
    pub parents: Vec<RouteParentStatus>,
}

/// `status.parents[]` of a route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RouteParentStatus {
    /// As in the spec.
    pub parent_ref: ParentRef,
    /// Ours.
    pub controller_name: String,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// `status` of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyStatus {
    /// One per Gateway of ours that the policy has an effect on.
    pub ancestors: Vec<PolicyAncestorStatus>,
}

/// `status.ancestors[]` of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyAncestorStatus {
    /// The Gateway.
    pub ancestor_ref: ParentRef,
    /// Ours.
    pub controller_name: String,
    /// Conditions.
    pub conditions: Vec<Condition>,
}

/// `Ingress.status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressStatus {
    /// Where the Ingress can be reached.
    pub load_balancer: LoadBalancerStatus,
}

/// `Ingress.status.loadBalancer`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancerStatus {
    /// Addresses.
    pub ingress: Vec<LoadBalancerIngress>,
}

/// An address of a load balancer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadBalancerIngress {
    /// By number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// By name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}
