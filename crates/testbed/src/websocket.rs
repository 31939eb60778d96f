//! WebSockets, from both ends.

use crate::connection::Stream;
use crate::{Call, DEADLINE};
use futures_util::{SinkExt as _, StreamExt as _};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

/// The client's end of a WebSocket through the gateway.
pub struct WebSocket {
    socket: WebSocketStream<Box<dyn Stream>>,
}

impl WebSocket {
    /// Shakes hands with whatever the call's URL leads to. A refusal is a panic.
    pub(crate) async fn open(call: Call) -> Self {
        let call = call
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", KEY);
        let mut connection = call.connect().await.expect("the gateway accepts");
        let response = call.send_on(&mut connection).await.expect("the gateway answers");
        response
            .status(101)
            .has("sec-websocket-accept", &derive_accept_key(KEY.as_bytes()));
        let socket = WebSocketStream::from_raw_socket(connection.into_stream(), Role::Client, None).await;
        Self { socket }
    }

    /// Sends a message and expects the same one back.
    pub async fn echo(&mut self, text: &str) {
        let round_trip = async {
            self.socket
                .send(Message::text(text))
                .await
                .expect("the WebSocket is open");
            self.socket.next().await
        };
        match timeout(DEADLINE, round_trip).await {
            Ok(Some(Ok(message))) => assert_eq!(message, Message::text(text)),
            other => panic!("instead of the echo of {text}: {other:?}"),
        }
    }

    /// Waits until the gateway ends it. Says after how long.
    pub async fn ended(mut self) -> Duration {
        let began = Instant::now();
        let ending = async { while let Some(Ok(_)) = self.socket.next().await {} };
        timeout(DEADLINE, ending).await.expect("the gateway ends it");
        began.elapsed()
    }

    /// Says good-bye and waits for the other end to do so.
    pub async fn close(mut self) {
        let closing = async {
            self.socket.close(None).await.expect("the WebSocket is open");
            while let Some(Ok(_)) = self.socket.next().await {}
        };
        timeout(DEADLINE, closing)
            .await
            .expect("the other end closes too");
    }
}

/// The backend's end: sends back what comes until the client closes.
pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocketStream<S>) {
    while let Some(Ok(message)) = socket.next().await {
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Any sixteen bytes do.
const KEY: &str = "bmFydGhleCB0ZXN0YmVkIQ==";
