//! Sending a request again because its rule says so (`ir::Retry`): after which outcome, how long to wait before, and what
//! of the body to send once more.
//!
//! A rule without such a policy has no part in this; what is done for every request (an endpoint that can't be connected
//! to, a kept connection that had just been closed) is next door in `forward`.

use super::forward::Forward;
use super::relay::{HALF_CLOSED, SENT_AHEAD};
use super::session::Session;
use crate::fault::{self, Fault};
use crate::http::buffer::Fill;
use crate::http::grpc;
use crate::http::h1::{BodyLength, ResponseHead};
use crate::stream::Stream;
use crate::time::Instant;
use crate::upstream::UpstreamCell;
use crate::worker::Random;
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

/// An exchange's retries.
#[derive(Debug)]
pub(super) struct Retries<'p> {
    policy: Option<&'p ir::Retry>,
    /// So far.
    made: u32,
}

/// The request's body as it was put out, kept so that it can be sent once more.
#[derive(Debug, Default)]
pub(super) struct Replay {
    bytes: Vec<u8>,
}

impl<'p> Retries<'p> {
    /// None yet.
    pub fn new(policy: Option<&'p ir::Retry>) -> Self {
        Self { policy, made: 0 }
    }

    /// Whether the rule decides about tries, and not the upstream's settings.
    pub fn decides(&self) -> bool {
        self.policy.is_some()
    }

    /// The policy, if it leaves a retry.
    pub fn left(&self) -> Option<&'p ir::Retry> {
        self.policy.filter(|policy| self.made < policy.attempts)
    }

    /// Whether this failure is a reason for the next one: there was no connection, or the try took too long. Not a
    /// connection that broke: the request may have been carried out.
    pub fn cover(&self, fault: Fault) -> bool {
        self.left().is_some() && (fault.retry() == fault::Retry::Fresh || fault == Fault::TryTimeout)
    }

    /// What is to be kept of a body for the next one. Nothing of a body that is known to be too large.
    pub fn replay(&self, body: BodyLength) -> Option<Box<Replay>> {
        self.left()?;
        let fits = match body {
            BodyLength::Empty => false,
            BodyLength::Length(length) | BodyLength::Stream(Some(length)) => length <= LARGEST_REPLAY as u64,
            BodyLength::Chunked | BodyLength::UntilClose | BodyLength::Stream(None) => true,
        };
        fits.then(Box::default)
    }

    /// How long to wait before the next one: twice as long each time, and not all at the same moment.
    fn pause(&self, random: &Random) -> Duration {
        let base = self.policy.map_or(Duration::ZERO, |policy| policy.backoff);
        let longest = base
            .saturating_mul(1 << self.made.min(MOST_DOUBLINGS))
            .min(base.saturating_mul(LONGEST_PAUSE));
        let half = longest / 2;
        half + half / JITTER_STEPS * random.below(JITTER_STEPS + 1)
    }
}

/// Whether this answer is a reason to try again. A call of gRPC that failed before anything else of an answer counts by the
/// status that stands for its code; as UNAVAILABLE it was not carried out (HTTPRouteRetry, "explicit rejection").
pub(super) fn wanted(retry: &ir::Retry, response: &ResponseHead, raw: &[u8]) -> bool {
    retry.covers(response.status)
        || grpc::failed_at_once(&response.fields, raw)
            .is_some_and(|status| status == UNAVAILABLE || retry.covers(status))
}

impl Replay {
    /// Keeps what was put out. Tells whether all of the body can still be kept.
    pub fn keep(&mut self, bytes: &[u8]) -> bool {
        let fits = self.bytes.len() + bytes.len() <= LARGEST_REPLAY;
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }

    /// What was put out so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Forward<'_, '_> {
    /// Waits before the next try, as long as the client, the rule's `request` time and the upstream's budget allow.
    pub(super) async fn pause(
        &mut self,
        cell: &UpstreamCell,
        retries: &mut Retries<'_>,
        request_end: Option<Instant>,
    ) -> Result<(), Fault> {
        let now = self.worker.clock.now();
        let next = now + retries.pause(&self.worker.random);
        if let Some(end) = request_end.filter(|end| *end <= next) {
            wait(self.session, end).await?;
            return Err(Fault::RequestTimeout);
        }
        if !cell.may_retry(now) {
            return Err(Fault::RetryBudget);
        }
        wait(self.session, next).await?;
        retries.made += 1;
        cell.metrics.retried(&self.worker.shard);
        Ok(())
    }
}

/// Waits, and notices a client that goes meanwhile. What it sends ahead is taken in, as during a try.
async fn wait(session: &mut Session, until: Instant) -> Result<(), Fault> {
    let Session {
        downstream,
        alarm,
        input,
        worker,
        ..
    } = session;
    let mut gone_at: Option<Instant> = None;
    poll_fn(|cx| {
        let now = worker.clock.now();
        if now >= until {
            return Poll::Ready(Ok(()));
        }
        if let Stream::Inbound(client) = &mut downstream.stream {
            if client.poll_reset(cx).is_ready() {
                return Poll::Ready(Err(Fault::ClientGone));
            }
            alarm.wake_by(cx, until);
            return Poll::Pending;
        }
        while gone_at.is_none() && input.len() < SENT_AHEAD {
            match input.poll_fill(cx, &mut downstream.stream, SENT_AHEAD) {
                Poll::Ready(Ok(Fill::Some(_))) => {}
                Poll::Ready(Ok(Fill::Closed)) => gone_at = Some(now + HALF_CLOSED),
                Poll::Ready(Ok(Fill::Full)) | Poll::Pending => break,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Fault::ClientGone)),
            }
        }
        match gone_at {
            Some(at) if at <= now => return Poll::Ready(Err(Fault::ClientGone)),
            Some(at) => alarm.wake_by(cx, at.min(until)),
            None => alarm.wake_by(cx, until),
        }
        Poll::Pending
    })
    .await
}

/// Bytes of a body that are kept for a retry, framing included: as many as are held per direction anyway (nginx keeps
/// all, in a file if need be; Envoy 1 MiB). Larger bodies are not sent twice.
const LARGEST_REPLAY: usize = 64 * 1024;
/// The longest wait, in bases (as Envoy).
const LONGEST_PAUSE: u32 = 10;
/// Twice as long so often is beyond the longest wait.
const MOST_DOUBLINGS: u32 = 4;
/// How finely the random part of a wait is chosen.
const JITTER_STEPS: u32 = 1000;

/// Of HTTP, for the code of gRPC.
const UNAVAILABLE: u16 = 503;

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(attempts: u32) -> ir::Retry {
        ir::Retry {
            attempts,
            codes: vec![503],
            backoff: Duration::from_millis(100),
        }
    }

    #[test]
    fn waits_double_up_to_ten_times_the_base_and_at_most_half_of_each_is_taken_off() {
        let policy = policy(100);
        let random = Random::new(7);
        for (made, longest) in [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1000), (50, 1000)] {
            let retries = Retries {
                policy: Some(&policy),
                made,
            };
            for _ in 0..100 {
                let pause = retries.pause(&random).as_millis();
                assert!((longest / 2..=longest).contains(&pause), "{made}: {pause}");
            }
        }
    }

    #[test]
    fn without_attempts_left_nothing_is_a_reason_and_nothing_is_kept() {
        let (none, one) = (policy(0), policy(1));
        let no_policy = Retries::new(None);
        let none = Retries::new(Some(&none));
        let one = Retries::new(Some(&one));
        for retries in [&no_policy, &none] {
            assert!(!retries.cover(Fault::Connect) && retries.replay(BodyLength::Chunked).is_none());
        }
        assert!(none.decides() && !no_policy.decides());
        assert!(
            one.cover(Fault::Connect) && one.cover(Fault::ConnectTimeout) && one.cover(Fault::TryTimeout)
        );
        assert!(!one.cover(Fault::UpstreamClosed) && !one.cover(Fault::HeadTimeout));
    }

    #[test]
    fn a_body_is_kept_up_to_a_limit() {
        let one = policy(1);
        let one = Retries::new(Some(&one));
        assert!(one.replay(BodyLength::Length(LARGEST_REPLAY as u64)).is_some());
        assert!(
            one.replay(BodyLength::Length(LARGEST_REPLAY as u64 + 1))
                .is_none()
        );
        let mut replay = Replay::default();
        assert!(replay.keep(&vec![b'x'; LARGEST_REPLAY]));
        assert!(!replay.keep(b"x"));
    }
}
