//! The answer of `explain`, as data; `text.rs` prints it, `narthex schema explain` describes it.

use schemars::JsonSchema;
use serde::Serialize;

/// Why a request goes where it goes.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "explain")]
pub struct Answer {
    /// `narthex.explain/v1`
    pub schema: &'static str,
    /// The request, as it was understood.
    pub request: RequestShown,
    /// What becomes of it.
    pub outcome: Outcome,
    /// One sentence: the answer.
    pub summary: String,
    /// Who takes the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listener: Option<ListenerShown>,
    /// Listeners that cover the host as well and are not asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub other_listeners: Vec<String>,
    /// The rule that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleShown>,
    /// What the rule's filters do, in the order in which they run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterShown>,
    /// Who is asked, and for what share of such requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backends: Vec<BackendShown>,
    /// Rules that were considered, best first, each with the reason why it won or lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub considered: Vec<CandidateShown>,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// A backend is asked.
    Forwarded,
    /// It is answered with a redirect.
    Redirected,
    /// It is answered with a fixed status.
    Answered,
    /// It is refused before any rule is looked at.
    Refused,
    /// No rule answers: 404.
    NoRule,
    /// Nothing listens there.
    NoListener,
}

/// A request, as it was understood.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestShown {
    /// Method.
    pub method: String,
    /// URL as given.
    pub url: String,
    /// Host as it is matched: lower-case, without port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Path as it is matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Header fields.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

/// Who takes the connection.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListenerShown {
    /// Address and port, `*:8080`.
    pub socket: String,
    /// `Gateway ns/name#listener` or the Ingress listener; unset if none covers the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Hosts that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Certificate that the client gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateShown>,
    /// Something to know about the choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// A certificate, without its key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CertificateShown {
    /// `namespace/secret`
    pub id: String,
    /// Names that it is for.
    pub names: Vec<String>,
    /// Whether it is for the host of the request.
    pub covers_host: bool,
}

/// A rule.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleShown {
    /// `HTTPRoute ns/name#rule`
    pub origin: String,
    /// Kind of the object.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The rule's name, or `rules[2]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// `file:line`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The route's hostname under which it was found.
    pub host: String,
    /// The conditions that held.
    pub conditions: String,
    /// Why it counts although the other API has an answer too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_other_layer: Option<String>,
    /// Time limits, if the rule has its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<String>,
    /// When a request is sent again, if the rule says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<String>,
}

/// A filter.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilterShown {
    /// What it is called.
    pub name: String,
    /// What it does to this request.
    pub effect: String,
}

/// A backend.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendShown {
    /// `namespace/service:port`; unset if the reference is broken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Weight as given.
    pub weight: u32,
    /// Share of the requests, in percent.
    pub percent: f64,
    /// `address:port` of each endpoint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<String>,
    /// How a client is kept at one endpoint, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// How much may be sent again to it, if that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<String>,
    /// Filters for this backend only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<FilterShown>,
    /// Status that its share gets instead of an answer of the backend, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub broken: Option<String>,
}

/// A match that was considered.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateShown {
    /// `HTTPRoute ns/name#rule`
    pub rule: String,
    /// `file:line`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The route's hostname.
    pub host: String,
    /// Its conditions.
    pub conditions: String,
    /// Whether it answers.
    pub won: bool,
    /// Why it won or lost.
    pub reason: String,
}
