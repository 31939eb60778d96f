//! PEM of a Secret to a certificate chain and its key, found to belong together. Every refusal has its reason.

use super::{FIELD_CERTIFICATE, FIELD_KEY};
use crate::input::Key;
use api::core::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ir::{Certificate, CertificateId, PrivateKey};
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_PKCS1_RSAENCRYPTION;
use x509_parser::prelude::FromDer;

/// A certificate, and what is said of it besides.
#[derive(Debug)]
pub(super) struct Parsed {
    pub certificate: Certificate,
    /// Begin of validity, seconds since 1970.
    pub not_before: i64,
    /// Something odd that was mended.
    pub note: Option<String>,
    /// Why what stands where an OCSP response should be is not shown.
    pub unusable_staple: Option<&'static str>,
}

/// Why a Secret gives no certificate.
#[derive(Debug)]
pub(super) struct Wrong {
    pub field: &'static str,
    pub reason: String,
    pub hint: Option<&'static str>,
}

/// The certificate of a Secret of type `kubernetes.io/tls`, or of any Secret with the same two entries.
pub(super) fn certificate(key: &Key, secret: &Secret) -> Result<Parsed, Wrong> {
    let mut chain = read_chain(entry(secret, "tls.crt", FIELD_CERTIFICATE)?)?;
    let private = read_key(entry(secret, "tls.key", FIELD_KEY)?)?;
    let signer = any_supported_type(&private)
        .map_err(|error| wrong(FIELD_KEY, format!("tls.key can't be used: {}", clause(&error))))?;
    let public = signer
        .public_key()
        .ok_or_else(|| wrong(FIELD_KEY, "tls.key is of a kind that can't be used"))?;
    let leaf = leaf_position(&chain, public.as_ref())?;
    let note = (leaf > 0).then(|| {
        format!(
            "tls.crt does not begin with the certificate of the key, which is number {} in it; it is sent first all the same",
            leaf + 1
        )
    });
    chain[..=leaf].rotate_right(1);
    let parsed = x509(&chain[0], 1)?;
    let validity = parsed.validity();
    let (staple, unusable_staple) = match secret.data.get(STAPLE).map(|value| staple(value)) {
        None => (None, None),
        Some(Ok(staple)) => (Some(staple), None),
        Some(Err(reason)) => (None, Some(reason)),
    };
    let certificate = Certificate {
        id: CertificateId(key.to_string().into()),
        origin: key.origin("Secret"),
        names: names(&parsed),
        not_after: validity.not_after.timestamp(),
        fingerprint: fingerprint(&chain[0]),
        key: PrivateKey(private.secret_der().to_vec()),
        chain: Vec::new(),
        staple,
    };
    let not_before = validity.not_before.timestamp();
    Ok(Parsed {
        certificate: Certificate {
            chain: chain.into_iter().map(|der| der.to_vec()).collect(),
            ..certificate
        },
        not_before,
        note,
        unusable_staple,
    })
}

/// An OCSP response (RFC 6960 §4.2.1) as DER, or as base64 of that. Only its frame is looked at: it is for clients to read.
fn staple(value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let der = if value.first() == Some(&SEQUENCE) {
        value.to_vec()
    } else {
        let text: Vec<u8> = value
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        STANDARD.decode(text).map_err(|_| "is neither DER nor base64")?
    };
    let (rest, response) = Any::from_der(&der).map_err(|_| "is no OCSP response")?;
    if !rest.is_empty() || response.tag() != Tag::Sequence {
        return Err("is no OCSP response");
    }
    match response.data {
        // responseStatus ENUMERATED { successful (0), … }
        [0x0a, 1, 0, ..] => Ok(der),
        [0x0a, 1, ..] => Err("is an OCSP response that says that there is none"),
        _ => Err("is no OCSP response"),
    }
}

/// Whether the key of a certificate is RSA.
pub(super) fn is_rsa(certificate: &[u8]) -> bool {
    X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.public_key().algorithm.algorithm == OID_PKCS1_RSAENCRYPTION)
}

fn entry<'s>(secret: &'s Secret, name: &str, field: &'static str) -> Result<&'s [u8], Wrong> {
    match secret.data.get(name) {
        Some(value) if !value.trim_ascii().is_empty() => Ok(value),
        Some(_) => Err(wrong(field, format!("{name} is empty"))),
        None => Err(Wrong {
            field: "data",
            reason: format!("{name} is missing"),
            hint: Some("Make the Secret with `kubectl create secret tls NAME --cert=FILE --key=FILE`"),
        }),
    }
}

fn read_chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let mut chain = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| wrong(FIELD_CERTIFICATE, not_pem("tls.crt", pem, &error)))?;
        chain.push(certificate);
    }
    if chain.is_empty() {
        let reason = not_pem("tls.crt", pem, &pem::Error::NoItemsFound);
        return Err(wrong(FIELD_CERTIFICATE, reason));
    }
    Ok(chain)
}

fn read_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        if find(pem, b"ENCRYPTED") {
            return Wrong {
                field: FIELD_KEY,
                reason: "tls.key is encrypted with a password".into(),
                hint: Some("Decrypt it first: `openssl pkey -in FILE -out FILE.plain`"),
            };
        }
        wrong(FIELD_KEY, not_pem("tls.key", pem, &error))
    })
}

/// Why an entry can't be read as PEM.
fn not_pem(name: &str, text: &[u8], error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound if text.first() == Some(&0x30) => format!("{name} is DER, not PEM"),
        pem::Error::NoItemsFound if !find(text, b"-----BEGIN ") => format!("{name} is not PEM"),
        pem::Error::NoItemsFound => {
            let wanted = if name == "tls.crt" {
                "certificate"
            } else {
                "private key"
            };
            format!("{name} holds no {wanted}")
        }
        pem::Error::MissingSectionEnd { .. } => format!("{name} ends in the middle of a PEM section"),
        pem::Error::Base64Decode(_) => format!("{name} holds a PEM section that is not base64"),
        other => format!("{name} is not PEM: {}", clause(other)),
    }
}

/// Which certificate of the chain the key belongs to.
fn leaf_position(chain: &[CertificateDer<'_>], public_key: &[u8]) -> Result<usize, Wrong> {
    for (position, certificate) in chain.iter().enumerate() {
        if x509(certificate, position + 1)?.public_key().raw == public_key {
            return Ok(position);
        }
    }
    Err(Wrong {
        field: FIELD_KEY,
        reason: "tls.key does not belong to the certificate in tls.crt".into(),
        hint: Some("Put the certificate and the key of one request into the Secret"),
    })
}

fn x509<'c>(certificate: &'c CertificateDer<'_>, number: usize) -> Result<X509Certificate<'c>, Wrong> {
    match X509Certificate::from_der(certificate) {
        Ok(([], parsed)) => Ok(parsed),
        Ok(_) => Err(wrong(
            FIELD_CERTIFICATE,
            format!("certificate {number} of tls.crt has bytes behind its end"),
        )),
        Err(_) => Err(wrong(
            FIELD_CERTIFICATE,
            format!("certificate {number} of tls.crt is not an X.509 certificate"),
        )),
    }
}

/// DNS names and addresses, lower-case. The common name counts only where there is no subjectAltName.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    if let Ok(Some(alternative)) = certificate.subject_alternative_name() {
        for name in &alternative.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(bytes) => names.extend(address(bytes)),
                _ => {}
            }
        }
    }
    if names.is_empty() {
        let common = certificate.subject().iter_common_name();
        names.extend(common.filter_map(|name| Some(name.as_str().ok()?.to_ascii_lowercase())));
    }
    names.sort();
    names.dedup();
    names
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(bytes).to_string());
    }
    let bytes = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(bytes).to_string())
}

fn fingerprint(der: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    digest.as_ref().iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn wrong(field: &'static str, reason: impl Into<String>) -> Wrong {
    Wrong {
        field,
        reason: reason.into(),
        hint: None,
    }
}

/// An error's text as the end of a sentence.
fn clause(error: &dyn std::fmt::Display) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}

fn find(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Where Istio, Contour and Gloo have it too.
pub(super) const STAPLE: &str = "tls.ocsp-staple";
const SEQUENCE: u8 = 0x30;
