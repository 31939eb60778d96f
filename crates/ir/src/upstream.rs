//! Upstreams: resolved groups of endpoints with their settings.

use crate::{List, Origin, UpstreamTls, duration};
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::SocketAddr;
use std::ops::Index;
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

/// Upstreams by id. Shares its structure with the one it was changed from, as [`List`] does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Upstreams(List<Upstream>);

impl Upstreams {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order of id.
    pub fn values(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.0.iter()
    }

    /// As a list, in order of id.
    pub fn list(&self) -> &List<Upstream> {
        &self.0
    }

    /// The upstream of this id.
    pub fn get(&self, id: &UpstreamId) -> Option<&Arc<Upstream>> {
        self.0.find(|upstream| upstream.id.cmp(id))
    }

    /// Adds an upstream, or replaces the one of the same id.
    pub fn insert(&mut self, upstream: Arc<Upstream>) {
        let id = upstream.id.clone();
        self.0.insert(|other| other.id.cmp(&id), upstream);
    }

    /// Takes an upstream out.
    pub fn remove(&mut self, id: &UpstreamId) {
        self.0.remove(|upstream| upstream.id.cmp(id));
    }
}

impl Index<&UpstreamId> for Upstreams {
    type Output = Arc<Upstream>;

    /// # Panics
    ///
    /// If there is no such upstream.
    fn index(&self, id: &UpstreamId) -> &Arc<Upstream> {
        self.get(id).expect("an upstream of this id")
    }
}

impl FromIterator<Arc<Upstream>> for Upstreams {
    fn from_iter<I: IntoIterator<Item = Arc<Upstream>>>(upstreams: I) -> Self {
        let mut all = Self::default();
        upstreams.into_iter().for_each(|upstream| all.insert(upstream));
        all
    }
}

/// A map from id to upstream.
impl Serialize for Upstreams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.values().map(|upstream| (&upstream.id, upstream)))
    }
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
    /// What is spoken to the endpoints.
    pub protocol: UpstreamProtocol,
    /// TLS to them; unset: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Arc<UpstreamTls>>,
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
    /// How many requests may be sent again because their rules say so; unset: as many as they say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            balance: Balance::RoundRobin,
            protocol: UpstreamProtocol::Http1,
            tls: None,
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
            retry_budget: None,
        }
    }
}

/// How many requests may be sent again (XBackendTrafficPolicy, GEP-3388): as long as either of the two allows it. Each
/// replica counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryBudget {
    /// Retries among all requests, in percent.
    pub percent: u32,
    /// Over how long.
    #[serde(serialize_with = "duration::text")]
    pub interval: Duration,
    /// So many are allowed whatever their share.
    pub least: u32,
    /// In how long.
    #[serde(serialize_with = "duration::text")]
    pub least_interval: Duration,
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

/// What is spoken to an upstream's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 from the first byte on (`kubernetes.io/h2c`, RFC 9113 §3.3).
    Http2,
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
