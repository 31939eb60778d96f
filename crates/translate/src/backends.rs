//! What a rule's backend refers to (a Service or an XBackend), and the upstream it becomes.
//!
//! The two halves change at different times. A rule depends only on the object and its ports ([`resolve`]);
//! endpoints belong to the upstream alone ([`upstream`]), so that a rolling deployment touches no route.

mod external;
mod pods;
mod service;
mod slices;

pub(crate) use service::is_secured;
pub use service::{port_of_target, resolve};

use crate::gateway::x_backend;
use crate::input::Key;
use crate::scope::Scope;
use api::Resource;
use api::backend::XBackend;
use api::core::Service;
use ir::{Endpoint, Origin, Upstream, UpstreamId, UpstreamProtocol};
use std::fmt;
use std::sync::Arc;

/// An object that a route can refer to as a backend.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BackendObject {
    /// A Service.
    Service(Key),
    /// An XBackend.
    XBackend(Key),
}

impl BackendObject {
    /// Its kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Service(_) => Service::KIND,
            Self::XBackend(_) => XBackend::KIND,
        }
    }

    /// The group of its kind.
    pub fn group(&self) -> &'static str {
        match self {
            Self::Service(_) => Service::GROUP,
            Self::XBackend(_) => XBackend::GROUP,
        }
    }

    /// Namespace and name.
    pub fn key(&self) -> &Key {
        match self {
            Self::Service(key) | Self::XBackend(key) => key,
        }
    }

    /// As a place that findings point at.
    pub fn origin(&self) -> Origin {
        self.key().origin(self.kind())
    }
}

/// `Service ns/name`
impl fmt::Display for BackendObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind(), self.key())
    }
}

/// A port of a backend, and what is spoken there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackendPort {
    /// The object.
    pub object: BackendObject,
    /// Number of its port (of a Service, not the target port).
    pub port: u16,
    /// What the port is for.
    pub carrier: Carrier,
    /// What is spoken there, as far as it is HTTP.
    pub protocol: UpstreamProtocol,
}

/// What a route wants of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// HTTP: in this way where the backend says nothing about it.
    Http(UpstreamProtocol),
    /// Bytes, without a look at them.
    Stream(Carrier),
}

impl Usage {
    /// What has to carry it.
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Http(_) => Carrier::Tcp,
            Self::Stream(carrier) => carrier,
        }
    }
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

impl BackendPort {
    /// `namespace/service:port`, with `/udp` behind it for a UDP port, and `+h2c` for HTTP/2: a port may be spoken to in both
    /// ways, by an HTTPRoute and a GRPCRoute. What is no Service has its kind in front: `XBackend/namespace/name:port`.
    pub fn id(&self) -> UpstreamId {
        let protocol = match self.protocol {
            UpstreamProtocol::Http1 => "",
            UpstreamProtocol::Http2 => "+h2c",
        };
        let kind = match self.object {
            BackendObject::Service(_) => "",
            BackendObject::XBackend(_) => "XBackend/",
        };
        let key = self.object.key();
        let section = self.section();
        let parts = [
            kind,
            &key.namespace,
            "/",
            &key.name,
            ":",
            section.as_str(),
            protocol,
        ];
        UpstreamId(parts.concat().into())
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
    /// There is no such object.
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
    /// The object contradicts itself or its protocol does not fit the route.
    Invalid {
        /// Finishes the sentence "the object can't be used: …".
        reason: String,
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
            Self::Invalid { reason } => write!(f, "it can't be used: {reason}"),
        }
    }
}

/// The upstream of a backend's port, with its endpoints. `previous` is what the last translation made of it:
/// parts that are equal are handed out again.
pub fn upstream(
    scope: &mut Scope<'_>,
    port: &BackendPort,
    previous: Option<&Arc<Upstream>>,
) -> Arc<Upstream> {
    let origin = port.object.origin();
    let found = match &port.object {
        BackendObject::Service(key) => service::read(scope, key, &origin, port),
        BackendObject::XBackend(key) => x_backend::upstream(scope, key, &origin, port),
    };
    let default = scope.upstream_settings();
    // Gone between two looks; whoever refers to it is translated again in the same go.
    let (settings, mut endpoints) = found.unwrap_or_else(|| ((**default).clone(), Vec::new()));
    let settings = match previous {
        _ if settings == **default => Arc::clone(default),
        Some(previous) if *previous.settings == settings => Arc::clone(&previous.settings),
        _ => Arc::new(settings),
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

/// The endpoints of an XBackend that is a name of DNS.
pub(crate) use external::of_name as endpoints_of_name;
/// The endpoints of an XBackend whose endpoints stand in slices; `None` if none is for it.
pub(crate) fn endpoints_of_slices(
    scope: &mut Scope<'_>,
    origin: &Origin,
    port: &BackendPort,
) -> Option<Vec<Endpoint>> {
    scope.slices(&port.object).next()?;
    Some(slices::endpoints(scope, origin, port, ""))
}

/// The endpoints of an XBackend that selects Pods.
pub(crate) use pods::endpoints as endpoints_of_pods;
