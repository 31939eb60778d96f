//! Services and EndpointSlices: what a rule's backend refers to, and the upstream it becomes.
//!
//! The two halves change at different times. A rule depends only on the Service and its ports ([`resolve`]);
//! endpoints belong to the upstream alone ([`upstream`]), so that a rolling deployment touches no route.

use crate::input::Key;
use crate::scope::Scope;
use ir::{Endpoint, Upstream, UpstreamId};
use std::fmt;
use std::sync::Arc;

/// A port of a Service, by its number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServicePort {
    /// The Service.
    pub service: Key,
    /// Number of its port (not the target port).
    pub port: u16,
}

impl ServicePort {
    /// `namespace/service:port`
    pub fn id(&self) -> UpstreamId {
        UpstreamId(format!("{}:{}", self.service, self.port).into())
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
                write!(f, "appProtocol {app_protocol} is not supported yet")
            }
        }
    }
}

/// Finds the upstream for a port of a Service and makes it part of the snapshot. Reads the Service only; says
/// nothing by itself, because only the caller knows the field to point at.
pub fn resolve(scope: &mut Scope<'_>, service: &Key, port: PortRef<'_>) -> Result<UpstreamId, BackendError> {
    let found = scope.service(service).ok_or(BackendError::NotFound)?;
    let port = found.spec.ports.iter().find(|candidate| match port {
        PortRef::Number(number) => candidate.port == number,
        PortRef::Name(name) => candidate.name.as_deref() == Some(name),
    });
    let port = port
        .ok_or_else(|| BackendError::PortNotFound { ports: String::new() })?
        .port;
    Ok(scope.use_upstream(ServicePort {
        service: service.clone(),
        port,
    }))
}

/// The upstream of a Service's port, with its endpoints. `previous` is what the last translation made of it:
/// parts that are equal are handed out again.
pub fn upstream(
    scope: &mut Scope<'_>,
    port: &ServicePort,
    previous: Option<&Arc<Upstream>>,
) -> Arc<Upstream> {
    let endpoints: Vec<Endpoint> = Vec::new();
    let upstream = Upstream {
        id: port.id(),
        origin: port.service.origin("Service").section(port.port.to_string()),
        settings: Arc::clone(scope.upstream_settings()),
        endpoints: endpoints.into(),
    };
    match previous {
        Some(previous) if **previous == upstream => Arc::clone(previous),
        _ => Arc::new(upstream),
    }
}
