//! gateway.networking.x-k8s.io: XBackend (GEP-4894), a destination and how to connect to it, and XBackendTrafficPolicy (GEP-3388).

use crate::gateway::{SecretRef, SessionPersistence};
use crate::meta::{Meta, list, resource};
use crate::policy::{BackendTlsValidation, PolicyTarget};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The group of what Gateway API tries out.
pub const EXPERIMENTAL_GROUP: &str = "gateway.networking.x-k8s.io";

/// An XBackend.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XBackend {
    /// Metadata.
    pub metadata: Meta,
    /// What it stands for.
    pub spec: XBackendSpec,
}
resource!(XBackend, "gateway.networking.x-k8s.io", ["v1alpha1"], true);

crate::words! {
    /// `XBackend.spec.type`
    XBackendType {
        /// A name of DNS.
        ExternalHostname,
        /// Pods, by their labels.
        EndpointSelector,
    } default ExternalHostname
}

crate::words! {
    /// `XBackend.spec.protocol`
    XBackendProtocol {
        /// HTTP of whatever version.
        Http = "HTTP",
        /// HTTP/1.1.
        Http11 = "HTTP11",
        /// HTTP/2 over TLS.
        Http2 = "HTTP2",
        /// HTTP/2 without.
        H2c = "H2C",
        /// gRPC.
        Grpc = "GRPC",
        /// The Model Context Protocol: JSON-RPC over HTTP.
        Mcp = "MCP",
        /// Bytes.
        Tcp = "TCP",
        /// WebSocket over TLS.
        Wss = "WSS",
    } default Http
}

crate::words! {
    /// `XBackend.spec.tls.mode`
    XBackendTlsMode {
        /// No TLS.
        None,
        /// The endpoint shows a certificate.
        ServerOnly,
        /// Both do.
        ClientAndServer,
    } default None
}

/// `XBackend.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct XBackendSpec {
    /// What kind of destination it is.
    #[serde(rename = "type")]
    pub kind: XBackendType,
    /// Where to connect to.
    pub port: XBackendPort,
    /// For `ExternalHostname`.
    pub external_hostname: Option<ExternalHostname>,
    /// For `EndpointSelector`.
    pub endpoint_selector: Option<EndpointSelector>,
    /// How a client is kept at one endpoint.
    pub session_persistence: Option<Box<SessionPersistence>>,
    /// What is spoken there; unset: what the route says.
    pub protocol: Option<XBackendProtocol>,
    /// TLS.
    pub tls: Option<Box<XBackendTls>>,
}

/// `XBackend.spec.port`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XBackendPort {
    /// Its number.
    pub number: Option<u16>,
}

/// `XBackend.spec.externalHostname`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalHostname {
    /// The name.
    pub hostname: String,
}

/// `XBackend.spec.endpointSelector`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSelector {
    /// Labels that a Pod must have, all of them.
    pub match_labels: BTreeMap<String, String>,
}

/// `XBackend.spec.tls`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct XBackendTls {
    /// Who shows a certificate.
    pub mode: XBackendTlsMode,
    /// The Secret with ours.
    pub client_certificate_ref: Option<SecretRef>,
    /// Whom to believe.
    pub validation: Option<BackendTlsValidation>,
}

/// An XBackendTrafficPolicy: how much is sent again to a backend, and how clients are kept there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XBackendTrafficPolicy {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: XBackendTrafficPolicySpec,
}
resource!(
    XBackendTrafficPolicy,
    "gateway.networking.x-k8s.io",
    ["v1alpha1"],
    true
);

/// `XBackendTrafficPolicy.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct XBackendTrafficPolicySpec {
    /// Services and XBackends of its namespace.
    #[serde(deserialize_with = "list")]
    pub target_refs: Vec<PolicyTarget>,
    /// How much may be sent again.
    pub retry_constraint: Option<RetryConstraint>,
    /// How a client is kept at one endpoint.
    pub session_persistence: Option<Box<SessionPersistence>>,
}

/// `XBackendTrafficPolicy.spec.retryConstraint`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RetryConstraint {
    /// By share; unset: 20 % of ten seconds.
    pub budget: Option<BudgetDetails>,
    /// By rate, whatever the share; unset: 10 in a second.
    pub min_retry_rate: Option<RequestRate>,
}

/// `XBackendTrafficPolicy.spec.retryConstraint.budget`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BudgetDetails {
    /// Unset: 20.
    pub percent: Option<i64>,
    /// Unset: `10s`.
    pub interval: Option<String>,
}

/// `XBackendTrafficPolicy.spec.retryConstraint.minRetryRate`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RequestRate {
    /// How many.
    pub count: Option<i64>,
    /// In how long.
    pub interval: Option<String>,
}
