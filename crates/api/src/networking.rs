//! networking.k8s.io: Ingress and IngressClass.

use crate::meta::{Meta, list, resource};
use serde::{Deserialize, Serialize};

/// Annotation that named the class before `ingressClassName`.
pub const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
/// Annotation that makes an IngressClass the default.
pub const DEFAULT_CLASS_ANNOTATION: &str = "ingressclass.kubernetes.io/is-default-class";
/// Prefix of ingress-nginx annotations.
pub const NGINX_PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// An Ingress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ingress {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: IngressSpec,
}
resource!(Ingress, "networking.k8s.io", ["v1"], true);

/// `Ingress.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressSpec {
    /// Name of an IngressClass.
    pub ingress_class_name: Option<String>,
    /// Backend for what no rule matches.
    pub default_backend: Option<IngressBackend>,
    /// Rules.
    #[serde(deserialize_with = "list")]
    pub rules: Vec<IngressRule>,
    /// Certificates.
    #[serde(deserialize_with = "list")]
    pub tls: Vec<IngressTls>,
}

/// `Ingress.spec.rules[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    /// Host; unset or empty: every host.
    pub host: Option<String>,
    /// Paths; unset: everything goes to the default backend.
    pub http: Option<HttpIngressRule>,
}

/// `Ingress.spec.rules[].http`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HttpIngressRule {
    /// Paths.
    #[serde(deserialize_with = "list")]
    pub paths: Vec<HttpIngressPath>,
}

/// `Ingress.spec.rules[].http.paths[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpIngressPath {
    /// Path; empty: `/`.
    pub path: Option<String>,
    /// How it is compared.
    pub path_type: Option<PathType>,
    /// Where it goes.
    pub backend: IngressBackend,
}

crate::words! {
    /// `pathType`
    PathType { Exact, Prefix, ImplementationSpecific, } default ImplementationSpecific
}

/// A backend of an Ingress.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressBackend {
    /// A Service in the Ingress's namespace.
    pub service: Option<IngressServiceBackend>,
    /// Some other object.
    pub resource: Option<TypedLocalRef>,
}

/// A Service and one of its ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressServiceBackend {
    /// Name of the Service.
    pub name: String,
    /// Which port.
    pub port: ServiceBackendPort,
}

/// A port by name or number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceBackendPort {
    /// By name.
    pub name: Option<String>,
    /// By number.
    pub number: Option<u16>,
}

/// An object of any kind in the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TypedLocalRef {
    /// API group; unset: core.
    pub api_group: Option<String>,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
}

/// `Ingress.spec.tls[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngressTls {
    /// Hosts that the certificate is for.
    #[serde(deserialize_with = "list")]
    pub hosts: Vec<String>,
    /// Secret of type `kubernetes.io/tls`; unset: the default certificate.
    pub secret_name: Option<String>,
}

/// An IngressClass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressClass {
    /// Metadata.
    pub metadata: Meta,
    /// Which controller.
    pub spec: IngressClassSpec,
}
resource!(IngressClass, "networking.k8s.io", ["v1"], false);

/// `IngressClass.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IngressClassSpec {
    /// `narthex.dev/ingress-controller`
    pub controller: String,
}
