//! What can go wrong with an exchange at run time: whose fault it was, whether to try again, and the stable short
//! code that logs and metrics show. A [`Fault`] is never a user's mistake in YAML; that is a diagnostic.

use std::fmt;

/// A run-time failure of one exchange. One word wide, so that it travels in results for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The request head breaks the grammar of RFC 9112 or is ambiguous.
    BadRequest,
    /// An HTTP version that we don't speak.
    Version,
    /// Request line longer than the limit.
    RequestLineTooLong,
    /// Header fields larger or more than the limit.
    HeadTooLarge,
    /// Request body larger than the limit.
    BodyTooLarge,
    /// CONNECT: this is a gateway, not a forward proxy.
    ConnectRefused,
    /// `Expect` with something else than `100-continue`.
    Expectation,
    /// Early data that anybody could have sent again, and that would do something twice (RFC 8470).
    TooEarly,
    /// The request head took too long.
    SlowHead,
    /// The request body paused for too long.
    SlowBody,
    /// Bad chunk framing in the request body.
    BadRequestBody,
    /// The client went away before the exchange was over.
    ClientGone,
    /// The client stopped reading the response.
    SlowClient,
    /// The authority doesn't belong to the connection's certificate (421).
    Misdirected,
    /// No rule matches.
    NoRoute,
    /// The rule's backend reference is broken; the status is the rule's.
    BrokenBackend,
    /// The upstream has no endpoints.
    NoEndpoints,
    /// Every endpoint is at its limit of exchanges at once.
    Overloaded,
    /// The connection was refused or the network said no.
    Connect,
    /// Connecting took too long.
    ConnectTimeout,
    /// TLS to the endpoint failed.
    UpstreamTls,
    /// The endpoint closed or reset the connection before a response.
    UpstreamClosed,
    /// The endpoint gave the request back untouched (HTTP/2).
    UpstreamRefused,
    /// The request should be sent again, and too much was already (XBackendTrafficPolicy).
    RetryBudget,
    /// The endpoint stopped reading the request.
    SendTimeout,
    /// No response head in time.
    HeadTimeout,
    /// The response head breaks the grammar or its framing is ambiguous.
    BadResponse,
    /// The response head is larger than the limit.
    ResponseHeadTooLarge,
    /// Bad framing in the response body, or it ended early.
    BadResponseBody,
    /// The response body paused for too long.
    BodyTimeout,
    /// The endpoint can't be asked for another protocol on a stream (RFC 8441).
    NoUpgrade,
    /// The rule's `request` timeout passed.
    RequestTimeout,
    /// The rule's `backendRequest` timeout passed.
    TryTimeout,
    /// Nothing passed through an upgraded connection for too long.
    TunnelIdle,
    /// We are draining and the exchange did not finish in time.
    Drained,
    /// A mistake of ours.
    Internal,
}

/// Whose failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client's.
    Downstream,
    /// The endpoint's, or of the way to it.
    Upstream,
    /// Ours, or of the configuration.
    Internal,
}

/// Whether sending the request once more may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Retry {
    /// No.
    No,
    /// On another endpoint: nothing of the request was sent.
    Fresh,
    /// On a new connection, when the failed one had been used before and may just have been closed for idleness.
    IfReused,
    /// On another connection: the endpoint says that it did nothing about it.
    Untouched,
}

impl Fault {
    /// All of them, for metrics and documentation.
    pub const ALL: &'static [Self] = &[
        Self::BadRequest,
        Self::Version,
        Self::RequestLineTooLong,
        Self::HeadTooLarge,
        Self::BodyTooLarge,
        Self::ConnectRefused,
        Self::Expectation,
        Self::TooEarly,
        Self::SlowHead,
        Self::SlowBody,
        Self::BadRequestBody,
        Self::ClientGone,
        Self::SlowClient,
        Self::Misdirected,
        Self::NoRoute,
        Self::BrokenBackend,
        Self::NoEndpoints,
        Self::Overloaded,
        Self::Connect,
        Self::ConnectTimeout,
        Self::UpstreamTls,
        Self::UpstreamClosed,
        Self::UpstreamRefused,
        Self::RetryBudget,
        Self::SendTimeout,
        Self::HeadTimeout,
        Self::BadResponse,
        Self::ResponseHeadTooLarge,
        Self::BadResponseBody,
        Self::BodyTimeout,
        Self::NoUpgrade,
        Self::RequestTimeout,
        Self::TryTimeout,
        Self::TunnelIdle,
        Self::Drained,
        Self::Internal,
    ];

    /// Whose failure it was.
    pub fn side(self) -> Side {
        self.row().0
    }

    /// What the client is told, if it can still be told anything.
    pub fn status(self) -> u16 {
        self.row().1
    }

    /// Stable short code. Renaming one breaks users' dashboards.
    pub fn code(self) -> &'static str {
        self.row().2
    }

    /// Whether to try again.
    pub fn retry(self) -> Retry {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::UpstreamTls => Retry::Fresh,
            Self::UpstreamRefused => Retry::Untouched,
            Self::UpstreamClosed => Retry::IfReused,
            _ => Retry::No,
        }
    }

    fn row(self) -> (Side, u16, &'static str) {
        use Side::{Downstream, Internal, Upstream};
        match self {
            Self::BadRequest => (Downstream, 400, "bad-request"),
            Self::Version => (Downstream, 505, "version"),
            Self::RequestLineTooLong => (Downstream, 414, "request-line-too-long"),
            Self::HeadTooLarge => (Downstream, 431, "head-too-large"),
            Self::BodyTooLarge => (Downstream, 413, "body-too-large"),
            // RFC 9110 §9.3.6: a server that doesn't take part in CONNECT answers 405 or 501; 405 is for a
            // method known and refused, which this is.
            Self::ConnectRefused => (Downstream, 405, "connect-refused"),
            Self::Expectation => (Downstream, 417, "expectation"),
            Self::TooEarly => (Downstream, 425, "too-early"),
            Self::SlowHead => (Downstream, 408, "slow-head"),
            Self::SlowBody => (Downstream, 408, "slow-body"),
            Self::BadRequestBody => (Downstream, 400, "bad-request-body"),
            // 499 as nginx logs it; nobody is left to read it.
            Self::ClientGone => (Downstream, 499, "client-gone"),
            Self::SlowClient => (Downstream, 499, "slow-client"),
            Self::Misdirected => (Downstream, 421, "misdirected"),
            Self::NoRoute => (Internal, 404, "no-route"),
            Self::BrokenBackend => (Internal, 500, "broken-backend"),
            Self::NoEndpoints => (Upstream, 503, "no-endpoints"),
            Self::Overloaded => (Upstream, 503, "overloaded"),
            Self::Connect => (Upstream, 502, "connect"),
            Self::ConnectTimeout => (Upstream, 504, "connect-timeout"),
            Self::UpstreamTls => (Upstream, 502, "upstream-tls"),
            Self::UpstreamClosed => (Upstream, 502, "upstream-closed"),
            Self::UpstreamRefused => (Upstream, 503, "upstream-refused"),
            Self::RetryBudget => (Upstream, 503, "retry-budget"),
            Self::SendTimeout => (Upstream, 504, "send-timeout"),
            Self::HeadTimeout => (Upstream, 504, "head-timeout"),
            Self::BadResponse => (Upstream, 502, "bad-response"),
            Self::ResponseHeadTooLarge => (Upstream, 502, "response-head-too-large"),
            Self::BadResponseBody => (Upstream, 502, "bad-response-body"),
            Self::BodyTimeout => (Upstream, 504, "body-timeout"),
            Self::NoUpgrade => (Upstream, 502, "no-upgrade"),
            Self::RequestTimeout => (Upstream, 504, "request-timeout"),
            Self::TryTimeout => (Upstream, 504, "try-timeout"),
            Self::TunnelIdle => (Upstream, 504, "tunnel-idle"),
            Self::Drained => (Internal, 503, "drained"),
            Self::Internal => (Internal, 500, "internal"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_lower_case() {
        let codes: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        assert!(
            codes
                .iter()
                .all(|code| code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
    }
}
