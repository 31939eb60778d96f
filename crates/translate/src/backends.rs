//! Services and EndpointSlices: what a rule's backend refers to, and the upstream it becomes.
//!
//! The two halves change at different times. A rule depends only on the Service and its ports ([`resolve`]);
//! endpoints belong to the upstream alone ([`upstream`]), so that a rolling deployment touches no route.

mod external;
mod slices;

use crate::gateway::backend_tls;
use crate::input::Key;
use crate::scope::Scope;
use api::core::{IntOrString, Service, ServicePort as Port, ServiceType};
use ir::{
    Balance, Code, Diagnostic, Endpoint, Origin, ProxyProtocol, Upstream, UpstreamId, UpstreamProtocol,
    UpstreamSettings,
};
use std::fmt;
use std::sync::Arc;

/// A port of a Service, by its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServicePort {
    /// The Service.
    pub service: Key,
    /// Number of its port (not the target port).
    pub port: u16,
    /// What the port is for.
    pub carrier: Carrier,
    /// What is spoken there, as far as it is HTTP.
    pub protocol: UpstreamProtocol,
}

/// What carries the bytes of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Carrier {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Carrier {
    /// Whether a port of this `protocol` is for it.
    fn has(self, protocol: Option<&str>) -> bool {
        match self {
            Self::Tcp => matches!(protocol, None | Some("" | "TCP")),
            Self::Udp => protocol == Some("UDP"),
        }
    }
}

impl ServicePort {
    /// `namespace/service:port`, with `/udp` behind it for a UDP port, and `+h2c` for HTTP/2: a port may be spoken to in both
    /// ways, by an HTTPRoute and a GRPCRoute.
    pub fn id(&self) -> UpstreamId {
        let protocol = match self.protocol {
            UpstreamProtocol::Http1 => "",
            UpstreamProtocol::Http2 => "+h2c",
        };
        UpstreamId(format!("{}:{}{protocol}", self.service, self.section()).into())
    }

    fn section(&self) -> String {
        match self.carrier {
            Carrier::Tcp => self.port.to_string(),
            Carrier::Udp => format!("{}/udp", self.port),
        }
    }
}

/// How a reference names the port of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortRef<'a> {
    /// By number.
    Number(u16),
    /// By name.
    Name(&'a str),
}

/// Why a backend can't be used. The words after the colon finish the sentence "the backend …".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendError {
    /// There is no such Service.
    NotFound,
    /// The Service has no such port. Holds the ports it has, for the hint.
    PortNotFound {
        /// `80 (http), 8443`
        ports: String,
    },
    /// The port's appProtocol can't be spoken.
    UnsupportedProtocol {
        /// As written.
        app_protocol: String,
    },
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("its Service does not exist"),
            Self::PortNotFound { ports } if ports.is_empty() => f.write_str("its Service has no ports"),
            Self::PortNotFound { ports } => write!(f, "its Service has only the ports {ports}"),
            Self::UnsupportedProtocol { app_protocol } => {
                write!(f, "appProtocol {app_protocol} can't be spoken")
            }
        }
    }
}

/// Finds the upstream for a port of a Service and makes it part of the snapshot. Reads the Service only; says
/// nothing by itself, because only the caller knows the field to point at.
///
/// `usual` is what is spoken to a port that says nothing about it.
pub fn resolve(
    scope: &mut Scope<'_>,
    service: &Key,
    port: PortRef<'_>,
    usual: UpstreamProtocol,
) -> Result<UpstreamId, BackendError> {
    let found = scope.service(service).ok_or(BackendError::NotFound)?;
    let (number, protocol) = match (find_port(found, port, Carrier::Tcp), port) {
        (Some(port), _) => match port.app_protocol.as_deref() {
            None | Some("" | "http") => (port.port, usual),
            Some("kubernetes.io/ws") => (port.port, UpstreamProtocol::Http1),
            // Neither name is Kubernetes' own; both are common, and gRPC without TLS is h2c.
            Some("kubernetes.io/h2c" | "h2c" | "grpc") => (port.port, UpstreamProtocol::Http2),
            // Not in the clear, then: a policy says whom to believe.
            Some(secured) if is_secured(secured) && scope.policies(service).next().is_some() => {
                (port.port, usual)
            }
            Some(other) => {
                return Err(BackendError::UnsupportedProtocol {
                    app_protocol: other.to_owned(),
                });
            }
        },
        (None, _) => (unlisted(found, port, Carrier::Tcp)?, usual),
    };
    Ok(scope.use_upstream(ServicePort {
        service: service.clone(),
        port: number,
        carrier: Carrier::Tcp,
        protocol,
    }))
}

/// The same for a port over which bytes are passed without a look at them, whatever its appProtocol says.
pub fn resolve_stream(
    scope: &mut Scope<'_>,
    service: &Key,
    port: PortRef<'_>,
    carrier: Carrier,
) -> Result<UpstreamId, BackendError> {
    let found = scope.service(service).ok_or(BackendError::NotFound)?;
    let number = match find_port(found, port, carrier) {
        Some(port) => port.port,
        None => unlisted(found, port, carrier)?,
    };
    Ok(scope.use_upstream(ServicePort {
        service: service.clone(),
        port: number,
        carrier,
        protocol: UpstreamProtocol::Http1,
    }))
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

/// The upstream of a Service's port, with its endpoints. `previous` is what the last translation made of it:
/// parts that are equal are handed out again.
pub fn upstream(
    scope: &mut Scope<'_>,
    port: &ServicePort,
    previous: Option<&Arc<Upstream>>,
) -> Arc<Upstream> {
    let service = scope.service(&port.service);
    let origin = port.service.origin("Service");
    let (settings, mut endpoints) = match service {
        Some(service) => {
            let settings = settings(scope, service, &origin, port, previous);
            let endpoints = match service.spec.kind {
                ServiceType::ExternalName => external::endpoints(scope, service, &origin, port),
                _ => slices::endpoints(scope, service, &origin, port),
            };
            (settings, endpoints)
        }
        // Gone between two looks; whoever refers to it is translated again in the same go.
        None => (Arc::clone(scope.upstream_settings()), Vec::new()),
    };
    endpoints.sort();
    endpoints.dedup();
    let endpoints: Arc<[Endpoint]> = match previous {
        Some(previous) if *previous.endpoints == *endpoints => Arc::clone(&previous.endpoints),
        _ => endpoints.into(),
    };
    let upstream = Upstream {
        id: port.id(),
        origin: origin.section(port.section()),
        settings,
        endpoints,
    };
    match previous {
        Some(previous) if **previous == upstream => Arc::clone(previous),
        _ => Arc::new(upstream),
    }
}

/// The settings that the Service's annotations ask for; the shared default where they ask for nothing.
fn settings(
    scope: &mut Scope<'_>,
    service: &Service,
    origin: &Origin,
    port: &ServicePort,
    previous: Option<&Arc<Upstream>>,
) -> Arc<UpstreamSettings> {
    let ports = service.spec.ports.iter();
    let named = { ports }
        .find(|candidate| candidate.port == port.port && port.carrier.has(candidate.protocol.as_deref()));
    let name = named.and_then(|port| port.name.as_deref());
    let tls = backend_tls::of_port(scope, &port.service, name);
    let default = scope.upstream_settings();
    let mut settings = UpstreamSettings {
        protocol: port.protocol,
        tls,
        ..UpstreamSettings::clone(default)
    };
    for (name, value) in &service.metadata.annotations {
        let Some(ours) = name.strip_prefix(ANNOTATION_PREFIX) else {
            continue;
        };
        let wrong = match (ours, value.as_str()) {
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
    if settings == **default {
        return Arc::clone(default);
    }
    match previous {
        Some(previous) if *previous.settings == settings => Arc::clone(&previous.settings),
        _ => Arc::new(settings),
    }
}

/// The port that a reference means, among those for one carrier.
fn find_port<'s>(service: &'s Service, port: PortRef<'_>, carrier: Carrier) -> Option<&'s Port> {
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

const ANNOTATION_PREFIX: &str = "narthex.dev/";
