//! Metrics of one rule: requests, duration, bytes.

use crate::Shard;
use crate::cells::{Count, DurationSum, Durations, PerWorker};
use crate::registry::Keyed;
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
pub struct RouteMetrics {
    /// The four labels, joined.
    key: Box<str>,
    blocks: PerWorker<Block>,
}

#[derive(Debug, Default)]
struct Block {
    requests: [[Count; CLASSES.len()]; Method::ALL.len()],
    bytes_in: Count,
    bytes_out: Count,
    duration: Durations,
}

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

/// Method as a label: the methods of RFC 9110 and PATCH (RFC 5789); all else is `other`.
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
    /// Every method, in the order of its number.
    pub(crate) const ALL: [(Self, &str); 10] = [
        (Self::Get, "GET"),
        (Self::Head, "HEAD"),
        (Self::Post, "POST"),
        (Self::Put, "PUT"),
        (Self::Patch, "PATCH"),
        (Self::Delete, "DELETE"),
        (Self::Connect, "CONNECT"),
        (Self::Options, "OPTIONS"),
        (Self::Trace, "TRACE"),
        (Self::Other, "other"),
    ];

    /// Reads a method as it stands in the request line.
    #[inline]
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

/// Status classes as labels, by hundreds; the first is for a client that went away unanswered.
pub(crate) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

impl RouteMetrics {
    /// What tells a rule from all others: its labels, joined.
    pub(crate) fn key(labels: &RouteLabels<'_>) -> String {
        [labels.kind, labels.namespace, labels.name, labels.rule].join("\0")
    }

    pub(crate) fn new(key: Box<str>, workers: usize) -> Self {
        Self {
            key,
            blocks: PerWorker::new(workers),
        }
    }

    /// Counts one exchange.
    #[inline]
    pub fn record(&self, shard: &Shard, figures: &Figures) {
        let block = self.blocks.of(shard.worker());
        let class = usize::from(figures.status / 100).min(CLASSES.len() - 1);
        block.requests[figures.method as usize][class].add(1);
        block.bytes_in.add(figures.bytes_in);
        block.bytes_out.add(figures.bytes_out);
        block.duration.add(figures.duration);
    }

    /// Kind, namespace, name, rule.
    pub(crate) fn labels(&self) -> [&str; 4] {
        let mut parts = self.key.splitn(4, '\0');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }

    /// Whether any worker ever counted something.
    pub(crate) fn is_used(&self) -> bool {
        self.blocks.used().next().is_some()
    }

    /// Requests by method and status class, those that are not 0.
    pub(crate) fn requests(&self, mut each: impl FnMut(&'static str, &'static str, u64)) {
        for (at, (_, method)) in Method::ALL.iter().enumerate() {
            for (class_at, class) in CLASSES.iter().enumerate() {
                let count: u64 = self
                    .blocks
                    .used()
                    .map(|block| block.requests[at][class_at].get())
                    .sum();
                if count > 0 {
                    each(method, class, count);
                }
            }
        }
    }

    /// Received and sent.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.blocks.used().fold((0, 0), |(received, sent), block| {
            (received + block.bytes_in.get(), sent + block.bytes_out.get())
        })
    }

    pub(crate) fn duration(&self) -> DurationSum {
        DurationSum::of(self.blocks.used().map(|block| &block.duration))
    }
}

impl Keyed for RouteMetrics {
    fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_back_as_they_were_given() {
        let labels = RouteLabels {
            kind: "HTTPRoute",
            namespace: "",
            name: "ü",
            rule: "rules[0]",
        };
        let metrics = RouteMetrics::new(RouteMetrics::key(&labels).into(), 1);
        assert_eq!(metrics.labels(), ["HTTPRoute", "", "ü", "rules[0]"]);
    }

    #[test]
    fn methods_are_numbered_as_they_are_listed() {
        for (at, (method, name)) in Method::ALL.iter().enumerate() {
            assert_eq!(*method as usize, at);
            assert_eq!(Method::of(name), *method);
        }
        assert_eq!(Method::of("get"), Method::Other);
    }
}
