//! What gRPC is told when something fails (grpc/doc/PROTOCOL-HTTP2.md).

use crate::{backend, front, nobody};
use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Request, Response};
use narthex_testbed::Gateway;
use narthex_testbed::http2::{Answer, Http2, Http2Backend, Received};
use narthex_testbed::objects::{FRONT, endpoint_slice};

/// A call of a host's.
fn call(host: &str, path: &str) -> http::request::Builder {
    Request::post(format!("http://{host}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
}

async fn answer(gw: &Gateway, request: http::request::Builder) -> Answer {
    let mut client = Http2::plain(gw.address(80)).await;
    let asked = client.ask(request.body(()).unwrap(), true).await.unwrap();
    asked.answer().await.unwrap()
}

/// The status, and whether it says this; in the trailer, or in the head where nothing else came.
fn said(answer: &Answer, what: &str) -> String {
    let fields = answer.trailer.as_ref().unwrap_or(&answer.headers);
    let text = |name: &str| fields.get(name).map_or("", |value| value.to_str().unwrap());
    assert!(text("grpc-message").contains(what), "{:?}", text("grpc-message"));
    text("grpc-status").to_owned()
}

#[tokio::test]
async fn a_head_that_is_too_large_is_a_resource_that_is_exhausted() {
    let gw = front(nobody(), nobody()).start().await;
    let mut request = call("two.example", "/a.B/C");
    for number in 0..200 {
        request = request.header(format!("x-{number}"), "y");
    }
    let answer = answer(&gw, request).await;
    assert_eq!((answer.status, &*said(&answer, "head-too-large")), (200, "8"));
}

#[tokio::test]
async fn a_call_that_breaks_off_behind_its_head_has_a_status_in_its_trailer() {
    let two = Http2Backend::start(break_off).await;
    let gw = front(nobody(), two.address).start().await;
    for (path, content, what, status) in [
        ("/a.B/Reset", "half", "bad-response-body", "14"),
        ("/a.B/Silent", "half", "request-timeout", "4"),
    ] {
        let request = call("two.example", path).header("grpc-timeout", "200m");
        let answer = answer(&gw, request).await;
        assert_eq!(answer.body, content.as_bytes(), "{path}");
        assert_eq!((answer.status, &*said(&answer, what)), (200, status), "{path}");
    }
    // What is not gRPC is reset.
    let mut client = Http2::plain(gw.address(80)).await;
    let request = Request::post("http://two.example/a.B/Reset").body(()).unwrap();
    let asked = client.ask(request, true).await.unwrap();
    let end = asked.answer().await.unwrap_err();
    assert_eq!(end.reason(), Some(Reason::INTERNAL_ERROR));
}

/// Half an answer, and then a reset or nothing at all.
async fn break_off(mut received: Received) {
    let head = Response::builder().header("content-type", "application/grpc");
    let mut stream = received.begin(head.body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::from_static(b"half"), false).unwrap();
    // A reset overtakes what was not read yet.
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    if received.path() == "/a.B/Reset" {
        return stream.send_reset(Reason::INTERNAL_ERROR);
    }
    // Until the gateway has enough of it.
    let _ = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
}

#[tokio::test]
async fn a_grpc_route_leads_to_http2_and_what_it_does_not_know_is_unimplemented() {
    let two = Http2Backend::start(|mut received| async move {
        let head = Response::builder().header("content-type", "application/grpc");
        let mut stream = received.begin(head.body(()).unwrap(), false).unwrap();
        let mut trailer = HeaderMap::new();
        trailer.insert("grpc-status", "0".parse().unwrap());
        stream.send_trailers(trailer).unwrap();
    })
    .await;
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: GRPCRoute\nmetadata: {name: a, namespace: default}\n\
                 spec:\n  parentRefs: [{name: front}]\n  hostnames: [a.example]\n  rules:\n\
                 \x20 - {matches: [{method: {service: a.B}}], backendRefs: [{name: a, port: 80}]}\n---\n";
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: default}\n\
                   spec: {ports: [{port: 80}]}\n---\n";
    let slice = endpoint_slice("a", "a", &[two.address]);
    let yaml = [FRONT, &backend("one", "http", &[]), route, service, &slice].concat();
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await;
    let known = answer(&gw, call("a.example", "/a.B/C")).await;
    assert_eq!((known.status, &*said(&known, "")), (200, "0"));
    let unknown = answer(&gw, call("a.example", "/a.C/C")).await;
    assert_eq!((unknown.status, &*said(&unknown, "no-route")), (200, "12"));
}
