//! Objects that most tests need, as YAML. Each text ends its document.

use std::fmt::Write as _;

/// A class for each API, and a Gateway `front` in `default` with a listener on port 80 for all hosts and namespaces.
pub const FRONT: &str = "\
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: narthex}
spec: {controller: narthex.dev/ingress-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: narthex}
spec: {controllerName: narthex.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: front, namespace: default}
spec:
  gatewayClassName: narthex
  listeners:
  - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
---
";

/// Services in `default` with port 80.
pub fn services(names: &[&str]) -> String {
    let mut yaml = String::new();
    for name in names {
        // Writing to a String does not fail.
        let _ = write!(
            yaml,
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\nspec: {{ports: [{{port: 80}}]}}\n---\n"
        );
    }
    yaml
}

/// An HTTPRoute in `default` on the Gateway `front`; `spec` is the rest of its spec, two spaces deep.
pub fn route(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: default}}\n\
         spec:\n  parentRefs: [{{name: front}}]\n{spec}\n---\n"
    )
}

/// An Ingress in `default` of the class `narthex`; `spec` is the rest of its spec, two spaces deep.
pub fn ingress(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{name: {name}, namespace: default}}\n\
         spec:\n  ingressClassName: narthex\n{spec}\n---\n"
    )
}

/// EndpointSlice in `default` for a Service's port, unnamed, at these addresses of one port each.
pub fn endpoint_slice(name: &str, service: &str, addresses: &[std::net::SocketAddr]) -> String {
    let mut yaml = String::new();
    for (number, address) in addresses.iter().enumerate() {
        let _ = write!(
            yaml,
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n\
             metadata: {{name: {name}-{number}, namespace: default, labels: {{kubernetes.io/service-name: {service}}}}}\n\
             addressType: IPv4\nports: [{{port: {}}}]\n\
             endpoints: [{{addresses: [\"{}\"], conditions: {{ready: true}}}}]\n---\n",
            address.port(),
            address.ip()
        );
    }
    yaml
}
