//! Sockets and the listeners that share them.

use crate::{CertificateId, ClientValidation, HostPattern, List, Origin, Route, StreamListener, TlsPolicy};
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// One address and port, and everything that answers on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Bind {
    /// Where to listen.
    pub address: BindAddress,
    /// The port that clients connect to, where something in front of us maps it to the one of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_port: Option<u16>,
    /// What is spoken; one per address.
    pub transport: Transport,
    /// Whether each connection must start with a PROXY protocol header (v1 or v2).
    pub proxy_protocol: bool,
    /// Gateway listeners, sorted most specific hostname first, then the Ingress listener if there is one.
    pub listeners: Vec<Arc<Listener>>,
    /// Certificates for a client whose SNI no listener covers. Empty: such a handshake is refused.
    pub default_certificates: Vec<CertificateId>,
    /// Listeners whose connections are forwarded as streams of bytes: the only one of a TCP socket, and on a TLS socket those
    /// that are chosen by SNI beside the HTTPS listeners. Sorted most specific hostname first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<Arc<StreamListener>>,
}

impl Bind {
    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.public_port.unwrap_or(self.address.port)
    }

    /// Our end of a connection as the client has it.
    pub fn seen(&self, mut local: SocketAddr) -> SocketAddr {
        if let Some(port) = self.public_port {
            local.set_port(port);
        }
        local
    }
}

/// Address of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BindAddress {
    /// `None`: every address, IPv4 and IPv6.
    pub ip: Option<IpAddr>,
    /// Port; 0 lets the kernel choose (tests only).
    pub port: u16,
}

impl BindAddress {
    /// Whether a socket of one would get what is meant for the other.
    pub fn overlaps(self, other: Self) -> bool {
        self.port == other.port && (self.ip.is_none() || other.ip.is_none() || self.ip == other.ip)
    }
}

impl fmt::Display for BindAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            Some(ip) => SocketAddr::new(ip, self.port).fmt(f),
            None => write!(f, "*:{}", self.port),
        }
    }
}

impl Serialize for BindAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Transport {
    /// Plain HTTP.
    Http,
    /// TLS: HTTP over it, terminated here, or streams, by SNI.
    Https,
    /// TCP, whatever it carries.
    Tcp,
}

/// A set of routes that share a hostname and certificates.
///
/// A request is looked up in at most two listeners of its socket: the most specific Gateway listener for its
/// host, and the Ingress listener. The better ranked of the two answers wins (`docs/concepts/precedence.md`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Listener {
    /// `Gateway ns/name#listener`, or `Narthex` for the Ingress listener.
    pub origin: Origin,
    /// Which API it belongs to.
    pub layer: Layer,
    /// Hosts it is for.
    pub hostname: HostPattern,
    /// Certificates by SNI; empty on plain HTTP.
    pub tls: Vec<TlsHost>,
    /// Which clients are let in; unset: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Arc<ClientValidation>>,
    /// What we show to upstreams that ask who we are, for requests that came here (`Gateway.spec.tls.backend`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<CertificateId>,
    /// Versions of TLS that clients may use, where it ends here.
    #[serde(rename = "tlsPolicy", skip_serializing_if = "TlsPolicy::is_default")]
    pub tls_policy: TlsPolicy,
    /// Routes attached to it, in no particular order.
    pub routes: List<Route>,
}

/// The API that a listener, and so its routes, belong to. Decides how hosts are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Layer {
    /// A request that no rule of its most specific hostname matches falls through to a less specific one.
    Gateway,
    /// The most specific host hides all others, as in ingress-nginx.
    Ingress,
}

/// Certificates for the names that a pattern covers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct TlsHost {
    /// Names sent as SNI.
    pub hostname: HostPattern,
    /// Candidates: the first that fits the client's signature schemes is used.
    pub certificates: Vec<CertificateId>,
}
