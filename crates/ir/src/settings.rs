//! Settings that hold for every HTTP connection, with their defaults and the reason for each.

use crate::duration;
use ipnet::IpNet;
use serde::Serialize;
use std::time::Duration;

/// Settings of the downstream side.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct HttpSettings {
    /// Peers whose `X-Forwarded-*`, `X-Real-IP`, `X-Request-ID` and `Forwarded` fields are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Which forwarding fields are sent upstream.
    pub forwarded: ForwardedHeaders,
    /// Bounds on what a client may send.
    pub limits: Limits,
    /// How long a client may take.
    pub timeouts: ServerTimeouts,
    /// How a request path is read.
    pub path: PathPolicy,
    /// Value of `Server` in responses; unset: the upstream's is passed on and ours has none.
    pub server_header: Option<String>,
    /// HTTP/3 on the UDP ports beside those of HTTPS; unset: there is none, and no UDP socket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http3: Option<Http3>,
}

/// How HTTP/3 is served.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Http3 {
    /// The port that clients are told (RFC 7838); unset: the one at which they asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How long they may remember it (nginx examples and Cloudflare: a day).
    #[serde(serialize_with = "duration::text")]
    pub max_age: Duration,
    /// Whether a returning client may send its request with its first packet (RFC 8470). Off: whoever sees the packet can
    /// send it again.
    pub early_data: bool,
    /// Handshakes under way per worker, beyond which a client has to prove its address first (RFC 9000 §8.1.2). 0: always.
    pub retry_above: u32,
}

impl Default for Http3 {
    fn default() -> Self {
        Self {
            port: None,
            max_age: Duration::from_secs(24 * 3600),
            early_data: false,
            retry_above: 100,
        }
    }
}

/// Forwarding fields sent upstream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For/-Proto/-Host/-Port`, `X-Real-IP`, `X-Request-ID`.
    #[default]
    XForwarded,
    /// These and `Forwarded` (RFC 7239).
    Both,
}

/// Bounds on a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Limits {
    /// Bytes of the request line; beyond: 414 (nginx `large_client_header_buffers` 8k).
    pub request_line: usize,
    /// Bytes of all header fields; beyond: 431 (HAProxy 16k, Envoy 60k).
    pub header_bytes: usize,
    /// Header fields; beyond: 431 (Envoy 100, Go none).
    pub header_count: usize,
    /// Bytes of the request body; beyond: 413. Unset: no limit.
    pub body: Option<u64>,
    /// Requests on one connection before it is closed; 0: no limit (nginx 1000 to free memory that we don't hold).
    pub requests_per_connection: u32,
    /// Requests at once on one HTTP/2 connection (RFC 9113 §6.5.2 advises 100 or more; nginx, HAProxy and Envoy's edge
    /// advice: 100 to 128).
    pub streams: u32,
    /// Open downstream connections per worker; beyond, the longest idle one is closed, else accepting waits. 0: from the file limit.
    pub connections: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_line: 8 * 1024,
            header_bytes: 32 * 1024,
            header_count: 100,
            body: None,
            requests_per_connection: 0,
            streams: 128,
            connections: 0,
        }
    }
}

/// How long a client may take.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ServerTimeouts {
    /// For the TLS handshake and a PROXY header.
    #[serde(serialize_with = "duration::text")]
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head; beyond: 408 (nginx `client_header_timeout` 60 s;
    /// ours 30 s: a head is a few packets).
    #[serde(serialize_with = "duration::text")]
    pub head: Duration,
    /// Between two reads of the body that made progress; beyond: 408 (nginx `client_body_timeout` 60 s).
    #[serde(serialize_with = "duration::text")]
    pub body_idle: Duration,
    /// Between two writes of the response that made progress; beyond: closed (nginx `send_timeout` 60 s).
    #[serde(serialize_with = "duration::text")]
    pub send: Duration,
    /// Between two requests; beyond: closed (ingress-nginx `keep-alive` 75 s).
    #[serde(serialize_with = "duration::text")]
    pub keep_alive: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            head: Duration::from_secs(30),
            body_idle: Duration::from_secs(60),
            send: Duration::from_secs(60),
            keep_alive: Duration::from_secs(75),
        }
    }
}

/// How a request path is read before it is matched ([`crate::path`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct PathPolicy {
    /// `//` is read as `/` (nginx `merge_slashes on`).
    pub merge_slashes: bool,
    /// Answer 400 to escaped slashes and backslashes (`%2F`, `%5C`), for backends that read them as slashes. Off:
    /// they are data, as GitLab's and RabbitMQ's APIs need them.
    pub refuse_escaped_slashes: bool,
}

impl Default for PathPolicy {
    fn default() -> Self {
        Self {
            merge_slashes: true,
            refuse_escaped_slashes: false,
        }
    }
}
