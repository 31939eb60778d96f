//! TLS towards upstreams.

use crate::Origin;
use serde::{Serialize, Serializer};
use std::sync::Arc;

/// How TLS is spoken to an upstream's endpoints, and whom to believe there (BackendTLSPolicy).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UpstreamTls {
    /// `BackendTLSPolicy ns/name`
    pub origin: Origin,
    /// Sent as SNI; what the certificate must be for, unless `alt_names` says otherwise. Lower-case.
    pub hostname: String,
    /// One of these must be in the certificate; empty: the hostname.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alt_names: Vec<AltName>,
    /// Who may have signed it.
    pub trust: Trust,
}

/// A name in a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum AltName {
    /// A host.
    Dns(String),
    /// A URI, compared byte for byte (SPIFFE IDs).
    Uri(String),
}

/// Authorities that are believed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Trust {
    /// Those of the system.
    System,
    /// These: certificates as DER.
    Roots(#[serde(serialize_with = "lengths")] Arc<[Vec<u8>]>),
}

fn lengths<S: Serializer>(roots: &Arc<[Vec<u8>]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(roots.iter().map(|der| format!("{} bytes", der.len())))
}

/// Which clients are let in, by their certificates (`Gateway.spec.tls.frontend`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClientValidation {
    /// `Gateway ns/name`
    pub origin: Origin,
    /// Who may have signed theirs: certificates as DER.
    #[serde(serialize_with = "lengths")]
    pub roots: Arc<[Vec<u8>]>,
    /// Those without a certificate, or with one that nobody vouches for, are let in too.
    pub insecure_fallback: bool,
}
