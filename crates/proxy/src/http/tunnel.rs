//! After an upgrade: bytes both ways, whatever they mean, until both sides are done or nothing passes for too long.
//!
//! Only of a WebSocket a little is understood: where the server's messages end. When the worker is about to end, its client is
//! told so by a frame of ours behind one of them. What the client answers is the server's to read, as if it had been asked.

use super::alarm::Alarm;
use super::buffer::{Buffer, Fill};
use super::websocket::{Frames, GOING_AWAY};
use crate::clock::Clock;
use crate::stream::Stream;
use crate::time::Instant;
use std::future::poll_fn;
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
    /// Of a WebSocket's server.
    frames: Option<Frames>,
    /// The next end of a message is the last.
    parting: bool,
    failed: Option<End>,
}

/// An end of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Where bytes come from.
    From,
    /// Where they go.
    To,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    #[default]
    Open,
    /// We said good-bye in the sender's place. What it has to say still is dropped.
    Parted,
    /// The sender is done; what is left and the end have to be passed on.
    Ending,
    Closed,
}

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides were done, or the upstream is gone and what it sent has arrived.
    Closed,
    /// Nothing passed for too long.
    Idle,
    /// The client is gone.
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

/// How it is with the time.
pub struct Times<'a> {
    /// How long it may pass nothing.
    pub idle: Duration,
    /// Of the worker.
    pub clock: &'a Clock,
    /// When to take leave, once that is known. Only for WebSockets.
    pub leave: Option<&'a dyn Fn() -> Option<Instant>>,
}

/// Runs until the end. `from_client` and `from_upstream` are bytes that were read already.
pub async fn run(
    client: &mut Stream,
    upstream: &mut Stream,
    from_client: Buffer,
    from_upstream: Buffer,
    times: Times<'_>,
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
    let Times { idle, clock, leave } = times;
    if leave.is_some() {
        let mut frames = Frames::default();
        frames.follow(down.buffer.filled());
        down.frames = Some(frames);
    }
    let mut since = clock.now();
    let outcome = poll_fn(|cx| {
        if let Some(at) = leave.and_then(|leave| leave()) {
            if clock.now() >= at {
                down.part();
            } else {
                alarm.wake_by(cx, at);
            }
        }
        let before = (up.bytes, down.bytes, up.state, down.state);
        let over = (up.poll(cx, client, upstream), down.poll(cx, upstream, client));
        let gone = |direction: &Direction| direction.failed == Some(End::From);
        match over {
            _ if down.failed == Some(End::To) => return Poll::Ready(Outcome::Broken),
            (Poll::Ready(()), _) if gone(&up) => return Poll::Ready(Outcome::Broken),
            (_, Poll::Ready(())) if gone(&down) => return Poll::Ready(Outcome::Closed),
            // An upstream that takes nothing more has perhaps said why: what it sent comes first, and then its end.
            (Poll::Ready(()), Poll::Ready(())) => return Poll::Ready(Outcome::Closed),
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
    /// Says good-bye in the sender's place, now or when its message is over, unless it did so itself.
    fn part(&mut self) {
        let open = self.state == State::Open && !self.parting;
        if let Some(frames) = self.frames.as_ref().filter(|frames| open && !frames.closed()) {
            self.parting = true;
            if frames.is_between() {
                self.part_behind(self.buffer.len());
            }
        }
    }

    /// Does it behind so much of what is there.
    fn part_behind(&mut self, length: usize) {
        self.buffer.truncate(length);
        self.buffer.extend(&GOING_AWAY);
        self.state = State::Parted;
    }

    /// So many bytes have come.
    fn came(&mut self, count: usize) {
        let before = self.buffer.len() - count;
        if let Some(frames) = &mut self.frames {
            let end = frames.follow(&self.buffer.filled()[before..]);
            if let Some(end) = end.filter(|_| self.parting && !frames.closed()) {
                self.part_behind(before + end);
            }
        }
    }

    /// Ready when nothing passes any more.
    fn poll(&mut self, cx: &mut Context<'_>, from: &mut Stream, to: &mut Stream) -> Poll<()> {
        loop {
            match ready!(self.poll_bytes(cx, from, to)) {
                Ok(()) => return Poll::Ready(()),
                // What came before goes out.
                Err(End::From) => self.state = State::Ending,
                Err(End::To) => self.state = State::Closed,
            }
        }
    }

    fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<Result<(), End>> {
        loop {
            if self.state == State::Closed {
                return Poll::Ready(Ok(()));
            }
            let drained = self.buffer.poll_drain(cx, to, &mut self.bytes);
            let drained = drained.map_err(|_| self.fails(End::To))?;
            match self.state {
                State::Closed => {}
                State::Ending => {
                    ready!(drained);
                    ready!(Pin::new(&mut *to).poll_shutdown(cx)).map_err(|_| self.fails(End::To))?;
                    self.state = State::Closed;
                }
                State::Open | State::Parted => {
                    if self.state == State::Parted {
                        ready!(drained);
                    }
                    // Most polls find nothing, and need no memory to find that out.
                    if self.buffer.is_empty() {
                        ready!(from.poll_read_ready(cx)).map_err(|_| self.fails(End::From))?;
                    }
                    let fill = ready!(self.buffer.poll_fill(cx, from, ROOM));
                    match fill.map_err(|_| self.fails(End::From))? {
                        Fill::Some(_) if self.state == State::Parted => self.buffer.clear(),
                        Fill::Some(count) => self.came(count),
                        Fill::Closed => self.state = State::Ending,
                        Fill::Full => return Poll::Pending,
                    }
                }
            }
        }
    }

    fn fails(&mut self, end: End) -> End {
        self.failed = self.failed.or(Some(end));
        end
    }
}

/// Bytes held per direction.
const ROOM: usize = 32 * 1024;
