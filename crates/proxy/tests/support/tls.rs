//! TLS clients that offer what a test wants and see everything.

use super::PATIENCE;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConnection, Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

/// What a client offers.
pub struct Client {
    pub schemes: Vec<SignatureScheme>,
    pub versions: Vec<&'static rustls::SupportedProtocolVersion>,
}

impl Client {
    pub fn new() -> Self {
        let provider = aws_lc_rs::default_provider();
        Self {
            schemes: provider.signature_verification_algorithms.supported_schemes(),
            versions: rustls::ALL_VERSIONS.to_vec(),
        }
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_protocol_versions(&self.versions)
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anyone(self.schemes.clone())))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h3".to_vec(), b"http/1.1".to_vec()];
        config.resumption = Resumption::in_memory_sessions(16);
        Arc::new(config)
    }

    pub fn connect(&self, address: SocketAddr, sni: Option<&str>) -> Result<ClientConnection, Error> {
        handshake(&self.config(), address, sni)
    }
}

/// Shakes hands, then asks once, so that tickets that follow the handshake are read too.
pub fn handshake(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    sni: Option<&str>,
) -> Result<ClientConnection, Error> {
    // An address as the name is not sent as SNI.
    let name = ServerName::try_from(sni.unwrap_or("127.0.0.1").to_owned()).expect("a name");
    let mut session = ClientConnection::new(Arc::clone(config), name)?;
    let mut tcp = TcpStream::connect(address).expect("connected");
    tcp.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut stream = rustls::Stream::new(&mut session, &mut tcp);
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        sni.unwrap_or("x.example")
    );
    let outcome = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_end(&mut Vec::new()));
    match outcome.map_err(std::io::Error::downcast::<Error>) {
        Err(Ok(error)) => Err(error),
        // However the connection ended, the handshake was over.
        _ if !session.is_handshaking() => Ok(session),
        other => panic!("the handshake ended early: {other:?}"),
    }
}

pub fn leaf(session: &ClientConnection) -> Vec<u8> {
    session.peer_certificates().expect("certificates")[0].to_vec()
}

/// Believes everyone: the tests compare certificates themselves. Signatures are checked.
#[derive(Debug)]
struct Anyone(Vec<SignatureScheme>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = aws_lc_rs::default_provider().signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.clone()
    }
}

/// An open connection, for one request after the other.
pub struct Stream {
    pub session: ClientConnection,
    tcp: TcpStream,
}

impl Stream {
    pub fn open(config: &Arc<ClientConfig>, address: SocketAddr, sni: Option<&str>) -> Self {
        let name = ServerName::try_from(sni.unwrap_or("127.0.0.1").to_owned()).expect("a name");
        let session = ClientConnection::new(Arc::clone(config), name).expect("a session");
        let tcp = TcpStream::connect(address).expect("connected");
        tcp.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        Self { session, tcp }
    }

    /// A request for a host, and the head of its response; the body is read and dropped.
    pub fn get(&mut self, host: &str) -> Option<(String, Vec<u8>)> {
        let mut stream = rustls::Stream::new(&mut self.session, &mut self.tcp);
        stream
            .write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
            .ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).ok()?;
        let length = super::field(&head, "content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some((head, body))
    }
}
