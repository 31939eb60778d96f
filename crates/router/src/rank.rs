//! Who comes first: the order of `docs/concepts/precedence.md`, stated once.

use crate::explain::Advantage;
use ir::{HostPattern, Match, PathMatch, Route, Rule};
use serde::Serialize;
use std::cmp::Ordering;

/// How specific an answer is: host first, then path; the greater wins. It decides between the two layers, where
/// method, headers and age have no say: on a tie the Gateway's answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Rank {
    /// Specificity of the host.
    pub host: HostRank,
    /// Specificity of the path match.
    pub path: PathRank,
}

/// Any, then wildcards by length, then exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HostRank {
    /// No hostname.
    Any,
    /// Length of the part after the star.
    Wildcard(u32),
    /// One name.
    Exact,
}

/// Prefixes by length, then regular expressions by length, then exact (`docs/decisions/0006-regex-precedence.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum PathRank {
    /// Length of the prefix without trailing slash.
    Prefix(u32),
    /// Length of the expression.
    Regex(u32),
    /// The whole path.
    Exact,
}

impl HostRank {
    /// Of a pattern.
    pub fn of(pattern: &HostPattern) -> Self {
        match pattern {
            HostPattern::Any => Self::Any,
            HostPattern::Wildcard { suffix, .. } => Self::Wildcard(suffix.len() as u32),
            HostPattern::Exact(_) => Self::Exact,
        }
    }
}

impl PathRank {
    /// Of a match.
    pub fn of(path: &PathMatch) -> Self {
        match path {
            PathMatch::Prefix(text) => Self::Prefix(elements(text).len() as u32),
            PathMatch::Regex(text) => Self::Regex(text.len() as u32),
            PathMatch::Exact(_) => Self::Exact,
        }
    }
}

/// A prefix without its trailing slash.
pub(crate) fn elements(prefix: &str) -> &str {
    prefix.strip_suffix('/').unwrap_or(prefix)
}

/// One match with the rule and route it stands in.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'r> {
    pub route: &'r Route,
    pub rule: &'r Rule,
    /// Position of the match in the rule.
    pub position: u32,
    pub conditions: &'r Match,
}

/// Which of two matches of one host is tried first (`Less`: the first one), and what decides. HTTPRouteRule.matches
/// of Gateway API words the order.
pub(crate) fn compare(a: &Placed<'_>, b: &Placed<'_>) -> (Ordering, Advantage) {
    let (one, other) = (a.conditions, b.conditions);
    let path = PathRank::of(&other.path).cmp(&PathRank::of(&one.path));
    if path.is_ne() {
        return (path, Advantage::Path);
    }
    let method = other.method.is_some().cmp(&one.method.is_some());
    if method.is_ne() {
        return (method, Advantage::Method);
    }
    let headers = other.headers.len().cmp(&one.headers.len());
    if headers.is_ne() {
        return (headers, Advantage::Headers);
    }
    let query = other.query.len().cmp(&one.query.len());
    if query.is_ne() {
        return (query, Advantage::Query);
    }
    let age = a.route.created.cmp(&b.route.created);
    if age.is_ne() {
        return (age, Advantage::Age);
    }
    let name = full_name(a.route).cmp(full_name(b.route));
    if name.is_ne() {
        return (name, Advantage::Name);
    }
    let order = (a.rule.index, a.position).cmp(&(b.rule.index, b.position));
    (order, Advantage::Order)
}

/// Order of two routes by age and name alone.
pub(crate) fn by_age(a: &Route, b: &Route) -> Ordering {
    a.created
        .cmp(&b.created)
        .then_with(|| full_name(a).cmp(full_name(b)))
        .then_with(|| a.origin.cmp(&b.origin))
        .then_with(|| {
            a.rules
                .first()
                .map(|rule| rule.index)
                .cmp(&b.rules.first().map(|rule| rule.index))
        })
}

/// The bytes of `namespace/name`: compared as one text, so `a-b/x` comes before `a/x`.
fn full_name(route: &Route) -> impl Iterator<Item = u8> + '_ {
    let origin = &route.origin;
    origin.namespace.bytes().chain([b'/']).chain(origin.name.bytes())
}
