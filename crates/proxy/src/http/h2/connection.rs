//! A connection with its socket: what its task does.

use super::core::{Bounds, Core, Leaving, Role};
use super::frame::{HEADER, Header, MOST_PAYLOAD};
use super::sections::Opened;
use super::table::Failure;
use super::{Inbound, PREFACE, Reason, Streams, Wire};
use crate::http::buffer::{Buffer, Fill};
use crate::http::sections::{RequestText, Unread};
use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite as _;

/// Moves the bytes of a connection, and takes apart what comes.
#[derive(Debug)]
pub struct Connection {
    core: Rc<RefCell<Core>>,
    wire: Wire,
    /// Bytes that are no whole frame yet.
    input: Buffer,
    /// Of the client's preface so much is to come.
    preface: usize,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// The last word is on its way. With a reason: it tells one.
    Closing(Option<Reason>),
    Closed,
}

/// A request.
#[derive(Debug)]
pub struct Accepted {
    /// Its stream.
    pub stream: Inbound,
    /// Its head.
    pub asked: Box<RequestText>,
    /// Why it can't be served, if it can't.
    pub unread: Option<Unread>,
}

/// Why a connection broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The socket failed, or the other side closed it.
    #[error("the connection failed: {0}")]
    Socket(io::Error),
    /// What came broke the protocol, and the other side was told so.
    #[error("the protocol was broken: {0}")]
    Protocol(Reason),
}

impl Connection {
    /// Of a client. `wire` begins with its preface.
    pub fn of_client(wire: Wire, bounds: Bounds) -> Self {
        Self::new(wire, Role::Server, bounds, PREFACE.len())
    }

    /// To an endpoint.
    pub fn to_endpoint(wire: Wire, bounds: Bounds) -> Self {
        Self::new(wire, Role::Client, bounds, 0)
    }

    fn new(wire: Wire, role: Role, bounds: Bounds, preface: usize) -> Self {
        Self {
            core: Rc::new(RefCell::new(Core::new(role, bounds))),
            wire,
            input: Buffer::default(),
            preface,
            stage: Stage::Open,
        }
    }

    /// How streams are opened on it. When it is dropped, and the last stream over, the connection closes.
    pub fn streams(&self) -> Streams {
        Streams::new(Rc::clone(&self.core))
    }

    /// Ready when the client's preface came. An error: it is none.
    pub fn poll_preface(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        loop {
            if let Err(reason) = self.take_preface() {
                return Poll::Ready(Err(Broken::Protocol(reason)));
            }
            if self.preface == 0 {
                return Poll::Ready(Ok(()));
            }
            // Our settings need not wait for it; that they can't be sent shows when reading fails.
            let _ = self.core.borrow_mut().out.poll_drain(cx, &mut self.wire, &mut 0);
            ready!(self.poll_fill(cx)).map_err(Broken::Socket)?;
        }
    }

    /// The next request. None: the connection is over, in order. Frames of all streams move as long as this is called, on
    /// either side.
    pub fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
        limits: &ir::Limits,
        key: &dyn Fn() -> String,
    ) -> Poll<Option<Result<Accepted, Broken>>> {
        self.core.borrow_mut().attend(cx);
        loop {
            if self.stage == Stage::Open {
                match self.parse(limits, key) {
                    Ok(Some(opened)) => return Poll::Ready(Some(Ok(self.accepted(opened)))),
                    Ok(None) => self.close_if_done(),
                    Err(reason) => self.close(reason),
                }
            }
            let sent = self.poll_send(cx);
            match (self.stage, sent) {
                (Stage::Closed, _) => return Poll::Ready(None),
                (_, Poll::Ready(Err(error))) => return Poll::Ready(Some(Err(self.broken(error)))),
                (Stage::Closing(reason), sent) => {
                    // Errors were told above.
                    let _ = ready!(sent);
                    // The socket is closed next, whatever comes of it.
                    let _ = ready!(Pin::new(&mut self.wire).poll_shutdown(cx));
                    self.stage = Stage::Closed;
                    self.core.borrow_mut().end(Failure::Broken);
                    return Poll::Ready(reason.map(|reason| Err(Broken::Protocol(reason))));
                }
                // A client that does not read is not read either: what it sends may have to be answered.
                (Stage::Open, Poll::Pending) if self.core.borrow().out.len() > MOST_WORDS => {
                    return Poll::Pending;
                }
                (Stage::Open, _) => {}
            }
            if let Err(error) = ready!(self.poll_fill(cx)) {
                return Poll::Ready(Some(Err(self.broken(error))));
            }
        }
    }

    /// Until the connection is over. For one to an endpoint, which asks nothing.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let none = ir::Limits::default();
        self.poll_accept(cx, &none, &String::new).map(drop)
    }

    /// Whether any stream is open.
    pub fn has_streams(&self) -> bool {
        self.core.borrow().table.count() > 0
    }

    /// Whether the other side's settings are known.
    pub fn is_settled(&self) -> bool {
        self.core.borrow().peer.known
    }

    /// Says that we go. Streams that the client had begun by the time it knows are served; then the connection is over.
    pub fn leave(&mut self) {
        self.core.borrow_mut().leave();
    }

    /// Says that nothing is served any more.
    pub fn close(&mut self, reason: Reason) {
        if self.stage != Stage::Open {
            return;
        }
        self.stage = Stage::Closing(Some(reason));
        let mut core = self.core.borrow_mut();
        let last = core.highest;
        super::frame::goaway(&mut core.out, last, reason);
        core.leaving = Leaving::Decided(last);
        core.end(if reason == Reason::NO_ERROR {
            Failure::Broken
        } else {
            Failure::Malformed
        });
    }

    /// Nobody wants it any more, or we said that we go, and nothing is under way.
    fn close_if_done(&mut self) {
        let mut core = self.core.borrow_mut();
        if core.is_done() {
            if core.leaving == Leaving::Staying {
                super::frame::goaway(&mut core.out, 0, Reason::NO_ERROR);
            }
            self.stage = Stage::Closing(None);
        }
    }

    /// Asks whether the other side is there.
    pub fn ping(&mut self) {
        self.core.borrow_mut().ping();
    }

    /// Whether it has answered the last time that it was asked.
    pub fn has_pong(&self) -> bool {
        self.core.borrow().pong
    }

    fn accepted(&self, opened: Opened) -> Accepted {
        Accepted {
            stream: Inbound::new(Rc::clone(&self.core), opened.key),
            asked: opened.asked,
            unread: opened.unread,
        }
    }

    fn broken(&mut self, error: io::Error) -> Broken {
        self.stage = Stage::Closed;
        self.core.borrow_mut().end(Failure::Broken);
        Broken::Socket(error)
    }

    fn take_preface(&mut self) -> Result<(), Reason> {
        let count = self.preface.min(self.input.len());
        let expected = &PREFACE[PREFACE.len() - self.preface..][..count];
        if self.input.filled()[..count] != *expected {
            return Err(Reason::PROTOCOL_ERROR);
        }
        self.input.consume(count);
        self.preface -= count;
        Ok(())
    }

    /// Takes whole frames out of what came, up to one that opens a stream.
    fn parse(&mut self, limits: &ir::Limits, key: &dyn Fn() -> String) -> Result<Option<Opened>, Reason> {
        let mut core = self.core.borrow_mut();
        while let Some(header) = self.input.filled().first_chunk() {
            let header = Header::read(header);
            if header.length > MOST_PAYLOAD {
                return Err(Reason::FRAME_SIZE_ERROR);
            }
            let end = HEADER + header.length;
            let Some(payload) = self.input.filled().get(HEADER..end) else {
                break;
            };
            let opened = match core.frame(header, payload)? {
                Some(took) => core.read(took.section(), limits, key)?,
                None => None,
            };
            self.input.consume(end);
            if opened.is_some() {
                return Ok(opened);
            }
        }
        Ok(None)
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut core = self.core.borrow_mut();
        let outcome = core.out.poll_drain(cx, &mut self.wire, &mut 0);
        core.out.release();
        if !core.queue.is_empty() {
            core.call_next();
        }
        outcome
    }

    /// Reads some more. The other side's end is an error, too.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(self.input.poll_fill(cx, &mut self.wire, MOST_INPUT))? {
            // Whole frames were taken out, and one fits in.
            Fill::Some(_) | Fill::Full => Poll::Ready(Ok(())),
            Fill::Closed => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.core.borrow_mut().end(Failure::Broken);
    }
}

/// Bytes that are read at once: a large frame and some small ones.
const MOST_INPUT: usize = 32 * 1024;
/// Bytes that wait for the socket, beyond which nothing is read: content, and answers to what came.
const MOST_WORDS: usize = 192 * 1024;

const _: () = assert!(MOST_INPUT > HEADER + MOST_PAYLOAD);
