//! Content that goes out on a stream.

use super::incoming::error;
use crate::http::buffer::Buffer;
use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;
use std::io;
use std::task::{Context, Poll, ready};

/// The sending side of a stream, written as bytes. It takes as much as the peer's windows allow.
#[derive(Debug)]
pub struct Outgoing {
    stream: SendStream<Bytes>,
    over: bool,
    trailer: Option<HeaderMap>,
}

impl Outgoing {
    /// A stream whose head is out. `over`: it said that nothing follows.
    pub fn new(stream: SendStream<Bytes>, over: bool) -> Self {
        Self {
            stream,
            over,
            trailer: None,
        }
    }

    /// Whether the end was told.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// What is to follow the content.
    pub fn set_trailer(&mut self, trailer: HeaderMap) {
        self.trailer = Some(trailer);
    }

    /// Takes some of it.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        let count = ready!(self.poll_room(cx, content.len()))?;
        self.send(&content[..count], false)?;
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
            let count = ready!(self.poll_room(cx, content.len()))?;
            let last = count == content.len() && self.trailer.is_none();
            self.send(&content.filled()[..count], last)?;
            content.consume(count);
            *written += count as u64;
        }
        if self.over {
            return Poll::Ready(Ok(()));
        }
        self.over = true;
        Poll::Ready(match self.trailer.take() {
            Some(trailer) => self.stream.send_trailers(trailer).map_err(error),
            None => self.stream.send_data(Bytes::new(), true).map_err(error),
        })
    }

    /// Ready with the reason once the peer wants no more of it.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        // An error means that the connection is gone, or the stream over.
        self.stream
            .poll_reset(cx)
            .map(|outcome| outcome.unwrap_or(Reason::CANCEL))
    }

    /// Breaks it off.
    pub fn reset(&mut self, reason: Reason) {
        self.stream.send_reset(reason);
        self.over = true;
    }

    fn send(&mut self, content: &[u8], last: bool) -> io::Result<()> {
        self.over |= last;
        self.stream
            .send_data(Bytes::copy_from_slice(content), last)
            .map_err(error)
    }

    /// How many of `wanted` bytes may be sent now; at least one.
    fn poll_room(&mut self, cx: &mut Context<'_>, wanted: usize) -> Poll<io::Result<usize>> {
        self.stream.reserve_capacity(wanted);
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Poll::Ready(Ok(room.min(wanted)));
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_)) => {}
                Some(Err(failure)) => return Poll::Ready(Err(error(failure))),
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            }
        }
    }
}
