//! How long to wait for a burst of changes to end.

use std::time::Duration;

/// Least and most time between a change and its translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldOff {
    /// Quiet time after the last change.
    pub min: Duration,
    /// Longest wait after the first change while others keep coming.
    pub max: Duration,
}

impl Default for HoldOff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(10),
            max: Duration::from_millis(100),
        }
    }
}
