//! Certificates of clients: who is let in, and what upstreams are told about who came.

use aws_lc_rs::digest::{SHA256, digest};
use ir::ClientValidation;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::fmt::{self, Write as _};
use std::sync::Arc;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Who decides about clients of a listener.
pub fn verifier(
    validation: &ClientValidation,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(
        validation
            .roots
            .iter()
            .map(|der| CertificateDer::from(der.as_slice())),
    );
    let revoked = validation.revoked.iter();
    let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    if !validation.revoked.is_empty() {
        builder = builder
            .with_crls(revoked.map(|der| CertificateRevocationListDer::from(der.clone())))
            // Not every authority needs to have a list; one that has must keep it fresh (RFC 5280 §6.3.3).
            .allow_unknown_revocation_status()
            .enforce_revocation_expiration();
    }
    let inner = builder
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    Ok(if validation.insecure_fallback {
        Arc::new(Lenient(inner))
    } else {
        inner
    })
}

/// Asks for a certificate and takes any, or none.
struct Lenient(Arc<dyn ClientCertVerifier>);

impl fmt::Debug for Lenient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lenient").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for Lenient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// None: a client shall show what it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// A certificate as `X-Forwarded-Client-Cert` describes it (Envoy's format): fingerprint, subject, and names.
pub fn description(leaf: &CertificateDer<'_>) -> String {
    let mut text = String::from("Hash=");
    for byte in digest(&SHA256, leaf).as_ref() {
        // Writing to a text can't fail.
        let _ = write!(text, "{byte:02x}");
    }
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else {
        return text;
    };
    let _ = write!(text, ";Subject={}", quoted(&parsed.subject().to_string()));
    let names = parsed.subject_alternative_name().ok().flatten();
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        let _ = match name {
            GeneralName::URI(uri) => write!(text, ";URI={}", quoted(uri)),
            GeneralName::DNSName(name) => write!(text, ";DNS={}", quoted(name)),
            _ => Ok(()),
        };
    }
    text
}

/// In quotes, with what could end them escaped and what can't stand in a field left out.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars().filter(|letter| matches!(letter, ' '..='~')) {
        if matches!(letter, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(letter);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_described_and_its_text_can_not_break_out() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["client.example".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "a\";Hash=0\r\nX: y");
        let certificate = params.self_signed(&key).unwrap();
        let text = description(certificate.der());
        assert!(text.starts_with("Hash=") && text.as_bytes()[69] == b';', "{text}");
        assert!(
            text.contains("\\\";Hash=0X: y") && text.ends_with(";DNS=\"client.example\""),
            "{text}"
        );
        assert!(!text.contains(['\r', '\n']));
    }
}
