//! The handshake with a client.

use super::admission::Admission;
use super::settings::TlsBind;
use crate::connection::{Alpn, TlsFacts};
use rustls::ServerConfig;
use rustls::server::Acceptor;
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_rustls::{LazyConfigAcceptor, StartHandshake};

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeFault {
    /// The name that the client asked for has no certificate here. It was told so (`unrecognized_name`).
    #[error("no certificate for {0:?}")]
    UnknownName(Option<Box<str>>),
    /// Everything else: what came was no TLS, nothing in common, the client turned away.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// A connection whose ClientHello is there, and nothing is answered yet.
pub struct Opened {
    start: StartHandshake<TcpStream>,
    /// Bytes that came behind the ClientHello.
    rest: Vec<u8>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

/// Shakes hands on a connection that has just been accepted. `bind` is asked for when the client has said its name, so
/// that it can be the newest; none: the bind is gone.
pub async fn accept(
    tcp: TcpStream,
    bind: impl FnOnce() -> Option<Arc<TlsBind>>,
) -> Result<(Box<TlsStream<TcpStream>>, Box<TlsFacts>), HandshakeFault> {
    let start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
    let rest = Vec::new();
    shake(Opened { start, rest }, bind).await
}

/// Takes over a connection of which the ClientHello, and perhaps more, was read already.
pub fn open(tcp: TcpStream, mut sent: &[u8]) -> io::Result<Opened> {
    let mut acceptor = Acceptor::default();
    loop {
        if acceptor.read_tls(&mut sent)? == 0 {
            // Our own reader took it for a whole one.
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no ClientHello"));
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                return Ok(Opened {
                    start: StartHandshake::from_parts(accepted, tcp),
                    rest: sent.to_vec(),
                });
            }
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut answer = Vec::new();
                alert.write(&mut answer)?;
                // It is told if it still listens.
                let _ = tcp.try_write(&answer);
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        }
    }
}

/// Shakes hands for HTTPS.
pub async fn shake(
    mut opened: Opened,
    bind: impl FnOnce() -> Option<Arc<TlsBind>>,
) -> Result<(Box<TlsStream<TcpStream>>, Box<TlsFacts>), HandshakeFault> {
    let sni = opened.sni();
    let bind = match bind() {
        Some(bind) if bind.certificates.covers(sni.as_deref()) => bind,
        _ => {
            opened.start.io.write_all(UNRECOGNIZED_NAME).await?;
            opened.start.io.shutdown().await?;
            return Err(HandshakeFault::UnknownName(sni));
        }
    };
    let config = Arc::clone(bind.config(sni.as_deref()));
    opened.finish(sni, config, Some(&bind)).await
}

/// Shakes hands for a stream whose route is known.
pub async fn shake_for_stream(
    opened: Opened,
    config: Arc<ServerConfig>,
) -> Result<(Box<TlsStream<TcpStream>>, Box<TlsFacts>), HandshakeFault> {
    let sni = opened.sni();
    opened.finish(sni, config, None).await
}

impl Opened {
    fn sni(&self) -> Option<Box<str>> {
        let hello = self.start.client_hello();
        hello.server_name().map(|name| name.to_ascii_lowercase().into())
    }

    async fn finish(
        self,
        sni: Option<Box<str>>,
        config: Arc<ServerConfig>,
        bind: Option<&TlsBind>,
    ) -> Result<(Box<TlsStream<TcpStream>>, Box<TlsFacts>), HandshakeFault> {
        let Self { start, rest } = self;
        let stream = start
            .into_stream_with(config, |session| {
                let mut rest = &rest[..];
                while !rest.is_empty() {
                    // What is wrong with it is told again when more is read.
                    if !matches!(session.read_tls(&mut rest), Ok(1..))
                        || session.process_new_packets().is_err()
                    {
                        break;
                    }
                }
            })
            .await?;
        let session = stream.get_ref().1;
        let admission = bind.map(|bind| {
            let rule = bind.rule(sni.as_deref()).map(|(rule, _)| rule);
            Admission::new(bind, rule, session.peer_certificates())
        });
        let facts = TlsFacts {
            admission: admission.unwrap_or_default(),
            sni,
            version: session
                .protocol_version()
                .unwrap_or(rustls::ProtocolVersion::TLSv1_2),
            alpn: match session.alpn_protocol() {
                Some(b"h2") => Some(Alpn::Http2),
                Some(b"http/1.1") => Some(Alpn::Http11),
                _ => None,
            },
            resumed: session.handshake_kind() == Some(rustls::HandshakeKind::Resumed),
        };
        Ok((Box::new(stream), Box::new(facts)))
    }
}

/// A fatal alert (RFC 8446 §6.2, RFC 6066 §3): record type 21, legacy version, two bytes, fatal, 112.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];
