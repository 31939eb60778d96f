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
use crate::http::h2::{self as two, Wire, read_request, websocket};
use crate::http::{grpc, grpc_web};
use crate::respond::{Asked, Form, Reply};
use crate::stream::Stream;
use crate::worker::WorkerState;
use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::header::CONTENT_TYPE;
use http::{Method, Request, request};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
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
    let handshake = builder(&worker).handshake::<_, Bytes>(wire);
    let Some(connection) = within_time(&worker, &mut alarm, handshake).await else {
        return;
    };
    let shared = Shared::new(worker, ends, slot, tls, control);
    life::run(&shared, connection, watch, alarm).await;
}

/// Bounds on what one connection may hold, and what it may make us do.
fn builder(worker: &WorkerState) -> Builder {
    let plan = worker.plan();
    let limits = &plan.http.limits;
    // RFC 9113 §6.5.2 counts 32 bytes with each field. The pseudo-header fields are the request line.
    let list = limits.header_bytes + limits.request_line + FIELD_OVERHEAD * limits.header_count;
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(list).unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(MOST_UNSENT)
        .max_local_error_reset_streams(Some(MOST_ERRORS))
        .enable_connect_protocol();
    builder
}

/// The preface must come as soon as a first request would have to.
async fn within_time(
    worker: &WorkerState,
    alarm: &mut Alarm,
    handshake: h2::server::Handshake<Wire, Bytes>,
) -> Option<Connection<Wire, Bytes>> {
    let deadline = worker.clock.now() + worker.plan().http.timeouts.head;
    let mut handshake = pin!(handshake);
    poll_fn(|cx| match handshake.as_mut().poll(cx) {
        Poll::Ready(Ok(connection)) => Poll::Ready(Some(connection)),
        Poll::Ready(Err(error)) => {
            tracing::debug!(%error, "no HTTP/2 after all");
            worker.shard.fault(BAD_FRAMES);
            Poll::Ready(None)
        }
        Poll::Pending if worker.clock.now() >= deadline => {
            worker.shard.fault(Fault::SlowHead.code());
            Poll::Ready(None)
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

    /// Serves what a client asks on a stream. `read` writes the request's head down. What is left of the stream afterwards.
    async fn serve_one(
        &self,
        stream: Inbound,
        read: impl FnOnce(&mut Work) -> Result<(), (Fault, Form)>,
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
        let after = match read(&mut work) {
            Ok(()) => exchange(&mut session, &mut work).await,
            Err((fault, form)) => refuse(&mut session, &mut work, fault, form).await,
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
fn begin(shared: &Rc<Shared>, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
    let Some(place) = shared.take_in() else {
        return respond.send_reset(Reason::REFUSED_STREAM);
    };
    // Boxed: a task's future is moved from place to place, and this one is some kilobytes.
    tokio::task::spawn_local(Box::pin(async move {
        let shared = &place.0;
        let worker = &shared.worker;
        let (parts, incoming) = request.into_parts();
        let ended = incoming.is_end_stream();
        let stream = Inbound::Http2(two::Inbound::new(incoming, respond));
        let read = move |work: &mut Work| read_head(worker, &parts, ended, work);
        drop(shared.serve_one(stream, read).await);
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

/// Reads a request's head into `work`. Who cannot be served is told in the form that it asked in.
fn read_head(
    worker: &WorkerState,
    parts: &request::Parts,
    ended: bool,
    work: &mut Work,
) -> Result<(), (Fault, Form)> {
    let limits = &worker.plan().http.limits;
    let key = || websocket::key(worker.random.bits(), worker.random.bits());
    let read = read_request(parts, ended, limits, &mut work.raw, &mut work.head, key);
    read.map_err(|fault| (fault, form(parts)))
}

/// The form of an answer to a request of which no more may be known than whether it is one of gRPC.
fn form(parts: &request::Parts) -> Form {
    let kind = parts
        .headers
        .get(CONTENT_TYPE)
        .filter(|_| parts.method == Method::POST);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    match grpc_web::Kind::of_media_type(kind) {
        Some(kind) => Form::GrpcWeb(kind),
        None if grpc::is_media_type(kind) => Form::Grpc,
        None => Form::Plain,
    }
}

/// Answers what could not be read as a request.
async fn refuse(session: &mut Session, work: &mut Work, fault: Fault, form: Form) -> After {
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

/// What RFC 9113 §6.5.2 adds to the size of each field.
const FIELD_OVERHEAD: usize = 32;
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
const MOST_ERRORS: usize = 100;
/// Codes of faults that end a connection.
const BAD_FRAMES: &str = "bad-frames";
const FLOOD: &str = "flood";
