//! Connections that many exchanges share (HTTP/2): a worker has one to an endpoint, and another when it is full.

use super::connection::Open;
use crate::fault::Fault;
use crate::http::h2::{Bounds, Connection, Streams, Watch, Wire};
use crate::stream::Stream;
use crate::time::{Instant, sleep, timeout};
use crate::tls::client::same_identity;
use rustls::sign::CertifiedKey;
use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;

/// What a worker has open to one endpoint.
#[derive(Debug, Default)]
pub(crate) struct SharedConnections {
    open: RefCell<Vec<Rc<SharedConnection>>>,
    /// One is being opened: who needs it waits for it.
    opening: Cell<bool>,
    opened: Notify,
    /// How often that failed, and how it did the last time.
    failures: Cell<(u32, Option<Fault>)>,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct SharedConnection {
    streams: Streams,
    /// Who the endpoint takes us for.
    identity: Option<Arc<CertifiedKey>>,
    /// When the last exchange on it was over.
    idle_since: Cell<Instant>,
    state: Rc<State>,
    _open: Open,
}

/// What the connection's own task and those who use it tell each other.
#[derive(Debug, Default)]
struct State {
    /// Exchanges on it.
    users: Cell<usize>,
    gone: Cell<bool>,
    /// The endpoint's settings are known.
    settled: Cell<bool>,
    changed: Notify,
}

/// Counts an exchange on a connection while it lives.
#[derive(Debug)]
pub(crate) struct User(Rc<SharedConnection>);

/// Says that a connection is being opened, until it is dropped.
#[derive(Debug)]
pub(crate) struct Opening<'a>(&'a SharedConnections);

impl SharedConnections {
    /// A place on the connection that has the fewest exchanges.
    pub(crate) fn take(&self, identity: Option<&Arc<CertifiedKey>>) -> Option<User> {
        let mut open = self.open.borrow_mut();
        open.retain(|connection| connection.is_usable());
        let least = open
            .iter()
            .filter(|connection| same_identity(connection.identity.as_ref(), identity))
            .min_by_key(|connection| connection.state.users.get())?;
        let most = least.streams.most().min(MOST_STREAMS);
        (least.state.users.get() < most).then(|| User::new(least))
    }

    /// Begins to open one. None: one was being opened, and that is over now. If it failed, it failed for all who waited
    /// for it: each trying in turn, the last of them would wait for ever.
    pub(crate) async fn opening(&self) -> Result<Option<Opening<'_>>, Fault> {
        if !self.opening.replace(true) {
            return Ok(Some(Opening(self)));
        }
        let (before, _) = self.failures.get();
        self.opened.notified().await;
        match self.failures.get() {
            (failures, Some(fault)) if failures != before => Err(fault),
            _ => Ok(None),
        }
    }

    /// Speaks HTTP/2 on a connection and gives a place on it. `keep`: it is for others too.
    pub(crate) fn begin(
        &self,
        stream: Stream,
        identity: Option<Arc<CertifiedKey>>,
        open: Open,
        keep: bool,
        now: Instant,
    ) -> User {
        let wire = Wire::to_endpoint(stream);
        let watch = wire.watch();
        let connection = Connection::to_endpoint(wire, BOUNDS);
        let streams = connection.streams();
        let state = Rc::<State>::default();
        tokio::task::spawn_local(run(connection, watch, Rc::clone(&state)));
        let shared = Rc::new(SharedConnection {
            streams,
            identity,
            idle_since: Cell::new(now),
            state,
            _open: open,
        });
        if keep {
            self.open.borrow_mut().push(Rc::clone(&shared));
        }
        User::new(&shared)
    }

    /// Closes those that nobody has used for `limit`.
    pub(crate) fn sweep(&self, now: Instant, limit: Duration) {
        self.open.borrow_mut().retain(|connection| {
            connection.state.users.get() > 0
                || now.saturating_duration_since(connection.idle_since.get()) < limit
        });
    }

    /// Closes those that nobody uses, and keeps the others to their users.
    pub(crate) fn close(&self) {
        self.open.borrow_mut().clear();
    }

    /// How many nobody uses.
    pub(crate) fn idle(&self) -> usize {
        let open = self.open.borrow();
        open.iter()
            .filter(|connection| connection.state.users.get() == 0)
            .count()
    }
}

impl Opening<'_> {
    /// It could not be opened.
    pub(crate) fn failed(self, fault: Fault) {
        let failures = &self.0.failures;
        failures.set((failures.get().0.wrapping_add(1), Some(fault)));
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.opening.set(false);
        self.0.opened.notify_waiters();
    }
}

impl SharedConnection {
    /// Whether a stream can be opened on it: it is there, and the endpoint has not said that it goes.
    fn is_usable(&self) -> bool {
        !self.state.gone.get() && self.streams.are_open()
    }
}

impl User {
    fn new(connection: &Rc<SharedConnection>) -> Self {
        connection.state.users.set(connection.state.users.get() + 1);
        Self(Rc::clone(connection))
    }

    /// A stream that is still to be opened.
    pub(crate) fn stream(&self) -> Stream {
        Stream::Outbound(Box::new(self.0.streams.stream()))
    }

    /// Waits until the endpoint's settings are known: only then is it certain what it can be asked for.
    pub(crate) async fn settled(&self) {
        let state = &self.0.state;
        let known = async {
            while !state.settled.get() && !state.gone.get() {
                state.changed.notified().await;
            }
        };
        // Then the request is answered by what is known.
        let _ = timeout(LONGEST_SETTLING, known).await;
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let connection = &self.0;
        connection.state.users.set(connection.state.users.get() - 1);
        if connection.state.users.get() == 0 {
            connection.idle_since.set(Instant::now());
        }
    }
}

/// The connection's task: sends, receives, and asks from time to time whether the endpoint is still there.
async fn run(mut connection: Connection, watch: Rc<Watch>, state: Rc<State>) {
    let mut next = pin!(sleep(PING_EVERY));
    let mut awaited = false;
    poll_fn(|cx| {
        // An endpoint that floods us is not worth a word.
        if connection.poll(cx).is_ready() || watch.flooded() {
            return Poll::Ready(());
        }
        if connection.is_settled() && !state.settled.replace(true) {
            state.changed.notify_waiters();
        }
        awaited &= !connection.has_pong();
        while next.as_mut().poll(cx).is_ready() {
            // Nothing came for all this time, or nobody has it any more and its end can't be told.
            if awaited || Rc::strong_count(&state) == 1 {
                return Poll::Ready(());
            }
            awaited = state.users.get() > 0;
            if awaited {
                connection.ping();
                // To have it sent.
                cx.waker().wake_by_ref();
            }
            let pause = if awaited { PONG_WITHIN } else { PING_EVERY };
            next.reset(Instant::now() + pause);
        }
        Poll::Pending
    })
    .await;
    state.gone.set(true);
    state.changed.notify_waiters();
}

/// Exchanges on one connection. More share its one socket and its one window than do them good (nginx 128 by default,
/// Envoy as many as the endpoint allows).
const MOST_STREAMS: usize = 128;
/// Bytes of a response that may wait for us: 128 MB/s over a millisecond, and in a cluster it takes less. All streams of a
/// client that opens no window fill theirs, so it should not be more than is of use.
const STREAM_WINDOW: u32 = 128 * 1024;
/// Bytes of all responses that may wait for us: those of clients that don't read take no room from those of others.
const CONNECTION_WINDOW: u32 = MOST_STREAMS as u32 * STREAM_WINDOW;
/// Bytes of a response's fields: as many as over HTTP/1.1, and what RFC 9113 §6.5.2 adds for each.
const MOST_FIELDS: u32 = 64 * 1024 + 32 * 256;
/// Bytes of a request that wait for the socket.
const MOST_UNSENT: usize = 64 * 1024;
/// An endpoint opens no streams, and what it breaks ends the connection soon.
const BOUNDS: Bounds = Bounds {
    streams: 0,
    section: MOST_FIELDS,
    stream_window: STREAM_WINDOW,
    connection_window: CONNECTION_WINDOW,
    unsent: MOST_UNSENT,
    mistakes: 100,
};
/// How often an endpoint is asked whether it is there while exchanges wait for it. Servers of gRPC take more than one
/// question in five minutes for an attack (gRFC A8); what breaks in between is found by the kernel's keep-alive.
const PING_EVERY: Duration = Duration::from_secs(310);
/// How long the endpoint may take to say so.
const PONG_WITHIN: Duration = Duration::from_secs(20);
/// How long to wait for an endpoint's settings.
const LONGEST_SETTLING: Duration = Duration::from_secs(2);
