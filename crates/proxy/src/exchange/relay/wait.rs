//! What a relay does when nothing moves: whose turn it is, until when, and whose fault it is then.

use super::{Course, Ending, Phase, Relay, Sending};
use crate::fault::Fault;
use crate::http::alarm::NEAR;
use crate::time::Instant;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long each phase may take.
#[derive(Debug, Clone, Copy)]
pub(in crate::exchange) struct Deadlines<'a> {
    pub upstream: &'a ir::UpstreamSettings,
    pub client: &'a ir::ServerTimeouts,
    /// End of the rule's `request` time.
    pub request: Option<Instant>,
    /// End of the rule's `backendRequest` time for this try.
    pub attempt: Option<Instant>,
}

/// Since when nothing has moved; unset while something does.
#[derive(Debug, Default)]
pub(super) struct Waits {
    pub upload_since: Option<Instant>,
    pub response_since: Option<Instant>,
    pub client_closed: Option<Instant>,
    /// It is not the first wait.
    pub later: bool,
}

impl Waits {
    /// The first wait begins. The clock has just been read.
    #[inline]
    pub fn begin(&mut self, now: Instant) {
        self.later = true;
        self.upload_since.get_or_insert(now);
        self.response_since.get_or_insert(now);
    }
}

impl Relay<'_, '_> {
    /// Whether only the response's head is waited for, and so long that the connection will have been looked over before
    /// ([`crate::connection::Control::look_soon`]): then there is no need yet to find out until when. Most answers are
    /// there by that look.
    #[inline]
    pub(super) fn is_far_from_all(&self, course: &Course) -> bool {
        let limits = &self.limits;
        self.upload.state == Sending::Sent
            && limits.upstream.head_timeout > NEAR
            && limits.request.is_none()
            && limits.attempt.is_none()
            && self.is_drained(course)
    }

    /// Nothing moves: finds out whose turn it is and until when.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>, course: &mut Course) -> Poll<Result<Ending, Fault>> {
        // At the first wait of a try the clock has just been read.
        let now = if std::mem::replace(&mut course.waits.later, true) {
            self.worker.clock.now()
        } else {
            self.worker.clock.recent()
        };
        let client_waits = !self.is_drained(course);
        let upstream_waits = !self.to_upstream.is_drained() || !course.up.is_empty();
        let (phase, waits) = (course.phase, &mut course.waits);
        let limits = &self.limits;
        let mut next = (now + LONG, Fault::Internal);
        let mut sooner = |at: Instant, fault: Fault| {
            if at < next.0 {
                next = (at, fault);
            }
        };
        let upload_since = *waits.upload_since.get_or_insert(now);
        let response_since = *waits.response_since.get_or_insert(now);
        if self.upload.state == Sending::Going {
            if upstream_waits {
                sooner(upload_since + limits.upstream.send_timeout, Fault::SendTimeout);
            } else if self.upload.expects_continue {
                sooner(upload_since + limits.upstream.head_timeout, Fault::HeadTimeout);
            } else {
                sooner(upload_since + limits.client.body_idle, Fault::SlowBody);
            }
        }
        match phase {
            _ if client_waits => {
                sooner(response_since + limits.client.send, Fault::SlowClient);
            }
            Phase::Head if self.upload.state != Sending::Going => {
                sooner(response_since + limits.upstream.head_timeout, Fault::HeadTimeout);
            }
            Phase::Body => sooner(
                response_since + limits.upstream.body_idle_timeout,
                Fault::BodyTimeout,
            ),
            _ => {}
        }
        if let Some(closed) = waits.client_closed {
            sooner(closed + HALF_CLOSED, Fault::ClientGone);
        }
        if let Some(at) = limits.request {
            sooner(at, Fault::RequestTimeout);
        }
        if let Some(at) = limits.attempt {
            sooner(at, Fault::TryTimeout);
        }
        let (at, fault) = next;
        if at <= now {
            return Poll::Ready(Err(fault));
        }
        self.alarm.wake_by(cx, at);
        Poll::Pending
    }
}

/// A client that closed its sending side may still wait for the answer, or be gone: nothing tells which before we
/// write. nginx takes it for gone at once, HAProxy never; ours gets so much time.
pub(in crate::exchange) const HALF_CLOSED: Duration = Duration::from_secs(5);
/// When nothing else limits a wait.
const LONG: Duration = Duration::from_secs(24 * 3600);
