//! Objects that these tests need, and clients.

use narthex_testbed::objects::endpoint_slice;
use narthex_testbed::{Authority, Call, Gateway, Issued, Response};
use rustls::ClientConfig;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// A GatewayClass.
pub const CLASS: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: narthex}
spec: {controllerName: narthex.dev/gateway-controller}
---
";

/// A Gateway in `default`; `spec` is the rest of its spec, in flow style.
pub fn gateway(name: &str, listeners: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: {name}, namespace: default}}\n\
         spec:\n  gatewayClassName: narthex\n  listeners: [{listeners}]\n{spec}---\n"
    )
}

/// A plain listener on port 80.
pub const PLAIN: &str = "{name: http, port: 80, protocol: HTTP}";

/// An HTTPS listener whose certificate is in the Secret `cert`.
pub fn https(name: &str, port: u16, hostname: &str) -> String {
    let hostname = match hostname {
        "" => String::new(),
        name => format!("hostname: \"{name}\", "),
    };
    format!(
        "{{name: {name}, port: {port}, protocol: HTTPS, {hostname}tls: {{certificateRefs: [{{name: cert}}]}}}}"
    )
}

/// The certificate of all HTTPS listeners here.
pub fn cert() -> String {
    Authority::shared().secret(
        "default",
        "cert",
        &["a.example", "b.example", "*.wild.example", "127.0.0.1"],
    )
}

/// An HTTPRoute in `default` with this parent, host, and Service.
pub fn route(name: &str, parent: &str, host: &str, service: &str) -> String {
    let hosts = match host {
        "" => String::new(),
        host => format!("  hostnames: [\"{host}\"]\n"),
    };
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: default}}\n\
         spec:\n  parentRefs: [{{name: {parent}}}]\n{hosts}  rules: [{{backendRefs: [{{name: {service}, port: 80}}]}}]\n---\n"
    )
}

/// A Service in `default` with one port, `main`, and its endpoints.
pub fn service(name: &str, addresses: &[SocketAddr]) -> String {
    let slices = endpoint_slice(name, name, addresses).replace("ports: [{", "ports: [{name: main, ");
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
         spec: {{ports: [{{name: main, port: 80}}]}}\n---\n{slices}"
    )
}

/// A BackendTLSPolicy for a Service.
pub fn policy(service: &str, validation: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {{name: {service}, namespace: default}}\n\
         spec:\n  targetRefs: [{{group: \"\", kind: Service, name: {service}}}]\n  validation: {{{validation}}}\n---\n"
    )
}

/// Believes the ConfigMap `ca`, for this host.
pub fn believing(hostname: &str) -> String {
    format!("hostname: {hostname}, caCertificateRefs: [{{group: \"\", kind: ConfigMap, name: ca}}]")
}

/// `spec.tls.frontend` of a Gateway: by default, and by port. Each is the name of a ConfigMap, `name?` to let others in too,
/// or nothing.
pub fn frontend(default: &str, ports: &[(u16, &str)]) -> String {
    let validation = |name: &str| {
        let (name, mode) = match name.strip_suffix('?') {
            Some(name) => (name, "mode: AllowInsecureFallback, "),
            None => (name, ""),
        };
        if name.is_empty() {
            return "{}".to_owned();
        }
        format!(
            "{{validation: {{{mode}caCertificateRefs: [{{group: \"\", kind: ConfigMap, name: {name}}}]}}}}"
        )
    };
    let mut yaml = format!("  tls:\n    frontend:\n      default: {}\n", validation(default));
    if !ports.is_empty() {
        yaml += "      perPort:\n";
    }
    for (port, name) in ports {
        // Writing to a String does not fail.
        let _ = writeln!(yaml, "      - {{port: {port}, tls: {}}}", validation(name));
    }
    yaml
}

/// A client with a certificate.
pub struct Person {
    pub issued: Issued,
    pub config: Arc<ClientConfig>,
}

impl Person {
    /// Somebody whom this authority knows by these names.
    pub fn of(authority: &Authority, names: &[&str]) -> Self {
        let issued = authority.issue(names);
        let config = Authority::shared().client_as(Some(&issued));
        Self { issued, config }
    }
}

/// What becomes of a request: its answer, or that there is none.
pub async fn attempt(call: Call) -> io::Result<Response> {
    call.send().await
}

/// Expects that a client is not let in.
#[track_caller]
pub fn turned_away(outcome: &io::Result<Response>) {
    if let Ok(response) = outcome {
        panic!("it was let in: {} {}", response.code(), response.text());
    }
}

/// Waits until a change of objects is live that may not change the snapshot's other parts.
pub async fn rewritten(gw: &Gateway, file: &str, yaml: &str) {
    gw.write(file, yaml).live().await;
}
