//! Whole connections: how they begin, what they are told, how they end.

use crate::{backend, front, nobody, to};
use http::Request;
use narthex_testbed::http2::{Http2, Http2Backend};
use narthex_testbed::objects::FRONT;
use narthex_testbed::scripted::ScriptedBackend;
use narthex_testbed::{DEADLINE, Gateway};
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// Answers `/held` when it is told to, all else at once.
async fn held() -> (Http2Backend, mpsc::UnboundedReceiver<()>, Arc<Notify>) {
    let (tell, told) = mpsc::unbounded_channel();
    let release = Arc::<Notify>::default();
    let wait = Arc::clone(&release);
    let backend = Http2Backend::start(move |received| {
        let (wait, tell) = (Arc::clone(&wait), tell.clone());
        async move {
            if received.path() == "/held" {
                tell.send(()).unwrap();
                wait.notified().await;
            }
            received.answer(200, "answer").await;
        }
    })
    .await;
    (backend, told, release)
}

fn get(url: &str) -> Request<()> {
    Request::get(url).body(()).unwrap()
}

#[tokio::test]
async fn by_alpn_hosts_of_one_certificate_share_a_connection_and_others_are_misdirected() {
    let (two, ..) = held().await;
    let gateway = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: secure, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: a, port: 443, protocol: HTTPS, hostname: \"*.a.example\", tls: {certificateRefs: [{name: a}]}}
  - {name: b, port: 443, protocol: HTTPS, hostname: b.example, tls: {certificateRefs: [{name: b}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: secure, namespace: default}
spec:
  parentRefs: [{name: secure}]
  rules:
  - backendRefs: [{name: two, port: 80}]
  - matches: [{path: {value: /old}}]
    filters: [{type: RequestRedirect, requestRedirect: {statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /new}}}]
---
";
    let yaml = [
        FRONT,
        gateway,
        &backend("two", "kubernetes.io/h2c", &[two.address]),
        &Gateway::secret("default", "a", &["*.a.example"]),
        &Gateway::secret("default", "b", &["b.example"]),
    ]
    .concat();
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await;
    let mut client = Http2::tls(gw.address(443), "x.a.example").await;
    assert_eq!(client.get("https://x.a.example/").await.text(), "answer");
    assert_eq!(client.get("https://y.a.example/").await.status, 200);
    assert_eq!(client.get("https://b.example/").await.status, 421);
    // RFC 9110 §15.5.20: and then on a connection of its own.
    assert_eq!(client.get("https://x.a.example/").await.status, 200);
    let answer = client.get("https://x.a.example/old").await;
    let location = answer.header("location").unwrap();
    assert_eq!(answer.status, 301);
    assert!(
        location.starts_with("https://x.a.example:") && location.ends_with("/new"),
        "{location}"
    );
    let mut client = Http2::tls(gw.address(443), "b.example").await;
    assert_eq!(client.get("https://b.example/").await.status, 200);
}

#[tokio::test]
async fn a_client_is_told_how_many_streams_it_may_have_and_that_it_may_ask_for_websockets() {
    let gw = front(nobody(), nobody()).settings(|settings| settings.http.limits.streams = 7);
    let gw = gw.start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    client.settled().await;
    assert_eq!(client.streams(), 7);
    assert!(client.knows_extended_connect());
}

#[tokio::test]
async fn after_so_many_requests_a_client_is_told_to_go() {
    let (two, ..) = held().await;
    let gw =
        front(nobody(), two.address).settings(|settings| settings.http.limits.requests_per_connection = 3);
    let gw = gw.start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    for _ in 0..3 {
        assert_eq!(client.get("http://two.example/").await.status, 200);
    }
    assert!(client.end().await.is_ok());
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way() {
    let (two, mut told, release) = held().await;
    let gw = front(nobody(), two.address).start().await;
    let mut busy = Http2::plain(gw.address(80)).await;
    let mut idle = Http2::plain(gw.address(80)).await;
    assert_eq!(idle.get("http://two.example/").await.status, 200);
    let asked = busy.ask(get("http://two.example/held"), true).await.unwrap();
    told.recv().await.unwrap();
    let drain = gw.data_plane().drain();
    assert!(idle.end().await.is_ok());
    // Longer than a client has to go that has nothing under way.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    release.notify_one();
    let answer = asked.answer().await.unwrap();
    assert_eq!((answer.status, &*answer.text()), (200, "answer"));
    assert!(busy.end().await.is_ok());
    let outcome = timeout(DEADLINE, drain).await.unwrap();
    assert_eq!(outcome.cut, 0, "{outcome:?}");
}

#[tokio::test]
async fn a_change_cuts_no_stream_and_is_met_by_the_next_one() {
    let (two, mut told, release) = held().await;
    let one = ScriptedBackend::start(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none").await;
        }
    })
    .await;
    let gw = front(one.address, two.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    let asked = client.ask(get("http://two.example/held"), true).await.unwrap();
    told.recv().await.unwrap();
    // The same Service speaks HTTP/1.1 now, elsewhere.
    let yaml = [FRONT, &backend("two", "http", &[one.address]), &to("two", "")].concat();
    gw.write("objects.yaml", &yaml).live().await;
    assert_eq!(client.get("http://two.example/").await.text(), "one");
    assert_eq!(client.get("http://one.example/").await.status, 404);
    release.notify_one();
    assert_eq!(asked.answer().await.unwrap().text(), "answer");
}

#[tokio::test]
async fn a_port_that_is_closed_lets_streams_finish() {
    let (two, mut told, release) = held().await;
    let gw = front(nobody(), two.address).start().await;
    let mut client = Http2::plain(gw.address(80)).await;
    let asked = client.ask(get("http://two.example/held"), true).await.unwrap();
    told.recv().await.unwrap();
    gw.write("objects.yaml", &FRONT.replace("port: 80", "port: 81"))
        .live()
        .await;
    release.notify_one();
    assert_eq!(asked.answer().await.unwrap().text(), "answer");
    assert!(client.end().await.is_ok());
}

#[tokio::test]
async fn a_preface_may_come_byte_by_byte() {
    let gw = front(nobody(), nobody()).start().await;
    let mut client = gw.connect(80).await;
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0" {
        client.send([*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    // A PING, and nonsense to have the connection closed.
    client
        .send(b"\0\0\x08\x06\0\0\0\0\0narthex!\0\0\x01\x06\0\0\0\0\0x")
        .await
        .unwrap();
    let rest = client.rest().await.unwrap();
    assert!(rest.windows(8).any(|window| window == b"narthex!"), "{rest:?}");
}
