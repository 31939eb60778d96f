//! Time for a worker: read when it matters, remembered for everything that does not need it to the microsecond.

use crate::time::Instant;
use std::cell::Cell;

/// A worker's clock.
#[derive(Debug)]
pub struct Clock {
    recent: Cell<Instant>,
}

impl Clock {
    /// A clock that has just been read.
    pub fn new() -> Self {
        Self {
            recent: Cell::new(Instant::now()),
        }
    }

    /// Reads the time (about 25 ns) and remembers it.
    pub fn now(&self) -> Instant {
        let now = Instant::now();
        self.recent.set(now);
        now
    }

    /// The time of the last reading: at most one turn of the event loop old. For idle marks and the like.
    pub fn recent(&self) -> Instant {
        self.recent.get()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
