//! The WebSocket of an echo backend: every message comes back (RFC 6455).

use super::body::Body;
use futures_util::{SinkExt, StreamExt};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// Whether the request asks for a WebSocket.
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && headers.contains_key(SEC_WEBSOCKET_KEY)
}

/// Answers with 101 and serves the WebSocket in a task of its own.
pub fn accept(request: &mut Request<Incoming>) -> Response<Body> {
    let upgrade = hyper::upgrade::on(&mut *request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
            return_messages(socket).await;
        }
    });
    let mut response = Response::new(Body::whole(Vec::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) {
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        headers.insert(
            SEC_WEBSOCKET_ACCEPT,
            accept.expect("base64 can stand in a header field"),
        );
    }
    response
}

async fn return_messages(mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) {
    while let Some(Ok(message)) = socket.next().await {
        // Pings and closing are answered by the library.
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}
