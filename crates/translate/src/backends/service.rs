//! A Service as a backend: its ports, what is spoken there, and what its annotations ask for.

use super::{BackendError, BackendObject, BackendPort, Carrier, PortRef, Usage, external, slices};
use crate::gateway::{backend_tls, traffic_policy};
use crate::input::Key;
use crate::own_annotations::PREFIX;
use crate::scope::Scope;
use api::core::{IntOrString, Service, ServicePort as Port, ServiceType};
use ir::{
    Balance, Code, Diagnostic, Endpoint, Origin, ProxyProtocol, UpstreamId, UpstreamProtocol,
    UpstreamSettings,
};

/// Finds the upstream for a port of a Service and makes it part of the snapshot. Reads the Service only; says
/// nothing by itself, because only the caller knows the field to point at. Where bytes are passed without a look at them,
/// the port's appProtocol is not looked at either.
pub fn resolve(
    scope: &mut Scope<'_>,
    service: &Key,
    port: PortRef<'_>,
    usage: Usage,
) -> Result<UpstreamId, BackendError> {
    let carrier = usage.carrier();
    let found = scope.service(service).ok_or(BackendError::NotFound)?;
    let named = find_port(found, port, carrier);
    let number = match named {
        Some(port) => port.port,
        None => unlisted(found, port, carrier)?,
    };
    let protocol = match (usage, named) {
        (Usage::Stream(_), _) => UpstreamProtocol::Http1,
        (Usage::Http(usual), None) => usual,
        (Usage::Http(usual), Some(port)) => spoken(scope, service, port, usual)?,
    };
    Ok(scope.use_upstream(BackendPort {
        object: BackendObject::Service(service.clone()),
        port: number,
        carrier,
        protocol,
    }))
}

/// What is spoken to a port.
fn spoken(
    scope: &mut Scope<'_>,
    service: &Key,
    port: &Port,
    usual: UpstreamProtocol,
) -> Result<UpstreamProtocol, BackendError> {
    match port.app_protocol.as_deref() {
        None | Some("" | "http") => Ok(usual),
        Some("kubernetes.io/ws") => Ok(UpstreamProtocol::Http1),
        // Neither name is Kubernetes' own; both are common, and gRPC without TLS is h2c.
        Some("kubernetes.io/h2c" | "h2c" | "grpc") => Ok(UpstreamProtocol::Http2),
        // Not in the clear, then: a policy says whom to believe.
        Some(secured) if is_secured(secured) && !scope.policies(service).is_empty() => Ok(usual),
        Some(other) => Err(BackendError::UnsupportedProtocol {
            app_protocol: other.to_owned(),
        }),
    }
}

/// Settings and endpoints of a Service's port; `None` if there is no such Service.
pub(super) fn read(
    scope: &mut Scope<'_>,
    key: &Key,
    origin: &Origin,
    port: &BackendPort,
) -> Option<(UpstreamSettings, Vec<Endpoint>)> {
    let service = scope.service(key)?;
    let settings = settings(scope, (key, service), origin, port);
    let endpoints = match service.spec.kind {
        ServiceType::ExternalName => external::endpoints(scope, service, origin, port),
        _ => {
            let named = find_port(service, PortRef::Number(port.port), port.carrier);
            let name = named.and_then(|port| port.name.as_deref());
            slices::endpoints(scope, origin, port, name.unwrap_or_default())
        }
    };
    Some((settings, endpoints))
}

/// The number of a port that the Service does not list.
fn unlisted(service: &Service, port: PortRef<'_>, carrier: Carrier) -> Result<u16, BackendError> {
    match port {
        // The ports of an ExternalName are for documentation: Kubernetes itself never looks at them.
        PortRef::Number(number) if service.spec.kind == ServiceType::ExternalName => Ok(number),
        _ => Err(BackendError::PortNotFound {
            ports: list_ports(service, carrier),
        }),
    }
}

/// The port of a Service whose target port has this number or name. ingress-nginx takes such a number for the
/// port itself, so manifests in the field have it.
pub fn port_of_target(scope: &mut Scope<'_>, service: &Key, target: u16) -> Option<u16> {
    let service = scope.service(service)?;
    let number = IntOrString::Int(i32::from(target));
    let mut ports = ports_of(service, Carrier::Tcp);
    ports
        .find(|port| port.target_port.as_ref() == Some(&number))
        .map(|port| port.port)
}

/// The settings that policies and the Service's annotations ask for.
fn settings(
    scope: &mut Scope<'_>,
    (key, service): (&Key, &Service),
    origin: &Origin,
    port: &BackendPort,
) -> UpstreamSettings {
    let ports = service.spec.ports.iter();
    let named = { ports }
        .find(|candidate| candidate.port == port.port && port.carrier.has(candidate.protocol.as_deref()));
    let name = named.and_then(|port| port.name.as_deref());
    let tls = backend_tls::of_port(scope, key, name);
    let retry_budget = traffic_policy::budget(scope, &port.object);
    let mut settings = UpstreamSettings {
        protocol: port.protocol,
        tls,
        retry_budget,
        ..UpstreamSettings::clone(scope.upstream_settings())
    };
    for (name, value) in service.metadata.annotations.iter() {
        let Some(ours) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let wrong = match (ours, value) {
            ("proxy-protocol", "v1") => {
                settings.proxy_protocol = Some(ProxyProtocol::V1);
                continue;
            }
            ("proxy-protocol", "v2") => {
                settings.proxy_protocol = Some(ProxyProtocol::V2);
                continue;
            }
            ("balance", "round-robin") => {
                settings.balance = Balance::RoundRobin;
                continue;
            }
            ("balance", "least-request") => {
                settings.balance = Balance::LeastRequest;
                continue;
            }
            ("proxy-protocol", _) => (format!("{value:?} is not a version"), "Use v1 or v2"),
            ("balance", _) => (
                format!("{value:?} is not a way to balance"),
                "Use round-robin or least-request",
            ),
            _ => (
                format!("{name} is not an annotation of a Service"),
                "Known are narthex.dev/balance and narthex.dev/proxy-protocol",
            ),
        };
        let field = format!("metadata.annotations[{name:?}]");
        let finding = Diagnostic::new(Code::AnnotationInvalid, origin.clone(), field, wrong.0);
        scope.report(finding.hint(wrong.1));
    }
    settings
}

/// The port that a reference means, among those for one carrier.
pub(super) fn find_port<'s>(service: &'s Service, port: PortRef<'_>, carrier: Carrier) -> Option<&'s Port> {
    ports_of(service, carrier).find(|candidate| match port {
        PortRef::Number(number) => candidate.port == number,
        PortRef::Name(name) => candidate.name.as_deref() == Some(name),
    })
}

/// Whether a word for a protocol means that TLS comes first. None of them is Kubernetes' own but `wss`.
pub(crate) fn is_secured(app_protocol: &str) -> bool {
    ["https", "tls", "kubernetes.io/wss", "grpcs"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(app_protocol))
}

fn ports_of(service: &Service, carrier: Carrier) -> impl Iterator<Item = &Port> {
    let ports = service.spec.ports.iter();
    ports.filter(move |port| carrier.has(port.protocol.as_deref()))
}

/// `80 (http), 8443`
fn list_ports(service: &Service, carrier: Carrier) -> String {
    let words = ports_of(service, carrier).map(|port| match port.name.as_deref() {
        None | Some("") => port.port.to_string(),
        Some(name) => format!("{} ({name})", port.port),
    });
    words.collect::<Vec<_>>().join(", ")
}
