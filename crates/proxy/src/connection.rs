//! One downstream connection, from `accept` until its HTTP version is known.

use crate::stream::Stream;
use crate::worker::WorkerState;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// A connection that is ready for HTTP, and what is known about it.
#[derive(Debug)]
pub struct Downstream {
    /// Its bytes.
    pub stream: Stream,
    /// The client: from the PROXY header if the bind takes one, else the socket's peer.
    pub peer: SocketAddr,
    /// The address that the client spoke to, likewise.
    pub local: SocketAddr,
    /// Which socket of the plan answers: [`crate::Plan::socket`]. Stays valid over reloads; a removed bind has no
    /// socket any more.
    pub slot: SocketSlot,
    /// Set on TLS.
    pub tls: Option<Box<TlsFacts>>,
    /// How the worker speaks to the connection.
    pub control: Rc<Control>,
}

/// What the handshake settled.
#[derive(Debug, Clone)]
pub struct TlsFacts {
    /// The name the client asked for, lower-case.
    pub sni: Option<Box<str>>,
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: rustls::ProtocolVersion,
    /// Agreed protocol; unset: the client offered none (HTTP/1.1 then).
    pub alpn: Option<Alpn>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// Protocols we agree to in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// `http/1.1`
    Http11,
}

/// Names a socket in every plan: one per (address, transport, PROXY protocol), never given to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketSlot(pub u32);

/// What became of waiting for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Idle {
    /// Something can be read (bytes, the end or an error).
    Readable,
    /// The worker wants the connection gone: a drain, a removed bind, or room for others.
    Close,
    /// The deadline passed.
    TimedOut,
}

/// Shared by a connection's task and its worker: whether it is idle, and whether it shall go.
#[derive(Debug, Default)]
pub struct Control {
    state: Cell<Occupation>,
    close: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

/// What a connection is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Occupation {
    /// Serving, or not yet ready to.
    #[default]
    Busy,
    /// Waiting for a request.
    Idle {
        /// Since when: the longest idle one goes first when room is needed.
        since: Instant,
        /// Until when. Looked at a few times a second by the worker: no timer for each connection.
        until: Instant,
    },
    /// Waited too long.
    TimedOut,
}

impl Downstream {
    /// Waits between two requests, holding no buffer. Marks the connection as idle meanwhile, so that the worker may
    /// close it for a drain or to make room.
    pub async fn idle(&mut self, worker: &WorkerState, until: Instant) -> Idle {
        if self.control.closing() {
            return Idle::Close;
        }
        self.control.state.set(Occupation::Idle {
            since: worker.clock.recent(),
            until,
        });
        let outcome = poll_fn(|cx| {
            if self.stream.poll_read_ready(cx).is_ready() {
                return Poll::Ready(Idle::Readable);
            }
            match self.control.poll_close(cx) {
                Poll::Ready(()) if self.control.closing() => Poll::Ready(Idle::Close),
                Poll::Ready(()) => Poll::Ready(Idle::TimedOut),
                Poll::Pending => Poll::Pending,
            }
        })
        .await;
        self.control.state.set(Occupation::Busy);
        outcome
    }
}

impl Control {
    /// Whether the connection shall close after the exchange at hand. `Connection: close` belongs on its response.
    pub fn closing(&self) -> bool {
        self.close.get()
    }

    /// Ready once the worker wants the connection gone, or it was idle for too long.
    pub fn poll_close(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.close.get() || self.state.get() == Occupation::TimedOut {
            return Poll::Ready(());
        }
        let mut waker = self.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Asks the connection to close: at once if idle, else after the exchange at hand.
    pub fn close(&self) {
        self.close.set(true);
        self.wake();
    }

    /// Ends the idle wait if its time is over.
    pub fn expire(&self, now: Instant) {
        if let Occupation::Idle { until, .. } = self.state.get()
            && until <= now
        {
            self.state.set(Occupation::TimedOut);
            self.wake();
        }
    }

    /// What the connection is busy with.
    pub fn occupation(&self) -> Occupation {
        self.state.get()
    }

    fn wake(&self) {
        // Taken out first: waking may run code that comes back here.
        let waker = self.waker.borrow_mut().take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
