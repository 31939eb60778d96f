//! gateway.networking.k8s.io: GatewayClass, Gateway, HTTPRoute, TCPRoute, UDPRoute, TLSRoute, ReferenceGrant (v1; v1beta1 has the same shape).

pub use crate::grpc_route::{GRPCRoute, GrpcMethodMatch, GrpcRouteMatch, GrpcRouteRule, GrpcRouteSpec};
pub use crate::http_route::*;
use crate::meta::{Meta, list, null_as_default, resource};
use crate::policy::CertificateAuthorityRef;
pub use crate::session_persistence::*;
pub use crate::stream_route::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// API group of all kinds here.
pub const GROUP: &str = "gateway.networking.k8s.io";

/// A GatewayClass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayClass {
    /// Metadata.
    pub metadata: Meta,
    /// Which controller.
    pub spec: GatewayClassSpec,
}
resource!(
    GatewayClass,
    "gateway.networking.k8s.io",
    ["v1", "v1beta1"],
    false
);

/// `GatewayClass.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayClassSpec {
    /// `narthex.dev/gateway-controller`
    pub controller_name: String,
    /// Settings of the class.
    pub parameters_ref: Option<ParametersRef>,
}

/// A reference to settings of the implementation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ParametersRef {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Namespace (GatewayClass only).
    pub namespace: Option<String>,
}

/// A Gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gateway {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: GatewaySpec,
    /// What it got before.
    #[serde(deserialize_with = "null_as_default")]
    pub status: GatewayBefore,
}
resource!(Gateway, "gateway.networking.k8s.io", ["v1", "v1beta1"], true);

/// `Gateway.status`, as far as it decides about the next one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayBefore {
    /// Addresses; the Gateway keeps them if it may.
    #[serde(deserialize_with = "list")]
    pub addresses: Vec<GatewayAddress>,
}

/// `Gateway.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// Name of a GatewayClass.
    pub gateway_class_name: String,
    /// Listeners.
    #[serde(deserialize_with = "list")]
    pub listeners: Vec<Listener>,
    /// Addresses asked for.
    #[serde(deserialize_with = "list")]
    pub addresses: Vec<GatewayAddress>,
    /// Infrastructure settings.
    pub infrastructure: Option<Infrastructure>,
    /// TLS settings of the whole Gateway.
    pub tls: Option<Box<GatewayTls>>,
    /// ListenerSets that may join; unset: none.
    pub allowed_listeners: Option<Box<AllowedListeners>>,
    /// Routes that it takes although they don't name it; unset: none.
    pub default_scope: Option<DefaultScope>,
}

impl Gateway {
    /// Whether it takes routes that ask for a default Gateway.
    pub fn is_default(&self) -> bool {
        self.spec.default_scope == Some(DefaultScope::All)
    }
}

/// `Gateway.spec.tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayTls {
    /// Towards backends.
    pub backend: Option<GatewayBackendTls>,
    /// Towards clients.
    pub frontend: Option<FrontendTls>,
}

/// `Gateway.spec.tls.backend`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayBackendTls {
    /// Shown to backends that ask who we are.
    pub client_certificate_ref: Option<SecretRef>,
}

/// `Gateway.spec.tls.frontend`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FrontendTls {
    /// For all ports that have none of their own.
    pub default: Option<FrontendTlsConfig>,
    /// For single ports.
    #[serde(deserialize_with = "list")]
    pub per_port: Vec<FrontendTlsPort>,
}

/// `Gateway.spec.tls.frontend.perPort[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendTlsPort {
    /// The port.
    pub port: u16,
    /// Its settings.
    pub tls: FrontendTlsConfig,
}

/// Settings towards clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendTlsConfig {
    /// Which clients are let in.
    pub validation: Option<FrontendValidation>,
}

/// Which clients are let in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FrontendValidation {
    /// Where certificates of authorities are.
    #[serde(rename = "caCertificateRefs", deserialize_with = "list")]
    pub ca_certificate_refs: Vec<CertificateAuthorityRef>,
    /// `AllowValidOnly` or `AllowInsecureFallback`.
    pub mode: Option<String>,
}

/// `Gateway.spec.infrastructure`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Infrastructure {
    /// Labels of what is made for the Gateway.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
    /// Annotations of what is made for the Gateway.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: BTreeMap<String, String>,
    /// Settings of the Gateway.
    pub parameters_ref: Option<ParametersRef>,
}

/// `Gateway.spec.addresses[]` and `Gateway.status.addresses[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayAddress {
    /// `IPAddress` or `Hostname`.
    #[serde(rename = "type")]
    pub kind: AddressType,
    /// Empty: any.
    pub value: String,
    /// From where it is reached (v1.7): empty, `Cluster`, or a word with a domain in front.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routability: Option<Box<str>>,
}

crate::words! {
    /// Type of an address.
    AddressType { IPAddress, Hostname, NamedAddress, } default IPAddress
}

/// `Gateway.spec.listeners[]` and `ListenerSet.spec.listeners[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Listener {
    /// Name within the Gateway or ListenerSet.
    pub name: String,
    /// Unset or empty: every host.
    pub hostname: Option<String>,
    /// Port.
    pub port: u16,
    /// `HTTP`, `HTTPS`, `TLS`, `TCP`, `UDP`.
    pub protocol: Protocol,
    /// TLS settings.
    pub tls: Option<ListenerTls>,
    /// Who may attach.
    pub allowed_routes: Option<AllowedRoutes>,
    /// What happens to each request before a route is looked for: not honoured yet, so the listener is refused.
    pub filters: Option<Box<ListenerFilters>>,
}

/// `Gateway.spec.listeners[].filters`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerFilters {
    /// Filters of requests.
    #[serde(deserialize_with = "list")]
    pub requests: Vec<serde_json::Value>,
}

crate::words! {
    /// Protocol of a listener.
    Protocol { Http = "HTTP", Https = "HTTPS", Tls = "TLS", Tcp = "TCP", Udp = "UDP", } default Http
}

/// `Gateway.spec.listeners[].tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListenerTls {
    /// `Terminate` or `Passthrough`; unset: Terminate.
    pub mode: Option<TlsMode>,
    /// Secrets.
    #[serde(deserialize_with = "list")]
    pub certificate_refs: Vec<SecretRef>,
    /// Options of implementations.
    #[serde(deserialize_with = "null_as_default")]
    pub options: BTreeMap<String, String>,
}

crate::words! {
    /// What happens to TLS.
    TlsMode { Terminate, Passthrough, } default Terminate
}

/// A reference to a Secret (`SecretObjectReference`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecretRef {
    /// Unset: core.
    pub group: Option<String>,
    /// Unset: `Secret`.
    pub kind: Option<String>,
    /// Name.
    pub name: String,
    /// Unset: the referrer's.
    pub namespace: Option<String>,
}

/// `Gateway.spec.listeners[].allowedRoutes`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowedRoutes {
    /// From which namespaces.
    pub namespaces: Option<AdmittedNamespaces>,
    /// Which kinds; empty: all that fit the protocol.
    #[serde(deserialize_with = "list")]
    pub kinds: Vec<RouteGroupKind>,
}

/// `Gateway.spec.allowedListeners`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllowedListeners {
    /// From which namespaces; unset: none.
    pub namespaces: Option<AdmittedNamespaces>,
}

/// Namespaces from which routes may attach, or ListenerSets may join.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdmittedNamespaces {
    /// Unset: Same for routes, None for ListenerSets.
    pub from: Option<FromNamespaces>,
    /// For `Selector`.
    pub selector: Option<LabelSelector>,
}

crate::words! {
    /// `allowedRoutes.namespaces.from` and `allowedListeners.namespaces.from`
    FromNamespaces { All, Selector, Same, None, } default Same
}

/// A label selector (`metav1.LabelSelector`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LabelSelector {
    /// All of these labels.
    #[serde(deserialize_with = "null_as_default")]
    pub match_labels: BTreeMap<String, String>,
    /// All of these conditions.
    #[serde(deserialize_with = "list")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// A condition on a label.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LabelRequirement {
    /// Label.
    pub key: String,
    /// Comparison.
    pub operator: LabelOperator,
    /// For `In` and `NotIn`.
    #[serde(deserialize_with = "list")]
    pub values: Vec<String>,
}

crate::words! {
    /// Comparison of a label.
    LabelOperator { In, NotIn, Exists, DoesNotExist, } default In
}

/// A kind of route.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteGroupKind {
    /// Unset: gateway.networking.k8s.io.
    pub group: Option<String>,
    /// Kind.
    pub kind: String,
}

/// A ReferenceGrant.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceGrant {
    /// Metadata.
    pub metadata: Meta,
    /// What it allows.
    pub spec: ReferenceGrantSpec,
}
resource!(
    ReferenceGrant,
    "gateway.networking.k8s.io",
    ["v1", "v1beta1", "v1alpha2"],
    true
);

/// `ReferenceGrant.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceGrantSpec {
    /// Who may refer.
    #[serde(deserialize_with = "list")]
    pub from: Vec<GrantFrom>,
    /// To what, in the grant's namespace.
    #[serde(deserialize_with = "list")]
    pub to: Vec<GrantTo>,
}

/// Who may refer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantFrom {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
}

/// What may be referred to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GrantTo {
    /// API group; empty: core.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Unset: every object of the kind.
    pub name: Option<String>,
}
