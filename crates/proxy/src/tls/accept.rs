//! The handshake with a client.

use super::settings::TlsBind;
use crate::connection::{Alpn, TlsFacts};
use rustls::server::Acceptor;
use std::io;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

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

/// Shakes hands on a connection that has just been accepted. `bind` is asked for when the client has said its name, so
/// that it can be the newest; none: the bind is gone.
pub async fn accept(
    tcp: TcpStream,
    bind: impl FnOnce() -> Option<Arc<TlsBind>>,
) -> Result<(Box<TlsStream<TcpStream>>, Box<TlsFacts>), HandshakeFault> {
    let mut start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
    let sni: Option<Box<str>> = start
        .client_hello()
        .server_name()
        .map(|name| name.to_ascii_lowercase().into());
    let bind = match bind() {
        Some(bind) if bind.certificates.covers(sni.as_deref()) => bind,
        _ => {
            start.io.write_all(UNRECOGNIZED_NAME).await?;
            start.io.shutdown().await?;
            return Err(HandshakeFault::UnknownName(sni));
        }
    };
    let stream = start.into_stream(Arc::clone(&bind.config)).await?;
    let session = stream.get_ref().1;
    let facts = TlsFacts {
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

/// A fatal alert (RFC 8446 §6.2, RFC 6066 §3): record type 21, legacy version, two bytes, fatal, 112.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];
