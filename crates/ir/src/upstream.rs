//! Upstreams: resolved groups of endpoints with their settings.

use crate::{Origin, duration};
use serde::Serialize;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Names an upstream within a snapshot: `namespace/service:port`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct UpstreamId(pub Arc<str>);

impl fmt::Display for UpstreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for UpstreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Endpoints and how to use them. The two parts change at different times: a rolling deployment changes
/// `endpoints` only, and then `settings` is the same allocation as before.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Upstream {
    /// Name within the snapshot.
    pub id: UpstreamId,
    /// `Service ns/name#port`.
    pub origin: Origin,
    /// How to talk to the endpoints.
    pub settings: Arc<UpstreamSettings>,
    /// Sorted and distinct. Empty: requests are answered with 503.
    pub endpoints: Arc<[Endpoint]>,
}

/// One address that serves an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Endpoint {
    /// Where it listens.
    pub address: SocketAddr,
    /// Share relative to the other endpoints, usually 1.
    pub weight: u32,
}

/// How to talk to an upstream's endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct UpstreamSettings {
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// PROXY protocol header sent at the start of each connection. Such connections are not shared between
    /// downstream connections.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// `Host` sent instead of the request's own (an ExternalName without other setting keeps the request's).
    pub host: Option<String>,
    /// To connect (nginx `proxy_connect_timeout` 60 s; ours 5 s: an endpoint in the cluster answers at once or not at all).
    #[serde(serialize_with = "duration::text")]
    pub connect_timeout: Duration,
    /// Between two writes of the request that made progress.
    #[serde(serialize_with = "duration::text")]
    pub send_timeout: Duration,
    /// From the end of the request to the response head.
    #[serde(serialize_with = "duration::text")]
    pub head_timeout: Duration,
    /// Between two reads of the response body that made progress.
    #[serde(serialize_with = "duration::text")]
    pub body_idle_timeout: Duration,
    /// Without a byte either way on an upgraded connection.
    #[serde(serialize_with = "duration::text")]
    pub tunnel_idle_timeout: Duration,
    /// How long an unused connection is kept.
    #[serde(serialize_with = "duration::text")]
    pub keep_alive_timeout: Duration,
    /// Unused connections kept per endpoint, over all workers.
    pub keep_alive_connections: u32,
    /// Exchanges at once per endpoint, over all workers; 0: no limit. Beyond it another endpoint is chosen, else 503.
    pub max_requests: u32,
    /// Tries in all when an endpoint can't be connected to (the first included).
    pub connect_tries: u32,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            balance: Balance::RoundRobin,
            proxy_protocol: None,
            host: None,
            connect_timeout: Duration::from_secs(5),
            send_timeout: Duration::from_secs(60),
            head_timeout: Duration::from_secs(60),
            body_idle_timeout: Duration::from_secs(60),
            // WebSockets that speak once an hour are common; nginx cuts them after 60 s and users raise it to 3600 s.
            tunnel_idle_timeout: Duration::from_secs(3600),
            // Node.js closes after 5 s, Go never; below the common 60 s of servers so that ours close first.
            keep_alive_timeout: Duration::from_secs(55),
            keep_alive_connections: 320,
            max_requests: 0,
            connect_tries: 3,
        }
    }
}

/// How an endpoint is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Balance {
    /// Smooth weighted round robin, per worker.
    RoundRobin,
    /// Of two random endpoints the one with fewer exchanges in flight.
    LeastRequest,
}

/// Version of the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ProxyProtocol {
    /// Text.
    V1,
    /// Binary.
    V2,
}
