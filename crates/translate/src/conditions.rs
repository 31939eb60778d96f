//! Conditions as Gateway API words them.

use api::status::{Condition, ConditionStatus};

/// A condition that holds.
pub(crate) fn holds(kind: &str, reason: &str, message: impl Into<String>, generation: i64) -> Condition {
    condition(kind, ConditionStatus::True, reason, message.into(), generation)
}

/// A condition that does not hold.
pub(crate) fn fails(kind: &str, reason: &str, message: impl Into<String>, generation: i64) -> Condition {
    condition(kind, ConditionStatus::False, reason, message.into(), generation)
}

/// The condition `kind`, from what is wrong, if anything; the reason for nothing wrong is the kind itself.
pub(crate) fn check(kind: &str, fine: &str, wrong: Option<&Wrong>, generation: i64) -> Condition {
    match wrong {
        None => holds(kind, kind, fine, generation),
        Some(wrong) => fails(kind, wrong.reason, wrong.message.clone(), generation),
    }
}

/// Why a condition does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// CamelCase word of the specification.
    pub reason: &'static str,
    /// Sentence for people.
    pub message: String,
}

impl Wrong {
    /// A reason with its sentence.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }
}

fn condition(
    kind: &str,
    status: ConditionStatus,
    reason: &str,
    message: String,
    observed_generation: i64,
) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status,
        reason: reason.to_owned(),
        message,
        observed_generation,
    }
}
