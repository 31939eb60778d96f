//! One self-signed ECDSA P-256 certificate per run, for every proxy the same.

use crate::peer::HOST;
use crate::process::Scratch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;

/// The certificate and its key, in the forms that proxies read.
pub struct Certificate {
    /// PEM of the certificate.
    pub chain_file: PathBuf,
    /// PEM of the key.
    pub key_file: PathBuf,
    /// PEM of both.
    pub both_file: PathBuf,
    /// As a Secret holds it.
    pub chain_base64: String,
    /// As a Secret holds it.
    pub key_base64: String,
}

impl Certificate {
    /// Makes one and writes it into the folder of the run.
    pub fn new(scratch: &Scratch) -> Result<Self, String> {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()])
            .map_err(|error| format!("certificate: {error}"))?;
        let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        Ok(Self {
            chain_file: scratch.write("certificate.pem", &chain)?,
            key_file: scratch.write("key.pem", &key)?,
            both_file: scratch.write("both.pem", &format!("{chain}{key}"))?,
            chain_base64: STANDARD.encode(&chain),
            key_base64: STANDARD.encode(&key),
        })
    }
}
