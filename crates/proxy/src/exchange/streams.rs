//! HTTP/2 on a client's connection: one exchange per stream, each in a task of its own.
//!
//! The connection's own task is next door in `life`. What a stream has of its own is lent by the connection, so that the
//! next one finds it ready. HTTP/3 shares all of this; its connections are in `http3`.

mod http3;
mod life;

pub(crate) use http3::serve as serve_http3;

use super::record::Record;
use super::session::{Session, Work};
use super::{After, exchange};
use crate::connection::{Control, Downstream, Occupation, SocketSlot, TlsFacts, Wait};
use crate::fault::Fault;
use crate::forwarded::{Ends, Lines};
use crate::http::Inbound;
use crate::http::alarm::Alarm;
use crate::http::buffer::Buffer;
use crate::http::h1::Name;
use crate::http::h2::{Accepted, Bounds, Connection, Reason, Wire, websocket};
use crate::http::sections::{RequestText, Unread, request_size};
use crate::http::{grpc, grpc_web};
use crate::respond::{Asked, Form, Reply};
use crate::stream::Stream;
use crate::worker::WorkerState;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;

/// What the streams of a connection share.
struct Shared {
    worker: Rc<WorkerState>,
    /// Of the connection. On HTTP/3 the client may move.
    ends: Cell<Ends>,
    slot: SocketSlot,
    tls: Option<Rc<TlsFacts>>,
    control: Rc<Control>,
    /// For streams to come.
    berths: RefCell<Vec<Berth>>,
    /// Exchanges under way.
    active: Cell<usize>,
    /// Beyond so many, new ones are refused: a stream that the client cancels is over for it at once, but for us only when
    /// its exchange has let go of everything.
    most_active: usize,
    /// Streams so far.
    served: Cell<u32>,
    /// We said that we go.
    leaving: Cell<bool>,
}

/// What a stream borrows of its connection.
struct Berth {
    control: Rc<Control>,
    lines: Lines,
    /// What `lines` are about.
    peer: SocketAddr,
}

/// Serves HTTP/2 on a connection until it closes. `first` was read already.
pub(super) async fn serve(worker: Rc<WorkerState>, downstream: Downstream, first: Buffer) {
    let Downstream {
        stream,
        peer,
        local,
        slot,
        tls,
        control,
    } = downstream;
    let mut alarm = Alarm::new(Rc::clone(&control));
    let ends = Ends {
        peer,
        local,
        tls: tls.is_some(),
    };
    let wire = Wire::of_client(first, stream);
    let watch = wire.watch();
    let mut connection = Connection::of_client(wire, bounds(&worker));
    if !has_preface(&worker, &mut alarm, &mut connection).await {
        return;
    }
    let shared = Shared::new(worker, ends, slot, tls, control);
    life::run(&shared, connection, watch, alarm).await;
}

/// Bounds on what one connection may hold, and what it may make us do.
fn bounds(worker: &WorkerState) -> Bounds {
    let plan = worker.plan();
    let limits = &plan.http.limits;
    Bounds {
        streams: limits.streams,
        section: u32::try_from(request_size(limits)).unwrap_or(u32::MAX),
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        unsent: MOST_UNSENT,
        mistakes: MOST_MISTAKES,
    }
}

/// The preface must come as soon as a first request would have to.
async fn has_preface(worker: &WorkerState, alarm: &mut Alarm, connection: &mut Connection) -> bool {
    let deadline = worker.clock.now() + worker.plan().http.timeouts.head;
    poll_fn(|cx| match connection.poll_preface(cx) {
        Poll::Ready(Ok(())) => Poll::Ready(true),
        Poll::Ready(Err(error)) => {
            tracing::debug!(%error, "no HTTP/2 after all");
            worker.shard.fault(BAD_FRAMES);
            Poll::Ready(false)
        }
        Poll::Pending if worker.clock.now() >= deadline => {
            worker.shard.fault(Fault::SlowHead.code());
            Poll::Ready(false)
        }
        Poll::Pending => {
            alarm.wake_by(cx, deadline);
            Poll::Pending
        }
    })
    .await
}

impl Shared {
    /// Of a connection on which nothing was asked yet.
    fn new(
        worker: Rc<WorkerState>,
        ends: Ends,
        slot: SocketSlot,
        tls: Option<Rc<TlsFacts>>,
        control: Rc<Control>,
    ) -> Rc<Self> {
        let most_active = worker.plan().http.limits.streams as usize * 2;
        let shared = Rc::new(Self {
            worker,
            ends: Cell::new(ends),
            slot,
            tls,
            control,
            berths: RefCell::default(),
            active: Cell::new(0),
            most_active,
            served: Cell::new(0),
            leaving: Cell::new(false),
        });
        shared.rest();
        shared
    }

    /// A place for one more exchange. None: there are too many.
    fn take_in(self: &Rc<Self>) -> Option<Place> {
        if self.active.get() >= self.most_active {
            return None;
        }
        self.served.set(self.served.get().saturating_add(1));
        self.active.set(self.active.get() + 1);
        self.control.set(Occupation::Busy);
        Some(Place(Rc::clone(self)))
    }

    /// Nothing is under way from now on.
    fn rest(&self) {
        if self.leaving.get() {
            return;
        }
        let plan = self.worker.plan();
        let timeouts = &plan.http.timeouts;
        let since = self.worker.clock.recent();
        let within = if self.served.get() == 0 {
            timeouts.head
        } else {
            timeouts.keep_alive
        };
        self.control.set(Occupation::Idle {
            since,
            until: since + within,
            wait: Wait::Long,
        });
    }

    fn is_used_up(&self) -> bool {
        let most = self.worker.plan().http.limits.requests_per_connection;
        most > 0 && self.served.get() >= most
    }

    fn lend(&self) -> Berth {
        let peer = self.ends.get().peer;
        let mut berth = self.berths.borrow_mut().pop().unwrap_or_else(|| {
            let control = Rc::<Control>::default();
            self.control.adopt(&control);
            Berth {
                control,
                lines: Lines::default(),
                peer,
            }
        });
        if berth.peer != peer {
            berth.lines = Lines::default();
            berth.peer = peer;
        }
        berth
    }

    /// Serves what a client asks on a stream. Who can't be served is told in the form that it asked in. What is left of the
    /// stream afterwards.
    async fn serve_one(
        &self,
        stream: Inbound,
        mut asked: Box<RequestText>,
        unread: Option<Unread>,
    ) -> Stream {
        let Berth { control, lines, peer } = self.lend();
        let downstream = Downstream {
            stream: Stream::Inbound(Box::new(stream)),
            peer,
            local: self.ends.get().local,
            slot: self.slot,
            tls: self.tls.clone(),
            control,
        };
        let mut session = Session::new(Rc::clone(&self.worker), downstream);
        session.lines = lines;
        let mut work = Work::take();
        std::mem::swap(&mut work.raw, &mut asked.raw);
        std::mem::swap(&mut work.head, &mut asked.head);
        asked.give_back();
        let after = match unread {
            None => exchange(&mut session, &mut work).await,
            Some(unread) => refuse(&mut session, &mut work, unread).await,
        };
        if after == After::Cut {
            session.cut();
        }
        if self.tls.as_ref().is_some_and(|tls| tls.admission.refused()) {
            // Nothing else can be served here either.
            self.control.close();
        }
        work.give_back();
        let Session {
            downstream,
            lines,
            input,
            ..
        } = session;
        input.give_back();
        let Downstream { control, stream, .. } = downstream;
        self.berths.borrow_mut().push(Berth { control, lines, peer });
        stream
    }
}

/// Serves a request in a task of its own.
fn begin(shared: &Rc<Shared>, accepted: Accepted) {
    let Accepted {
        mut stream,
        asked,
        unread,
    } = accepted;
    let Some(place) = shared.take_in() else {
        asked.give_back();
        return stream.reset(Reason::REFUSED_STREAM);
    };
    // Boxed: a task's future is moved from place to place, and this one is some kilobytes.
    tokio::task::spawn_local(Box::pin(async move {
        drop(place.0.serve_one(Inbound::Http2(stream), asked, unread).await);
        drop(place);
    }));
}

/// Counts an exchange while it lives, however it ends.
struct Place(Rc<Shared>);

impl Drop for Place {
    fn drop(&mut self) {
        let shared = &self.0;
        shared.active.set(shared.active.get() - 1);
        if shared.active.get() == 0 {
            shared.rest();
        }
        if std::thread::panicking() {
            shared.worker.shard.fault(Fault::Internal.code());
        }
    }
}

/// A key for a WebSocket.
fn websocket_key(worker: &WorkerState) -> String {
    websocket::key(worker.random.bits(), worker.random.bits())
}

/// The form of an answer to a POST of which no more may be known than whether it is one of gRPC.
fn form(work: &Work) -> Form {
    let kind = work.head.fields.get(work.raw.filled(), Name::ContentType);
    let kind = kind.unwrap_or_default();
    match grpc_web::Kind::of_media_type(kind) {
        Some(kind) => Form::GrpcWeb(kind),
        None if grpc::is_media_type(kind) => Form::Grpc,
        None => Form::Plain,
    }
}

/// Answers what could not be read as a request.
async fn refuse(session: &mut Session, work: &mut Work, unread: Unread) -> After {
    let (fault, form) = match unread {
        // Those don't get here: their streams are reset.
        Unread::Malformed => (Fault::BadRequest, Form::Plain),
        Unread::Fault { fault, post: true } => (fault, form(work)),
        Unread::Fault { fault, post: false } => (fault, Form::Plain),
    };
    let plan = session.worker.plan();
    let asked = Asked {
        server: plan.http.server_header.as_deref(),
        form,
        ..Asked::default()
    };
    let mut record = Record::new(session.began, work.raw.len() as u64);
    let reply = Reply::fault(fault, fault.status());
    record.figures.body_out += reply.write(&asked, &mut work.to_client);
    record.status = reply.sent_code(form);
    let sent = session
        .answer(
            &mut work.to_client,
            &mut work.response,
            &mut record.figures.bytes_out,
        )
        .await;
    record.finish_unread(session, fault);
    if sent.is_ok() { After::Close } else { After::Cut }
}

/// Content of one request that may wait for us (nginx 64 KiB, Envoy's edge advice 64 KiB): enough for 20 Mbit/s over
/// 100 ms.
const STREAM_WINDOW: u32 = 256 * 1024;
/// Content of all requests of a connection that may wait for us (Envoy's edge advice: 1 MiB): uploads to sixteen endpoints
/// that don't read leave room for those to others.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;
/// Content of one response that waits for the socket.
const MOST_UNSENT: usize = 64 * 1024;
/// Streams on which a client may break the protocol before its connection is closed. Each time we reset the stream, and the
/// exchange that it had goes on for a moment (CVE-2025-8671).
const MOST_MISTAKES: usize = 100;
/// Codes of faults that end a connection.
const BAD_FRAMES: &str = "bad-frames";
const FLOOD: &str = "flood";
