//! Certificates with their keys. The key never leaves through `Debug` or `Serialize`.

use crate::Origin;
use serde::{Serialize, Serializer};
use std::fmt;
use std::sync::Arc;

/// Names a certificate within a snapshot: `namespace/secret`, or a word for what is not a Secret (`default`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct CertificateId(pub Arc<str>);

/// A certificate chain and its key, parsed and found to belong together.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Certificate {
    /// Name within the snapshot.
    pub id: CertificateId,
    /// The Secret it came from.
    pub origin: Origin,
    /// DER, leaf first.
    #[serde(serialize_with = "lengths")]
    pub chain: Vec<Vec<u8>>,
    /// PKCS#8, PKCS#1 or SEC1, as DER.
    pub key: PrivateKey,
    /// DNS names and addresses that the leaf is for, lower-case; from subjectAltName, else the common name.
    pub names: Vec<String>,
    /// What the authority says of it, to be shown with it (OCSP, RFC 6960), as DER.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "length")]
    pub staple: Option<Vec<u8>>,
    /// End of validity, seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of the leaf, lower-case hex. Tells two certificates apart in logs.
    pub fingerprint: String,
}

/// DER of a private key, kept out of every print-out.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PrivateKey(pub Vec<u8>);

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(key)")
    }
}

impl Serialize for PrivateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("(key)")
    }
}

fn lengths<S: Serializer>(chain: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(chain.iter().map(|der| format!("{} bytes", der.len())))
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn length<S: Serializer>(staple: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{} bytes", staple.as_ref().map_or(0, Vec::len)))
}
