//! gRPC-Web (grpc/doc/PROTOCOL-WEB.md): a GRPCRoute's backends see gRPC, and its clients of HTTP/1.1 and HTTP/2 don't have to speak it.

use crate::{backend, to};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request, Response};
use narthex_testbed::Gateway;
use narthex_testbed::http2::{Http2, Http2Backend, Received};
use narthex_testbed::objects::{FRONT, endpoint_slice};
use narthex_testbed::scripted::{Scripted, field};

const MESSAGE: &[u8] = b"\0\0\0\0\x05hello";
const WEB: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text+proto";

/// A gateway with a GRPCRoute for `a.example` and an HTTPRoute for `two.example`, to the same backend.
async fn gateway() -> Gateway {
    let two = Http2Backend::start(answer).await;
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: a, namespace: default}\n\
                 spec:\n  parentRefs: [{name: front}]\n  hostnames: [a.example]\n  rules:\n\
                 \x20 - {matches: [{method: {service: a.B}}], backendRefs: [{name: a, port: 80}]}\n---\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: default}\n\
                   spec: {ports: [{port: 80}]}\n---\n";
    let slice = endpoint_slice("a", "a", &[two.address]);
    let other = backend("two", "kubernetes.io/h2c", &[two.address]);
    let yaml = [FRONT, route, service, &slice, "---\n", &other, &to("two", "")].concat();
    Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await
}

/// Sends back what comes, when it comes, and tells in a field what it is.
async fn answer(mut received: Received) {
    let kind = received.header("content-type").unwrap_or_default().to_owned();
    let te = received.header("te").unwrap_or_default().to_owned();
    let length = received.header("content-length").is_some();
    let head = Response::builder()
        .header("content-type", &kind)
        .header("seen", format!("{kind} {te} {length}"));
    if received.path() == "/a.B/Only" {
        let head = head.header("grpc-status", "5").body(()).unwrap();
        received.begin(head, true).unwrap();
        return;
    }
    let mut stream = received.begin(head.body(()).unwrap(), false).unwrap();
    while let Some(Ok(piece)) = received.content.data().await {
        let _ = received.content.flow_control().release_capacity(piece.len());
        let _ = narthex_testbed::http2::send(&mut stream, &piece, false).await;
    }
    if received.path() == "/a.B/Reset" {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        return stream.send_reset(Reason::INTERNAL_ERROR);
    }
    let mut trailer = HeaderMap::new();
    trailer.insert("grpc-status", "0".parse().unwrap());
    trailer.insert("grpc-message", "fine".parse().unwrap());
    let _ = stream.send_trailers(trailer);
}

/// Content as a client of this kind sends it.
fn coded(kind: &str, content: &[u8]) -> Vec<u8> {
    if kind.contains("text") {
        STANDARD.encode(content).into_bytes()
    } else {
        content.to_vec()
    }
}

/// What such a client makes of what comes: pieces of base64 may each have padding.
fn decoded(kind: &str, content: &[u8]) -> Vec<u8> {
    if !kind.contains("text") {
        return content.to_vec();
    }
    let groups = content.chunks(4);
    groups.flat_map(|group| STANDARD.decode(group).unwrap()).collect()
}

/// The frame with trailer fields at the end, as lines, and what comes before it.
fn split(content: &[u8], before: usize) -> (&[u8], String) {
    let (messages, frame) = content.split_at(before);
    let length = u32::from_be_bytes(frame[1..5].try_into().unwrap()) as usize;
    assert_eq!((frame[0], frame.len()), (0x80, length + 5));
    (messages, String::from_utf8(frame[5..].to_vec()).unwrap())
}

async fn by_http1(gw: &Gateway, host: &str, path: &str, kind: &str, content: &[u8]) -> (String, Vec<u8>) {
    let mut client = Scripted::connect(gw.address(80)).await;
    let length = content.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    );
    client.send([head.as_bytes(), content].concat()).await;
    let head = client.head().await.unwrap();
    let (body, trailer) = client.body(&head).await.unwrap();
    assert!(trailer.trim().is_empty() || host == "two.example");
    (head, body)
}

#[tokio::test]
async fn a_call_by_http1_in_both_forms() {
    let gw = gateway().await;
    for kind in [WEB, TEXT, "application/grpc-web", "application/grpc-web-text"] {
        let (head, body) = by_http1(&gw, "a.example", "/a.B/C", kind, &coded(kind, MESSAGE)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(field(&head, "content-type"), Some(kind), "{head}");
        let native = if kind.ends_with("+proto") { "+proto" } else { "" };
        let seen = format!("application/grpc{native} trailers {}", !kind.contains("text"));
        assert_eq!(field(&head, "seen"), Some(&*seen));
        let body = decoded(kind, &body);
        let (messages, trailer) = split(&body, MESSAGE.len());
        assert_eq!(messages, MESSAGE);
        assert!(trailer.contains("grpc-status: 0\r\n") && trailer.contains("grpc-message: fine\r\n"));
    }
}

#[tokio::test]
async fn messages_stream_both_ways_by_http2() {
    let gw = gateway().await;
    for kind in [WEB, TEXT] {
        let mut client = Http2::plain(gw.address(80)).await;
        let request = Request::post("http://a.example/a.B/C").header("content-type", kind);
        let mut asked = client.ask(request.body(()).unwrap(), false).await.unwrap();
        asked.send(coded(kind, MESSAGE), false).await.unwrap();
        let mut answer = asked.head().await.unwrap();
        assert_eq!(answer.headers()["content-type"], kind);
        // The first message is back before the second one is sent.
        let mut came = Vec::new();
        while decoded(kind, &came).len() < MESSAGE.len() {
            let piece: Bytes = answer.body_mut().data().await.unwrap().unwrap();
            let _ = answer.body_mut().flow_control().release_capacity(piece.len());
            came.extend(piece);
        }
        // Large ones too, and not at the ends of groups.
        let large = vec![b'x'; 200_000];
        for piece in coded(kind, &large).chunks(9_001) {
            asked.send(piece, false).await.unwrap();
        }
        asked.send("", true).await.unwrap();
        let (rest, trailer) = narthex_testbed::http2::read(answer.body_mut()).await.unwrap();
        assert!(trailer.is_none());
        came.extend(rest);
        let all = decoded(kind, &came);
        let (messages, trailer) = split(&all, MESSAGE.len() + large.len());
        assert!(messages.starts_with(MESSAGE) && messages.ends_with(&large));
        assert!(trailer.contains("grpc-status: 0"));
    }
}

#[tokio::test]
async fn a_status_without_messages_stands_in_the_head_and_so_do_errors_of_ours() {
    let gw = gateway().await;
    for (host, path, kind, content, status) in [
        ("a.example", "/a.B/Only", TEXT, &b""[..], "5"),
        ("a.example", "/a.C/C", WEB, MESSAGE, "12"),
        ("b.example", "/", TEXT, b"", "12"),
        ("a.example", "/a.B/C", TEXT, b"no base64!!!", "13"),
        ("a.example", "/a.B/C", TEXT, b"AAAAA", "13"),
    ] {
        let (head, body) = by_http1(&gw, host, path, kind, content).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert_eq!(field(&head, "content-type"), Some(kind), "{head}");
        assert_eq!(field(&head, "grpc-status"), Some(status), "{head}");
        assert_eq!(body, b"");
    }
}

#[tokio::test]
async fn a_call_that_breaks_off_ends_with_a_status() {
    let gw = gateway().await;
    for kind in [WEB, TEXT] {
        let (_, body) = by_http1(&gw, "a.example", "/a.B/Reset", kind, &coded(kind, MESSAGE)).await;
        let body = decoded(kind, &body);
        let (messages, trailer) = split(&body, MESSAGE.len());
        assert_eq!(messages, MESSAGE);
        assert!(trailer.contains("grpc-status: 14\r\n"), "{trailer}");
    }
}

#[tokio::test]
async fn an_http_route_passes_it_on_as_it_is() {
    let gw = gateway().await;
    let (head, body) = by_http1(&gw, "two.example", "/a.B/C", TEXT, b"what it is").await;
    assert_eq!(field(&head, "content-type"), Some(TEXT));
    assert!(field(&head, "seen").unwrap().starts_with(TEXT));
    assert_eq!(body, b"what it is");
}
