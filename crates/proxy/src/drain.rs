//! The end of a worker: no new connections, no invitation to further requests, and time for what is under way.
//! Sans-I/O: told the time and how many connections are open, it says what to do.

use crate::time::Instant;
use std::time::Duration;

/// A drain under way.
#[derive(Debug)]
pub struct Drain {
    idle_close: Option<Instant>,
    leave: Instant,
    end: Instant,
    ended_before: u64,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Close the connections that wait for a request.
    CloseIdle,
    /// Nothing until then, or until a connection ends.
    Wait(Instant),
    /// Over: close what is still open.
    Done(DrainOutcome),
}

/// What a drain came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct DrainOutcome {
    /// Connections that ended by themselves.
    pub finished: u64,
    /// Connections that were still open when the time was over.
    pub cut: u64,
}

impl Drain {
    /// Begins at `now` and lasts no longer than `timeout`. `ended` connections had ended before.
    pub fn new(now: Instant, timeout: Duration, ended: u64) -> Self {
        Self {
            idle_close: Some(now + GRACE.min(timeout / 4)),
            leave: now + timeout - FAREWELL.min(timeout / 4),
            end: now + timeout,
            ended_before: ended,
        }
    }

    /// When connections that would be cut soon, and can be told so, are told.
    pub fn leaves_at(&self) -> Instant {
        self.leave
    }

    /// What to do, with so many connections open and so many ended since the worker began.
    pub fn step(&mut self, now: Instant, open: usize, ended: u64) -> Step {
        let finished = ended - self.ended_before;
        if open == 0 || now >= self.end {
            return Step::Done(DrainOutcome {
                finished,
                cut: open as u64,
            });
        }
        match self.idle_close {
            Some(at) if now >= at => {
                self.idle_close = None;
                Step::CloseIdle
            }
            Some(at) => Step::Wait(at),
            None => Step::Wait(self.end),
        }
    }
}

impl std::ops::AddAssign for DrainOutcome {
    fn add_assign(&mut self, other: Self) {
        self.finished += other.finished;
        self.cut += other.cut;
    }
}

/// A request may be on its way on a connection that looks idle here. Closing on top of it would make the client see a
/// reset; answered within this time, it is told `Connection: close`.
const GRACE: Duration = Duration::from_millis(200);
/// How long before the end: time for an answer, and for that to reach the endpoint.
const FAREWELL: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_get_a_short_grace_and_busy_ones_until_the_end() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut drain = Drain::new(start, Duration::from_secs(10), 5);
        assert_eq!(drain.leaves_at(), at(8_000));
        assert_eq!(drain.step(at(0), 3, 5), Step::Wait(at(200)));
        assert_eq!(drain.step(at(200), 3, 5), Step::CloseIdle);
        assert_eq!(drain.step(at(201), 1, 7), Step::Wait(at(10_000)));
        assert_eq!(
            drain.step(at(3_000), 0, 8),
            Step::Done(DrainOutcome { finished: 3, cut: 0 })
        );
    }

    #[test]
    fn what_is_open_at_the_end_is_cut() {
        let start = Instant::now();
        let mut drain = Drain::new(start, Duration::from_secs(1), 0);
        let outcome = DrainOutcome { finished: 1, cut: 2 };
        assert_eq!(
            drain.step(start + Duration::from_secs(1), 2, 1),
            Step::Done(outcome)
        );
    }

    #[test]
    fn without_connections_it_is_over_at_once() {
        let start = Instant::now();
        let mut drain = Drain::new(start, Duration::from_secs(1), 4);
        assert_eq!(drain.step(start, 0, 4), Step::Done(DrainOutcome::default()));
    }
}
