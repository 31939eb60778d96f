//! HTTPRoute of gateway.networking.k8s.io (v1; v1beta1 has the same shape). Found in [`crate::gateway`].

use crate::meta::{Meta, boxed, list, resource, shared, shared_list};
use crate::session_persistence::SessionPersistence;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// An HTTPRoute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HTTPRoute {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: HttpRouteSpec,
}
resource!(
    HTTPRoute,
    "gateway.networking.k8s.io",
    ["v1", "v1beta1"],
    true,
    HttpRouteSpec::share_with
);

/// `HTTPRoute.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpRouteSpec {
    /// Where to attach.
    #[serde(deserialize_with = "shared_list")]
    pub parent_refs: Arc<Vec<ParentRef>>,
    /// Which default Gateways to attach to besides; unset: none.
    pub use_default_gateways: Option<Box<DefaultScope>>,
    /// Hosts; empty: the listener's.
    #[serde(deserialize_with = "boxed")]
    pub hostnames: Box<[Box<str>]>,
    /// Rules; unset: one that matches everything and has no backend.
    #[serde(deserialize_with = "boxed")]
    pub rules: Box<[HttpRouteRule]>,
}

impl HttpRouteSpec {
    /// Neighbours often attach to the same Gateway, and their rules match or change the same.
    fn share_with(&mut self, other: &Self) {
        if self.parent_refs == other.parent_refs {
            self.parent_refs = Arc::clone(&other.parent_refs);
        }
        for (rule, other) in self.rules.iter_mut().zip(&other.rules) {
            if rule.matches == other.matches {
                rule.matches = Arc::clone(&other.matches);
            }
            if rule.filters == other.filters {
                rule.filters = Arc::clone(&other.filters);
            }
            if rule.backend_refs == other.backend_refs {
                rule.backend_refs = Arc::clone(&other.backend_refs);
            }
        }
    }
}

crate::words! {
    /// `Gateway.spec.defaultScope`, and `spec.useDefaultGateways` of routes (GEP-3793).
    DefaultScope {
        /// Not at all.
        None,
        /// Every route that asks for a default Gateway.
        All,
    } default None
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
    #[serde(deserialize_with = "shared")]
    pub matches: Arc<[HttpRouteMatch]>,
    /// Filters.
    #[serde(deserialize_with = "shared")]
    pub filters: Arc<[HttpRouteFilter]>,
    /// Backends by weight.
    #[serde(deserialize_with = "shared")]
    pub backend_refs: Arc<[HttpBackendRef]>,
    /// Time limits.
    pub timeouts: Option<Box<HttpRouteTimeouts>>,
    /// When and how often a request is sent again.
    pub retry: Option<Box<HttpRouteRetry>>,
    /// How a client is kept at one endpoint.
    pub session_persistence: Option<Box<SessionPersistence>>,
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
    pub filters: Box<[HttpRouteFilter]>,
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
    #[serde(deserialize_with = "boxed")]
    filters: Box<[HttpRouteFilter]>,
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
