//! TCPRoute, UDPRoute and TLSRoute of gateway.networking.k8s.io (v1; the alpha versions before it have the same shape).
//! Found in [`crate::gateway`].

use crate::http_route::{BackendRef, DefaultScope, ParentRef};
use crate::meta::{Meta, list, resource};
use serde::{Deserialize, Serialize};

/// A TCPRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TCPRoute {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: StreamRouteSpec,
}
resource!(TCPRoute, "gateway.networking.k8s.io", ["v1", "v1alpha2"], true);

/// A UDPRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UDPRoute {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: StreamRouteSpec,
}
resource!(UDPRoute, "gateway.networking.k8s.io", ["v1", "v1alpha2"], true);

/// A TLSRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TLSRoute {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: TlsRouteSpec,
}
resource!(
    TLSRoute,
    "gateway.networking.k8s.io",
    ["v1", "v1alpha3", "v1alpha2"],
    true
);

/// `TCPRoute.spec` and `UDPRoute.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamRouteSpec {
    /// Where to attach.
    #[serde(deserialize_with = "list")]
    pub parent_refs: Vec<ParentRef>,
    /// Which default Gateways to attach to besides; unset: none.
    pub use_default_gateways: Option<DefaultScope>,
    /// One rule since v1.
    #[serde(deserialize_with = "list")]
    pub rules: Vec<StreamRouteRule>,
}

/// `TLSRoute.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TlsRouteSpec {
    /// Where to attach.
    #[serde(deserialize_with = "list")]
    pub parent_refs: Vec<ParentRef>,
    /// Which default Gateways to attach to besides; unset: none.
    pub use_default_gateways: Option<DefaultScope>,
    /// Names that clients send as SNI; required since v1, every name before.
    #[serde(deserialize_with = "list")]
    pub hostnames: Vec<Box<str>>,
    /// One rule since v1.
    #[serde(deserialize_with = "list")]
    pub rules: Vec<StreamRouteRule>,
}

/// `spec.rules[]` of a TCPRoute, UDPRoute or TLSRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamRouteRule {
    /// Name, unique within the route.
    pub name: Option<Box<str>>,
    /// Backends by weight.
    #[serde(deserialize_with = "list")]
    pub backend_refs: Vec<WeightedBackendRef>,
}

/// `spec.rules[].backendRefs[]` of a TCPRoute, UDPRoute or TLSRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FlatWeightedBackendRef")]
pub struct WeightedBackendRef {
    /// The backend.
    #[serde(flatten)]
    pub backend: BackendRef,
    /// Unset: 1.
    pub weight: Option<i32>,
}

/// [`WeightedBackendRef`] as it stands in YAML, so that an error tells which field it is about.
#[derive(Default, Deserialize)]
#[serde(default)]
struct FlatWeightedBackendRef {
    group: Option<Box<str>>,
    kind: Option<Box<str>>,
    name: Box<str>,
    namespace: Option<Box<str>>,
    port: Option<u16>,
    weight: Option<i32>,
}

impl From<FlatWeightedBackendRef> for WeightedBackendRef {
    fn from(flat: FlatWeightedBackendRef) -> Self {
        Self {
            backend: BackendRef {
                group: flat.group,
                kind: flat.kind,
                name: flat.name,
                namespace: flat.namespace,
                port: flat.port,
            },
            weight: flat.weight,
        }
    }
}
