//! WebSockets over HTTP/3 (RFC 9220).

use super::{client, front, nobody};
use h2::ext::Protocol;
use http::{Request, Response};
use narthex_testbed::http2::Http2Backend;
use narthex_testbed::http3::heard;
use narthex_testbed::scripted::{ScriptedBackend, field};
use proxy::http::h3::frame::Piece;

fn connect(host: &str) -> Request<()> {
    let request = Request::connect(format!("https://{host}/chat?x"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat");
    request.body(()).unwrap()
}

#[tokio::test]
async fn a_websocket_opens_with_backends_of_both_versions() {
    let one = ScriptedBackend::start(|mut peer| async move {
        let head = peer.head().await.unwrap();
        assert!(head.starts_with("GET /chat?x HTTP/1.1\r\n"), "{head}");
        assert_eq!(field(&head, "sec-websocket-key").map(str::len), Some(24));
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: chat\r\n\r\n",
        )
        .await;
        while let Ok(byte) = peer.exactly(1).await {
            peer.send(byte).await;
        }
    })
    .await;
    let two = Http2Backend::with(
        |builder| {
            builder.enable_connect_protocol();
        },
        |mut received| async move {
            let head = Response::builder().header("sec-websocket-protocol", "chat");
            let mut stream = received.begin(head.body(()).unwrap(), false).unwrap();
            while let Some(Ok(piece)) = received.content.data().await {
                let _ = received.content.flow_control().release_capacity(piece.len());
                let _ = narthex_testbed::http2::send(&mut stream, &piece, false).await;
            }
            let _ = stream.send_data(bytes::Bytes::new(), true);
        },
    )
    .await;
    let gw = front(one.address, two.address).start().await;
    for host in ["one.example", "two.example"] {
        let client = client(&gw).await;
        let mut said = client.said().await;
        let Some(Piece::Settings(settings)) = heard(&mut said).await else {
            panic!("settings come first");
        };
        assert!(settings.extended_connect && settings.most_fields.is_some());
        let mut asked = client.ask(&connect(host), false).await.unwrap();
        let (status, fields) = asked.head().await.unwrap();
        assert_eq!(
            (status, fields["sec-websocket-protocol"].to_str().unwrap()),
            (200, "chat"),
            "{host}"
        );
        assert!(!fields.contains_key("sec-websocket-accept") && !fields.contains_key("upgrade"));
        for message in ["hello", "again"] {
            asked.send(message, false).await.unwrap();
            assert_eq!(asked.read(5).await.unwrap(), message.as_bytes(), "{host}");
        }
        asked.send.finish().unwrap();
        assert_eq!(asked.next().await, Ok(None), "the end comes back, {host}");
    }
}

#[tokio::test]
async fn a_websocket_that_is_refused_or_no_protocol_is_answered() {
    let one = ScriptedBackend::start(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
                .await;
        }
    })
    .await;
    let gw = front(one.address, nobody()).start().await;
    let client = client(&gw).await;
    let asked = client.ask(&connect("one.example"), false).await.unwrap();
    let answer = asked.answer().await.unwrap();
    assert_eq!((answer.status, &*answer.text()), (403, "no"));
    let tunnel =
        narthex_testbed::http3::headers(&[(":method", "CONNECT"), (":authority", "one.example:443")]);
    let asked = client.raw(&tunnel).await.unwrap();
    assert_eq!(asked.answer().await.unwrap().status, 405);
}
