//! What goes out on a request's stream.

use super::{Code, frame, head};
use crate::http::buffer::Buffer;
use crate::http::h1::Fields;
use crate::http::sections::Trailer;
use bytes::{Buf, BufMut, BytesMut};
use quinn::{SendStream, StoppedError, VarInt};
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The sending side of a stream. It takes as much as the client's windows, and our own bound on what is unacknowledged,
/// allow.
pub struct Outgoing {
    stream: SendStream,
    /// Frames that have still to be taken: heads, and content that is short.
    queue: BytesMut,
    /// Content that is missing from the frame that was begun last.
    left: usize,
    state: State,
    trailer: Option<Trailer>,
    stopped: Option<Stopped>,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The final head is still to come.
    Head,
    Content,
    Finished,
    Reset,
}

/// Ready when the client has it all, or wants no more of it.
type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>>>>;

impl Outgoing {
    /// A stream on which nothing was sent yet.
    pub fn new(stream: SendStream) -> Self {
        Self {
            stream,
            queue: BytesMut::new(),
            left: 0,
            state: State::Head,
            trailer: None,
            stopped: None,
        }
    }

    /// Puts a head, whose text is `raw`, into the queue. `interim`: another one follows.
    pub fn put_head(&mut self, status: u16, fields: &Fields, raw: &[u8], interim: bool) -> io::Result<()> {
        if self.state != State::Head {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        head::write_response(status, fields, raw, &mut self.queue);
        if !interim {
            self.state = State::Content;
        }
        Ok(())
    }

    /// Whether the end was told.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Finished | State::Reset)
    }

    /// What is to follow the content.
    pub fn set_trailer(&mut self, trailer: Trailer) {
        self.trailer = Some(trailer);
    }

    /// Passes on what is in the queue.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.queue))?;
            self.queue.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes some of it. What was not taken has to be offered again, perhaps with more behind it.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        if self.state != State::Content {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        }
        ready!(self.poll_flush(cx))?;
        if self.left == 0 {
            frame::header(frame::DATA, content.len(), &mut self.queue);
            if content.len() <= SHORT {
                self.queue.put_slice(content);
                if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                    return Poll::Ready(Err(error));
                }
                return Poll::Ready(Ok(content.len()));
            }
            self.left = content.len();
            ready!(self.poll_flush(cx))?;
        }
        let most = self.left.min(content.len());
        let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &content[..most]))?;
        self.left -= count;
        Poll::Ready(Ok(count))
    }

    /// Sends all that is in `content` and adds its length to `written`, then the trailer, and tells the end. Ready when
    /// that is done, also if it was done before.
    pub fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        content: &mut Buffer,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        while !content.is_empty() {
            let count = ready!(self.poll_write(cx, content.filled()))?;
            content.consume(count);
            *written += count as u64;
        }
        match self.state {
            State::Head => return Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
            State::Finished | State::Reset => return Poll::Ready(Ok(())),
            State::Content => {}
        }
        if let Some(trailer) = self.trailer.take() {
            head::write_trailer(&trailer, &mut self.queue);
        }
        ready!(self.poll_flush(cx))?;
        self.state = State::Finished;
        // A client that stopped it meanwhile need not be told.
        let _ = self.stream.finish();
        Poll::Ready(Ok(()))
    }

    /// Ready once the client wants no more of it.
    pub fn poll_stopped(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_over() {
            return Poll::Pending;
        }
        match &mut self.stopped {
            Some(stopped) => stopped.as_mut().poll(cx),
            None => {
                let stopped = self.stopped.insert(Box::pin(self.stream.stopped()));
                stopped.as_mut().poll(cx)
            }
        }
        .map(|_| self.reset(Code::REQUEST_CANCELLED))
    }

    /// Breaks it off.
    pub fn reset(&mut self, code: Code) {
        if !self.is_over() {
            self.state = State::Reset;
            self.stopped = None;
            let _ = self.stream.reset(code.varint());
        }
    }

    /// Returns when the client has all of it, or the connection is gone: `None` where there is nothing to wait for.
    pub fn into_delivery(mut self) -> Option<impl Future<Output = ()>> {
        let finished = self.state == State::Finished;
        let delivered = self.stopped.take();
        let delivered = finished.then(|| delivered.unwrap_or_else(|| Box::pin(self.stream.stopped())));
        delivered.map(|delivered| async move { drop(delivered.await) })
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        // Dropped as it is, the stream would end as if that were all.
        self.reset(Code::INTERNAL_ERROR);
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("stream", &self.stream)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Content that goes into one piece with its frame's header, and with the head if that has not left yet.
const SHORT: usize = 4 * 1024;
