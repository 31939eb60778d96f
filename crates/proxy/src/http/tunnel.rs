//! After an upgrade: bytes both ways, whatever they mean, until both sides are done or nothing passes for too long.

use super::alarm::Alarm;
use super::buffer::{Buffer, Fill};
use crate::clock::Clock;
use crate::stream::Stream;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// One direction. A side that ends is told on to the other (half-close), which may still have much to say.
#[derive(Debug, Default)]
struct Direction {
    buffer: Buffer,
    state: State,
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// The sender is done; what is left and the end have to be passed on.
    Ending,
    Closed,
}

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides were done.
    Closed,
    /// Nothing passed for too long.
    Idle,
    /// One of the connections failed.
    Broken,
}

/// Bytes that passed, without those that were there before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed {
    /// From the client.
    pub up: u64,
    /// To the client.
    pub down: u64,
}

/// Runs until the end. `from_client` and `from_upstream` are bytes that were read already.
pub async fn run(
    client: &mut Stream,
    upstream: &mut Stream,
    from_client: Buffer,
    from_upstream: Buffer,
    idle: Duration,
    clock: &Clock,
    alarm: &mut Alarm,
) -> (Outcome, Passed) {
    let mut up = Direction {
        buffer: from_client,
        ..Direction::default()
    };
    let mut down = Direction {
        buffer: from_upstream,
        ..Direction::default()
    };
    let mut since = clock.now();
    let outcome = poll_fn(|cx| {
        let before = (up.bytes, down.bytes, up.state, down.state);
        let (a, b) = (up.poll(cx, client, upstream), down.poll(cx, upstream, client));
        match (a, b) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => return Poll::Ready(Outcome::Broken),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => return Poll::Ready(Outcome::Closed),
            _ => {}
        }
        let now = clock.now();
        if before != (up.bytes, down.bytes, up.state, down.state) {
            since = now;
        }
        if now >= since + idle {
            return Poll::Ready(Outcome::Idle);
        }
        alarm.wake_by(cx, since + idle);
        Poll::Pending
    })
    .await;
    let passed = Passed {
        up: up.bytes,
        down: down.bytes,
    };
    up.buffer.give_back();
    down.buffer.give_back();
    (outcome, passed)
}

impl Direction {
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<io::Result<()>> {
        loop {
            let drained = self.buffer.poll_drain(cx, to, &mut self.bytes)?;
            match self.state {
                State::Closed => return Poll::Ready(Ok(())),
                State::Ending => {
                    ready!(drained);
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.state = State::Closed;
                }
                State::Open => {
                    // Most polls find nothing, and need no memory to find that out.
                    if self.buffer.is_empty() {
                        ready!(from.poll_read_ready(cx))?;
                    }
                    let fill = ready!(self.buffer.poll_fill(cx, from, ROOM))?;
                    match fill {
                        Fill::Some(_) => {}
                        Fill::Closed => self.state = State::Ending,
                        Fill::Full => return Poll::Pending,
                    }
                }
            }
        }
    }
}

/// Bytes held per direction.
const ROOM: usize = 32 * 1024;
