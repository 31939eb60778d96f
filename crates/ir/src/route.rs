//! Routes, rules and what they match.

use crate::{Filter, HostPattern, Origin, UpstreamId, duration};
use serde::{Serialize, Serializer};
use std::sync::Arc;
use std::time::Duration;

/// The rules that one user's object has for a set of hosts. An Ingress with three hosts gives three routes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Route {
    /// `HTTPRoute ns/name` or `Ingress ns/name`.
    pub origin: Origin,
    /// When the object was made, seconds since 1970; the oldest wins a tie, then the first by namespace/name.
    pub created: i64,
    /// The object's own hostnames; never empty (`Any` stands for none given).
    pub hostnames: Box<[HostPattern]>,
    /// In the object's order.
    pub rules: Box<[Rule]>,
}

/// Requests of one kind and what becomes of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Rule {
    /// The object, with the rule's name or `rules[2]` as section.
    pub origin: Origin,
    /// Position in the object; the first of equal rules wins.
    pub index: u32,
    /// Any of these; never empty. Rules that match alike may share them.
    pub matches: Arc<[Match]>,
    /// Applied whatever backend is chosen. Rules with the same may share them.
    #[serde(skip_serializing_if = "is_empty")]
    pub filters: Arc<[Filter]>,
    /// What to do.
    pub action: Action,
    /// Time limits; unset: the upstream's settings hold.
    #[serde(serialize_with = "timeouts")]
    pub timeouts: Option<Arc<Timeouts>>,
    /// When a request is sent again. `None`: as the upstream's settings say, which is only where no endpoint got it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Box<Retry>>,
    /// It is a rule for gRPC (GRPCRoute): requests of gRPC-Web are translated for its backends.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub grpc: bool,
}

/// Conditions that must all hold.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Match {
    /// Condition on the path.
    pub path: PathMatch,
    /// Upper-case method; unset: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Conditions on request fields; names are lower-case and distinct.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<ValueMatch>,
    /// Conditions on query parameters; names are case-sensitive and distinct.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<ValueMatch>,
}

/// Condition on the normalised path.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PathMatch {
    /// The whole path, case-sensitive.
    Exact(String),
    /// By path element, without a trailing slash: `/foo` matches `/foo` and `/foo/bar`, not `/foobar`.
    /// The empty string stands for `/` and matches everything.
    Prefix(String),
    /// A regular expression that must match the whole path. Known to compile.
    Regex(String),
}

/// Condition on a header field or a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ValueMatch {
    /// Name of the field or parameter.
    pub name: String,
    /// Condition on its value. Several fields of a name are joined with a comma; of several parameters of a
    /// name the first counts.
    pub value: StringMatch,
}

/// Condition on a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum StringMatch {
    /// Byte for byte.
    Exact(String),
    /// A regular expression that must match the whole text. Known to compile.
    Regex(String),
}

/// What becomes of a request that a rule matched, after its filters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// One of these by weight. Empty, or all weights 0: answered with 500.
    Forward(Vec<Backend>),
    /// A filter answers (a redirect), nothing is forwarded.
    Answer,
    /// A fixed status with our own small body (404 for Ingress hosts without a default backend).
    Status(u16),
}

/// One choice among a rule's backends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Backend {
    /// Share relative to the other backends; 0 gets nothing.
    pub weight: u32,
    /// Where it goes.
    pub target: Target,
    /// How a client is kept at the endpoint that it was sent to first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Arc<SessionPersistence>>,
    /// Filters for this choice only.
    #[serde(skip_serializing_if = "is_empty")]
    pub filters: Arc<[Filter]>,
}

/// A resolved reference.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// An upstream of the snapshot.
    Upstream(UpstreamId),
    /// The reference is broken: its share of the requests is answered with this status (500 for Gateway API,
    /// 503 for Ingress).
    Broken {
        /// Status to answer.
        status: u16,
        /// Why, for `explain`.
        reason: String,
    },
}

/// Time limits of a rule (HTTPRouteTimeouts, and one of our own). `None`: the upstream's settings hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Timeouts {
    /// From the end of the request head to the end of the response, all tries included.
    #[serde(serialize_with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
    /// One try, from sending the request to the end of the response.
    #[serde(serialize_with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub backend_request: Option<Duration>,
    /// Without a byte either way on an upgraded connection (annotation `narthex.dev/tunnel-idle-timeout`).
    #[serde(serialize_with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub tunnel_idle: Option<Duration>,
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn timeouts<S: Serializer>(given: &Option<Arc<Timeouts>>, serializer: S) -> Result<S::Ok, S::Error> {
    match given {
        Some(given) => given.serialize(serializer),
        None => Timeouts::default().serialize(serializer),
    }
}

fn is_empty<T>(items: &Arc<[T]>) -> bool {
    items.is_empty()
}

/// When and how often a rule's requests are sent again (HTTPRouteRetry). It also decides about endpoints that can't be
/// connected to, in place of the upstream's `connect_tries`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Retry {
    /// How often at most, the first time not counted; 0: never.
    pub attempts: u32,
    /// Statuses of the upstream after which a request is sent again; sorted, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<u16>,
    /// Base of the waits before: they double from here on up to ten times as much, with some randomness.
    #[serde(serialize_with = "duration::text")]
    pub backoff: Duration,
}

impl Retry {
    /// Whether the upstream's answer with this status is a reason to send the request again.
    pub fn covers(&self, status: u16) -> bool {
        self.codes.binary_search(&status).is_ok()
    }
}

/// Sessions (GEP-1619): among the endpoints of a backend, which the weights choose as for everybody, a client that has a
/// token is sent to the one that the token was given for, as long as that is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionPersistence {
    /// What carries the token.
    pub carrier: SessionCarrier,
    /// So long after it was given a token is none any more.
    #[serde(serialize_with = "duration::option", skip_serializing_if = "Option::is_none")]
    pub absolute_timeout: Option<Duration>,
    /// What tokens are sealed with is derived from this: the same on every replica, another for each rule or backend that
    /// has sessions of its own.
    #[serde(skip)]
    pub seed: Box<str>,
}

/// What carries a session's token.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SessionCarrier {
    /// A cookie.
    Cookie {
        /// Its name: a token.
        name: String,
        /// Its `Path`.
        path: String,
        /// The client keeps it for the absolute timeout, which is set then, and not only until it ends itself.
        permanent: bool,
    },
    /// A header of this name: a token, lower-case.
    Header(String),
}
