//! A downstream connection between and around its exchanges: reading heads, sending answers, closing well.

use super::answer::send_head;
use super::relay::ROOM;
use crate::connection::Downstream;
use crate::fault::Fault;
use crate::forwarded::{Ends, Lines};
use crate::http::alarm::Alarm;
use crate::http::buffer::{Buffer, Fill};
use crate::http::h1::head::strip_hop_by_hop;
use crate::http::h1::{BodyReader, BodyWriter, RequestHead, ResponseHead, parse_request, parse_response};
use crate::http::h2::PREFACE;
use crate::stream::Stream;
use crate::time::Instant;
use crate::worker::WorkerState;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::AsyncWrite;

/// What is kept for as long as the connection lives. Small: there may be ten thousands of them.
pub(super) struct Session {
    pub worker: Rc<WorkerState>,
    pub downstream: Downstream,
    pub ends: Ends,
    pub alarm: Alarm,
    /// Bytes behind the last head.
    pub input: Buffer,
    /// Forwarding fields that are the same for every request.
    pub lines: Lines,
    /// Requests so far.
    pub served: u32,
    /// Empty lines skipped since the last request.
    empty_lines: u32,
    /// When the first byte of the request at hand was there.
    pub began: Instant,
}

/// What an exchange works with. Lent by the worker's store, so that idle connections have none.
#[derive(Default)]
pub(super) struct Work {
    /// Bytes of the request's head.
    pub raw: Buffer,
    pub head: RequestHead,
    pub response: ResponseHead,
    pub to_upstream: Buffer,
    pub from_upstream: Buffer,
    pub to_client: Buffer,
    pub host_room: String,
    pub path_room: String,
    pub request_id: Vec<u8>,
}

/// Whether what is sent ends the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It does.
    Yes,
    /// Something is missing behind it.
    No,
}

/// What came on a connection.
pub(super) enum Arrival {
    /// Nothing yet.
    Nothing,
    /// The client is gone, or stayed silent.
    Gone,
    /// A request's head: `work.raw` and `work.head`. What follows it is in `input`.
    Request,
    /// The start of HTTP/2.
    Preface,
    /// Something else.
    Bad(Fault),
}

impl Work {
    /// A spare one of this worker, or a new one.
    pub fn take() -> Box<Self> {
        SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
    }

    /// Puts it into the worker's store.
    pub fn give_back(mut self: Box<Self>) {
        self.head.clear();
        self.response.clear();
        self.raw.rest();
        self.to_upstream.rest();
        self.from_upstream.rest();
        self.to_client.rest();
        SPARE.with_borrow_mut(|spare| {
            if spare.len() < KEEP {
                spare.push(self);
            }
        });
    }
}

impl Session {
    pub fn new(worker: Rc<WorkerState>, downstream: Downstream) -> Self {
        let ends = Ends {
            peer: downstream.peer,
            local: downstream.local,
            tls: downstream.tls.is_some(),
        };
        let began = worker.clock.now();
        let alarm = Alarm::new(Rc::clone(&downstream.control));
        Self {
            worker,
            downstream,
            ends,
            alarm,
            input: Buffer::default(),
            lines: Lines::default(),
            served: 0,
            empty_lines: 0,
            began,
        }
    }

    /// How long to wait for the next request. The first one should come soon.
    pub fn idle_until(&self) -> Instant {
        let plan = self.worker.plan();
        let timeouts = &plan.http.timeouts;
        // The end of the last exchange, or the start of the connection, has just read the clock.
        self.worker.clock.recent()
            + if self.served == 0 {
                timeouts.head
            } else {
                timeouts.keep_alive
            }
    }

    /// Whether the connection shall close after this request, for reasons that are known before.
    pub fn closes_after(&mut self, head: &RequestHead, settings: &ir::HttpSettings) -> bool {
        self.served = self.served.saturating_add(1);
        let most = settings.limits.requests_per_connection;
        !head.persistent()
            || self.worker.draining()
            || self.downstream.control.closing()
            || (most > 0 && self.served >= most)
    }

    /// Reads a request's head. Something can be read when this is called, or was read before.
    pub async fn read_head(&mut self, work: &mut Work) -> Arrival {
        let plan = self.worker.plan();
        let (limits, within) = (&plan.http.limits, plan.http.timeouts.head);
        // One head at the most: its line, its fields, and the ends of both.
        let room = limits.request_line + limits.header_bytes + 8;
        self.began = self.worker.clock.now();
        let deadline = self.began + within;
        let Self {
            input,
            downstream,
            alarm,
            worker,
            empty_lines,
            served,
            ..
        } = self;
        // If nothing is left of what was read before, this was waited for.
        let waited = input.is_empty();
        let mut news = waited;
        if waited {
            // What is read here ends up there.
            std::mem::swap(input, &mut work.raw);
        }
        poll_fn(|cx| {
            loop {
                // RFC 9112 §2.2: an empty line before a request is skipped. An endless row of them would keep a
                // connection busy without ever meeting the time limit of a head.
                while input.filled().starts_with(b"\r\n") {
                    *empty_lines += 1;
                    if *empty_lines > MOST_EMPTY_LINES {
                        return Poll::Ready(Arrival::Bad(Fault::BadRequest));
                    }
                    input.consume(2);
                }
                if *served == 0 && input.filled().starts_with(PREFACE) {
                    return Poll::Ready(Arrival::Preface);
                }
                if !input.is_empty() && input.filled() != b"\r" && !is_start_of_preface(*served, input) {
                    match parse_request(input.filled(), limits, &mut work.head) {
                        Ok(Some(length)) => {
                            *empty_lines = 0;
                            if waited && input.len() == length {
                                // Nothing is behind it, and what was swapped above can be swapped back.
                                std::mem::swap(input, &mut work.raw);
                            } else {
                                let rest = input.split_tail(length);
                                std::mem::replace(&mut work.raw, std::mem::replace(input, rest)).give_back();
                            }
                            return Poll::Ready(Arrival::Request);
                        }
                        Ok(None) => {}
                        Err(fault) => return Poll::Ready(Arrival::Bad(fault)),
                    }
                }
                let fill = if std::mem::take(&mut news) {
                    input.poll_fill_news(cx, &mut downstream.stream, room)
                } else {
                    input.poll_fill(cx, &mut downstream.stream, room)
                };
                match fill {
                    Poll::Ready(Ok(Fill::Some(_))) => {}
                    Poll::Ready(Ok(Fill::Full)) => return Poll::Ready(Arrival::Bad(Fault::HeadTooLarge)),
                    Poll::Ready(Ok(Fill::Closed) | Err(_)) => return Poll::Ready(Arrival::Gone),
                    Poll::Pending if input.is_empty() => return Poll::Ready(Arrival::Nothing),
                    Poll::Pending => {
                        if worker.clock.now() >= deadline {
                            return Poll::Ready(Arrival::Bad(Fault::SlowHead));
                        }
                        alarm.wake_by(cx, deadline);
                        return Poll::Pending;
                    }
                }
            }
        })
        .await
    }

    /// Sends an answer of our own, which is in `output` with its head. `head` is room for reading it again: on a stream
    /// heads are told in another way.
    pub async fn answer(
        &mut self,
        output: &mut Buffer,
        head: &mut ResponseHead,
        written: &mut u64,
    ) -> io::Result<()> {
        if let Stream::Inbound(stream) = &mut self.downstream.stream {
            head.clear();
            let Ok(Some(length)) = parse_response(output.filled(), head) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            let raw = &output.filled()[..length];
            strip_hop_by_hop(&mut head.fields, raw, head.connection);
            if send_head(stream, head, raw, head.status, output.len() == length).is_err() {
                stream.cut();
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            output.consume(length);
            *written += length as u64;
        }
        self.send(output, written, End::Yes).await
    }

    /// Sends what is in `output`.
    pub async fn send(&mut self, output: &mut Buffer, written: &mut u64, end: End) -> io::Result<()> {
        let within = self.worker.plan().http.timeouts.send;
        let Self {
            downstream,
            alarm,
            worker,
            ..
        } = self;
        let mut deadline = None;
        poll_fn(|cx| {
            let before = *written;
            let outcome = match end {
                End::Yes => downstream.stream.poll_finish(cx, output, written),
                End::No => output.poll_drain(cx, &mut downstream.stream, written),
            };
            if outcome.is_ready() {
                return outcome;
            }
            let now = worker.clock.now();
            if *written > before {
                deadline = None;
            }
            let at = *deadline.get_or_insert(now + within);
            if now >= at {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            alarm.wake_by(cx, at);
            Poll::Pending
        })
        .await
    }

    /// Reads the rest of a body and drops it.
    pub async fn drop_body(&mut self, body: &mut BodyReader) -> io::Result<()> {
        let deadline = self.worker.clock.now() + LINGER;
        let Self {
            input,
            downstream,
            alarm,
            worker,
            ..
        } = self;
        let mut nothing = Buffer::default();
        poll_fn(|cx| {
            loop {
                body.transfer(BodyWriter::Discard, input, &mut nothing, ROOM, |_| {})
                    .map_err(|_| io::ErrorKind::InvalidData)?;
                if body.ended() {
                    return Poll::Ready(Ok(()));
                }
                match ready!(poll_or_wait(input, cx, downstream, worker, alarm, deadline))? {
                    Fill::Some(_) => {}
                    Fill::Closed | Fill::Full => {
                        return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                    }
                }
            }
        })
        .await
    }

    /// Closes in order. The socket is closed next, which says to the client what a shutdown would; only TLS has a word
    /// of its own for it.
    pub async fn close(&mut self) {
        if self.downstream.tls.is_some() {
            self.shut().await;
        }
    }

    /// Says that nothing more comes, then reads for a while, so that the client gets to read our answer before its own
    /// bytes meet a closed socket (RFC 9112 §9.6).
    pub async fn linger(&mut self) {
        if !self.shut().await {
            return;
        }
        let deadline = self.worker.clock.now() + LINGER;
        let Self {
            input,
            downstream,
            alarm,
            worker,
            ..
        } = self;
        let mut left = LINGER_BYTES;
        // However it ends, the connection is dropped next.
        let _ = poll_fn(|cx| {
            loop {
                left = left.saturating_sub(input.len());
                input.clear();
                if left == 0 {
                    return Poll::Ready(Ok::<(), io::Error>(()));
                }
                match ready!(poll_or_wait(input, cx, downstream, worker, alarm, deadline))? {
                    Fill::Some(_) => {}
                    Fill::Closed | Fill::Full => return Poll::Ready(Ok(())),
                }
            }
        })
        .await;
    }

    /// Resets the connection, or the stream, so that even a body that ends with it is seen to be cut.
    pub fn cut(&mut self) {
        match &mut self.downstream.stream {
            Stream::Inbound(stream) => stream.cut(),
            stream => {
                if let Some(tcp) = stream.tcp() {
                    // Without it the connection closes in the usual way, which is the second best.
                    let _ = socket2::SockRef::from(tcp).set_linger(Some(Duration::ZERO));
                }
            }
        }
    }

    async fn shut(&mut self) -> bool {
        let deadline = self.worker.clock.now() + LINGER;
        let Self {
            downstream,
            alarm,
            worker,
            ..
        } = self;
        poll_fn(|cx| match Pin::new(&mut downstream.stream).poll_shutdown(cx) {
            Poll::Pending => wait_until(cx, worker, alarm, deadline),
            outcome @ Poll::Ready(_) => outcome,
        })
        .await
        .is_ok()
    }
}

fn poll_or_wait(
    input: &mut Buffer,
    cx: &mut Context<'_>,
    downstream: &mut Downstream,
    worker: &WorkerState,
    alarm: &mut Alarm,
    deadline: Instant,
) -> Poll<io::Result<Fill>> {
    match input.poll_fill(cx, &mut downstream.stream, ROOM) {
        Poll::Pending => wait_until(cx, worker, alarm, deadline),
        outcome @ Poll::Ready(_) => outcome,
    }
}

fn wait_until<T>(
    cx: &mut Context<'_>,
    worker: &WorkerState,
    alarm: &mut Alarm,
    deadline: Instant,
) -> Poll<io::Result<T>> {
    if worker.clock.now() >= deadline {
        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
    }
    alarm.wake_by(cx, deadline);
    Poll::Pending
}

/// Whether the first bytes of a connection are those of HTTP/2, as far as they are there.
#[inline]
fn is_start_of_preface(served: u32, input: &Buffer) -> bool {
    served == 0 && PREFACE.starts_with(input.filled())
}

/// Empty lines before a request. Old clients send one behind a body; nobody has a reason for more than a few.
const MOST_EMPTY_LINES: u32 = 8;
/// How long a client is read on after our last word (nginx `lingering_timeout` 5 s, HAProxy 1 s).
const LINGER: Duration = Duration::from_secs(2);
/// And how much.
const LINGER_BYTES: usize = 1024 * 1024;
/// Spare sets kept per worker.
const KEEP: usize = 128;

thread_local! {
    #[allow(clippy::vec_box, reason = "lent and given back without being moved")]
    static SPARE: RefCell<Vec<Box<Work>>> = const { RefCell::new(Vec::new()) };
}
