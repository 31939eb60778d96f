//! A connection of the load, plain or with TLS 1.3.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore};

/// Bytes in and out.
pub trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// How to connect.
pub struct Connector {
    target: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connector {
    /// With TLS where there is a file with the root certificate.
    pub fn new(target: SocketAddr, host: &str, root: Option<&Path>, resume: bool) -> Result<Self, String> {
        let tls = match root {
            Some(root) => {
                let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
                Some((TlsConnector::from(Arc::new(client_config(root, resume)?)), name))
            }
            None => None,
        };
        Ok(Self { target, tls })
    }

    /// The same for HTTP/2.
    pub fn for_http2(target: SocketAddr, host: &str, root: Option<&Path>) -> Result<Self, String> {
        let mut connector = Self::new(target, host, None, false)?;
        if let Some(root) = root {
            let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
            let mut config = client_config(root, false)?;
            config.alpn_protocols = vec![b"h2".to_vec()];
            connector.tls = Some((TlsConnector::from(Arc::new(config)), name));
        }
        Ok(connector)
    }

    /// Opens one; says whether its TLS session was resumed.
    pub async fn connect(&self) -> io::Result<(Box<dyn Stream>, bool)> {
        let stream = TcpStream::connect(self.target).await?;
        stream.set_nodelay(true)?;
        let Some((connector, name)) = &self.tls else {
            return Ok((Box::new(stream), false));
        };
        let stream = connector.connect(name.clone(), stream).await?;
        let resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
        Ok((Box::new(stream), resumed))
    }
}

/// One suite and one group, so that all proxies do the same arithmetic.
pub fn client_config(root: &Path, resume: bool) -> Result<ClientConfig, String> {
    let certificate = CertificateDer::from_pem_file(root).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(|error| error.to_string())?;
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = if resume {
        Resumption::in_memory_sessions(1024)
    } else {
        Resumption::disabled()
    };
    Ok(config)
}
