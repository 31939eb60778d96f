//! HTTP/3 end to end: a client on QUIC, the gateway, backends of the older versions.

#![allow(clippy::unwrap_used)]

mod breaches;
mod bridges;
mod connections;
mod ends;
mod websockets;

use narthex_testbed::http3::Http3;
use narthex_testbed::objects::{FRONT, endpoint_slice};
use narthex_testbed::{Gateway, GatewayBuilder};
use std::net::SocketAddr;

/// A gateway with HTTPS and HTTP/3 for `one.example`, whose backend speaks HTTP/1.1, and `two.example` (HTTP/2).
fn front(one: SocketAddr, two: SocketAddr) -> GatewayBuilder {
    let yaml = [
        FRONT,
        SECURE,
        &Gateway::secret("default", "all", &["one.example", "two.example"]),
        &backend("one", "http", &[one]),
        &backend("two", "kubernetes.io/h2c", &[two]),
        &to("one", ""),
        &to("two", ""),
    ]
    .concat();
    with_http3(Gateway::builder().file("objects.yaml", &yaml).without_echo())
}

/// The same with echo backends.
fn echo() -> GatewayBuilder {
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: one, namespace: default}\nspec: {ports: [{port: 80}]}\n---\n";
    let secret = Gateway::secret("default", "all", &["one.example", "two.example"]);
    let yaml = [FRONT, SECURE, &secret, service, &to("one", "")].concat();
    with_http3(Gateway::builder().file("objects.yaml", &yaml))
}

fn with_http3(builder: GatewayBuilder) -> GatewayBuilder {
    builder.settings(|settings| settings.http.http3 = Some(ir::Http3::default()))
}

async fn client(gw: &Gateway) -> Http3 {
    Http3::connect(gw.address(443), "one.example").await
}

/// A Service that speaks this, at these addresses.
fn backend(name: &str, speaks: &str, addresses: &[SocketAddr]) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
         spec: {{ports: [{{port: 80, appProtocol: {speaks}}}]}}\n---\n{}",
        endpoint_slice(name, name, addresses)
    )
}

/// A route from a Service's own host to it; `rest` is what else its rule has.
fn to(service: &str, rest: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {service}, namespace: default}}\n\
         spec:\n  parentRefs: [{{name: secure}}]\n  hostnames: [{service}.example]\n  \
         rules: [{{backendRefs: [{{name: {service}, port: 80}}]{rest}}}]\n---\n"
    )
}

const SECURE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: secure, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: https, port: 443, protocol: HTTPS, tls: {certificateRefs: [{name: all}]}}
---
";

/// Where nobody listens.
fn nobody() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}
