//! gateway.networking.k8s.io: GatewayClass, Gateway, HTTPRoute, ReferenceGrant (v1; v1beta1 has the same shape).

use crate::meta::{Meta, list, null_as_default, resource};
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
    /// TLS settings of the whole Gateway (frontend client certificates, backend client certificate): reported, not honoured yet.
    pub tls: Option<Box<serde_json::Value>>,
    /// ListenerSets that may join; unset: none.
    pub allowed_listeners: Option<Box<AllowedListeners>>,
}

/// `Gateway.spec.infrastructure`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Infrastructure {
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

/// An HTTPRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HTTPRoute {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: HttpRouteSpec,
}
resource!(HTTPRoute, "gateway.networking.k8s.io", ["v1", "v1beta1"], true);

/// `HTTPRoute.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    /// Where to attach.
    #[serde(deserialize_with = "list")]
    pub parent_refs: Vec<ParentRef>,
    /// Hosts; empty: the listener's.
    #[serde(deserialize_with = "list")]
    pub hostnames: Vec<Box<str>>,
    /// Rules; unset: one that matches everything and has no backend.
    #[serde(deserialize_with = "list")]
    pub rules: Vec<HttpRouteRule>,
}

/// A reference to a parent, usually a Gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParentRef {
    /// Unset: gateway.networking.k8s.io.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Box<str>>,
    /// Unset: Gateway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<Box<str>>,
    /// Unset: the route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Box<str>>,
    /// Name.
    pub name: Box<str>,
    /// A listener's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<Box<str>>,
    /// A listener's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// `HTTPRoute.spec.rules[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteRule {
    /// Name, unique within the route.
    pub name: Option<Box<str>>,
    /// Any of these; empty: everything.
    #[serde(deserialize_with = "list")]
    pub matches: Vec<HttpRouteMatch>,
    /// Filters.
    #[serde(deserialize_with = "list")]
    pub filters: Vec<HttpRouteFilter>,
    /// Backends by weight.
    #[serde(deserialize_with = "list")]
    pub backend_refs: Vec<HttpBackendRef>,
    /// Time limits.
    pub timeouts: Option<Box<HttpRouteTimeouts>>,
    /// When and how often a request is sent again.
    pub retry: Option<Box<HttpRouteRetry>>,
    /// Reported, not honoured yet.
    pub session_persistence: Option<Box<serde_json::Value>>,
}

/// `HTTPRoute.spec.rules[].timeouts`; durations as GEP-2257 writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteTimeouts {
    /// The whole exchange; `0s`: none.
    pub request: Option<String>,
    /// One try.
    pub backend_request: Option<String>,
}

/// `HTTPRoute.spec.rules[].retry`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteRetry {
    /// Statuses of the backend after which the request is sent again, 400 to 599.
    #[serde(deserialize_with = "list")]
    pub codes: Vec<i64>,
    /// How often, in addition to the first time; unset: once.
    pub attempts: Option<i64>,
    /// Base of the wait before it is sent again, as GEP-2257 writes durations.
    pub backoff: Option<String>,
}

/// `HTTPRoute.spec.rules[].matches[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteMatch {
    /// Unset: prefix `/`.
    pub path: Option<HttpPathMatch>,
    /// All of these.
    #[serde(deserialize_with = "list")]
    pub headers: Vec<HttpValueMatch>,
    /// All of these.
    #[serde(deserialize_with = "list")]
    pub query_params: Vec<HttpValueMatch>,
    /// Method.
    pub method: Option<Box<str>>,
}

/// Condition on the path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpPathMatch {
    /// Unset: PathPrefix.
    #[serde(rename = "type")]
    pub kind: Option<PathMatchType>,
    /// Unset: `/`.
    pub value: Option<Box<str>>,
}

crate::words! {
    /// How a path is compared.
    PathMatchType { Exact, PathPrefix, RegularExpression, } default PathPrefix
}

/// Condition on a header or query parameter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpValueMatch {
    /// Unset: Exact.
    #[serde(rename = "type")]
    pub kind: Option<ValueMatchType>,
    /// Name.
    pub name: Box<str>,
    /// Value.
    pub value: Box<str>,
}

crate::words! {
    /// How a value is compared.
    ValueMatchType { Exact, RegularExpression, } default Exact
}

/// `HTTPRoute.spec.rules[].filters[]`. The field named by `type` must be set, and no other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteFilter {
    /// Which filter.
    #[serde(rename = "type")]
    pub kind: FilterType,
    /// For `RequestHeaderModifier`.
    pub request_header_modifier: Option<Box<HeaderModifier>>,
    /// For `ResponseHeaderModifier`.
    pub response_header_modifier: Option<Box<HeaderModifier>>,
    /// For `RequestMirror`.
    pub request_mirror: Option<Box<RequestMirror>>,
    /// For `RequestRedirect`.
    pub request_redirect: Option<Box<RequestRedirect>>,
    /// For `URLRewrite`.
    pub url_rewrite: Option<Box<UrlRewrite>>,
    /// For `CORS`.
    pub cors: Option<Box<Cors>>,
    /// For `ExtensionRef`.
    pub extension_ref: Option<Box<ExtensionRef>>,
    /// For `ExternalAuth`: refused.
    pub external_auth: Option<Box<serde_json::Value>>,
}

crate::words! {
    /// Type of a filter.
    FilterType {
        RequestHeaderModifier, ResponseHeaderModifier, RequestMirror, RequestRedirect,
        UrlRewrite = "URLRewrite", Cors = "CORS", ExtensionRef, ExternalAuth,
    } default RequestHeaderModifier
}

/// HTTPHeaderFilter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeaderModifier {
    /// Replace.
    #[serde(deserialize_with = "list")]
    pub set: Vec<HttpHeader>,
    /// Add.
    #[serde(deserialize_with = "list")]
    pub add: Vec<HttpHeader>,
    /// Remove.
    #[serde(deserialize_with = "list")]
    pub remove: Vec<String>,
}

/// A header field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpHeader {
    /// Name.
    pub name: Box<str>,
    /// Value.
    pub value: Box<str>,
}

/// HTTPRequestMirrorFilter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestMirror {
    /// Where the copy goes.
    pub backend_ref: BackendRef,
    /// Share in percent.
    pub percent: Option<i32>,
    /// Share as a fraction.
    pub fraction: Option<Fraction>,
}

/// A fraction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Fraction {
    /// How many.
    pub numerator: i32,
    /// Out of how many; unset: 100.
    pub denominator: Option<i32>,
}

/// HTTPRequestRedirectFilter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestRedirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host.
    pub hostname: Option<String>,
    /// Path.
    pub path: Option<PathModifier>,
    /// Port.
    pub port: Option<u16>,
    /// Unset: 302.
    pub status_code: Option<u16>,
}

/// HTTPURLRewriteFilter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UrlRewrite {
    /// Host.
    pub hostname: Option<String>,
    /// Path.
    pub path: Option<PathModifier>,
}

/// HTTPPathModifier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathModifier {
    /// Which of the two.
    #[serde(rename = "type")]
    pub kind: PathModifierType,
    /// For `ReplaceFullPath`.
    pub replace_full_path: Option<String>,
    /// For `ReplacePrefixMatch`.
    pub replace_prefix_match: Option<String>,
}

crate::words! {
    /// How a path is changed.
    PathModifierType { ReplaceFullPath, ReplacePrefixMatch, } default ReplaceFullPath
}

/// HTTPCORSFilter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cors {
    /// Origins.
    #[serde(deserialize_with = "list")]
    pub allow_origins: Vec<String>,
    /// Credentials allowed.
    pub allow_credentials: Option<bool>,
    /// Methods.
    #[serde(deserialize_with = "list")]
    pub allow_methods: Vec<String>,
    /// Request headers.
    #[serde(deserialize_with = "list")]
    pub allow_headers: Vec<String>,
    /// Response headers.
    #[serde(deserialize_with = "list")]
    pub expose_headers: Vec<String>,
    /// Seconds; unset: 5.
    pub max_age: Option<i64>,
}

/// A reference to an object of an implementation's own kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExtensionRef {
    /// API group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// A reference to a backend without weight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendRef {
    /// Unset: core.
    pub group: Option<Box<str>>,
    /// Unset: Service.
    pub kind: Option<Box<str>>,
    /// Name.
    pub name: Box<str>,
    /// Unset: the route's.
    pub namespace: Option<Box<str>>,
    /// Required for Services.
    pub port: Option<u16>,
}

/// `HTTPRoute.spec.rules[].backendRefs[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FlatHttpBackendRef")]
pub struct HttpBackendRef {
    /// The backend.
    #[serde(flatten)]
    pub backend: BackendRef,
    /// Unset: 1.
    pub weight: Option<i32>,
    /// Filters for this backend only.
    pub filters: Vec<HttpRouteFilter>,
}

/// [`HttpBackendRef`] as it stands in YAML. Reading through `flatten` would lose which field an error is about.
#[derive(Default, Deserialize)]
#[serde(default)]
struct FlatHttpBackendRef {
    group: Option<Box<str>>,
    kind: Option<Box<str>>,
    name: Box<str>,
    namespace: Option<Box<str>>,
    port: Option<u16>,
    weight: Option<i32>,
    #[serde(deserialize_with = "list")]
    filters: Vec<HttpRouteFilter>,
}

impl From<FlatHttpBackendRef> for HttpBackendRef {
    fn from(flat: FlatHttpBackendRef) -> Self {
        Self {
            backend: BackendRef {
                group: flat.group,
                kind: flat.kind,
                name: flat.name,
                namespace: flat.namespace,
                port: flat.port,
            },
            weight: flat.weight,
            filters: flat.filters,
        }
    }
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
