//! The admin listener over a real socket.

#![allow(clippy::unwrap_used)]

use narthex_admin::{OpenSocket, PlacedDiagnostic, Readiness, Source, serve};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use telemetry::Telemetry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

struct Fixed {
    readiness: Mutex<Readiness>,
    snapshot: Option<Arc<ir::Snapshot>>,
    telemetry: Arc<Telemetry>,
}

impl Source for Fixed {
    fn readiness(&self) -> Readiness {
        *self.readiness.lock().unwrap()
    }

    fn generation(&self) -> u64 {
        7
    }

    fn snapshot(&self) -> Option<Arc<ir::Snapshot>> {
        self.snapshot.clone()
    }

    fn statuses(&self) -> Value {
        json!([{"kind": "Gateway", "namespace": "shop", "name": "front", "status": {}}])
    }

    fn diagnostics(&self) -> Vec<PlacedDiagnostic> {
        let origin = ir::Origin::new("HTTPRoute", "shop", "cart");
        vec![PlacedDiagnostic {
            diagnostic: ir::Diagnostic::new(
                ir::Code::BackendNotFound,
                origin,
                "spec.rules[0]",
                "no such Service",
            ),
            file: Some("shop.yaml".into()),
            line: Some(12),
        }]
    }

    fn sockets(&self) -> Vec<OpenSocket> {
        vec![OpenSocket {
            bind: ADDRESS,
            address: ([127, 0, 0, 1], 8443).into(),
        }]
    }

    fn upstreams(&self) -> Value {
        json!([{"id": "shop/cart:80", "endpoints": []}])
    }

    fn telemetry(&self) -> Arc<Telemetry> {
        Arc::clone(&self.telemetry)
    }
}

const ADDRESS: ir::BindAddress = ir::BindAddress { ip: None, port: 443 };
const KEY: &[u8] = b"the secret key, as bytes";

/// A snapshot with a listener and a certificate.
fn snapshot() -> ir::Snapshot {
    let id = ir::CertificateId("shop/tls".into());
    let certificate = ir::Certificate {
        id: id.clone(),
        origin: ir::Origin::new("Secret", "shop", "tls"),
        chain: vec![vec![1, 2, 3]],
        key: ir::PrivateKey(KEY.to_vec()),
        staple: None,
        names: vec!["a.example".into()],
        not_after: 1_800_000_000,
        fingerprint: "00".into(),
    };
    let listener = ir::Listener {
        clients: None,
        tls_policy: ir::TlsPolicy::default(),
        identity: None,
        origin: ir::Origin::new("Gateway", "shop", "front").section("https"),
        layer: ir::Layer::Gateway,
        hostname: ir::HostPattern::Any,
        tls: vec![ir::TlsHost {
            hostname: ir::HostPattern::Any,
            certificates: vec![id.clone()],
        }],
        routes: ir::List::default(),
    };
    let bind = ir::Bind {
        address: ADDRESS,
        public_port: None,
        transport: ir::Transport::Https,
        proxy_protocol: false,
        listeners: vec![Arc::new(listener)],
        default_certificates: vec![],
        streams: Vec::new(),
    };
    ir::Snapshot {
        binds: vec![Arc::new(bind)],
        certificates: Arc::new([(id, Arc::new(certificate))].into()),
        ..ir::Snapshot::default()
    }
}

struct Admin {
    address: SocketAddr,
    source: Arc<Fixed>,
}

async fn start(readiness: Readiness, snapshot: Option<ir::Snapshot>) -> Admin {
    let source = Arc::new(Fixed {
        readiness: Mutex::new(readiness),
        snapshot: snapshot.map(Arc::new),
        telemetry: Telemetry::new(1),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, Arc::clone(&source) as Arc<dyn Source>));
    Admin { address, source }
}

impl Admin {
    /// Sends a request line with further fields; returns status, head and body.
    async fn ask(&self, line: &str, fields: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{line} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n{fields}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = self.ask(&format!("GET {path}"), "").await;
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[tokio::test]
async fn it_is_healthy_at_once_and_ready_while_requests_are_served() {
    let admin = start(Readiness::Starting, None).await;
    assert_eq!(admin.ask("GET /healthz", "").await.0, 200);
    assert_eq!(admin.ask("GET /readyz", "").await.0, 503);
    *admin.source.readiness.lock().unwrap() = Readiness::Ready;
    assert_eq!(admin.ask("GET /readyz", "").await.0, 200);
    *admin.source.readiness.lock().unwrap() = Readiness::Draining;
    assert_eq!(admin.ask("GET /readyz", "").await.0, 503);
    assert_eq!(admin.ask("GET /healthz", "").await.0, 200);
}

#[tokio::test]
async fn before_the_first_configuration_there_is_nothing_to_show() {
    let admin = start(Readiness::Starting, None).await;
    for path in ["/api/v1/snapshot", "/api/v1/listeners"] {
        let (status, body) = admin.json(path).await;
        assert_eq!(
            (status, &body["error"]),
            (503, &json!("no configuration is live yet"))
        );
    }
}

#[tokio::test]
async fn every_page_of_the_index_answers() {
    let admin = start(Readiness::Ready, Some(snapshot())).await;
    let (_, index) = admin.json("/api/v1").await;
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 8);
    for path in paths.keys() {
        let (status, head, _) = admin.ask(&format!("GET {path}"), "").await;
        assert_eq!(status, 200, "{path}");
        assert_eq!(
            path.starts_with("/api"),
            head.contains("content-type: application/json"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_pages_say_what_is_in_use() {
    let admin = start(Readiness::Ready, Some(snapshot())).await;
    let (_, page) = admin.json("/api/v1/snapshot").await;
    assert_eq!(page["generation"], 7);
    assert_eq!(
        page["snapshot"]["certificates"]["shop/tls"]["names"][0],
        "a.example"
    );
    let (_, page) = admin.json("/api/v1/status").await;
    assert_eq!(page["objects"][0]["name"], "front");
    let (_, page) = admin.json("/api/v1/diagnostics").await;
    assert_eq!(page["diagnostics"][0]["code"], "NTX0101");
    assert_eq!(page["diagnostics"][0]["line"], 12);
    let (_, page) = admin.json("/api/v1/listeners").await;
    assert_eq!(page["binds"][0]["address"], "*:443");
    assert_eq!(page["binds"][0]["open"][0], "127.0.0.1:8443");
    assert_eq!(page["binds"][0]["listeners"][0]["origin"]["section"], "https");
    let (_, page) = admin.json("/api/v1/upstreams").await;
    assert_eq!(page["upstreams"][0]["id"], "shop/cart:80");
}

#[tokio::test]
async fn no_page_shows_a_private_key() {
    let admin = start(Readiness::Ready, Some(snapshot())).await;
    let secret = String::from_utf8(KEY.to_vec()).unwrap();
    let as_numbers = serde_json::to_string(KEY).unwrap();
    for path in ["snapshot", "status", "diagnostics", "listeners", "upstreams"] {
        let (_, _, body) = admin.ask(&format!("GET /api/v1/{path}"), "").await;
        assert!(
            !body.contains(&secret) && !body.contains(as_numbers.trim_matches(['[', ']'])),
            "{path}"
        );
        assert!(
            path != "snapshot" || body.contains("\"(key)\""),
            "the place of the key is visible"
        );
    }
}

#[tokio::test]
async fn metrics_come_in_the_format_that_the_scraper_likes() {
    let admin = start(Readiness::Ready, None).await;
    let (_, head, body) = admin.ask("GET /metrics", "").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    assert!(body.contains("\nnarthex_build_info{"));
    let (_, head, body) = admin
        .ask("GET /metrics", "Accept: application/openmetrics-text\r\n")
        .await;
    assert!(head.contains("application/openmetrics-text; version=1.0.0"));
    assert!(body.ends_with("# EOF\n"));
}

#[tokio::test]
async fn what_does_not_exist_or_would_change_something_is_refused_in_json() {
    let admin = start(Readiness::Ready, None).await;
    let (status, page) = admin.json("/api/v1/secrets").await;
    assert_eq!((status, page["error"].is_string()), (404, true));
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
        let (status, head, body) = admin
            .ask(&format!("{method} /api/v1/snapshot"), "Content-Length: 0\r\n")
            .await;
        assert_eq!(status, 405, "{method}");
        assert!(head.contains("allow: get"), "{head}");
        assert!(body.contains("error"));
    }
    let (status, _, body) = admin.ask("HEAD /api/v1", "").await;
    assert_eq!((status, body.as_str()), (200, ""));
}
