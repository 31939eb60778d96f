//! A connection's own task: lets streams in, sends what they have to send, and decides when it is time to go.

use super::{BAD_FRAMES, FLOOD, Shared, begin, websocket_key};
use crate::connection::{Idle, Occupation};
use crate::fault::Fault;
use crate::http::alarm::Alarm;
use crate::http::h2::{Broken, Connection, Reason, Watch};
use crate::time::{Instant, timeout};
use std::future::poll_fn;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Runs a connection until it is over.
pub(super) async fn run(shared: &Rc<Shared>, connection: Connection, watch: Rc<Watch>, alarm: Alarm) {
    let mut life = Life {
        shared,
        connection,
        watch,
        alarm,
        stage: Stage::Open,
        pulse: Pulse::Unwatched,
    };
    let end = poll_fn(|cx| life.poll(cx)).await;
    let socket = life.watch.take_socket();
    drop(life);
    if let (End::Refused, Some(socket)) = (end, socket) {
        linger(socket).await;
    }
}

/// A connection with all that decides about its end.
struct Life<'a> {
    shared: &'a Rc<Shared>,
    connection: Connection,
    watch: Rc<Watch>,
    alarm: Alarm,
    stage: Stage,
    pulse: Pulse,
}

/// Where it is.
#[derive(Clone, Copy)]
enum Stage {
    /// Streams are let in.
    Open,
    /// We said that we go. Streams that the client had begun by then are served, and when the last one is over it has a
    /// moment to go too.
    Leaving {
        /// Since when there has been no stream.
        empty_since: Option<Instant>,
    },
    /// We said that nothing is served any more. That may take until then to be sent.
    Closing { by: Instant },
}

/// Whether the client is there, while it waits for us. What has no streams is closed for being idle.
#[derive(Clone, Copy)]
enum Pulse {
    /// No streams.
    Unwatched,
    /// Nothing has come since then.
    Silent(Instant),
    /// It was asked then.
    Asked(Instant),
}

/// How it ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// In order, or the socket failed.
    Over,
    /// We would have no more of it, and said so.
    Refused,
}

impl Life<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if let Poll::Ready(end) = self.poll_streams(cx) {
                return Poll::Ready(end);
            }
            let now = self.shared.worker.clock.now();
            if self.poll_flood(now).is_ready() || self.poll_told(cx).is_ready() {
                continue;
            }
            for limit in [Self::poll_blocked, Self::poll_pulse, Self::poll_stage] {
                if let Poll::Ready(end) = limit(self, cx, now) {
                    return Poll::Ready(end);
                }
            }
            return Poll::Pending;
        }
    }

    /// Lets streams in, and moves all frames that can be moved.
    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let plan = self.shared.worker.plan();
        let key = || websocket_key(&self.shared.worker);
        loop {
            match ready!(self.connection.poll_accept(cx, &plan.http.limits, &key)) {
                Some(Ok(accepted)) => {
                    begin(self.shared, accepted);
                    if self.shared.is_used_up() {
                        self.leave();
                    }
                }
                Some(Err(error)) => return Poll::Ready(self.broken(&error)),
                None => {
                    let closing = matches!(self.stage, Stage::Closing { .. });
                    return Poll::Ready(if closing { End::Refused } else { End::Over });
                }
            }
        }
    }

    fn broken(&self, error: &Broken) -> End {
        if matches!(self.stage, Stage::Closing { .. }) {
            return End::Refused;
        }
        let Broken::Protocol(reason) = *error else {
            return End::Over;
        };
        tracing::debug!(%reason, "connection broken off");
        self.shared.worker.shard.fault(match reason {
            Reason::ENHANCE_YOUR_CALM => FLOOD,
            _ => BAD_FRAMES,
        });
        End::Refused
    }

    /// RFC 9113 §10.5: what comes without use is a reason to close. Ready: something has to be sent now.
    fn poll_flood(&mut self, now: Instant) -> Poll<()> {
        if !self.watch.flooded() || matches!(self.stage, Stage::Closing { .. }) {
            return Poll::Pending;
        }
        self.shared.worker.shard.fault(FLOOD);
        self.shared.set_leaving();
        self.connection.close(Reason::ENHANCE_YOUR_CALM);
        self.stage = Stage::Closing { by: now + LEAVE };
        Poll::Ready(())
    }

    /// What the worker has to say. Ready: something has to be sent now.
    fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.stage, Stage::Open) {
            return Poll::Pending;
        }
        match ready!(self.shared.control.poll_told(cx)) {
            Idle::Close | Idle::TimedOut => {
                self.leave();
                Poll::Ready(())
            }
            Idle::Readable | Idle::Cold => Poll::Pending,
        }
    }

    fn leave(&mut self) {
        if matches!(self.stage, Stage::Open) {
            self.shared.set_leaving();
            self.connection.leave();
            self.stage = Stage::Leaving { empty_since: None };
        }
    }

    /// A socket that takes nothing, whatever is to be sent: its client may take as long as for a response.
    fn poll_blocked(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<End> {
        if let Some(since) = self.watch.blocked_since() {
            let by = since + self.shared.worker.plan().http.timeouts.send;
            if now >= by {
                self.shared.worker.shard.fault(Fault::SlowClient.code());
                return Poll::Ready(End::Over);
            }
            self.alarm.wake_by(cx, by);
        }
        Poll::Pending
    }

    /// Asks a client that waits, and has been silent for as long as it may take to read, whether it is there.
    fn poll_pulse(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<End> {
        if self.shared.active.get() == 0 && !self.connection.has_streams() {
            self.pulse = Pulse::Unwatched;
            return Poll::Pending;
        }
        let within = self.shared.worker.plan().http.timeouts.send;
        let heard = self.watch.take_heard();
        loop {
            let at = match self.pulse {
                Pulse::Unwatched => {
                    self.pulse = Pulse::Silent(now);
                    continue;
                }
                Pulse::Silent(_) if heard => {
                    self.pulse = Pulse::Silent(now);
                    now + within
                }
                Pulse::Silent(since) if now >= since + within => {
                    self.connection.ping();
                    self.pulse = Pulse::Asked(now);
                    // To have it sent.
                    cx.waker().wake_by_ref();
                    now + within.min(PONG_WITHIN)
                }
                Pulse::Silent(since) => since + within,
                Pulse::Asked(_) if self.connection.has_pong() || heard => {
                    self.pulse = Pulse::Silent(now);
                    continue;
                }
                Pulse::Asked(at) if now >= at + within.min(PONG_WITHIN) => {
                    tracing::debug!("a client of HTTP/2 is gone without a word");
                    if self.watch.blocked_since().is_some() {
                        self.shared.worker.shard.fault(Fault::SlowClient.code());
                    }
                    return Poll::Ready(End::Over);
                }
                Pulse::Asked(at) => at + within.min(PONG_WITHIN),
            };
            self.alarm.wake_by(cx, at);
            return Poll::Pending;
        }
    }

    fn poll_stage(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<End> {
        let by = match &mut self.stage {
            Stage::Open => return Poll::Pending,
            Stage::Leaving { empty_since } => {
                if self.shared.active.get() > 0 || self.connection.has_streams() {
                    *empty_since = None;
                    return Poll::Pending;
                }
                *empty_since.get_or_insert(now) + LEAVE
            }
            Stage::Closing { by } => *by,
        };
        if now >= by {
            return Poll::Ready(End::Over);
        }
        self.alarm.wake_by(cx, by);
        Poll::Pending
    }
}

impl Shared {
    /// From now on the connection is not idle whatever happens, so that its deadlines are kept.
    fn set_leaving(&self) {
        self.leaving.set(true);
        self.control.set(Occupation::Busy);
    }
}

/// Reads for a moment what the client is still sending, so that it gets to read our last word.
async fn linger(socket: OwnedFd) {
    let Ok(mut socket) = TcpStream::from_std(socket.into()) else {
        return;
    };
    let mut room = vec![0; 16 * 1024];
    let reading = async {
        let mut left = LINGER_BYTES;
        while let Ok(count @ 1..) = socket.read(&mut room).await {
            left = left.saturating_sub(count);
            if left == 0 {
                break;
            }
        }
    };
    // However it ends, the socket is closed next.
    let _ = timeout(LEAVE, reading).await;
}

/// How long a client may stay when we have said that we go and nothing is under way.
const LEAVE: Duration = Duration::from_secs(2);
/// What it may still send by then.
const LINGER_BYTES: usize = 1024 * 1024;
/// How long it may take to say that it is there (Go 15 s, gRPC 20 s).
const PONG_WITHIN: Duration = Duration::from_secs(20);
