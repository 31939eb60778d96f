//! How specific an answer is: what decides between the answers of the two layers.

use serde::Serialize;

/// Host first, then path; the greater wins. Method, headers and age are not part of it: between the layers the
/// Gateway wins a tie of host and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Rank {
    /// Specificity of the host pattern.
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

/// Prefixes by length, then regular expressions by length, then exact.
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
    pub fn of(pattern: &ir::HostPattern) -> Self {
        match pattern {
            ir::HostPattern::Any => Self::Any,
            ir::HostPattern::Wildcard { suffix, .. } => Self::Wildcard(suffix.len() as u32),
            ir::HostPattern::Exact(_) => Self::Exact,
        }
    }
}

impl PathRank {
    /// Of a match.
    pub fn of(path: &ir::PathMatch) -> Self {
        match path {
            ir::PathMatch::Prefix(text) => Self::Prefix(text.strip_suffix('/').unwrap_or(text).len() as u32),
            ir::PathMatch::Regex(text) => Self::Regex(text.len() as u32),
            ir::PathMatch::Exact(_) => Self::Exact,
        }
    }
}
