//! The snapshot: everything the data plane needs to know, as plain, resolved, validated data.
//!
//! `translate` writes it, `router` and `proxy` compile it, the CLI prints it. It holds no Kubernetes type, does
//! no I/O and parses nothing: a regex here has been compiled once by `translate`, a path is already normal, a
//! reference is already resolved. Every node carries the [`Origin`] it came from.
//!
//! Shared parts sit behind `Arc` so that `translate` can hand out the same allocation again when nothing about
//! it changed; `proxy::Plan` recognises such parts by pointer and keeps what it compiled from them.

pub mod certificate;
pub mod diagnostic;
pub mod duration;
pub mod filter;
pub mod host;
pub mod list;
pub mod listener;
pub mod origin;
pub mod path;
pub mod route;
pub mod settings;
pub mod stream;
pub mod tls;
pub mod upstream;

pub use certificate::{Certificate, CertificateId, PrivateKey};
pub use diagnostic::{Code, Diagnostic, Severity};
pub use filter::{Cors, CorsOrigin, Filter, Fraction, HeaderEdit, Mirror, PathRewrite, Redirect, UrlRewrite};
pub use host::HostPattern;
pub use list::List;
pub use listener::{Bind, BindAddress, Layer, Listener, TlsHost, Transport};
pub use origin::{ObjectName, Origin};
pub use route::{
    Action, Backend, Match, PathMatch, Retry, Route, Rule, SessionCarrier, SessionPersistence, StringMatch,
    Target, Timeouts, ValueMatch,
};
pub use settings::{ForwardedHeaders, Http3, HttpSettings, Limits, PathPolicy, ServerTimeouts};
pub use stream::{StreamBackend, StreamListener, StreamRoute, StreamTarget, StreamTls, UdpBind};
pub use tls::{AltName, ClientValidation, TicketSecret, TlsPolicy, Trust, UpstreamTls};
pub use upstream::{
    Balance, Endpoint, ProxyProtocol, RetryBudget, Upstream, UpstreamId, UpstreamProtocol, UpstreamSettings,
    Upstreams,
};

use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The whole configuration of the data plane at one moment. Immutable once built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Snapshot {
    /// Sockets to open, sorted by address. No two have the same address.
    pub binds: Vec<Arc<Bind>>,
    /// UDP sockets to open, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub udp: Vec<Arc<UdpBind>>,
    /// Upstreams that some rule or filter refers to.
    pub upstreams: Upstreams,
    /// Certificates that some listener refers to.
    pub certificates: Arc<BTreeMap<CertificateId, Arc<Certificate>>>,
    /// Settings that hold for every HTTP connection.
    pub http: Arc<HttpSettings>,
    /// Shared by all replicas; unset: each has keys of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tickets: Option<Arc<TicketSecret>>,
}

impl Snapshot {
    /// Whether a bind is served over HTTP/3 too, on the UDP port of the same number: where it is switched on, HTTP is behind
    /// TLS that ends here, nothing stands between us and the client, and no listener of UDP has that port.
    pub fn serves_http3(&self, bind: &Bind) -> bool {
        self.wants_http3(bind) && self.in_the_way_of_http3(bind).is_none()
    }

    /// The listener of UDP for which a bind has no HTTP/3.
    pub fn in_the_way_of_http3(&self, bind: &Bind) -> Option<&Arc<UdpBind>> {
        let mut udp = self.udp.iter().filter(|_| self.wants_http3(bind));
        udp.find(|udp| udp.address.overlaps(bind.address))
    }

    /// Whether HTTP/3 is left out on a bind because clients' certificates are checked there: who is checked depends on the
    /// server name, and QUIC has settled too much by the time that is known.
    pub fn checks_instead_of_http3(&self, bind: &Bind) -> bool {
        let mut listeners = bind.listeners.iter();
        self.http.http3.is_some() && listeners.any(|listener| listener.clients.is_some())
    }

    fn wants_http3(&self, bind: &Bind) -> bool {
        self.http.http3.is_some()
            && bind.transport == Transport::Https
            && !bind.listeners.is_empty()
            && !bind.proxy_protocol
            && !self.checks_instead_of_http3(bind)
    }
}
