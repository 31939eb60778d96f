//! Bytes both ways between two connections, whatever they mean, until both sides are done or nothing passes for too
//! long. An end is told on (half-close): the other side may still have much to say.
//!
//! Short messages are copied. A direction in which more comes than fits a read is spliced inside the kernel as long as
//! it lasts; where TLS ends here, nothing can be.

use crate::clock::Clock;
use crate::fault::Fault;
use crate::http::alarm::Alarm;
use crate::http::buffer::{Buffer, Fill};
use crate::http::conduit::Conduit;
use crate::stream::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// Bytes that passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Passed {
    /// From the client.
    pub up: u64,
    /// To the client.
    pub down: u64,
}

/// One direction.
#[derive(Debug, Default)]
struct Direction {
    buffer: Buffer,
    conduit: Conduit,
    state: State,
    bytes: u64,
    /// Reads in a row that were full, while copying; short ones in a row, while splicing.
    streak: u8,
    spliced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// The sender is done; what is left and the end have to be passed on.
    Ending,
    Closed,
}

/// Which connection of a direction failed.
#[derive(Debug, Clone, Copy)]
enum End {
    From,
    To,
}

/// Runs until the end and adds up what passed. `sent` are bytes of the client that were read already.
pub async fn run(
    client: &mut Stream,
    upstream: &mut Stream,
    sent: Buffer,
    idle: Duration,
    clock: &Clock,
    alarm: &mut Alarm,
    passed: &mut Passed,
) -> Result<(), Fault> {
    let mut up = Direction {
        buffer: sent,
        ..Direction::default()
    };
    let mut down = Direction::default();
    let mut since = clock.now();
    let outcome = poll_fn(|cx| {
        let before = (up.bytes, down.bytes, up.state, down.state);
        let (a, b) = (up.poll(cx, client, upstream), down.poll(cx, upstream, client));
        match (a, b) {
            (Poll::Ready(Err(End::From)), _) | (_, Poll::Ready(Err(End::To))) => {
                return Poll::Ready(Err(Fault::ClientGone));
            }
            (Poll::Ready(Err(End::To)), _) | (_, Poll::Ready(Err(End::From))) => {
                return Poll::Ready(Err(Fault::UpstreamClosed));
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            _ => {}
        }
        let now = clock.now();
        if before != (up.bytes, down.bytes, up.state, down.state) {
            since = now;
        }
        if now >= since + idle {
            return Poll::Ready(Err(Fault::TunnelIdle));
        }
        alarm.wake_by(cx, since + idle);
        Poll::Pending
    })
    .await;
    *passed = Passed {
        up: up.bytes,
        down: down.bytes,
    };
    up.buffer.give_back();
    down.buffer.give_back();
    outcome
}

impl Direction {
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<Result<(), End>> {
        loop {
            if let Some(tcp) = to.plain() {
                ready!(self.conduit.poll_drain(cx, tcp, &mut self.bytes)).map_err(|_| End::To)?;
            }
            ready!(self.buffer.poll_drain(cx, to, &mut self.bytes)).map_err(|_| End::To)?;
            match self.state {
                State::Closed => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(|_| End::To)?;
                    self.state = State::Closed;
                }
                State::Open => match ready!(self.fill(cx, from, to))? {
                    Fill::Closed => self.state = State::Ending,
                    Fill::Some(_) | Fill::Full => {}
                },
            }
        }
    }

    /// Takes in what is there, in one of the two ways.
    fn fill(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &Stream) -> Poll<Result<Fill, End>> {
        if self.spliced
            && to.plain().is_some()
            && let Some(tcp) = from.plain()
        {
            match self.conduit.poll_fill(cx, tcp, u64::MAX) {
                Some(filled) => {
                    let filled = ready!(filled).map_err(|_| End::From)?;
                    if let Fill::Some(count) = filled {
                        self.turn(count < SMALL, false);
                    }
                    return Poll::Ready(Ok(filled));
                }
                // No pipe is to be had.
                None => self.turn(true, false),
            }
        }
        // Most polls find nothing, and need no memory to find that out.
        ready!(from.poll_read_ready(cx)).map_err(|_| End::From)?;
        let filled = ready!(self.buffer.poll_fill(cx, from, ROOM)).map_err(|_| End::From)?;
        if let Fill::Some(count) = filled {
            self.turn(count >= FULL, true);
        }
        Poll::Ready(Ok(filled))
    }

    /// Turns to the other way after some signs in a row that it would be better.
    fn turn(&mut self, better: bool, to: bool) {
        self.streak = if better { self.streak + 1 } else { 0 };
        if self.streak >= SIGNS {
            self.streak = 0;
            self.spliced = to;
        }
    }
}

/// Bytes read at once when copying.
const ROOM: usize = 32 * 1024;
/// A read of this much says that the sender has more than that.
const FULL: usize = 16 * 1024;
/// Below it, copying costs less than two calls for a pipe. TLS records of 16 KiB that come one by one stay above.
const SMALL: usize = 8 * 1024;
const SIGNS: u8 = 3;
