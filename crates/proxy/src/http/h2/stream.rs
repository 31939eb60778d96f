//! The two kinds of streams: a client's request to us, and ours to an endpoint.

use super::Reason;
use super::core::Core;

use super::table::{Failure, Key};
use crate::fault::Fault;
use crate::http::buffer::Buffer;
use crate::http::h1::{Fields, ResponseHead};
use crate::http::sections::{ResponseText, Trailer};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// A stream that somebody works on. It is reset if it is dropped before it is over.
#[derive(Debug)]
struct Held {
    core: Rc<RefCell<Core>>,
    key: Key,
}

/// A stream on which a client asked.
#[derive(Debug)]
pub struct Inbound(Held);

/// A stream on which an endpoint is asked.
#[derive(Debug)]
pub struct Outbound {
    core: Rc<RefCell<Core>>,
    /// Once it is open.
    held: Option<Held>,
    /// Its response's head was taken.
    answered: bool,
}

/// How streams are opened on a connection to an endpoint.
#[derive(Debug)]
pub struct Streams(Rc<RefCell<Core>>);

impl Held {
    fn poll_ready(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut core = self.core.borrow_mut();
        let Some(stream) = core.table.get(self.key) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if stream.got_all || stream.failed.is_none() && !stream.content.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = stream.failed {
            return Poll::Ready(Err(failure.into()));
        }
        stream.watch(cx);
        Poll::Pending
    }

    fn poll_read(&self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(cx))?;
        let mut core = self.core.borrow_mut();
        let Some(stream) = core.table.get(self.key) else {
            return Poll::Ready(Ok(()));
        };
        let count = stream.content.len().min(buf.remaining());
        if count > 0 {
            buf.put_slice(&stream.content.filled()[..count]);
            stream.content.consume(count);
            stream.content.release();
            core.taken(self.key, count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, cx: &Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        self.core.borrow_mut().poll_data(self.key, cx, content, false)
    }

    /// Sends all that is in `content` and adds its length to `written`, then the trailer, and tells the end. Ready when that
    /// is done, also if it was done before.
    fn poll_finish(&self, cx: &Context<'_>, content: &mut Buffer, written: &mut u64) -> Poll<io::Result<()>> {
        let mut core = self.core.borrow_mut();
        while !content.is_empty() {
            let count = ready!(core.poll_data(self.key, cx, content.filled(), true))?;
            content.consume(count);
            *written += count as u64;
        }
        Poll::Ready(core.finish(self.key))
    }

    fn is_over(&self) -> bool {
        let mut core = self.core.borrow_mut();
        core.table.get(self.key).is_none_or(|stream| stream.sent_all)
    }

    fn take_trailer(&self) -> Option<Trailer> {
        self.core.borrow_mut().table.get(self.key)?.trailer.take()
    }

    fn set_trailer(&self, trailer: Trailer) {
        if let Some(stream) = self.core.borrow_mut().table.get(self.key) {
            stream.last = Some(trailer);
        }
    }

    fn reset(&self, reason: Reason) {
        let mut core = self.core.borrow_mut();
        if let Some(stream) = core.table.get(self.key) {
            let id = stream.id;
            stream.sent_all = true;
            if core.key(id) == Some(self.key) {
                core.cut(id, reason, Failure::Broken);
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.core.borrow_mut().release(self.key);
    }
}

impl Inbound {
    pub(super) fn new(core: Rc<RefCell<Core>>, key: Key) -> Self {
        Self(Held { core, key })
    }

    /// Sends an interim response. One that can't be sent is left out: a client that is gone shows later.
    pub fn send_interim(&mut self, status: u16, fields: &Fields, raw: &[u8]) {
        let _ = self
            .0
            .core
            .borrow_mut()
            .respond(self.0.key, status, fields, raw, false);
    }

    /// Sends the response's head. `over`: nothing follows.
    pub fn send_head(&mut self, status: u16, fields: &Fields, raw: &[u8], over: bool) -> io::Result<()> {
        self.0
            .core
            .borrow_mut()
            .respond(self.0.key, status, fields, raw, over)
    }

    /// Whether nothing is left to be sent.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// What came behind the content. Known once a read has given nothing.
    pub fn take_trailer(&mut self) -> Option<Trailer> {
        self.0.take_trailer()
    }

    /// What is to follow the response's content.
    pub fn set_trailer(&mut self, trailer: Trailer) {
        self.0.set_trailer(trailer);
    }

    /// Ready when a read gives something: bytes, the end, or an error.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_ready(cx)
    }

    /// Reads. Nothing read: that was all.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }

    /// Takes some of it.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_write(cx, content)
    }

    /// Sends all that is in `content` and adds its length to `written`, then the trailer, and tells the end.
    pub fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        content: &mut Buffer,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        self.0.poll_finish(cx, content, written)
    }

    /// Ready once the client wants no answer any more.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut core = self.0.core.borrow_mut();
        match core.table.get(self.0.key) {
            Some(stream) if stream.sent_all => Poll::Pending,
            Some(stream) if stream.failed.is_none() => {
                stream.watch(cx);
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Breaks it off.
    pub fn reset(&mut self, reason: Reason) {
        self.0.reset(reason);
    }
}

impl Streams {
    pub(super) fn new(core: Rc<RefCell<Core>>) -> Self {
        Self(core)
    }

    /// Whether a stream can be opened: the connection is there, and the endpoint has not said that it goes.
    pub fn are_open(&self) -> bool {
        self.0.borrow().takes_streams()
    }

    /// How many the endpoint lets us have.
    pub fn most(&self) -> usize {
        self.0.borrow().peer.streams as usize
    }

    /// A stream that is still to be opened.
    pub fn stream(&self) -> Outbound {
        Outbound {
            core: Rc::clone(&self.0),
            held: None,
            answered: false,
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        let mut core = self.0.borrow_mut();
        core.unwanted = true;
        core.call();
    }
}

impl Outbound {
    /// Whether the other side can be asked to switch protocols (RFC 8441 §3).
    pub fn knows_extended_connect(&self) -> bool {
        self.core.borrow().peer.extended_connect
    }

    /// Opens the stream with the request whose head is at the start of `text`: one of HTTP/1.1 that we wrote ourselves, up
    /// to its empty line or the end. An upgrade becomes an extended CONNECT (RFC 8441). `over`: nothing follows. Gives the
    /// length of the head.
    pub fn start(&mut self, text: &[u8], secured: bool, over: bool) -> Result<usize, Fault> {
        let begun = self.core.borrow_mut().request(text, secured, over);
        let (key, length) = begun.map_err(Failure::fault)?;
        self.held = Some(Held {
            core: Rc::clone(&self.core),
            key,
        });
        Ok(length)
    }

    /// Takes the next head of a response: writes it into `raw`, which is empty, and `head`. Gives its length, and whether
    /// nothing follows. Ready with a failure when there is no response to come.
    pub fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        raw: &mut Buffer,
        head: &mut ResponseHead,
    ) -> Poll<Result<usize, Failure>> {
        let Some(held) = self.held.as_ref().filter(|_| !self.answered) else {
            return Poll::Ready(Err(Failure::Broken));
        };
        let mut core = held.core.borrow_mut();
        let Some(stream) = core.table.get(held.key) else {
            return Poll::Ready(Err(Failure::Broken));
        };
        if stream.answers.is_empty() {
            if let Some(failure) = stream.failed {
                return Poll::Ready(Err(failure));
            }
            stream.watch(cx);
            return Poll::Pending;
        }
        let mut answer: Box<ResponseText> = stream.answers.remove(0);
        std::mem::swap(raw, &mut answer.raw);
        std::mem::swap(head, &mut answer.head);
        answer.give_back();
        self.answered = !head.is_interim();
        Poll::Ready(Ok(raw.len()))
    }

    /// Whether nothing is left to be sent.
    pub fn is_over(&self) -> bool {
        self.held.as_ref().is_some_and(Held::is_over)
    }

    /// What came behind the content. Known once a read has given nothing.
    pub fn take_trailer(&mut self) -> Option<Trailer> {
        self.held.as_ref()?.take_trailer()
    }

    /// What is to follow the request's content.
    pub fn set_trailer(&mut self, trailer: Trailer) {
        if let Some(held) = &self.held {
            held.set_trailer(trailer);
        }
    }

    /// Ready when a read gives something: bytes, the end, or an error. Before the head it is: that comes first, and says so
    /// itself.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.held.as_ref().filter(|_| self.answered) {
            Some(held) => held.poll_ready(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Reads. Nothing read: that was all.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.held.as_ref().filter(|_| self.answered) {
            Some(held) => held.poll_read(cx, buf),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Takes some of it.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        match &self.held {
            Some(held) => held.poll_write(cx, content),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Sends all that is in `content` and adds its length to `written`, then the trailer, and tells the end.
    pub fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        content: &mut Buffer,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        match &self.held {
            Some(held) => held.poll_finish(cx, content, written),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}
