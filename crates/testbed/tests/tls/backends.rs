//! BackendTLSPolicy: which backends are believed, and what is agreed with them.

use crate::scene::{CLASS, PLAIN, believing, gateway, policy, route, service};
use http::Request;
use narthex_testbed::http2::Http2;
use narthex_testbed::{Authority, Gateway, Issued, TlsBackend, mark};
use rustls::ServerConfig;
use std::sync::Arc;

/// A gateway whose only backend is this one, under this policy. `ca` is the shared authority.
async fn front(backend: &TlsBackend, validation: &str) -> Gateway {
    let yaml = [
        CLASS,
        &gateway("front", PLAIN, ""),
        &route("shop", "front", "", "shop"),
        &service("shop", &[backend.address]),
        &policy("shop", validation),
        &Authority::config_map("ca", &[Authority::shared()]),
    ]
    .concat();
    Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await
}

fn server(names: &[&str]) -> Arc<ServerConfig> {
    Authority::shared().issue(names).server(&["h2", "http/1.1"], None)
}

/// What a GET of `/` comes to.
async fn status(gw: &Gateway) -> u16 {
    gw.get("http://a.example/").await.code()
}

#[tokio::test]
async fn a_backend_with_the_right_certificate_is_spoken_to() {
    let backend = TlsBackend::start(server(&["shop.internal"])).await;
    let gw = front(&backend, &believing("shop.internal")).await;
    let said = gw.get("http://a.example/").await.status(200).json();
    assert_eq!(said["sni"], "shop.internal");
    assert_eq!(said["alpn"], "http/1.1");
    // Connections are kept, TLS or not.
    for _ in 0..5 {
        gw.get("http://a.example/").await.status(200);
    }
    assert!(
        backend.connections() <= 2,
        "{} connections",
        backend.connections()
    );
    assert_eq!(backend.plain(), 0);
}

#[tokio::test]
async fn a_backend_that_nobody_vouches_for_gets_nothing() {
    let stranger = Authority::new("stranger").issue(&["shop.internal"]);
    let backend = TlsBackend::start(stranger.server(&[], None)).await;
    let gw = front(&backend, &believing("shop.internal")).await;
    gw.get("http://a.example/").await.status(502);
    assert_eq!(backend.requests(), 0);
    while backend.refused() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_taken() {
    let backend = TlsBackend::start(server(&["other.internal"])).await;
    let gw = front(&backend, &believing("shop.internal")).await;
    gw.get("http://a.example/").await.status(502);
    assert_eq!(backend.requests(), 0);
}

#[tokio::test]
async fn alternative_names_count_instead_of_the_hostname() {
    let id = "spiffe://prod.example/ns/shop/sa/shop";
    let names = |names: &str| format!("{}, subjectAltNames: [{names}]", believing("shop.internal"));
    let uri = format!("{{type: URI, uri: \"{id}\"}}");
    for (certificate, wanted, expected) in [
        (
            &["other.internal"][..],
            "{type: Hostname, hostname: other.internal}",
            200,
        ),
        (
            &["*.prod.internal"],
            "{type: Hostname, hostname: other.prod.internal}",
            200,
        ),
        (&[id], &*uri, 200),
        (
            &[id],
            "{type: Hostname, hostname: a.internal}, {type: URI, uri: \"spiffe://prod.example/ns/shop/sa/shop\"}",
            200,
        ),
        // The hostname is for SNI only where alternative names are given (GEP-1897).
        (
            &["shop.internal"],
            "{type: Hostname, hostname: other.internal}",
            502,
        ),
        (&["spiffe://prod.example/ns/shop/sa/shop2"], &uri, 502),
        (&["spiffe://prod.example/ns/shop/sa/SHOP"], &uri, 502),
    ] {
        let backend = TlsBackend::start(server(certificate)).await;
        let gw = front(&backend, &names(wanted)).await;
        let response = gw.get("http://a.example/").await.status(expected);
        if expected == 200 {
            assert_eq!(
                response.json()["sni"],
                "shop.internal",
                "{certificate:?} {wanted}"
            );
        }
    }
    // An authority counts there too.
    let stranger = Authority::new("stranger").issue(&[id]);
    let backend = TlsBackend::start(stranger.server(&[], None)).await;
    assert_eq!(status(&front(&backend, &names(&uri)).await).await, 502);
}

#[tokio::test]
async fn a_backend_that_does_not_speak_tls_gets_no_request() {
    let backend = narthex_testbed::scripted::ScriptedBackend::start(async |mut peer| {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        peer.closed().await;
    })
    .await;
    let yaml = [
        CLASS,
        &gateway("front", PLAIN, ""),
        &route("shop", "front", "", "shop"),
        &service("shop", &[backend.address]),
        &policy("shop", &believing("shop.internal")),
        &Authority::config_map("ca", &[Authority::shared()]),
    ]
    .concat();
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await;
    assert_eq!(status(&gw).await, 502);
}

#[tokio::test]
async fn a_policy_that_can_not_be_followed_lets_nothing_pass() {
    let backend = TlsBackend::start(server(&["shop.internal"])).await;
    let broken = believing("shop.internal").replace("name: ca}", "name: missing}");
    let gw = front(&backend, &broken).await;
    assert_eq!(status(&gw).await, 502);
    assert_eq!((backend.requests(), backend.plain()), (0, 0));
}

#[tokio::test]
async fn without_alpn_http_1_is_spoken_and_http_2_is_not() {
    let backend = TlsBackend::start(Authority::shared().issue(&["shop.internal"]).server(&[], None)).await;
    let gw = front(&backend, &believing("shop.internal")).await;
    let said = gw.get("http://a.example/").await.status(200).json();
    assert_eq!(said["alpn"], "");

    let gw = grpc(&backend).await;
    let answer = call(&gw).await;
    assert_ne!(answer.0, Some("h2".into()), "{answer:?}");
    assert_eq!(backend.requests(), 1);
}

#[tokio::test]
async fn a_grpc_route_agrees_to_http_2_by_alpn() {
    let backend = TlsBackend::start(server(&["shop.internal"])).await;
    let gw = grpc(&backend).await;
    assert_eq!(call(&gw).await.0.as_deref(), Some("h2"));
}

#[tokio::test]
async fn who_we_are_is_shown_to_backends_that_ask() {
    let (ours, people) = (Authority::new("ours"), Authority::new("people"));
    let identity = ours.issue(&["gateway.internal"]);
    let config = Authority::shared()
        .issue(&["shop.internal"])
        .server(&["http/1.1"], Some(&ours));
    let backend = TlsBackend::start(config).await;
    let shown = |name: &str| format!("  tls: {{backend: {{clientCertificateRef: {{name: {name}}}}}}}\n");
    let objects = |identity: &Issued, spec: &str| {
        [
            CLASS,
            &gateway("front", PLAIN, spec),
            &route("shop", "front", "", "shop"),
            &service("shop", &[backend.address]),
            &policy("shop", &believing("shop.internal")),
            &Authority::config_map("ca", &[Authority::shared()]),
            &identity.secret("default", "me"),
        ]
        .concat()
    };
    let gw = Gateway::builder()
        .file("objects.yaml", &objects(&identity, &shown("me")))
        .without_echo()
        .start()
        .await;
    let said = gw.get("http://a.example/").await.status(200).json();
    assert_eq!(said["client"], mark(&identity.leaf()));
    // A certificate that the backend does not believe, then none.
    let other = people.issue(&["gateway.internal"]);
    gw.write("objects.yaml", &objects(&other, &shown("me")))
        .live()
        .await;
    assert_eq!(status(&gw).await, 502);
    gw.write("objects.yaml", &objects(&other, "")).live().await;
    assert_eq!(status(&gw).await, 502);
    // Renewed: the next connection shows the new one.
    let renewed = ours.issue(&["gateway.internal"]);
    gw.write("objects.yaml", &objects(&renewed, &shown("me")))
        .live()
        .await;
    // The endpoint rests for a moment after its failures, which a single one does not.
    let said = gw.get("http://a.example/").await.status(200).json();
    assert_eq!(said["client"], mark(&renewed.leaf()));
}

#[tokio::test]
async fn gateways_with_certificates_of_their_own_share_no_connection() {
    let ours = Authority::new("ours");
    let [one, two] = ["one", "two"].map(|name| ours.issue(&[name]));
    for protocol in ["http/1.1", "h2"] {
        let config = Authority::shared()
            .issue(&["shop.internal"])
            .server(&[protocol], Some(&ours));
        let backend = TlsBackend::start(config).await;
        let mut service = service("shop", &[backend.address]);
        if protocol == "h2" {
            service = service.replace("port: 80}", "port: 80, appProtocol: kubernetes.io/h2c}");
        }
        let front = |name: &str, port: u16| {
            gateway(
                name,
                &PLAIN.replace("80", &port.to_string()),
                &format!("  tls: {{backend: {{clientCertificateRef: {{name: {name}}}}}}}\n"),
            ) + &route(name, name, "", "shop")
        };
        let yaml = [
            CLASS,
            &front("one", 8001),
            &front("two", 8002),
            &service,
            &policy("shop", &believing("shop.internal")),
            &Authority::config_map("ca", &[Authority::shared()]),
            &one.secret("default", "one"),
            &two.secret("default", "two"),
        ]
        .concat();
        let gw = Gateway::builder()
            .file("objects.yaml", &yaml)
            .without_echo()
            .workers(1)
            .start()
            .await;
        for _ in 0..4 {
            for (port, identity) in [(8001, &one), (8002, &two)] {
                let said = gw
                    .get(&format!("http://a.example:{port}/"))
                    .await
                    .status(200)
                    .json();
                assert_eq!(said["client"], mark(&identity.leaf()), "{protocol}");
            }
        }
        assert_eq!(
            backend.connections(),
            2,
            "{protocol}: each has one, and uses it again"
        );
    }
}

#[test]
fn the_authorities_of_the_system_can_be_a_file() {
    // They are read from the environment, once for a process: this test runs the one below in a process of its own.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("roots.pem");
    std::fs::write(&file, Authority::shared().pem()).unwrap();
    let authority = Authority::new("theirs");
    std::fs::write(&file, authority.pem()).unwrap();
    let issued = authority.issue(&["shop.internal"]);
    std::fs::write(directory.path().join("tls.crt"), &issued.chain).unwrap();
    std::fs::write(directory.path().join("tls.key"), &issued.key).unwrap();
    let outcome = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "backends::inner_system_authorities",
            "--ignored",
            "--nocapture",
        ])
        .env("SSL_CERT_FILE", &file)
        .env_remove("SSL_CERT_DIR")
        .env("NARTHEX_TEST_DIRECTORY", directory.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&outcome.stdout);
    assert!(outcome.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
#[ignore = "run by the test above, with an environment of its own"]
async fn inner_system_authorities() {
    let directory = std::path::PathBuf::from(std::env::var_os("NARTHEX_TEST_DIRECTORY").unwrap());
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap();
    let issued = Issued {
        chain: read("tls.crt"),
        key: read("tls.key"),
        serial: 0,
    };
    let validation = "hostname: shop.internal, wellKnownCACertificates: System";
    let backend = TlsBackend::start(issued.server(&[], None)).await;
    assert_eq!(status(&front(&backend, validation).await).await, 200);
    let stranger = TlsBackend::start(server(&["shop.internal"])).await;
    assert_eq!(status(&front(&stranger, validation).await).await, 502);
}

/// The same with a GRPCRoute.
async fn grpc(backend: &TlsBackend) -> Gateway {
    let route = route("shop", "front", "", "shop").replace("HTTPRoute", "GRPCRoute");
    let yaml = [
        CLASS,
        &gateway("front", PLAIN, ""),
        &route,
        &service("shop", &[backend.address]),
        &policy("shop", &believing("shop.internal")),
        &Authority::config_map("ca", &[Authority::shared()]),
    ]
    .concat();
    Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await
}

/// What protocol the backend says that was agreed to, if it was reached, and the status otherwise.
async fn call(gw: &Gateway) -> (Option<String>, u16) {
    let mut client = Http2::plain(gw.address(80)).await;
    let request = Request::post("http://a.example/shop.Shop/Buy")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let asked = client.ask(request, true).await.unwrap();
    let answer = asked.answer().await.unwrap();
    let said: Option<serde_json::Value> = serde_json::from_slice(&answer.body).ok();
    let alpn = said.and_then(|said| Some(said["alpn"].as_str()?.to_owned()));
    (alpn, answer.status)
}

#[tokio::test]
async fn an_x_backend_says_whom_to_believe_and_who_we_are() {
    let (ours, people) = (Authority::new("ours"), Authority::new("people"));
    let identity = ours.issue(&["gateway.internal"]);
    let config = Authority::shared()
        .issue(&["shop.internal"])
        .server(&["http/1.1"], Some(&ours));
    let backend = TlsBackend::start(config).await;
    let to_shop = route("shop", "front", "", "shop").replace(
        "{name: shop, port: 80}",
        "{group: gateway.networking.x-k8s.io, kind: XBackend, name: shop}",
    );
    let objects = |identity: &Issued, tls: &str| {
        let shop = format!(
            "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackend\nmetadata: {{name: shop, namespace: default}}\n\
             spec: {{type: EndpointSelector, endpointSelector: {{matchLabels: {{app: shop}}}}, port: {{number: {}}}{tls}}}\n---\n",
            backend.address.port()
        );
        let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: shop, namespace: default, labels: {app: shop}}\n\
            status: {phase: Running, podIP: 127.0.0.1, conditions: [{type: Ready, status: \"True\"}]}\n---\n";
        [
            CLASS,
            // The Gateway's own is for what says nothing about that.
            &gateway(
                "front",
                PLAIN,
                "  tls: {backend: {clientCertificateRef: {name: people}}}\n",
            ),
            &to_shop,
            &shop,
            pod,
            &Authority::config_map("ca", &[Authority::shared()]),
            &identity.secret("default", "me"),
            &people.issue(&["gateway.internal"]).secret("default", "people"),
        ]
        .concat()
    };
    let both = |validation: &str| {
        format!(
            ", tls: {{mode: ClientAndServer, clientCertificateRef: {{name: me}}, validation: {{{validation}}}}}"
        )
    };
    let right = both(&believing("shop.internal"));
    let gw = Gateway::builder()
        .file("objects.yaml", &objects(&identity, &right))
        .without_echo()
        .start()
        .await;
    let said = gw.get("http://a.example/").await.status(200).json();
    assert_eq!(said["sni"], "shop.internal");
    assert_eq!(said["client"], mark(&identity.leaf()));
    let server_only = format!(
        ", tls: {{mode: ServerOnly, validation: {{{}}}}}",
        believing("shop.internal")
    );
    for wrong in [both(&believing("other.internal")), server_only] {
        gw.write("objects.yaml", &objects(&identity, &wrong)).live().await;
        assert_ne!(status(&gw).await, 200, "{wrong}");
    }
    // Renewed: the next connection shows the new one.
    let renewed = ours.issue(&["gateway.internal"]);
    gw.write("objects.yaml", &objects(&renewed, &right)).live().await;
    let said = gw.get("http://a.example/").await.status(200).json();
    assert_eq!(said["client"], mark(&renewed.leaf()));
}

#[tokio::test]
async fn authorities_can_be_in_a_bundle_for_the_whole_cluster() {
    let backend = TlsBackend::start(server(&["shop.internal"])).await;
    let validation = "hostname: shop.internal, caCertificateRefs: \
        [{group: certificates.k8s.io, kind: ClusterTrustBundle, name: \"example.com:all\"}]";
    let gw = front(&backend, validation).await;
    assert_eq!(status(&gw).await, 502);
    let bundle = |authority: &Authority| {
        let lines = authority.pem().trim_end().replace('\n', "\n    ");
        format!(
            "apiVersion: certificates.k8s.io/v1\nkind: ClusterTrustBundle\nmetadata: {{name: \"example.com:all\"}}\n\
             spec:\n  trustBundle: |\n    {lines}\n"
        )
    };
    gw.write("bundle.yaml", &bundle(Authority::shared())).live().await;
    assert_eq!(status(&gw).await, 200);
    gw.write("bundle.yaml", &bundle(&Authority::new("other")))
        .live()
        .await;
    assert_eq!(status(&gw).await, 502);
    gw.write("bundle.yaml", &bundle(Authority::shared())).live().await;
    assert_eq!(status(&gw).await, 200);
    // What was believed is forgotten with it.
    gw.remove("bundle.yaml").live().await;
    assert_eq!(status(&gw).await, 502);
}
