//! GRPCRoute of gateway.networking.k8s.io. Found in [`crate::gateway`].

use crate::gateway::{
    DefaultScope, HttpBackendRef, HttpRouteFilter, HttpValueMatch, ParentRef, ValueMatchType,
};
use crate::meta::{Meta, list, resource};
use crate::session_persistence::SessionPersistence;
use serde::{Deserialize, Serialize};

/// A GRPCRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GRPCRoute {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: GrpcRouteSpec,
}
resource!(GRPCRoute, "gateway.networking.k8s.io", ["v1"], true);

/// `GRPCRoute.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteSpec {
    /// Where to attach.
    #[serde(deserialize_with = "list")]
    pub parent_refs: Vec<ParentRef>,
    /// Which default Gateways to attach to besides; unset: none.
    pub use_default_gateways: Option<DefaultScope>,
    /// Hosts; empty: the listener's.
    #[serde(deserialize_with = "list")]
    pub hostnames: Vec<Box<str>>,
    /// Rules; unset: one that matches everything and has no backend.
    #[serde(deserialize_with = "list")]
    pub rules: Vec<GrpcRouteRule>,
}

/// `GRPCRoute.spec.rules[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteRule {
    /// Name, unique within the route.
    pub name: Option<Box<str>>,
    /// Any of these; empty: everything.
    #[serde(deserialize_with = "list")]
    pub matches: Vec<GrpcRouteMatch>,
    /// Filters: those of an HTTPRoute that are for gRPC too.
    #[serde(deserialize_with = "list")]
    pub filters: Vec<HttpRouteFilter>,
    /// Backends by weight.
    #[serde(deserialize_with = "list")]
    pub backend_refs: Vec<HttpBackendRef>,
    /// How a client is kept at one endpoint.
    pub session_persistence: Option<Box<SessionPersistence>>,
}

/// `GRPCRoute.spec.rules[].matches[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrpcRouteMatch {
    /// Unset: every method of every service.
    pub method: Option<GrpcMethodMatch>,
    /// All of these.
    #[serde(deserialize_with = "list")]
    pub headers: Vec<HttpValueMatch>,
}

/// `GRPCRoute.spec.rules[].matches[].method`. At least one of the two is there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrpcMethodMatch {
    /// Unset: Exact.
    #[serde(rename = "type")]
    pub kind: Option<ValueMatchType>,
    /// `package.Service`; unset or empty: any.
    pub service: Option<Box<str>>,
    /// Name of the method; unset or empty: any.
    pub method: Option<Box<str>>,
}
