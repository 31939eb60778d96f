//! Filters: what happens to a request or a response besides being forwarded.

use crate::{HostPattern, UpstreamId};
use serde::Serialize;

/// One filter. The order in which filters run is fixed by `proxy`'s `filter/order.rs`, not by this list,
/// except among filters of the same kind, which keep the user's order.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Filter {
    /// Redirects a plain-HTTP request to HTTPS (ingress-nginx `ssl-redirect`); does nothing on HTTPS.
    HttpsRedirect {
        /// Usually 308.
        status: u16,
        /// Port to name in the `Location`; 443 is left out.
        port: u16,
    },
    /// Answers with a redirect; nothing is forwarded.
    Redirect(Redirect),
    /// Edits request fields before forwarding.
    RequestHeaders(HeaderEdit),
    /// Edits response fields before answering.
    ResponseHeaders(HeaderEdit),
    /// Changes host or path of the forwarded request.
    Rewrite(UrlRewrite),
    /// Sends a copy of the request elsewhere and ignores the answer.
    Mirror(Mirror),
    /// Cross-origin resource sharing (Fetch standard, GEP-1767).
    Cors(Cors),
}

/// Header changes: `set`, then `add`, then `remove` (HTTPHeaderFilter). Names keep the user's spelling;
/// they are compared without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct HeaderEdit {
    /// Replaces every field of that name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<(String, String)>,
    /// Adds a field; an existing one stays and the values are joined with a comma when forwarded.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<(String, String)>,
    /// Removes every field of that name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// HTTPRequestRedirectFilter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Redirect {
    /// `http` or `https`; unset keeps the request's.
    pub scheme: Option<String>,
    /// Unset keeps the request's.
    pub hostname: Option<String>,
    /// Unset: the scheme's own port if `scheme` is set, else the listener's port.
    pub port: Option<u16>,
    /// Unset keeps the request's path. The query is kept in any case.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// HTTPURLRewriteFilter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct UrlRewrite {
    /// New `Host`.
    pub hostname: Option<String>,
    /// New path. The query is kept.
    pub path: Option<PathRewrite>,
}

/// HTTPPathModifier.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PathRewrite {
    /// The whole path becomes this.
    Full(String),
    /// The part that the rule's prefix matched becomes this: without a trailing slash, empty for `/`, as prefixes
    /// are written in [`crate::PathMatch`].
    Prefix(String),
}

/// HTTPRequestMirrorFilter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Mirror {
    /// Where the copy goes.
    pub upstream: UpstreamId,
    /// Share of requests that are copied.
    pub fraction: Fraction,
}

/// A share, `numerator / denominator`; at most 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Fraction {
    /// How many …
    pub numerator: u32,
    /// … out of how many. Never 0.
    pub denominator: u32,
}

impl Fraction {
    /// Everything.
    pub const ALL: Self = Self {
        numerator: 1,
        denominator: 1,
    };
}

/// HTTPCORSFilter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Cors {
    /// Origins that may ask.
    pub allow_origins: Vec<CorsOrigin>,
    /// Upper-case methods; `*` alone means any.
    pub allow_methods: Vec<String>,
    /// Header names as written; `*` alone means any.
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may read.
    pub expose_headers: Vec<String>,
    /// Cookies and the like allowed.
    pub allow_credentials: bool,
    /// How long a preflight answer holds, in seconds.
    pub max_age: u32,
}

/// An origin that CORS allows: `*`, `https://app.example.com:8443` or `https://*.example.com`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct CorsOrigin {
    /// `http`, `https` or another scheme; unset: any (only with `*`).
    pub scheme: Option<String>,
    /// Host part.
    pub host: HostPattern,
    /// Port; unset: the scheme's own.
    pub port: Option<u16>,
}

impl Filter {
    /// What `explain` and the documentation call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::HttpsRedirect { .. } => "https-redirect",
            Self::Redirect(_) => "redirect",
            Self::RequestHeaders(_) => "request-headers",
            Self::ResponseHeaders(_) => "response-headers",
            Self::Rewrite(_) => "rewrite",
            Self::Mirror(_) => "mirror",
            Self::Cors(_) => "cors",
        }
    }
}
