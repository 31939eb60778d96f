//! Echo backends: real local servers, one per Service, that tell who they are and what they got.
//!
//! `GET /…/status/503` answers with that status; a WebSocket handshake is accepted and its messages come back.

use bytes::Bytes;
use control::EchoAddresses;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// All echo backends of a gateway. Each is started when it is first asked for. Clones are the same backends.
#[derive(Clone)]
pub(crate) struct Backends {
    runtime: Handle,
    started: Arc<Mutex<HashMap<Identity, Arc<Backend>>>>,
}

type Identity = (String, String);

/// One backend.
struct Backend {
    address: SocketAddr,
    requests: AtomicU64,
    last: Mutex<Value>,
}

impl Backends {
    pub(crate) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            started: Arc::default(),
        }
    }

    /// Requests that a Service's backend answered so far.
    pub(crate) fn requests(&self, namespace: &str, service: &str) -> u64 {
        self.known(namespace, service)
            .map_or(0, |backend| backend.requests.load(Ordering::Acquire))
    }

    /// What a Service's backend said of the last request that it got.
    pub(crate) fn last(&self, namespace: &str, service: &str) -> Option<Value> {
        Some(
            self.known(namespace, service)?
                .last
                .lock()
                .expect("no panic under the lock")
                .clone(),
        )
    }

    /// Starts one more server for a Service and returns its address.
    pub(crate) fn start(&self, namespace: &str, service: &str) -> io::Result<SocketAddr> {
        Ok(self.serve(namespace, service)?.address)
    }

    fn known(&self, namespace: &str, service: &str) -> Option<Arc<Backend>> {
        let started = self.started.lock().expect("no panic under the lock");
        started.get(&(namespace.to_owned(), service.to_owned())).cloned()
    }

    fn serve(&self, namespace: &str, service: &str) -> io::Result<Arc<Backend>> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let backend = Arc::new(Backend {
            address: listener.local_addr()?,
            requests: AtomicU64::new(0),
            last: Mutex::default(),
        });
        let (served, service) = (Arc::clone(&backend), service.to_owned());
        let namespace = namespace.to_owned();
        let _inside = self.runtime.enter();
        let listener = TcpListener::from_std(listener)?;
        self.runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let who = (namespace.clone(), service.clone());
                tokio::spawn(connection(stream, who, Arc::clone(&served)));
            }
        });
        Ok(backend)
    }
}

impl EchoAddresses for Backends {
    fn address(&self, namespace: &str, service: &str, _port: u16) -> io::Result<SocketAddr> {
        if let Some(backend) = self.known(namespace, service) {
            return Ok(backend.address);
        }
        let backend = self.serve(namespace, service)?;
        let address = backend.address;
        let mut started = self.started.lock().expect("no panic under the lock");
        started.insert((namespace.to_owned(), service.to_owned()), backend);
        Ok(address)
    }
}

async fn connection(stream: TcpStream, who: Identity, backend: Arc<Backend>) {
    // An answer must not wait for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let (who, backend) = (who.clone(), Arc::clone(&backend));
        async move { Ok::<_, Infallible>(answer(request, &who, &backend).await) }
    });
    // A client that goes away is no concern of a backend.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

async fn answer(mut request: Request<Incoming>, who: &Identity, backend: &Backend) -> Response<Full<Bytes>> {
    if let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() {
        backend.requests.fetch_add(1, Ordering::Release);
        return websocket(&mut request, &key);
    }
    let (parts, body) = request.into_parts();
    let length = body.collect().await.map_or(0, |body| body.to_bytes().len());
    let description = json!({
        "namespace": who.0,
        "service": who.1,
        "method": parts.method.as_str(),
        "path": parts.uri.to_string(),
        "headers": headers(&parts.headers),
        "bodyBytes": length,
    });
    let mut response = Response::new(Full::from(description.to_string()));
    *backend.last.lock().expect("no panic under the lock") = description;
    // Counted once it is remembered: who waits for the count asks for the last one next.
    backend.requests.fetch_add(1, Ordering::Release);
    *response.status_mut() = asked_status(parts.uri.path()).unwrap_or(StatusCode::OK);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `/…/status/503`
fn asked_status(path: &str) -> Option<StatusCode> {
    let (_, code) = path.rsplit_once("/status/")?;
    StatusCode::from_bytes(code.as_bytes()).ok()
}

fn headers(fields: &HeaderMap) -> HashMap<String, String> {
    let mut joined: HashMap<String, String> = HashMap::new();
    for (name, value) in fields {
        let value = String::from_utf8_lossy(value.as_bytes());
        let known = joined.entry(name.as_str().to_owned()).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(&value);
    }
    joined
}

fn websocket(request: &mut Request<Incoming>, key: &HeaderValue) -> Response<Full<Bytes>> {
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgrade.await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        crate::websocket::echo(socket).await;
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let accept = derive_accept_key(key.as_bytes());
    let fields = response.headers_mut();
    fields.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(UPGRADE, HeaderValue::from_static("websocket"));
    fields.insert(
        SEC_WEBSOCKET_ACCEPT,
        HeaderValue::try_from(accept).expect("base64"),
    );
    response
}
