//! HTTP/2 end to end: clients of either version, the gateway, backends of either version.

#![allow(clippy::unwrap_used)]

mod bridges;
mod connections;
mod ends;
mod grpc;
mod grpc_web;
mod many;
mod peers;
mod retries;
mod times;
mod websockets;

use narthex_testbed::objects::{FRONT, endpoint_slice, route};
use narthex_testbed::{Gateway, GatewayBuilder};
use std::net::SocketAddr;

/// A gateway with a host for a backend of each version: `one.example` and `two.example`.
fn front(one: SocketAddr, two: SocketAddr) -> GatewayBuilder {
    let yaml = [
        FRONT,
        &backend("one", "http", &[one]),
        &backend("two", "kubernetes.io/h2c", &[two]),
        &to("one", ""),
        &to("two", ""),
    ]
    .concat();
    Gateway::builder().file("objects.yaml", &yaml).without_echo()
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
    route(
        service,
        &format!(
            "  hostnames: [{service}.example]\n  rules: [{{backendRefs: [{{name: {service}, port: 80}}]{rest}}}]"
        ),
    )
}

/// Where nobody listens.
fn nobody() -> SocketAddr {
    "127.0.0.1:1".parse().unwrap()
}
