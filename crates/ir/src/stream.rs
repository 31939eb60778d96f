//! Streams: TCP connections, TLS connections by SNI, and UDP flows, forwarded without a look at what they carry.

use crate::{
    BindAddress, CertificateId, ClientValidation, HostPattern, List, Origin, ProxyProtocol, TlsPolicy,
    UpstreamId, duration,
};
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A listener for streams, and the routes attached to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StreamListener {
    /// `Gateway ns/name#listener`, or `ConfigMap ns/name#port`.
    pub origin: Origin,
    /// Names sent as SNI that it is for; [`HostPattern::Any`] on TCP and UDP.
    pub hostname: HostPattern,
    /// What happens to TLS.
    pub tls: StreamTls,
    /// Which clients are let in where TLS ends here; unset: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clients: Option<Arc<ClientValidation>>,
    /// Versions of TLS that clients may use, where it ends here.
    #[serde(rename = "tlsPolicy", skip_serializing_if = "TlsPolicy::is_default")]
    pub tls_policy: TlsPolicy,
    /// Routes attached to it, in no particular order.
    pub routes: List<StreamRoute>,
}

/// What happens to TLS on a stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamTls {
    /// Nothing: the bytes mean nothing to us.
    None,
    /// The name is read from the ClientHello, and everything is passed on as it came.
    Passthrough,
    /// TLS ends here with one of these certificates; what is inside is passed on.
    Terminate(Vec<CertificateId>),
}

/// The rule that one user's object has for streams.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StreamRoute {
    /// `TCPRoute ns/name`, `UDPRoute ns/name`, `TLSRoute ns/name`, or a `ConfigMap` of ports.
    pub origin: Origin,
    /// The rule's name, or `rules[0]`.
    pub rule: Arc<str>,
    /// When the object was made, seconds since 1970; of several routes for the same streams the oldest wins, then the first by
    /// namespace/name.
    pub created: i64,
    /// PROXY protocol header that the backend gets, besides what its upstream's settings say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// The object's own hostnames; never empty ([`HostPattern::Any`] stands for none given).
    pub hostnames: Vec<HostPattern>,
    /// One of these by weight. Empty, or all weights 0: every stream is refused.
    pub backends: Vec<StreamBackend>,
}

/// One choice among a route's backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StreamBackend {
    /// Share relative to the other backends; 0 gets nothing.
    pub weight: u32,
    /// Where it goes.
    pub target: StreamTarget,
}

/// A resolved reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StreamTarget {
    /// An upstream of the snapshot.
    Upstream(UpstreamId),
    /// The reference is broken: its share of the streams is refused.
    Broken {
        /// Why, for `explain`.
        reason: String,
    },
}

/// One address and port for UDP, and who answers on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct UdpBind {
    /// Where to listen.
    pub address: BindAddress,
    /// Who answers.
    pub listener: Arc<StreamListener>,
    /// How long a flow lasts after its last datagram.
    #[serde(serialize_with = "duration::text")]
    pub idle_timeout: Duration,
}

impl StreamRoute {
    /// Which of two routes for the same streams comes first: the older one, then the first by namespace and name.
    pub fn rank(&self) -> (i64, &str, &str) {
        (self.created, &self.origin.namespace, &self.origin.name)
    }
}
