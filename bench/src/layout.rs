//! Objects of many routes, and how they lie on disk.
//!
//! A cluster tells of single objects, so what changes lies one object to a file, in one folder: rewriting a file is
//! the same news as a watch event. What only has to be read at the start may as well be one file.

use std::fmt::Write as _;
use std::path::Path;

/// Routes that share a Service.
pub const ROUTES_PER_SERVICE: usize = 10;

/// Class, Gateway (plain HTTP) and nothing else; places are filled in by the start of the proxy.
pub const GATEWAY: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: narthex}
spec: {controllerName: narthex.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: bench, namespace: default}
spec:
  gatewayClassName: narthex
  addresses: [{type: IPAddress, value: @LISTEN_IP@}]
  listeners:
  - {name: http, protocol: HTTP, port: @LISTEN_PORT@}
";

/// Host of a route.
pub fn host(number: usize) -> String {
    format!("h{number}.example")
}

/// An HTTPRoute; its answers carry `X-Edit: edit`.
pub fn route(number: usize, edit: u64) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{number}, namespace: default}}\nspec:\n  \
         parentRefs: [{{name: bench}}]\n  hostnames: [{}]\n  rules:\n  - matches: [{{path: {{type: PathPrefix, value: /api}}}}]\n    \
         filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-Edit, value: \"{edit}\"}}]}}}}]\n    \
         backendRefs: [{{name: s{}, port: 80}}]\n",
        host(number),
        number / ROUTES_PER_SERVICE
    )
}

/// A Service.
pub fn service(number: usize) -> String {
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: s{number}, namespace: default}}\nspec: {{ports: [{{port: 80}}]}}\n"
    )
}

/// Its EndpointSlice, with the origin in it or with nothing.
pub fn slice(number: usize, origin: Option<std::net::SocketAddr>) -> String {
    let (port, endpoints) = origin.map_or((80, String::new()), |origin| {
        (origin.port(), format!("{{addresses: [\"{}\"]}}", origin.ip()))
    });
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
         metadata: {{name: s{number}-1, namespace: default, labels: {{kubernetes.io/service-name: s{number}}}}}\n\
         addressType: IPv4\nports: [{{port: {port}}}]\nendpoints: [{endpoints}]\n"
    )
}

/// How many Services so many routes have.
pub fn services(routes: usize) -> usize {
    routes.div_ceil(ROUTES_PER_SERVICE)
}

/// All of them as one text.
pub fn one_text(routes: usize, origin: std::net::SocketAddr) -> String {
    let mut text = String::new();
    for number in 0..services(routes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}{}", service(number), slice(number, Some(origin)));
    }
    for number in 0..routes {
        text.push_str(&route(number, 0));
    }
    text
}

/// All of them in a folder, one object to a file: `r7.yaml`, `s0.yaml`, `e0.yaml`.
pub fn one_object_to_a_file(
    folder: &Path,
    routes: usize,
    origin: std::net::SocketAddr,
) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for number in 0..services(routes) {
        write(folder, &format!("s{number}.yaml"), &service(number))?;
        write(folder, &format!("e{number}.yaml"), &slice(number, Some(origin)))?;
    }
    for number in 0..routes {
        write(folder, &format!("r{number}.yaml"), &route(number, 0))?;
    }
    Ok(())
}

/// Writes a file by rename, so that a reader sees all or nothing.
pub fn write(folder: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = folder.join(name);
    let fresh = folder.join(format!(".{name}.new"));
    std::fs::write(&fresh, text)
        .and_then(|()| std::fs::rename(&fresh, &path))
        .map_err(|error| format!("{}: {error}", path.display()))
}
