//! Finds rules that can never match, for `narthex check`.

use ir::Origin;
use serde::Serialize;

/// A match that can never hold, and the one that takes all its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shadowed {
    /// The rule that never matches by this match.
    pub rule: Origin,
    /// Index into the rule's matches.
    pub matched: u32,
    /// Whether this holds for every match and host of the rule, so that the rule as a whole is dead.
    pub whole_rule: bool,
    /// The rule that is tried before it.
    pub by: Origin,
    /// Index into that rule's matches.
    pub by_matched: u32,
}
