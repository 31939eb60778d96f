//! Connections: early data, Retry, clients that move, drains, changes of the configuration, and how clients are told.

use super::{SECURE, client, echo, front, nobody, to};
use http::Request;
use narthex_testbed::Gateway;
use narthex_testbed::http2::Http2;
use narthex_testbed::http3::{Broken, Http3, Http3Settings, heard};
use narthex_testbed::objects::FRONT;
use narthex_testbed::scripted::{ScriptedBackend, field};
use proxy::http::h3::Code;
use proxy::http::h3::frame::Piece;
use std::time::Duration;
use tokio::sync::mpsc;

fn get() -> Request<()> {
    Request::get("https://one.example/").body(()).unwrap()
}

/// A backend that tells the fields it got.
async fn teller() -> (ScriptedBackend, mpsc::UnboundedReceiver<String>) {
    let (tell, told) = mpsc::unbounded_channel();
    let backend = ScriptedBackend::start(move |mut peer| {
        let tell = tell.clone();
        async move {
            while let Some(head) = peer.head().await {
                tell.send(head).unwrap();
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    (backend, told)
}

#[tokio::test]
async fn early_data_is_off_unless_asked_for() {
    let gw = echo().start().await;
    let settings = Http3Settings::default();
    let first = settings.connect(gw.address(443), "one.example").await;
    assert_eq!(first.get("https://one.example/").await.status, 200);
    assert!(settings.early(gw.address(443), "one.example").await.is_none());
}

#[tokio::test]
async fn early_data_is_passed_on_as_such_if_it_does_no_harm() {
    let (one, mut told) = teller().await;
    let gw = front(one.address, nobody())
        .settings(|settings| {
            let http3 = ir::Http3 {
                early_data: true,
                ..ir::Http3::default()
            };
            settings.http.http3 = Some(http3);
        })
        .start()
        .await;
    let settings = Http3Settings::default();
    let first = settings.connect(gw.address(443), "one.example").await;
    assert_eq!(first.get("https://one.example/").await.status, 200);
    let head = told.recv().await.unwrap();
    assert_eq!(field(&head, "early-data"), None);

    let (early, accepted) = settings
        .early(gw.address(443), "one.example")
        .await
        .expect("a session");
    let asked = early.ask(&get(), true).await.unwrap();
    let mut post = Request::post("https://one.example/");
    post = post.header("content-length", "0");
    let refused = early.ask(&post.body(()).unwrap(), true).await.unwrap();
    assert!(accepted.await, "the gateway takes early data");
    assert_eq!(asked.answer().await.unwrap().status, 200);
    assert_eq!(refused.answer().await.unwrap().status, 425);
    let head = told.recv().await.unwrap();
    assert_eq!(field(&head, "early-data"), Some("1"), "{head}");
    // Behind the handshake it is a request like any other.
    let post = Request::post("https://one.example/").header("content-length", "0");
    let asked = early.ask(&post.body(()).unwrap(), true).await.unwrap();
    assert_eq!(asked.answer().await.unwrap().status, 200);
    let head = told.recv().await.unwrap();
    assert!(
        head.starts_with("POST") && field(&head, "early-data").is_none(),
        "{head}"
    );
    gw.metrics_when(|scrape| scrape.sum("narthex_faults_total", &["code=\"too-early\""]) >= 1.0)
        .await;
}

#[tokio::test]
async fn under_load_a_client_proves_its_address() {
    let gw = echo()
        .settings(|settings| {
            let http3 = ir::Http3 {
                retry_above: 0,
                ..ir::Http3::default()
            };
            settings.http.http3 = Some(http3);
        })
        .start()
        .await;
    // A second round trip, and it is served; a client that lies about its address never answers.
    let client = client(&gw).await;
    assert_eq!(client.get("https://one.example/").await.status, 200);
}

#[tokio::test]
async fn a_client_that_moves_keeps_its_connection_and_its_streams() {
    let (one, mut told) = teller().await;
    let gw = front(one.address, nobody()).workers(4).start().await;
    let client = client(&gw).await;
    let mut seen = std::collections::BTreeSet::new();
    // Of so many ports, most lead to another worker than the one that has the connection.
    for _ in 0..12 {
        assert_eq!(client.get("https://one.example/").await.status, 200);
        told.recv().await.unwrap();
        seen.insert(client.endpoint.local_addr().unwrap().port());
        let mut asked = client
            .ask(&Request::post("https://one.example/").body(()).unwrap(), false)
            .await
            .unwrap();
        asked.send("before", false).await.unwrap();
        client.moves();
        asked.send(" and after", true).await.unwrap();
        assert_eq!(asked.answer().await.unwrap().status, 200);
        told.recv().await.unwrap();
    }
    assert_eq!(seen.len(), 12);
    let all_told = |scrape: &narthex_testbed::Scrape| scrape.sum("narthex_requests_total", &[]) >= 24.0;
    let scrape = gw.metrics_when(all_told).await;
    let faults = scrape.sum("narthex_faults_total", &[]);
    assert!(faults < 1.0, "{faults} faults");
}

#[tokio::test]
async fn a_drain_serves_what_is_under_way_and_says_goodbye() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let (tell, mut told) = mpsc::unbounded_channel();
    let one = ScriptedBackend::start(move |mut peer| {
        let (mut gone, tell) = (gone.clone(), tell.clone());
        async move {
            peer.head().await.unwrap();
            tell.send(()).unwrap();
            let _ = gone.wait_for(|gone| *gone).await;
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                .await;
        }
    })
    .await;
    let gw = front(one.address, nobody()).start().await;
    let (busy, idle) = (client(&gw).await, client(&gw).await);
    assert_eq!(idle.get("https://nowhere.example/").await.status, 404);
    let asked = busy.ask(&get(), true).await.unwrap();
    told.recv().await.unwrap();
    let drained = tokio::spawn(gw.data_plane().drain());
    let mut said = busy.said().await;
    assert!(matches!(heard(&mut said).await, Some(Piece::Settings(_))));
    assert_eq!(heard(&mut said).await, Some(Piece::GoAway((1 << 62) - 4)));
    assert_eq!(heard(&mut said).await, Some(Piece::GoAway(4)));
    // What comes now is to be asked elsewhere.
    let late = busy.ask(&get(), true).await.unwrap();
    assert_eq!(
        late.answer().await.map(|answer| answer.status),
        Err(Broken::Reset(u64::from(Code::REQUEST_REJECTED.0)))
    );
    assert_eq!(idle.closed().await, Broken::Closed(u64::from(Code::NO_ERROR.0)));
    go.send(true).unwrap();
    assert_eq!(asked.answer().await.unwrap().text(), "done");
    assert_eq!(busy.closed().await, Broken::Closed(u64::from(Code::NO_ERROR.0)));
    let outcome = drained.await.unwrap();
    assert_eq!((outcome.finished, outcome.cut), (2, 0));
}

#[tokio::test]
async fn an_idle_client_is_told_to_go() {
    let gw = echo()
        .settings(|settings| settings.http.timeouts.keep_alive = Duration::from_millis(300))
        .start()
        .await;
    let client = client(&gw).await;
    assert_eq!(client.get("https://one.example/").await.status, 200);
    assert_eq!(client.closed().await, Broken::Closed(u64::from(Code::NO_ERROR.0)));
    gw.metrics_when(|scrape| scrape.sum("narthex_connections_open", &[]) == 0.0)
        .await;
}

#[tokio::test]
async fn connections_live_through_changes_and_end_with_their_bind() {
    let secret = Gateway::secret("default", "all", &["one.example", "two.example"]);
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: one, namespace: default}\nspec: {ports: [{port: 80}]}\n---\n";
    let gw = super::with_http3(
        Gateway::builder()
            .file("front.yaml", &[FRONT, &secret, service].concat())
            .file("secure.yaml", SECURE)
            .file("route.yaml", &to("one", "")),
    )
    .start()
    .await;
    let address = gw.address(443);
    let client = client(&gw).await;
    assert_eq!(client.get("https://one.example/").await.status, 200);
    gw.remove("route.yaml").live().await;
    assert_eq!(client.get("https://one.example/").await.status, 404);
    // Another certificate, which the next connection is shown.
    let secret = Gateway::secret("default", "all", &["one.example", "other.example"]);
    gw.write("front.yaml", &[FRONT, &secret, service].concat())
        .live()
        .await;
    assert_eq!(client.get("https://one.example/").await.status, 404);
    let other = Http3::connect(address, "other.example").await;
    assert_eq!(other.get("https://other.example/").await.status, 404);
    gw.remove("secure.yaml").live().await;
    let end = client.closed().await;
    assert_eq!(end, Broken::Closed(u64::from(Code::NO_ERROR.0)));
    assert!(gw.data_plane().local_http3_addresses().is_empty());
}

#[tokio::test]
async fn clients_of_the_older_versions_are_told_and_others_not() {
    let (one, _told) = teller().await;
    let gw = front(one.address, nobody()).start().await;
    let expected = "h3=\":443\"; ma=86400";
    gw.get("https://one.example/")
        .await
        .status(200)
        .has("alt-svc", expected);
    // An answer of ours too.
    gw.get("https://two.example/")
        .await
        .status(502)
        .has("alt-svc", expected);
    let port = gw.address(443).port();
    let mut two = Http2::tls(gw.address(443), "one.example").await;
    let answer = two.get(&format!("https://one.example:{port}/")).await;
    assert_eq!(
        answer.header("alt-svc"),
        Some(&*format!("h3=\":{port}\"; ma=86400"))
    );
    let client = client(&gw).await;
    assert_eq!(client.get("https://one.example/").await.header("alt-svc"), None);
    gw.get("http://one.example/").await.status(404).lacks("alt-svc");
}

#[tokio::test]
async fn a_backend_that_says_it_itself_is_left_alone() {
    let one = ScriptedBackend::start(|mut peer| async move {
        while peer.head().await.is_some() {
            peer.send("HTTP/1.1 200 OK\r\nAlt-Svc: clear\r\nContent-Length: 0\r\n\r\n")
                .await;
        }
    })
    .await;
    let gw = front(one.address, nobody()).start().await;
    gw.get("https://one.example/")
        .await
        .status(200)
        .has("alt-svc", "clear");
}

#[tokio::test]
async fn without_the_flag_there_is_no_socket_and_no_word_of_it() {
    let gw = echo()
        .settings(|settings| settings.http.http3 = None)
        .start()
        .await;
    assert!(!gw.serves_http3(443));
    gw.get("https://one.example/").await.status(200).lacks("alt-svc");
    assert!(
        std::net::UdpSocket::bind(gw.address(443)).is_ok(),
        "the port is free"
    );
}

#[tokio::test]
async fn the_access_log_says_which_version_it_was() {
    let gw = echo().access_log("json").start().await;
    let client = client(&gw).await;
    assert_eq!(client.get("https://one.example/x").await.status, 200);
    let line = &gw.access_log(1)[0];
    assert!(
        line.contains("HTTP/3.0") && line.contains("TLSv1.3") && line.contains("\"https\""),
        "{line}"
    );
}

#[tokio::test]
async fn more_streams_than_allowed_wait() {
    let (go, gone) = tokio::sync::watch::channel(false);
    let one = ScriptedBackend::start(move |mut peer| {
        let mut gone = gone.clone();
        async move {
            while peer.head().await.is_some() {
                let _ = gone.wait_for(|gone| *gone).await;
                peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        }
    })
    .await;
    let gw = front(one.address, nobody())
        .settings(|settings| settings.http.limits.streams = 3)
        .start()
        .await;
    let client = client(&gw).await;
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(client.ask(&get(), true).await.unwrap());
    }
    let fourth = tokio::time::timeout(Duration::from_millis(200), client.connection.open_bi()).await;
    assert!(fourth.is_err(), "there is no room");
    go.send(true).unwrap();
    for asked in asked {
        assert_eq!(asked.answer().await.unwrap().status, 200);
    }
    assert_eq!(client.get("https://one.example/").await.status, 200);
}

#[tokio::test]
async fn a_server_name_without_a_certificate_is_refused() {
    let gw = echo().start().await;
    let refused = Http3Settings::default()
        .bare(gw.address(443), "unknown.example")
        .await;
    assert!(refused.is_err());
    let client = client(&gw).await;
    assert_eq!(client.get("https://one.example/").await.status, 200);
    // Another host than the connection is for, which this listener has no name of its own for: served as over HTTP/2.
    assert_eq!(client.get("https://nowhere.example/").await.status, 404);
    gw.metrics_when(|scrape| scrape.sum("narthex_tls_handshakes_total", &["result=\"failed\""]) >= 1.0)
        .await;
}

#[tokio::test]
async fn where_clients_are_checked_there_is_no_http3_and_it_is_said() {
    let authority = "\
apiVersion: v1
kind: ConfigMap
metadata: {name: authority, namespace: default}
data:
  ca.crt: |
";
    let certificate = narthex_testbed::Authority::shared()
        .issue(&["authority.example"])
        .chain;
    let indented = format!("    {}\n", certificate.trim_end().replace('\n', "\n    "));
    let checked = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: checked, namespace: default}
spec:
  gatewayClassName: narthex
  tls:
    frontend:
      default:
        validation: {caCertificateRefs: [{group: \"\", kind: ConfigMap, name: authority}]}
  listeners:
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: all}]}}
---
";
    let secret = Gateway::secret("default", "all", &["one.example"]);
    let yaml = [FRONT, &secret, checked, authority, &indented, "---\n"].concat();
    let gw = super::with_http3(Gateway::builder().file("objects.yaml", &yaml))
        .start()
        .await;
    assert!(!gw.serves_http3(443));
    let live = gw.now();
    let found = live
        .diagnostics
        .iter()
        .find(|found| found.code == ir::Code::Http3NotServed);
    assert!(
        found.is_some_and(|found| found.message.contains("certificates of clients")),
        "{found:?}"
    );
}

#[tokio::test]
async fn a_listener_of_udp_has_its_port() {
    let udp = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: dns, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: udp, port: 443, protocol: UDP}
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: default}
spec: {ports: [{port: 53, protocol: UDP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: dns, namespace: default}
spec:
  parentRefs: [{name: dns}]
  rules: [{backendRefs: [{name: dns, port: 53}]}]
---
";
    let secret = Gateway::secret("default", "all", &["one.example", "two.example"]);
    let yaml = [FRONT, SECURE, &secret, udp].concat();
    let gw = super::with_http3(Gateway::builder().file("objects.yaml", &yaml))
        .start()
        .await;
    let live = gw.now();
    let bind = live
        .snapshot
        .binds
        .iter()
        .find(|bind| bind.address.port == 443)
        .unwrap();
    assert!(!live.snapshot.serves_http3(bind));
    let found = live
        .diagnostics
        .iter()
        .find(|found| found.code == ir::Code::Http3NotServed);
    assert!(
        found.is_some_and(|found| found.message.contains("UDP port")),
        "{found:?}"
    );
}
