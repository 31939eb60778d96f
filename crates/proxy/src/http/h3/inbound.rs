//! A stream on which a client asked.

use super::incoming::Start;
use super::link::CANCELLED;
use super::{Code, Incoming, Link, Outgoing, head};
use crate::http::buffer::Buffer;
use crate::http::h1::Fields;
use crate::http::sections::Trailer;
use quinn::{RecvStream, SendStream};
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// Both directions of it.
#[derive(Debug)]
pub struct Inbound {
    incoming: Incoming,
    outgoing: Outgoing,
    link: Rc<Link>,
}

impl Inbound {
    /// A stream of which nothing was read.
    pub fn new(incoming: RecvStream, outgoing: SendStream, link: Rc<Link>) -> Self {
        Self {
            incoming: Incoming::new(incoming, Rc::clone(&link)),
            outgoing: Outgoing::new(outgoing),
            link,
        }
    }

    /// What the client asks, as a field section.
    pub fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<Start> {
        self.incoming.poll_start(cx)
    }

    /// The request's content, before it is read by [`Self::poll_read`].
    pub fn incoming(&mut self) -> &mut Incoming {
        &mut self.incoming
    }

    /// Puts an interim response into the queue.
    pub fn send_interim(&mut self, status: u16, fields: &Fields, raw: &[u8]) {
        // One that the client would refuse is left out: the final one may fit. There is none behind that.
        if self.link.takes(head::response_size(fields, raw)) {
            let _ = self.outgoing.put_head(status, fields, raw, true);
        }
    }

    /// Puts the response's head into the queue. One that the client would refuse (RFC 9114 §4.2.2) fails as
    /// [`io::ErrorKind::FileTooLarge`], and costs the client as much as if it had taken its request back: as much work was
    /// for nothing.
    pub fn send_head(&mut self, status: u16, fields: &Fields, raw: &[u8]) -> io::Result<()> {
        if !self.link.takes(head::response_size(fields, raw)) {
            self.link.spend(CANCELLED);
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.outgoing.put_head(status, fields, raw, false)
    }

    /// Whether nothing is left to be sent.
    pub fn is_over(&self) -> bool {
        self.outgoing.is_over()
    }

    /// What came behind the content.
    pub fn take_trailer(&mut self) -> Option<Trailer> {
        self.incoming.take_trailer()
    }

    /// What is to follow the response's content.
    pub fn set_trailer(&mut self, trailer: Trailer) {
        self.outgoing.set_trailer(trailer);
    }

    /// Ready when a read gives something.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.send_on(cx)?;
        self.incoming.poll_ready(cx)
    }

    /// Reads content.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.send_on(cx)?;
        self.incoming.poll_read(cx, buf)
    }

    /// Writes content.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        self.outgoing.poll_write(cx, content)
    }

    /// Passes on what waits.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_flush(cx)
    }

    /// Writes the rest of the content, and tells the end.
    pub fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        content: &mut Buffer,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        self.outgoing.poll_finish(cx, content, written)
    }

    /// Ready once the client wants no answer any more. Heads that wait go out meanwhile.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.send_on(cx).is_err() {
            self.cancelled();
            return Poll::Ready(());
        }
        ready!(self.outgoing.poll_stopped(cx));
        self.cancelled();
        Poll::Ready(())
    }

    /// Breaks it off: for what was wrong with the request, else for a reason of ours.
    pub fn reset(&mut self, code: Code) {
        let code = self.incoming.wrong().unwrap_or(code);
        self.outgoing.reset(code);
        self.incoming.stop(code);
    }

    /// Lets go of it. What is returned is ready when the client has the answer.
    pub fn into_delivery(self) -> Option<impl Future<Output = ()>> {
        self.outgoing.into_delivery()
    }

    fn cancelled(&self) {
        // Those that say both mean the same.
        if !self.incoming.is_reset() {
            self.link.spend(CANCELLED);
        }
    }

    /// Heads shall not wait for content.
    fn send_on(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.outgoing.poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(error),
            _ => Ok(()),
        }
    }
}
