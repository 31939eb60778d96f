//! `Gateway.spec.tls.frontend`: who is let in, where, and for how long.

use crate::scene::{
    CLASS, Person, attempt, cert, frontend, gateway, https, rewritten, route, service, turned_away,
};
use http::Request;
use narthex_testbed::http2::Http2;
use narthex_testbed::objects::services;
use narthex_testbed::{Authority, Connection, Gateway};
use rustls::version::{TLS12, TLS13};
use std::time::Duration;

/// Objects of a Gateway with HTTPS on two ports for all hosts, and what it wants of clients.
fn objects(tls: &str) -> String {
    let listeners = [https("one", 443, ""), https("two", 8443, "")].join(", ");
    [
        CLASS,
        &gateway("front", &listeners, tls),
        &route("shop", "front", "", "shop"),
        &services(&["shop"]),
        &cert(),
    ]
    .concat()
}

/// A gateway that believes `trusted` under the name `ca` and `other` under the name `other`.
async fn front(tls: &str, trusted: &Authority, other: &Authority) -> Gateway {
    Gateway::builder()
        .file("objects.yaml", &objects(tls))
        .file("ca.yaml", &Authority::config_map("ca", &[trusted]))
        .file("other.yaml", &Authority::config_map("other", &[other]))
        .start()
        .await
}

#[tokio::test]
async fn only_clients_with_a_certificate_of_the_authority_are_let_in() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let gw = front(&frontend("ca", &[]), &ca, &other).await;
    let (friend, stranger) = (Person::of(&ca, &["friend"]), Person::of(&other, &["stranger"]));
    for port in [443, 8443] {
        let call = gw.get(&format!("https://a.example:{port}/"));
        call.clone().client(&friend.config).await.status(200);
        turned_away(&attempt(call.clone().client(&stranger.config)).await);
        turned_away(&attempt(call).await);
    }
    // Both versions of TLS.
    for version in [&TLS12, &TLS13] {
        let client = |shown| Authority::shared().client_of(shown, &[version]);
        let call = gw.get("https://a.example/");
        call.clone()
            .client(&client(Some(&friend.issued)))
            .await
            .status(200);
        turned_away(&attempt(call.clone().client(&client(Some(&stranger.issued)))).await);
        turned_away(&attempt(call.client(&client(None))).await);
    }
}

#[tokio::test]
async fn a_port_has_its_own_word() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let (friend, stranger) = (Person::of(&ca, &["friend"]), Person::of(&other, &["stranger"]));
    let gw = front(&frontend("ca", &[(8443, "other")]), &ca, &other).await;
    gw.get("https://a.example/")
        .client(&friend.config)
        .await
        .status(200);
    turned_away(&attempt(gw.get("https://a.example/").client(&stranger.config)).await);
    gw.get("https://a.example:8443/")
        .client(&stranger.config)
        .await
        .status(200);
    turned_away(&attempt(gw.get("https://a.example:8443/").client(&friend.config)).await);
    // It can be that nobody is checked.
    let gw = front(&frontend("ca", &[(8443, "")]), &ca, &other).await;
    turned_away(&attempt(gw.get("https://a.example/")).await);
    gw.get("https://a.example:8443/").await.status(200);
}

#[tokio::test]
async fn others_can_be_let_in_too_and_nobody_vouches_for_them() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let gw = front(&frontend("ca?", &[]), &ca, &other).await;
    let call = gw.get("https://a.example/");
    call.clone()
        .await
        .status(200)
        .upstream_lacks("x-forwarded-client-cert");
    for authority in [&ca, &other] {
        let person = Person::of(authority, &["somebody"]);
        let response = call.clone().client(&person.config).await.status(200);
        response.upstream_lacks("x-forwarded-client-cert");
    }
}

#[tokio::test]
async fn a_gateway_whose_authorities_are_missing_lets_nobody_in() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let friend = Person::of(&ca, &["friend"]);
    let gw = front(&frontend("ca", &[]), &ca, &other).await;
    gw.get("https://a.example/")
        .client(&friend.config)
        .await
        .status(200);
    gw.remove("ca.yaml").live().await;
    let outcome = tokio::net::TcpStream::connect(
        gw.data_plane()
            .local_addresses()
            .first()
            .map_or(std::net::SocketAddr::from(([127, 0, 0, 1], 1)), |(_, address)| {
                *address
            }),
    );
    // The listener is gone, or lets nobody in.
    if outcome.await.is_ok() && gw.listens_on(443) {
        turned_away(&attempt(gw.get("https://a.example/").client(&friend.config)).await);
        turned_away(&attempt(gw.get("https://a.example/")).await);
    }
}

#[tokio::test]
async fn a_ticket_of_an_open_door_does_not_open_a_closed_one() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    for version in [&TLS12, &TLS13] {
        let gw = front(&frontend("", &[(8443, "ca")]), &ca, &other).await;
        // One client: it remembers sessions by name, not by port.
        let client = Authority::shared().client_of(None, &[version]);
        for _ in 0..2 {
            gw.get("https://a.example/").client(&client).await.status(200);
        }
        turned_away(&attempt(gw.get("https://a.example:8443/").client(&client)).await);
        // Closed later.
        let client = Authority::shared().client_of(None, &[version]);
        gw.get("https://a.example/").client(&client).await.status(200);
        rewritten(&gw, "objects.yaml", &objects(&frontend("ca", &[]))).await;
        turned_away(&attempt(gw.get("https://a.example/").client(&client)).await);
        // From whom others are let in too to who lets only friends in.
        rewritten(&gw, "objects.yaml", &objects(&frontend("ca?", &[]))).await;
        let client = Authority::shared().client_of(None, &[version]);
        gw.get("https://a.example/").client(&client).await.status(200);
        rewritten(&gw, "objects.yaml", &objects(&frontend("ca", &[]))).await;
        turned_away(&attempt(gw.get("https://a.example/").client(&client)).await);
        // Another authority.
        let friend = Authority::shared().client_of(Some(&ca.issue(&["friend"])), &[version]);
        gw.get("https://a.example/").client(&friend).await.status(200);
        rewritten(&gw, "objects.yaml", &objects(&frontend("other", &[]))).await;
        turned_away(&attempt(gw.get("https://a.example/").client(&friend)).await);
    }
}

#[tokio::test]
async fn sessions_of_friends_are_resumed_and_they_stay_who_they_are() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let gw = front(&frontend("ca", &[]), &ca, &other).await;
    for version in [&TLS12, &TLS13] {
        let friend = Authority::shared().client_of(Some(&ca.issue(&["friend"])), &[version]);
        let call = gw.get("https://a.example/").client(&friend);
        for _ in 0..4 {
            let said = call.clone().await.status(200).json();
            let certificate = said["headers"]["x-forwarded-client-cert"]
                .as_str()
                .unwrap()
                .to_owned();
            assert!(certificate.contains("DNS=\"friend\""), "{certificate}");
        }
    }
    let metrics = gw
        .metrics_when(|scrape| scrape.sum("narthex_tls_handshakes_total", &[]) >= 8.0)
        .await;
    assert!(metrics.sum("narthex_tls_handshakes_total", &["resumed=\"true\""]) >= 4.0);
}

#[tokio::test]
async fn who_came_before_the_door_was_closed_is_asked_to_come_again() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let (friend, stranger) = (Person::of(&ca, &["friend"]), Person::of(&other, &["stranger"]));
    let gw = front(&frontend("", &[]), &ca, &other).await;
    let call = gw.get("https://a.example/");
    let mut open = call.connect().await.unwrap();
    call.send_on(&mut open).await.unwrap().status(200);
    let mut multiplexed = Http2::tls(gw.address(443), "a.example").await;
    assert_eq!(multiplexed.get("https://a.example/").await.status, 200);

    rewritten(&gw, "objects.yaml", &objects(&frontend("ca", &[]))).await;
    // RFC 9110 §15.5.20: the request may be repeated on another connection.
    call.send_on(&mut open)
        .await
        .unwrap()
        .status(421)
        .has("connection", "close");
    assert_eq!(multiplexed.get("https://a.example/").await.status, 421);
    // However it ends, it does.
    let _ = multiplexed.end().await;

    // Friends of one authority are not those of another.
    let call = call.client(&friend.config);
    let mut known = call.connect().await.unwrap();
    call.send_on(&mut known).await.unwrap().status(200);
    rewritten(&gw, "objects.yaml", &objects(&frontend("other", &[]))).await;
    call.send_on(&mut known).await.unwrap().status(421);
    gw.get("https://a.example/")
        .client(&stranger.config)
        .await
        .status(200);
}

#[tokio::test]
async fn who_is_vouched_for_is_said_as_long_as_somebody_vouches() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let friend = Person::of(&ca, &["friend"]);
    let gw = front(&frontend("ca", &[]), &ca, &other).await;
    let call = gw.get("https://a.example/").client(&friend.config);
    let mut open = call.connect().await.unwrap();
    let named = async |open: &mut Connection| {
        let said = call.send_on(open).await.unwrap().status(200).json();
        said["headers"].get("x-forwarded-client-cert").is_some()
    };
    assert!(named(&mut open).await);
    rewritten(&gw, "objects.yaml", &objects(&frontend("ca?", &[]))).await;
    assert!(!named(&mut open).await);
    rewritten(&gw, "objects.yaml", &objects(&frontend("ca", &[]))).await;
    assert!(named(&mut open).await);
    rewritten(&gw, "objects.yaml", &objects("")).await;
    assert!(!named(&mut open).await);
}

#[tokio::test]
async fn authorities_are_replaced_without_a_request_lost() {
    let (old, new, other) = (
        Authority::new("old"),
        Authority::new("new"),
        Authority::new("other"),
    );
    let [old_friend, new_friend] = [&old, &new].map(|authority| Person::of(authority, &["friend"]));
    let gw = front(&frontend("ca", &[]), &old, &other).await;
    let call = gw.get("https://a.example/");
    let load = gw.load(
        vec![(call.clone().client(&old_friend.config), |response| {
            response.code() == 200
        })],
        4,
    );
    rewritten(&gw, "ca.yaml", &Authority::config_map("ca", &[&old, &new])).await;
    call.clone().client(&new_friend.config).await.status(200);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let outcome = load.stop().await;
    assert!(
        outcome.wrong.is_empty() && outcome.right > 0,
        "{:?}",
        outcome.wrong.first()
    );

    let load = gw.load(
        vec![(call.clone().client(&new_friend.config), |response| {
            response.code() == 200
        })],
        4,
    );
    rewritten(&gw, "ca.yaml", &Authority::config_map("ca", &[&new])).await;
    turned_away(&attempt(call.clone().client(&old_friend.config)).await);
    let outcome = load.stop().await;
    assert!(
        outcome.wrong.is_empty() && outcome.right > 0,
        "{:?}",
        outcome.wrong.first()
    );
}

#[tokio::test]
async fn two_gateways_on_one_socket_let_in_whom_each_of_them_believes() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let (friend, stranger) = (Person::of(&ca, &["friend"]), Person::of(&other, &["stranger"]));
    let yaml = [
        CLASS,
        &gateway("any", &https("any", 443, ""), &frontend("ca", &[])),
        &gateway("b", &https("b", 443, "b.example"), &frontend("other", &[])),
        &gateway("wild", &https("wild", 443, "*.wild.example"), ""),
        &route("any", "any", "", "any"),
        &route("b", "b", "", "b"),
        &route("wild", "wild", "", "wild"),
        &services(&["any", "b", "wild"]),
        &cert(),
        &Authority::config_map("ca", &[&ca]),
        &Authority::config_map("other", &[&other]),
    ]
    .concat();
    let gw = Gateway::from_yaml(&yaml).await;
    gw.get("https://a.example/")
        .client(&friend.config)
        .await
        .status(200)
        .backend("any");
    turned_away(&attempt(gw.get("https://a.example/").client(&stranger.config)).await);
    gw.get("https://b.example/")
        .client(&stranger.config)
        .await
        .status(200)
        .backend("b");
    turned_away(&attempt(gw.get("https://b.example/").client(&friend.config)).await);
    gw.get("https://x.wild.example/")
        .await
        .status(200)
        .backend("wild");
    // The door of one does not lead to the other.
    for (sni, host, client) in [
        ("x.wild.example", "a.example", None),
        ("x.wild.example", "b.example", None),
        ("a.example", "b.example", Some(&friend)),
        ("b.example", "a.example", Some(&stranger)),
    ] {
        let mut call = gw.get(&format!("https://{sni}/")).header("Host", host);
        if let Some(person) = client {
            call = call.client(&person.config);
        }
        call.await.status(421);
    }
    // Who names nobody comes to the listener for every host, so it is that one's authority that counts.
    let unnamed = gw.get("https://127.0.0.1/").header("Host", "a.example");
    unnamed
        .clone()
        .client(&friend.config)
        .await
        .status(200)
        .backend("any");
    turned_away(&attempt(unnamed.client(&stranger.config)).await);
    let misled = gw.get("https://127.0.0.1/").header("Host", "b.example");
    misled.client(&friend.config).await.status(421);
}

#[tokio::test]
async fn an_ingress_beside_a_gateway_opens_no_door_of_it() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let friend = Person::of(&ca, &["friend"]);
    let ingress = "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nmetadata: {name: narthex}\n\
        spec: {controller: narthex.dev/ingress-controller}\n---\n\
        apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, namespace: default}\nspec:\n\
        \x20 ingressClassName: narthex\n  tls: [{hosts: [x.wild.example], secretName: cert}]\n\
        \x20 rules: [{host: x.wild.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: ingress, port: {number: 80}}}}]}}]\n---\n";
    let objects = |hostname: &str| {
        [
            CLASS,
            ingress,
            &gateway("front", &https("h", 443, hostname), &frontend("ca", &[])),
            &route("shop", "front", "", "shop"),
            &services(&["shop", "ingress"]),
            &cert(),
            &Authority::config_map("ca", &[&ca]),
            &Authority::config_map("other", &[&other]),
        ]
        .concat()
    };
    // A Gateway for one host: the Ingress's is open to all.
    let gw = Gateway::from_yaml(&objects("a.example")).await;
    turned_away(&attempt(gw.get("https://a.example/")).await);
    gw.get("https://a.example/")
        .client(&friend.config)
        .await
        .status(200)
        .backend("shop");
    gw.get("https://x.wild.example/")
        .await
        .status(200)
        .backend("ingress");
    gw.get("https://x.wild.example/")
        .header("Host", "a.example")
        .await
        .status(421);
    // One for every host has the Ingress's too.
    let gw = Gateway::from_yaml(&objects("")).await;
    turned_away(&attempt(gw.get("https://a.example/")).await);
    turned_away(&attempt(gw.get("https://x.wild.example/")).await);
    gw.get("https://a.example/")
        .client(&friend.config)
        .await
        .status(200)
        .backend("shop");
}

#[tokio::test]
async fn a_name_that_no_listener_is_for_is_refused_whatever_is_shown() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let friend = Person::of(&ca, &["friend"]);
    let yaml = [
        CLASS,
        &gateway("front", &https("a", 443, "a.example"), &frontend("ca", &[])),
        &route("shop", "front", "", "shop"),
        &services(&["shop"]),
        &cert(),
        &Authority::config_map("ca", &[&ca]),
        &Authority::config_map("other", &[&other]),
    ]
    .concat();
    let gw = Gateway::from_yaml(&yaml).await;
    turned_away(&attempt(gw.get("https://b.example/").client(&friend.config)).await);
    turned_away(&attempt(gw.get("https://127.0.0.1/").client(&friend.config)).await);
    gw.get("https://a.example/")
        .client(&friend.config)
        .await
        .status(200);
}

#[tokio::test]
async fn streams_are_checked_as_well() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let (friend, stranger) = (Person::of(&ca, &["friend"]), Person::of(&other, &["stranger"]));
    let backend = narthex_testbed::scripted::ScriptedBackend::start(async |mut peer| {
        peer.head().await;
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        peer.closed().await;
    })
    .await;
    let listener = "{name: s, port: 443, protocol: TLS, hostname: a.example, tls: {mode: Terminate, certificateRefs: [{name: cert}]}}";
    let route = "apiVersion: gateway.networking.k8s.io/v1\nkind: TLSRoute\nmetadata: {name: s, namespace: default}\n\
        spec: {parentRefs: [{name: front}], hostnames: [a.example], rules: [{backendRefs: [{name: stream, port: 80}]}]}\n---\n";
    let yaml = [
        CLASS,
        &gateway("front", listener, &frontend("ca", &[])),
        route,
        &service("stream", &[backend.address]),
        &cert(),
        &Authority::config_map("ca", &[&ca]),
        &Authority::config_map("other", &[&other]),
    ]
    .concat();
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .without_echo()
        .start()
        .await;
    gw.get("https://a.example/")
        .client(&friend.config)
        .await
        .status(200);
    turned_away(&attempt(gw.get("https://a.example/").client(&stranger.config)).await);
    turned_away(&attempt(gw.get("https://a.example/")).await);
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn http_2_is_checked_as_well() {
    let (ca, other) = (Authority::new("ca"), Authority::new("other"));
    let gw = front(&frontend("ca", &[]), &ca, &other).await;
    let friend = Person::of(&ca, &["friend"]);
    let mut client = Http2::tls_as(gw.address(443), "a.example", friend.config).await;
    let request = Request::get("https://a.example/").body(()).unwrap();
    let answer = client.ask(request, true).await.unwrap().answer().await.unwrap();
    assert_eq!(answer.status, 200);
}
