//! TLS towards upstreams, and what is asked of clients.

use crate::{Certificate, Origin};
use serde::{Serialize, Serializer};
use std::fmt;
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
    /// What is shown to endpoints that ask who we are; unset: what the Gateway has for that.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "id")]
    pub identity: Option<Arc<Certificate>>,
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn id<S: Serializer>(identity: &Option<Arc<Certificate>>, serializer: S) -> Result<S::Ok, S::Error> {
    identity
        .as_ref()
        .map(|certificate| &certificate.id)
        .serialize(serializer)
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
    /// What they took back since: lists of revoked certificates as DER.
    #[serde(skip_serializing_if = "<[_]>::is_empty", serialize_with = "lengths")]
    pub revoked: Arc<[Vec<u8>]>,
    /// Those without a certificate, or with one that nobody vouches for, are let in too.
    pub insecure_fallback: bool,
}

/// Which versions of TLS, and which ciphers, clients may use. Named after Mozilla's "Server Side TLS", whose middle and upper
/// level these are; there is no lower one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum TlsPolicy {
    /// TLS 1.2 with forward secrecy and authenticated ciphers, and TLS 1.3.
    #[default]
    Intermediate,
    /// TLS 1.3 alone.
    Modern,
}

impl TlsPolicy {
    /// What it is called in flags and options.
    pub const NAMES: [(&str, Self); 2] = [("intermediate", Self::Intermediate), ("modern", Self::Modern)];

    /// The one with this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::NAMES.into_iter();
        all.find_map(|(known, policy)| (known == name).then_some(policy))
    }

    /// Whether it is what nobody has to ask for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What keys of session tickets are derived from, so that replicas read each other's. Kept out of every print-out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TicketSecret {
    /// For tickets that are given.
    pub current: Vec<u8>,
    /// Tickets from before the secret was changed are still read.
    pub previous: Option<Vec<u8>>,
}

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Serialize for TicketSecret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(secret)")
    }
}
