//! A backend of TLS that tells what it learnt in the handshake. It answers in the clear too, and says so: a test would see.

use crate::DEADLINE;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use serde_json::json;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// A running backend. It lives as long as the test's runtime.
pub struct TlsBackend {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    config: Mutex<Arc<ServerConfig>>,
    connections: AtomicUsize,
    refused: AtomicUsize,
    plain: AtomicUsize,
    requests: AtomicUsize,
}

/// What a connection is.
#[derive(Clone, Default)]
struct Facts {
    number: usize,
    tls: bool,
    sni: String,
    alpn: String,
    /// Length of the client's certificate and its last bytes, which are of its signature.
    client: String,
}

impl TlsBackend {
    /// Starts one.
    pub async fn start(config: Arc<ServerConfig>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            config: Mutex::new(config),
            connections: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            plain: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
        });
        let backend = Self {
            address,
            shared: Arc::clone(&shared),
        };
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(connection(tcp, Arc::clone(&shared)));
            }
        });
        backend
    }

    /// Shows another certificate from now on.
    pub fn become_another(&self, config: Arc<ServerConfig>) {
        *self.shared.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Handshakes that came to nothing so far.
    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Requests in the clear so far.
    pub fn plain(&self) -> usize {
        self.shared.plain.load(Ordering::SeqCst)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }
}

/// What [`TlsBackend`] calls a client's certificate.
pub fn mark(leaf: &[u8]) -> String {
    let end = leaf.get(leaf.len().saturating_sub(8)..).unwrap_or_default();
    format!("{}-{end:02x?}", leaf.len())
}

async fn connection(tcp: TcpStream, shared: Arc<Shared>) {
    let _ = tcp.set_nodelay(true);
    let mut facts = Facts {
        number: shared.connections.fetch_add(1, Ordering::SeqCst),
        ..Facts::default()
    };
    let mut first = [0];
    let peeked = timeout(DEADLINE, tcp.peek(&mut first)).await;
    if !matches!(peeked, Ok(Ok(1))) {
        return;
    }
    // The type of a handshake's record (RFC 8446 §5.1).
    if first != [22] {
        return serve(tcp, facts, shared).await;
    }
    let config = Arc::clone(&shared.config.lock().unwrap_or_else(PoisonError::into_inner));
    let Ok(stream) = TlsAcceptor::from(config).accept(tcp).await else {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        return;
    };
    let session = stream.get_ref().1;
    facts.tls = true;
    facts.sni = session.server_name().unwrap_or_default().into();
    facts.alpn = String::from_utf8_lossy(session.alpn_protocol().unwrap_or_default()).into_owned();
    let leaf = session.peer_certificates().and_then(<[_]>::first);
    facts.client = leaf.map(|leaf| mark(leaf)).unwrap_or_default();
    serve(stream, facts, shared).await;
}

async fn serve<S>(stream: S, facts: Facts, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let http2 = facts.alpn == "h2";
    let service = service_fn(move |request| answer(request, facts.clone(), Arc::clone(&shared)));
    // A client that goes away is no concern of a backend.
    if http2 {
        let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    } else {
        let builder = hyper::server::conn::http1::Builder::new();
        let _ = builder.serve_connection(TokioIo::new(stream), service).await;
    }
}

async fn answer(
    request: Request<Incoming>,
    facts: Facts,
    shared: Arc<Shared>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let _ = body.collect().await;
    if !facts.tls {
        shared.plain.fetch_add(1, Ordering::SeqCst);
    }
    shared.requests.fetch_add(1, Ordering::SeqCst);
    let mut headers = serde_json::Map::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let known = headers.entry(name.as_str()).or_insert_with(|| json!(""));
        let joined = match known.as_str() {
            None | Some("") => value.into_owned(),
            Some(before) => format!("{before}, {value}"),
        };
        *known = joined.into();
    }
    let description = json!({
        "connection": facts.number,
        "tls": facts.tls,
        "sni": facts.sni,
        "alpn": facts.alpn,
        "client": facts.client,
        "headers": headers,
    });
    Ok(Response::new(Full::from(description.to_string())))
}
