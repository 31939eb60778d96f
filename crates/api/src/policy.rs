//! gateway.networking.k8s.io: policies, which are attached to other objects.

use crate::meta::{Meta, list, null_as_default, resource};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A BackendTLSPolicy: TLS towards the backends of a Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendTLSPolicy {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: BackendTlsPolicySpec,
}
resource!(
    BackendTLSPolicy,
    "gateway.networking.k8s.io",
    ["v1", "v1alpha3"],
    true
);

/// `BackendTLSPolicy.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTlsPolicySpec {
    /// Services, or ports of them.
    #[serde(deserialize_with = "list")]
    pub target_refs: Vec<PolicyTarget>,
    /// Whom to believe.
    pub validation: BackendTlsValidation,
    /// Options of implementations.
    #[serde(deserialize_with = "null_as_default")]
    pub options: BTreeMap<String, String>,
}

/// An object in the policy's namespace, or a part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyTarget {
    /// Group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Name of a part: of a Service, a port's.
    pub section_name: Option<String>,
}

/// `BackendTLSPolicy.spec.validation`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BackendTlsValidation {
    /// Where certificates of authorities are.
    #[serde(rename = "caCertificateRefs", deserialize_with = "list")]
    pub ca_certificate_refs: Vec<CertificateAuthorityRef>,
    /// `System`: the authorities of the system.
    #[serde(rename = "wellKnownCACertificates")]
    pub well_known_ca_certificates: Option<String>,
    /// Sent as SNI, and what the certificate must be for.
    pub hostname: String,
    /// What it must be for instead.
    #[serde(deserialize_with = "list")]
    pub subject_alt_names: Vec<SubjectAltName>,
}

/// A reference to certificates of authorities (`LocalObjectReference`, `ObjectReference`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CertificateAuthorityRef {
    /// Empty: core.
    pub group: String,
    /// `ConfigMap` or `Secret`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Unset: the referrer's.
    pub namespace: Option<String>,
}

/// `BackendTLSPolicy.spec.validation.subjectAltNames[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubjectAltName {
    /// `Hostname` or `URI`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Set for `Hostname`.
    pub hostname: Option<String>,
    /// Set for `URI`.
    pub uri: Option<String>,
}
