//! Metrics of one rule: requests, duration, bytes.

use crate::Shard;
use std::time::Duration;

/// Names a rule in labels: the user's object and its part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct RouteLabels<'a> {
    /// Kind of the object, `HTTPRoute` or `Ingress`.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// The rule's name, or `rules[2]`.
    pub rule: &'a str,
}

/// Metrics of one rule. Each worker writes a block of its own, made when it is first needed.
#[derive(Debug)]
pub struct RouteMetrics {}

/// What one exchange came to.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// The request's method.
    pub method: Method,
    /// Status sent downstream; 0 if the client went away before there was one.
    pub status: u16,
    /// From the first byte of the request to the last of the response.
    pub duration: Duration,
    /// Bytes of the request as received, head included.
    pub bytes_in: u64,
    /// Bytes of the response as sent, head included.
    pub bytes_out: u64,
}

/// Method as a label: the methods of RFC 9110 and PATCH, all else is `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Connect,
    Options,
    Trace,
    Other,
}

impl Method {
    /// Reads a method as it stands in the request line.
    pub fn of(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "CONNECT" => Self::Connect,
            "OPTIONS" => Self::Options,
            "TRACE" => Self::Trace,
            _ => Self::Other,
        }
    }
}

impl RouteMetrics {
    pub(crate) fn new(labels: &RouteLabels<'_>, workers: usize) -> Self {
        let _ = (labels, workers);
        Self {}
    }

    /// Counts one exchange.
    #[inline]
    pub fn record(&self, shard: &Shard, figures: &Figures) {
        let _ = (shard, figures);
    }
}
