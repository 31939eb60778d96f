//! HTTPS: certificates by name, redirects to it.

use narthex_testbed::objects::{FRONT, ingress, route, services};
use narthex_testbed::{Connection, Gateway};

/// A Gateway with two HTTPS listeners, and routes that both serve.
fn https_gateway() -> String {
    let gateway = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: secure, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: a, port: 443, protocol: HTTPS, hostname: a.example, tls: {certificateRefs: [{name: a}]}}
  - {name: wild, port: 443, protocol: HTTPS, hostname: \"*.wild.example\", tls: {certificateRefs: [{name: wild}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: secure, namespace: default}
spec:
  parentRefs: [{name: secure}]
  rules: [{backendRefs: [{name: shop, port: 80}]}]
---
";
    [
        FRONT,
        gateway,
        &services(&["shop"]),
        &Gateway::secret("default", "a", &["a.example"]),
        &Gateway::secret("default", "wild", &["*.wild.example"]),
    ]
    .concat()
}

#[tokio::test]
async fn the_certificate_follows_the_server_name() {
    let gw = Gateway::from_yaml(&https_gateway()).await;
    gw.get("https://a.example/x")
        .await
        .status(200)
        .backend("shop")
        .upstream_header("x-forwarded-proto", "https");
    gw.get("https://b.wild.example/")
        .await
        .status(200)
        .backend("shop");
}

#[tokio::test]
async fn a_server_name_that_no_listener_covers_is_refused() {
    let gw = Gateway::from_yaml(&https_gateway()).await;
    assert!(Connection::tls(gw.address(443), "unknown.example").await.is_err());
    gw.get("https://a.example/").await.status(200);
}

#[tokio::test]
async fn handshakes_are_counted_by_version_and_result() {
    let gw = Gateway::from_yaml(&https_gateway()).await;
    gw.get("https://a.example/").await.status(200);
    assert!(Connection::tls(gw.address(443), "unknown.example").await.is_err());
    let name = "narthex_tls_handshakes_total";
    let metrics = gw.metrics_when(|scrape| scrape.sum(name, &[]) >= 2.0).await;
    assert_eq!(
        metrics.sum(name, &["version=\"1.3\"", "resumed=\"false\"", "result=\"ok\""]),
        1.0
    );
    assert_eq!(metrics.sum(name, &["result=\"failed\""]), 1.0);
    assert!(
        metrics.sum(
            "narthex_certificate_expiry_timestamp_seconds",
            &["certificate=\"default/a\""]
        ) > 0.0
    );
}

#[tokio::test]
async fn a_request_for_the_host_of_another_listener_is_misdirected() {
    let gw = Gateway::from_yaml(&https_gateway()).await;
    gw.get("https://a.example/")
        .header("Host", "b.wild.example")
        .await
        .status(421);
}

#[tokio::test]
async fn an_ingress_with_tls_redirects_plain_http() {
    let gw = Gateway::from_yaml(
        &[
            FRONT,
            &services(&["shop"]),
            &Gateway::secret("default", "shop", &["shop.example"]),
            &ingress(
                "shop",
                "  tls: [{hosts: [shop.example], secretName: shop}]\n\
                 \x20 rules: [{host: shop.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]}}]",
            ),
        ]
        .concat(),
    )
    .await;
    gw.get("http://shop.example/cart?q=1")
        .await
        .status(308)
        .has("location", "https://shop.example/cart?q=1");
    gw.get("https://shop.example/cart")
        .await
        .status(200)
        .backend("shop");
}

#[tokio::test]
async fn a_new_certificate_is_used_for_new_connections_and_old_ones_stay() {
    let gw = Gateway::builder()
        .file(
            "objects.yaml",
            &https_gateway().replace(
                "kind: Secret\nmetadata: {namespace: default, name: a}",
                "kind: Secret\nmetadata: {namespace: default, name: unused}",
            ),
        )
        .file("secret.yaml", &Gateway::secret("default", "a", &["a.example"]))
        .start()
        .await;
    let call = gw.get("https://a.example/");
    let mut old = call.connect().await.unwrap();
    call.send_on(&mut old).await.unwrap().status(200);
    gw.write("secret.yaml", &Gateway::secret("default", "a", &["a.example"]))
        .live()
        .await;
    call.send_on(&mut old).await.unwrap().status(200);
    gw.get("https://a.example/").await.status(200);
}

#[tokio::test]
async fn a_broken_secret_leaves_the_last_good_certificate_in_use() {
    let whole = https_gateway();
    let gw = Gateway::from_yaml(&whole).await;
    let broken = whole.replacen("tls.crt: ", "tls.crt: AAAA", 1);
    gw.write("objects.yaml", &broken);
    gw.until("the finding is there", |live| {
        live.diagnostics
            .iter()
            .any(|finding| finding.code == ir::Code::CertificateInvalid)
    })
    .await;
    gw.get("https://a.example/").await.status(200).backend("shop");
}

#[tokio::test]
async fn routes_of_the_plain_listener_are_not_served_on_the_other() {
    let yaml = https_gateway()
        + &route(
            "plain",
            "  hostnames: [plain.example]\n  rules: [{backendRefs: [{name: shop, port: 80}]}]",
        );
    let gw = Gateway::from_yaml(&yaml).await;
    gw.get("http://plain.example/").await.status(200).backend("shop");
    gw.get("https://a.example/")
        .header("Host", "plain.example")
        .await
        .status(404);
}
