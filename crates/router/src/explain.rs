//! Why a request goes where it goes, as plain data; the command line gives it words and colours.

use ir::{HostPattern, Layer, Match, Origin};
use serde::Serialize;

/// Every step of one lookup in a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The Gateway listeners whose hostname covers the host, most specific first, then the Ingress listener.
    pub listeners: Vec<ListenerStep>,
    /// The answers of the listeners that took part, at most one per layer.
    pub layers: Vec<LayerStep>,
    /// Who answers; unset: nobody (404).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<Winner>,
}

/// One listener and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStep {
    /// Index into the bind's listeners.
    pub index: usize,
    /// `Gateway ns/name#listener`.
    pub origin: Origin,
    /// Its hostname.
    pub hostname: HostPattern,
    /// What became of it.
    pub verdict: ListenerVerdict,
}

/// What became of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ListenerVerdict {
    /// Takes part.
    Chosen,
    /// A more specific Gateway listener covers the host; its routes are not tried (listener isolation).
    LessSpecific,
}

/// The lookup in one listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerStep {
    /// Which API.
    pub layer: Layer,
    /// Index into the bind's listeners.
    pub listener: usize,
    /// Host patterns that cover the host, most specific first.
    pub hosts: Vec<HostStep>,
}

/// The rules of one host pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStep {
    /// The routes' own hostname.
    pub pattern: HostPattern,
    /// What became of it.
    pub verdict: HostVerdict,
    /// In order of rank. Empty if the pattern was not tried.
    pub candidates: Vec<Candidate>,
}

/// What became of a host pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HostVerdict {
    /// One of its rules matched.
    Matched,
    /// None of its rules matched.
    NoMatch,
    /// Not tried: a more specific pattern had a match.
    Beaten,
    /// Not tried: a more specific Ingress host hides it.
    Hidden,
}

/// One match of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The rule.
    pub rule: Origin,
    /// Index into the route's rules.
    pub rule_index: u32,
    /// Index into the rule's matches.
    pub matched: u32,
    /// The conditions.
    pub conditions: Match,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict")]
pub enum Verdict {
    /// It answers.
    Won,
    /// All conditions hold, and it is the best of its layer, but the other layer's answer is more specific.
    BeatenByOtherLayer,
    /// All conditions hold, but a match with a higher rank did too.
    Beaten {
        /// What the better one had more of.
        by: Advantage,
    },
    /// The path does not match.
    Path,
    /// The method is another.
    Method,
    /// A header field is missing.
    #[serde(rename_all = "camelCase")]
    HeaderMissing {
        /// Its name.
        name: String,
    },
    /// A header field has another value.
    #[serde(rename_all = "camelCase")]
    HeaderDiffers {
        /// Its name.
        name: String,
        /// The request's value.
        value: String,
    },
    /// A query parameter is missing.
    #[serde(rename_all = "camelCase")]
    QueryMissing {
        /// Its name.
        name: String,
    },
    /// A query parameter has another value.
    #[serde(rename_all = "camelCase")]
    QueryDiffers {
        /// Its name.
        name: String,
        /// The request's value.
        value: String,
    },
    /// The router can't use it (see [`crate::Unusable`]).
    Unusable,
}

/// Why one of two matches that both hold wins, in order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Advantage {
    /// Its path is more specific (exact, then regular expression, then longest prefix).
    Path,
    /// It names a method.
    Method,
    /// It has more header conditions.
    Headers,
    /// It has more query conditions.
    Query,
    /// Its route is older.
    Age,
    /// Its route comes first by namespace and name.
    Name,
    /// It comes first in the route.
    Order,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Winner {
    /// Index into the bind's listeners.
    pub listener: usize,
    /// Origin of that listener.
    pub listener_origin: Origin,
    /// The host pattern under which the rule was found.
    pub host: HostPattern,
    /// The route.
    pub route: Origin,
    /// The rule.
    pub rule: Origin,
    /// Index into the route's rules.
    pub rule_index: u32,
    /// Index into the rule's matches.
    pub matched: u32,
    /// If the other layer had an answer too: why this one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_other_layer: Option<LayerAdvantage>,
}

/// Why the answer of one layer counts and not the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LayerAdvantage {
    /// More specific host.
    Host,
    /// More specific path.
    Path,
    /// Same host and path: the Gateway's answer counts.
    Gateway,
}
