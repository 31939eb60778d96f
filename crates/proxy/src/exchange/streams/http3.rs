//! HTTP/3 on a client's connection (RFC 9114): lets requests in, each served in a task of its own as over HTTP/2, reads what
//! the client says about the connection, and decides when it is time to go.

mod control;

use super::{BAD_FRAMES, FLOOD, Shared};
use crate::connection::Idle;
use crate::fault::Fault;
use crate::forwarded::Ends;
use crate::http::Inbound;
use crate::http::alarm::Alarm;
use crate::http::h1::{Name, Version};
use crate::http::h3::head::{self, Bad};
use crate::http::h3::{self, Code, Link, Start};
use crate::http::sections::{Kind, RequestReader, RequestText, Unread, request_size};
use crate::quic::Arrived;
use crate::stream::Stream;
use crate::time::{Instant, timeout};
use crate::worker::WorkerState;
use control::{Heard, Said};
use quinn::{ConnectionError, RecvStream, SendStream};
use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;

/// Serves a connection until it closes.
pub(crate) async fn serve(worker: &Rc<WorkerState>, arrived: Arrived) {
    let Arrived {
        connection,
        early,
        slot,
        tls,
        control,
        local,
    } = arrived;
    let ends = Ends {
        peer: canonical(&connection),
        local,
        tls: true,
    };
    let (most_fields, within) = {
        let plan = worker.plan();
        (request_size(&plan.http.limits), plan.http.timeouts.handshake)
    };
    let link = Rc::new(Link::new(connection.clone(), most_fields));
    let alarm = Alarm::new(Rc::clone(&control));
    let requests = Rc::new(Requests {
        shared: Shared::new(Rc::clone(worker), ends, slot, Some(tls), control),
        link,
        early,
        changed: Notify::new(),
    });
    // RFC 9114 §6.2.1: settings come first, and who gives us no stream for them is no client.
    let Ok(Some(said)) = timeout(within, Said::begin(&connection, most_fields)).await else {
        return connection.close(Code::GENERAL_PROTOCOL_ERROR.varint(), b"");
    };
    let mut life = Life {
        requests: Rc::clone(&requests),
        said,
        alarm,
        stage: Stage::Open,
        pulse: None,
        next: 0,
    };
    life.run().await;
    if let Some(code) = requests.link.failed() {
        tracing::debug!(%code, "connection of HTTP/3 broken off");
        worker.shard.fault(if code == Code::EXCESSIVE_LOAD {
            FLOOD
        } else {
            BAD_FRAMES
        });
    }
    // Those of its streams that are still served find out by themselves.
    connection.closed().await;
}

/// What the requests of a connection have in common.
struct Requests {
    shared: Rc<Shared>,
    link: Rc<Link>,
    /// The handshake is not over: what comes may have been sent by anybody (RFC 8470 §3).
    early: Rc<Cell<bool>>,
    /// An exchange has ended.
    changed: Notify,
}

/// A connection with all that decides about its end.
struct Life {
    requests: Rc<Requests>,
    said: Said,
    alarm: Alarm,
    stage: Stage,
    /// When the client is given a sign that we are there, while it waits.
    pulse: Option<Instant>,
    /// Number of the next stream that is let in.
    next: u64,
}

/// Where it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Requests are let in.
    Open,
    /// We said that we go (RFC 9114 §5.2). What was on its way by then is still let in, until then.
    Going { until: Instant },
    /// We said where we stop. When the last exchange is over, the client has a moment to go too.
    Gone { empty_since: Option<Instant> },
}

impl Life {
    async fn run(&mut self) {
        let requests = Rc::clone(&self.requests);
        let connection = requests.link.connection();
        let heard = Rc::new(Heard::default());
        loop {
            tokio::select! {
                biased;
                stream = connection.accept_bi() => match stream {
                    Ok((send, receive)) => self.let_in(receive, send),
                    Err(error) => return tell(&error),
                },
                stream = connection.accept_uni() => match stream {
                    Ok(stream) => {
                        let (link, heard) = (Rc::clone(&requests.link), Rc::clone(&heard));
                        tokio::task::spawn_local(control::read(link, heard, stream));
                    }
                    Err(error) => return tell(&error),
                },
                () = requests.changed.notified() => {}
                () = poll_fn(|cx| self.poll_time(cx)) => {
                    connection.close(Code::NO_ERROR.varint(), b"");
                    return;
                }
            }
        }
    }

    fn let_in(&mut self, receive: RecvStream, send: SendStream) {
        let number = u64::from(quinn::VarInt::from(receive.id()));
        if matches!(self.stage, Stage::Gone { .. }) {
            return refuse(receive, send);
        }
        self.next = self.next.max(number + STREAM_STEP);
        begin(&self.requests, receive, send);
        if self.requests.shared.is_used_up() {
            self.leave(Instant::now());
        }
    }

    /// Ready: the connection is to be closed.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let now = self.requests.shared.worker.clock.now();
        if self.stage == Stage::Open
            && let Poll::Ready(Idle::Close | Idle::TimedOut) = self.requests.shared.control.poll_told(cx)
        {
            self.leave(now);
        }
        self.poll_pulse(cx, now);
        let active = self.requests.shared.active.get();
        let by = match &mut self.stage {
            Stage::Open => return Poll::Pending,
            Stage::Going { until } if now < *until => *until,
            Stage::Going { .. } => {
                self.said.goaway(self.next);
                let empty_since = (active == 0).then_some(now);
                self.stage = Stage::Gone { empty_since };
                now + LEAVE
            }
            Stage::Gone { empty_since } if active > 0 => {
                *empty_since = None;
                return Poll::Pending;
            }
            Stage::Gone { empty_since } => *empty_since.get_or_insert(now) + LEAVE,
        };
        if now >= by {
            return Poll::Ready(());
        }
        self.alarm.wake_by(cx, by);
        Poll::Pending
    }

    fn leave(&mut self, now: Instant) {
        let shared = &self.requests.shared;
        shared.leaving.set(true);
        shared.control.set(crate::connection::Occupation::Busy);
        // RFC 9114 §5.2: first that we go, and a round trip later where we stop.
        self.said.goaway(LAST_STREAM);
        let trip = self.requests.link.connection().rtt();
        let until = now + trip.clamp(SHORTEST_TRIP, LONGEST_TRIP);
        self.stage = Stage::Going { until };
    }

    /// Something has to come while a client waits, or both would take each other for gone.
    fn poll_pulse(&mut self, cx: &mut Context<'_>, now: Instant) {
        if self.requests.shared.active.get() == 0 {
            self.pulse = None;
            return;
        }
        let at = *self.pulse.get_or_insert(now + PULSE);
        if now >= at {
            self.said.pulse();
            self.pulse = Some(now + PULSE);
        }
        self.alarm.wake_by(cx, self.pulse.unwrap_or(at));
    }
}

/// Serves a request in a task of its own.
fn begin(requests: &Rc<Requests>, receive: RecvStream, send: SendStream) {
    let Some(place) = requests.shared.take_in() else {
        return refuse(receive, send);
    };
    let connection = requests.link.connection();
    let peer = canonical(connection);
    let mut ends = requests.shared.ends.get();
    if ends.peer != peer {
        ends.peer = peer;
        requests.shared.ends.set(ends);
    }
    let early = requests.early.get() && receive.is_0rtt();
    let requests = Rc::clone(requests);
    // Boxed, as over HTTP/2.
    tokio::task::spawn_local(Box::pin(async move {
        let ended = Ended(requests);
        if let Some(stream) = serve_one(&ended.0, receive, send, early).await {
            // What is not acknowledged would be lost with the connection.
            if let Some(delivered) = stream.into_delivery() {
                delivered.await;
            }
        }
        drop(place);
        drop(ended);
    }));
}

/// Tells that an exchange is over, however it ended.
struct Ended(Rc<Requests>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.changed.notify_one();
    }
}

/// RFC 9114 §4.1.1: nothing was done about it.
fn refuse(mut receive: RecvStream, mut send: SendStream) {
    let code = Code::REQUEST_REJECTED.varint();
    // A stream that is closed by now needs no more.
    let _ = (receive.stop(code), send.reset(code));
}

async fn serve_one(
    requests: &Requests,
    receive: RecvStream,
    send: SendStream,
    early: bool,
) -> Option<h3::Inbound> {
    let shared = &requests.shared;
    let link = &requests.link;
    let mut stream = h3::Inbound::new(receive, send, Rc::clone(link));
    let start = start(shared, &mut stream).await;
    let worker = &shared.worker;
    let plan = worker.plan();
    let mut asked = RequestText::take();
    let limits = &plan.http.limits;
    let mut reader = RequestReader::new(Version::Http3, limits, &mut asked.raw, &mut asked.head);
    let head = match start {
        Start::Head(section) => head::read_request(&section, link.most_fields(), &mut reader),
        Start::LongHead => Err(Bad::TooLarge),
        Start::Nothing => {
            stream.reset(Code::REQUEST_INCOMPLETE);
            return None;
        }
    };
    match head {
        Ok(()) => {}
        Err(Bad::TooLarge) => reader.fail(Fault::HeadTooLarge),
        Err(bad) => {
            if bad == Bad::Section {
                // RFC 9204 §2.2.3: nobody knows what the other sections would mean.
                link.fail(Code::QPACK_DECOMPRESSION_FAILED);
            }
            return malformed(shared, &mut stream, bad);
        }
    }
    stream.incoming().set_length(reader.length());
    let ended = poll_fn(|cx| Poll::Ready(stream.incoming().is_empty(cx))).await;
    if early {
        if reader.is_safe() && ended {
            // RFC 8470 §5.1.
            reader.take(Kind::Field(Name::Other), b"early-data", b"1");
        } else {
            reader.fail(Fault::TooEarly);
        }
    }
    let unread = reader.finish(ended, || super::websocket_key(worker)).err();
    if unread == Some(Unread::Malformed) {
        return malformed(shared, &mut stream, Bad::Message);
    }
    match shared
        .serve_one(Inbound::Http3(Box::new(stream)), asked, unread)
        .await
    {
        Stream::Inbound(stream) => match *stream {
            Inbound::Http3(stream) => Some(*stream),
            Inbound::Http2(_) => None,
        },
        _ => None,
    }
}

/// A request's head must come as soon as on any other connection.
async fn start(shared: &Shared, stream: &mut h3::Inbound) -> Start {
    let by = shared.worker.clock.now() + shared.worker.plan().http.timeouts.head;
    // Nearly always it is there already.
    if let Poll::Ready(start) = poll_fn(|cx| Poll::Ready(stream.poll_start(cx))).await {
        return start;
    }
    let waiting = crate::time::timeout_at(by, poll_fn(|cx| stream.poll_start(cx)));
    Box::pin(waiting).await.unwrap_or_else(|_| {
        shared.worker.shard.fault(Fault::SlowHead.code());
        Start::Nothing
    })
}

/// What came is no request.
fn malformed(shared: &Shared, stream: &mut h3::Inbound, bad: Bad) -> Option<h3::Inbound> {
    shared.worker.shard.fault(BAD_FRAMES);
    stream.reset(bad.code());
    None
}

fn canonical(connection: &quinn::Connection) -> std::net::SocketAddr {
    let peer = connection.remote_address();
    std::net::SocketAddr::new(peer.ip().to_canonical(), peer.port())
}

fn tell(error: &ConnectionError) {
    tracing::debug!(%error, "connection of HTTP/3 is over");
}

/// Numbers of a client's streams in both directions (RFC 9000 §2.1).
const STREAM_STEP: u64 = 4;
/// The largest of them.
const LAST_STREAM: u64 = (1 << 62) - 4;
/// How long a client may stay when nothing is under way: what it asks from now on it has to ask elsewhere anyway.
const LEAVE: Duration = Duration::from_millis(500);
/// Between two signs of life. NATs forget a flow of UDP after 30 s and more, and clients wait as long.
const PULSE: Duration = Duration::from_secs(15);
/// How long a request may be on its way when we go.
const SHORTEST_TRIP: Duration = Duration::from_millis(20);
const LONGEST_TRIP: Duration = Duration::from_secs(1);
