//! The pages: what each path answers.

use crate::{OpenSocket, Readiness, Source};
use axum::extract::State;
use axum::http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;

type Shared = State<Arc<dyn Source>>;

/// Every path. HEAD answers as GET does, other methods get 405.
pub(crate) fn router(source: Arc<dyn Source>) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1", get(index))
        .route("/api/v1/snapshot", get(snapshot))
        .route("/api/v1/status", get(status))
        .route("/api/v1/diagnostics", get(diagnostics))
        .route("/api/v1/listeners", get(listeners))
        .route("/api/v1/upstreams", get(upstreams))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .with_state(source)
}

async fn index(State(source): Shared) -> Response {
    fresh(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "generation": source.generation(),
        "paths": {
            "/healthz": "200 as long as the process lives",
            "/readyz": "200 while requests are served, else 503",
            "/metrics": "Prometheus text, OpenMetrics or protobuf, by Accept",
            "/api/v1/snapshot": "the configuration in use, as the data plane sees it",
            "/api/v1/status": "status of every object",
            "/api/v1/diagnostics": "findings, with file and line where known",
            "/api/v1/listeners": "sockets and the listeners that share them",
            "/api/v1/upstreams": "upstreams and the state of their endpoints",
        },
    }))
}

async fn ready(State(source): Shared) -> Response {
    let (status, word) = match source.readiness() {
        Readiness::Ready => (StatusCode::OK, "ready\n"),
        Readiness::Starting => (
            StatusCode::SERVICE_UNAVAILABLE,
            "starting: no configuration is live yet\n",
        ),
        Readiness::Draining => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
    };
    (status, [(CACHE_CONTROL, "no-store")], word).into_response()
}

async fn metrics(State(source): Shared, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let format = telemetry::Format::negotiate(accept);
    let telemetry = source.telemetry();
    aside(move || ([(CONTENT_TYPE, format.content_type())], telemetry.scrape(format)).into_response()).await
}

async fn snapshot(State(source): Shared) -> Response {
    let generation = source.generation();
    match source.snapshot() {
        Some(snapshot) => {
            aside(move || fresh(json!({"generation": generation, "snapshot": &*snapshot}))).await
        }
        None => nothing_yet(),
    }
}

async fn status(State(source): Shared) -> Response {
    fresh(json!({"generation": source.generation(), "objects": source.statuses()}))
}

async fn diagnostics(State(source): Shared) -> Response {
    fresh(json!({"generation": source.generation(), "diagnostics": source.diagnostics()}))
}

async fn upstreams(State(source): Shared) -> Response {
    fresh(json!({"generation": source.generation(), "upstreams": source.upstreams()}))
}

async fn listeners(State(source): Shared) -> Response {
    let Some(snapshot) = source.snapshot() else {
        return nothing_yet();
    };
    let sockets = source.sockets();
    let binds: Vec<Value> = snapshot
        .binds
        .iter()
        .map(|bind| describe(bind, &sockets))
        .collect();
    fresh(json!({"generation": source.generation(), "binds": binds}))
}

/// One socket: what was asked for, where it is open, and who shares it.
fn describe(bind: &ir::Bind, sockets: &[OpenSocket]) -> Value {
    let open: Vec<SocketAddr> = sockets
        .iter()
        .filter(|socket| socket.bind == bind.address)
        .map(|socket| socket.address)
        .collect();
    let listeners: Vec<Value> = bind
        .listeners
        .iter()
        .map(|listener| {
            json!({
                "origin": listener.origin,
                "layer": listener.layer,
                "hostname": listener.hostname,
                "tls": listener.tls,
                "routes": listener.routes.iter().map(|route| &route.origin).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "address": bind.address,
        "publicPort": bind.public_port,
        "open": open,
        "transport": bind.transport,
        "proxyProtocol": bind.proxy_protocol,
        "listeners": listeners,
        "streams": bind.streams.iter().map(|listener| stream(listener)).collect::<Vec<_>>(),
    })
}

fn stream(listener: &ir::StreamListener) -> Value {
    json!({
        "origin": listener.origin,
        "hostname": listener.hostname,
        "tls": listener.tls,
        "routes": listener.routes.iter().map(|route| &route.origin).collect::<Vec<_>>(),
    })
}

async fn not_found(uri: Uri) -> Response {
    let message = format!("there is no {}; /api/v1 lists what there is", uri.path());
    (StatusCode::NOT_FOUND, Json(json!({"error": message}))).into_response()
}

async fn method_not_allowed() -> Response {
    let message = "nothing can be changed here; use GET";
    (
        StatusCode::METHOD_NOT_ALLOWED,
        [(ALLOW, "GET, HEAD")],
        Json(json!({"error": message})),
    )
        .into_response()
}

fn nothing_yet() -> Response {
    let message = "no configuration is live yet";
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"error": message}))).into_response()
}

/// Makes a page that may be large on a thread of its own: with thousands of rules it takes a tenth of a second, and
/// probes must not wait for that.
async fn aside(page: impl FnOnce() -> Response + Send + 'static) -> Response {
    match tokio::task::spawn_blocking(page).await {
        Ok(response) => response,
        Err(error) => {
            let message = format!("the page could not be made: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({"error": message}))).into_response()
        }
    }
}

/// JSON that no cache may keep.
fn fresh(value: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(value)).into_response()
}
