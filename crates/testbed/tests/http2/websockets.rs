//! WebSockets between versions (RFC 8441).

use crate::{front, nobody};
use h2::ext::Protocol;
use http::{Request, Response};
use narthex_testbed::http2::{Http2, Http2Backend};
use narthex_testbed::scripted::{Scripted, ScriptedBackend, field};
use tokio::sync::mpsc;

fn connect(host: &str) -> Request<()> {
    Request::connect(format!("http://{host}/chat?x"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .body(())
        .unwrap()
}

/// Upgrades, and sends back what it gets. Tells when it is closed.
async fn echo_one() -> (ScriptedBackend, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let backend = ScriptedBackend::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            let head = peer.head().await.unwrap();
            tell.send(head.clone()).unwrap();
            if field(&head, "upgrade") != Some("websocket") {
                peer.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
                    .await;
                return;
            }
            peer.send(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
            )
            .await;
            while let Ok(byte) = peer.exactly(1).await {
                peer.send(byte).await;
            }
            tell.send("closed".into()).unwrap();
        }
    })
    .await;
    (backend, told)
}

/// The same on streams.
async fn echo_two() -> (Http2Backend, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let backend = Http2Backend::with(
        |builder| {
            builder.enable_connect_protocol();
        },
        move |mut received| {
            let tell = tell.clone();
            async move {
                let protocol = received
                    .head
                    .extensions
                    .get::<Protocol>()
                    .map(|it| it.as_str().to_owned());
                let names = received
                    .head
                    .headers
                    .keys()
                    .map(http::HeaderName::as_str)
                    .collect::<Vec<_>>();
                let head = format!(
                    "{} {protocol:?} {} {names:?}",
                    received.head.method, received.head.uri
                );
                tell.send(head).unwrap();
                let head = Response::builder().header("sec-websocket-protocol", "chat");
                let mut stream = received.begin(head.body(()).unwrap(), false).unwrap();
                while let Some(Ok(piece)) = received.content.data().await {
                    let _ = received.content.flow_control().release_capacity(piece.len());
                    let _ = narthex_testbed::http2::send(&mut stream, &piece, false).await;
                }
                let _ = stream.send_data(bytes::Bytes::new(), true);
                tell.send("closed".into()).unwrap();
            }
        },
    )
    .await;
    (backend, told)
}

#[tokio::test]
async fn a_client_of_http2_opens_a_websocket_with_backends_of_both_versions() {
    let ((one, mut told_one), (two, mut told_two)) = (echo_one().await, echo_two().await);
    let gw = front(one.address, two.address).start().await;
    for (host, told) in [("one.example", &mut told_one), ("two.example", &mut told_two)] {
        let mut client = Http2::plain(gw.address(80)).await;
        client.settled().await;
        let mut asked = client.ask(connect(host), false).await.unwrap();
        let head = told.recv().await.unwrap();
        if host == "one.example" {
            assert!(head.starts_with("GET /chat?x HTTP/1.1\r\n"), "{head}");
            assert_eq!(field(&head, "connection"), Some("Upgrade"));
            assert_eq!(
                field(&head, "sec-websocket-key").map(str::len),
                Some(24),
                "{head}"
            );
            assert_eq!(
                field(&head, "content-length").or(field(&head, "transfer-encoding")),
                None,
                "{head}"
            );
        } else {
            assert!(
                head.starts_with("CONNECT Some(\"websocket\") http://two.example/chat?x"),
                "{head}"
            );
            assert!(!head.contains("sec-websocket-key"), "{head}");
        }
        let mut answer = asked.head().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["sec-websocket-protocol"], "chat");
        assert!(
            !answer.headers().contains_key("sec-websocket-accept"),
            "{answer:?}"
        );
        assert!(!answer.headers().contains_key("upgrade"), "{answer:?}");
        for text in ["hello", "again"] {
            asked.send(text, false).await.unwrap();
            let mut came = Vec::new();
            while came.len() < text.len() {
                came.extend(answer.body_mut().data().await.unwrap().unwrap());
            }
            assert_eq!(came, text.as_bytes());
        }
        // Each side closes for itself.
        asked.send("", true).await.unwrap();
        assert_eq!(told.recv().await.unwrap(), "closed");
        let rest = narthex_testbed::http2::read(answer.body_mut()).await.unwrap();
        assert_eq!(rest.0, b"");
        // Another request on the same connection.
        assert_eq!(client.get("http://nowhere.example/").await.status, 404);
    }
}

#[tokio::test]
async fn a_client_that_resets_a_websocket_closes_it_at_its_backend() {
    let ((one, mut told_one), (two, mut told_two)) = (echo_one().await, echo_two().await);
    let gw = front(one.address, two.address).start().await;
    for (host, told) in [("one.example", &mut told_one), ("two.example", &mut told_two)] {
        let mut client = Http2::plain(gw.address(80)).await;
        client.settled().await;
        let mut asked = client.ask(connect(host), false).await.unwrap();
        let _answer = asked.head().await.unwrap();
        told.recv().await.unwrap();
        asked.reset(h2::Reason::CANCEL);
        assert_eq!(told.recv().await.unwrap(), "closed", "{host}");
    }
}

#[tokio::test]
async fn a_client_of_http1_opens_a_websocket_with_a_backend_that_knows_how() {
    let (two, mut told) = echo_two().await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Scripted::connect(gw.address(80)).await;
    client
        .send(
            "GET /chat HTTP/1.1\r\nHost: two.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    let head = client.head().await.unwrap();
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    // RFC 6455 §1.3.
    assert_eq!(
        field(&head, "sec-websocket-accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    assert_eq!(field(&head, "sec-websocket-protocol"), Some("chat"));
    let asked = told.recv().await.unwrap();
    assert!(
        asked.starts_with("CONNECT Some(\"websocket\") http://two.example/chat"),
        "{asked}"
    );
    client.send("hello").await;
    assert_eq!(client.exactly(5).await.unwrap(), b"hello");
    drop(client);
    assert_eq!(told.recv().await.unwrap(), "closed");
}

#[tokio::test]
async fn a_backend_that_knows_no_websockets_is_a_502() {
    let two = Http2Backend::start(|received| received.answer(200, "not a WebSocket")).await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    client.settled().await;
    let answer = client
        .ask(connect("two.example"), false)
        .await
        .unwrap()
        .answer()
        .await
        .unwrap();
    assert_eq!(answer.status, 502);
    let mut client = Scripted::connect(gw.address(80)).await;
    client
        .send(
            "GET / HTTP/1.1\r\nHost: two.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 502 "));
    assert_eq!(two.requests(), 0);
}

#[tokio::test]
async fn a_refused_handshake_is_passed_on() {
    let one = ScriptedBackend::start(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                .await;
        }
    })
    .await;
    let two = Http2Backend::with(
        |builder| {
            builder.enable_connect_protocol();
        },
        |received| received.answer(403, "no"),
    )
    .await;
    let gw = front(one.address, two.address).start().await;
    for host in ["one.example", "two.example"] {
        let mut client = Http2::plain(gw.address(80)).await;
        client.settled().await;
        let answer = client
            .ask(connect(host), false)
            .await
            .unwrap()
            .answer()
            .await
            .unwrap();
        assert_eq!((answer.status, &*answer.text()), (403, "no"), "{host}");
    }
}

/// A message in two frames; the second one comes when the first one was answered.
const MESSAGE: [&[u8]; 2] = [b"\x01\x03one", b"\x80\x03two"];
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";

#[tokio::test]
async fn at_the_end_of_a_drain_clients_are_told_behind_a_message_that_the_server_goes() {
    let ((one, mut told_one), (two, mut told_two)) = (echo_one().await, echo_two().await);
    let gw = front(one.address, two.address).start().await;
    let mut streams = Http2::plain(gw.address(80)).await;
    streams.settled().await;
    let mut asked = streams.ask(connect("two.example"), false).await.unwrap();
    let mut answer = asked.head().await.unwrap();
    let mut client = Scripted::connect(gw.address(80)).await;
    client
        .send(
            "GET /chat HTTP/1.1\r\nHost: one.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    client.head().await.unwrap();
    told_one.recv().await.unwrap();
    told_two.recv().await.unwrap();
    // The backends send back what they get, as a server's frames.
    client.send(MESSAGE[0]).await;
    assert_eq!(client.exactly(5).await.unwrap(), MESSAGE[0]);
    let drain = tokio::spawn(gw.data_plane().drain());
    // In the grace period everything goes on, and the one in the middle of a message is left until that is over.
    asked.send(b"\x82\x01x", false).await.unwrap();
    let mut came = Vec::new();
    while came.len() < 3 + GOING_AWAY.len() {
        came.extend(answer.body_mut().data().await.unwrap().unwrap());
    }
    assert_eq!(came, [b"\x82\x01x", GOING_AWAY].concat());
    client.send(MESSAGE[1]).await;
    assert_eq!(
        client.exactly(9).await.unwrap(),
        [MESSAGE[1], GOING_AWAY].concat()
    );
    // What the clients answer is for the backends, and these close.
    client.send(b"\x88\x82\0\0\0\0\x03\xe9").await;
    drop(client);
    assert_eq!(told_one.recv().await.unwrap(), "closed");
    asked.send(b"\x88\x82\0\0\0\0\x03\xe9", true).await.unwrap();
    assert_eq!(told_two.recv().await.unwrap(), "closed");
    let rest = narthex_testbed::http2::read(answer.body_mut()).await.unwrap();
    assert_eq!(rest.0, b"");
    let outcome = drain.await.unwrap();
    assert_eq!((outcome.finished, outcome.cut), (2, 0));
}
