//! A client of one blocking connection, plain or with TLS, for what is asked from outside: is a change live, does an
//! idle connection still work.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// An open connection.
pub struct Client(Connection);

enum Connection {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// Of the first line.
    pub status: u16,
    /// The head in small letters.
    pub head: String,
    /// Bytes of the body.
    pub body: usize,
}

impl Answer {
    /// Whether it says that the connection ends with it.
    pub fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close\r\n")
    }
}

impl Client {
    /// Opens one; with TLS where there is a configuration for it.
    pub fn connect(target: SocketAddr, host: &str, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let stream = TcpStream::connect(target)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        let Some(config) = tls else {
            return Ok(Self(Connection::Plain(stream)));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, stream);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self(Connection::Tls(Box::new(stream))))
    }

    /// One GET with its answer; the body is as long as the answer says.
    pub fn get(&mut self, host: &str, path: &str) -> io::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench\r\n\r\n");
        let stream = self.stream();
        stream.write_all(request.as_bytes())?;
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let read = stream.read(&mut buffer)?;
            if read == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "closed without an answer",
                ));
            }
            text.extend_from_slice(&buffer[..read]);
            let Some(end) = text.windows(4).position(|window| window == b"\r\n\r\n") else {
                continue;
            };
            let head = String::from_utf8_lossy(&text[..end + 2]).to_ascii_lowercase();
            let length: usize = head
                .split_once("\r\ncontent-length:")
                .and_then(|(_, rest)| rest.split("\r\n").next()?.trim().parse().ok())
                .unwrap_or(0);
            if text.len() >= end + 4 + length {
                let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
                let status = status.ok_or_else(|| io::Error::other("no status"))?;
                return Ok(Answer {
                    status,
                    head,
                    body: length,
                });
            }
        }
    }
}

impl Client {
    /// Switches to a WebSocket.
    pub fn upgrade(&mut self, host: &str, path: &str) -> io::Result<()> {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        let stream = self.stream();
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        if head.starts_with(b"HTTP/1.1 101") {
            Ok(())
        } else {
            Err(io::Error::other("not upgraded"))
        }
    }

    /// Sends a small message over the WebSocket and wants it back as it is.
    pub fn echo(&mut self) -> io::Result<()> {
        // A frame as a client would send it; the origin returns bytes as they are.
        let (message, mut back) = (b"\x81\x85\0\0\0\0hello", [0; 11]);
        let stream = self.stream();
        stream.write_all(message)?;
        stream.read_exact(&mut back)?;
        if &back == message {
            Ok(())
        } else {
            Err(io::Error::other("another message came back"))
        }
    }

    /// The certificate that the server showed.
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        match &self.0 {
            Connection::Plain(_) => None,
            Connection::Tls(stream) => Some(stream.conn.peer_certificates()?.first()?.clone().into_owned()),
        }
    }

    fn stream(&mut self) -> &mut dyn ReadWrite {
        match &mut self.0 {
            Connection::Plain(stream) => stream,
            Connection::Tls(stream) => stream.as_mut(),
        }
    }
}

trait ReadWrite: io::Read + io::Write {}
impl<S: io::Read + io::Write> ReadWrite for S {}

/// TLS 1.3 or 1.2 with these certificates as the only roots; nothing is resumed.
pub fn tls(roots: &[CertificateDer<'static>]) -> Result<Arc<ClientConfig>, String> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|error| error.to_string())?;
    }
    let provider = CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Longer than anything that is asked takes.
const TIMEOUT: Duration = Duration::from_secs(10);
