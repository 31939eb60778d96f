//! TLS towards endpoints: whom to believe, what to show, and the handshake.

use super::certificates::load;
use ir::{AltName, Trust, UpstreamProtocol, UpstreamTls};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// What workers share for speaking TLS to endpoints: configurations, and with them sessions that can be resumed.
#[derive(Debug)]
pub struct TlsClients {
    provider: Arc<CryptoProvider>,
    /// Read from the system once somebody needs them.
    system: OnceLock<Arc<RootCertStore>>,
    known: Mutex<Vec<Known>>,
}

/// A configuration, and what it was made for.
#[derive(Debug)]
struct Known {
    tls: Arc<UpstreamTls>,
    protocol: Option<UpstreamProtocol>,
    identity: Option<Arc<CertifiedKey>>,
    config: Arc<ClientConfig>,
}

/// Shakes hands with an endpoint. `protocol` is what is spoken then, if that is known.
pub async fn connect(
    config: Arc<ClientConfig>,
    tls: &UpstreamTls,
    protocol: Option<UpstreamProtocol>,
    tcp: TcpStream,
) -> io::Result<Box<TlsStream<TcpStream>>> {
    let name = ServerName::try_from(tls.hostname.clone())
        .map_err(|_| io::Error::other(format!("{:?} is no name of a host", tls.hostname)))?;
    let stream = TlsConnector::from(config).connect(name, tcp).await?;
    let agreed = stream.get_ref().1.alpn_protocol();
    // A server that knows nothing of ALPN speaks HTTP/1.1; HTTP/2 is agreed upon or not spoken (RFC 9113 §3.2).
    if protocol == Some(UpstreamProtocol::Http2) && agreed != Some(b"h2") {
        return Err(io::Error::other("the endpoint does not agree to HTTP/2"));
    }
    Ok(Box::new(stream))
}

impl TlsClients {
    /// None yet.
    pub fn new() -> Self {
        Self {
            provider: Arc::new(aws_lc_rs::default_provider()),
            system: OnceLock::new(),
            known: Mutex::default(),
        }
    }

    /// The configuration for an upstream of which this protocol is offered, if any, showing this identity to those that ask.
    pub fn config(
        &self,
        tls: &Arc<UpstreamTls>,
        protocol: Option<UpstreamProtocol>,
        identity: Option<&Arc<CertifiedKey>>,
    ) -> Result<Arc<ClientConfig>, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|known| {
            known.protocol == protocol
                && same_identity(known.identity.as_ref(), identity)
                && (Arc::ptr_eq(&known.tls, tls) || known.tls == *tls)
        });
        if let Some(found) = found {
            return Ok(Arc::clone(&found.config));
        }
        // What no snapshot has any more is known to nobody else.
        known.retain(|known| Arc::strong_count(&known.tls) > 1);
        let config = Arc::new(self.build(tls, protocol, identity)?);
        known.push(Known {
            tls: Arc::clone(tls),
            protocol,
            identity: identity.cloned(),
            config: Arc::clone(&config),
        });
        Ok(config)
    }

    fn build(
        &self,
        tls: &UpstreamTls,
        protocol: Option<UpstreamProtocol>,
        identity: Option<&Arc<CertifiedKey>>,
    ) -> Result<ClientConfig, Error> {
        let roots = match &tls.trust {
            Trust::System => Arc::clone(self.system.get_or_init(system_roots)),
            Trust::Roots(roots) => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots.iter().map(|der| CertificateDer::from(der.as_slice())));
                Arc::new(store)
            }
        };
        let verifier = Verifier {
            alt_names: tls.alt_names.clone(),
            roots: Arc::clone(&roots),
            inner: WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
                .build()
                .map_err(|error| Error::General(error.to_string()))?,
            provider: Arc::clone(&self.provider),
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let own = tls.identity.as_deref().map(load).transpose();
        let own = own.map_err(Error::General)?;
        let mut config = match own.as_ref().or(identity) {
            Some(identity) => {
                let shown = SingleCertAndKey::from(Arc::clone(identity));
                builder.with_client_cert_resolver(Arc::new(shown) as Arc<dyn ResolvesClientCert>)
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = match protocol {
            Some(UpstreamProtocol::Http1) => vec![b"http/1.1".to_vec()],
            Some(UpstreamProtocol::Http2) => vec![b"h2".to_vec()],
            None => Vec::new(),
        };
        Ok(config)
    }
}

impl Default for TlsClients {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether both are nobody, or one and the same.
pub fn same_identity(a: Option<&Arc<CertifiedKey>>, b: Option<&Arc<CertifiedKey>>) -> bool {
    a.map(Arc::as_ptr) == b.map(Arc::as_ptr)
}

/// The authorities that the system believes. Where there is no list of them, none.
fn system_roots() -> Arc<RootCertStore> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(loaded.certs);
    if store.is_empty() {
        tracing::warn!(
            errors = ?loaded.errors,
            "the system has no list of authorities, so no endpoint is believed that is to be verified by them; install ca-certificates or set SSL_CERT_FILE"
        );
    }
    Arc::new(store)
}

/// Believes a certificate that one of the authorities signed for the hostname, or for one of the alternative names if
/// there are any (`BackendTLSPolicy.spec.validation.subjectAltNames`).
struct Verifier {
    alt_names: Vec<AltName>,
    roots: Arc<RootCertStore>,
    inner: Arc<WebPkiServerVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Verifier {
    fn has_alt_name(&self, leaf: &CertificateDer<'_>) -> bool {
        let Ok(leaf) = webpki::EndEntityCert::try_from(leaf) else {
            return false;
        };
        self.alt_names.iter().any(|wanted| match wanted {
            AltName::Dns(name) => ServerName::try_from(name.as_str())
                .is_ok_and(|name| leaf.verify_is_valid_for_subject_name(&name).is_ok()),
            AltName::Uri(uri) => leaf.valid_uri_names().any(|name| name == uri),
        })
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier")
            .field("alt_names", &self.alt_names)
            .finish_non_exhaustive()
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.alt_names.is_empty() {
            return self
                .inner
                .verify_server_cert(leaf, intermediates, name, stapled, now);
        }
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(leaf)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        if self.has_alt_name(leaf) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::NotValidForName.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
