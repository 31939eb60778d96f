//! A stream on which a client asked, of either version that has streams.

use super::buffer::Buffer;
use super::h1::Fields;
use super::sections::Trailer;
use super::{h2, h3};
use std::io;
use std::task::{Context, Poll};
use tokio::io::ReadBuf;

/// What a client asks on a connection that it shares with other requests of its own.
#[derive(Debug)]
pub enum Inbound {
    /// Over HTTP/2.
    Http2(h2::Inbound),
    /// Over HTTP/3. Boxed: it is much larger.
    Http3(Box<h3::Inbound>),
}

impl Inbound {
    /// Sends an interim response. One that can't be sent is left out.
    pub fn send_interim(&mut self, status: u16, fields: &Fields, raw: &[u8]) {
        match self {
            Self::Http2(stream) => stream.send_interim(status, fields, raw),
            Self::Http3(stream) => stream.send_interim(status, fields, raw),
        }
    }

    /// Sends the response's head, whose text is `raw`. `over`: nothing follows.
    pub fn send_head(&mut self, status: u16, fields: &Fields, raw: &[u8], over: bool) -> io::Result<()> {
        match self {
            Self::Http2(stream) => stream.send_head(status, fields, raw, over),
            Self::Http3(stream) => stream.send_head(status, fields, raw),
        }
    }

    /// Whether nothing is left to be sent.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Http2(stream) => stream.is_over(),
            Self::Http3(stream) => stream.is_over(),
        }
    }

    /// What came behind the content. Known once a read has given nothing.
    pub fn take_trailer(&mut self) -> Option<Trailer> {
        match self {
            Self::Http2(stream) => stream.take_trailer(),
            Self::Http3(stream) => stream.take_trailer(),
        }
    }

    /// What is to follow the response's content.
    pub fn set_trailer(&mut self, trailer: Trailer) {
        match self {
            Self::Http2(stream) => stream.set_trailer(trailer),
            Self::Http3(stream) => stream.set_trailer(trailer),
        }
    }

    /// Ready when a read gives something: bytes, the end, or an error.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http2(stream) => stream.poll_ready(cx),
            Self::Http3(stream) => stream.poll_ready(cx),
        }
    }

    /// Reads. Nothing read: that was all.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http2(stream) => stream.poll_read(cx, buf),
            Self::Http3(stream) => stream.poll_read(cx, buf),
        }
    }

    /// Takes some of it.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Http2(stream) => stream.poll_write(cx, content),
            Self::Http3(stream) => stream.poll_write(cx, content),
        }
    }

    /// Passes on what waits in the stream itself.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // The connection's own task does.
            Self::Http2(_) => Poll::Ready(Ok(())),
            Self::Http3(stream) => stream.poll_flush(cx),
        }
    }

    /// Sends all that is in `content` and adds its length to `written`, then the trailer, and tells the end.
    pub fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        content: &mut Buffer,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Http2(stream) => stream.poll_finish(cx, content, written),
            Self::Http3(stream) => stream.poll_finish(cx, content, written),
        }
    }

    /// Ready once the client wants no answer any more.
    pub fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http2(stream) => stream.poll_reset(cx),
            Self::Http3(stream) => stream.poll_reset(cx),
        }
    }

    /// Breaks it off, so that even a body that ends with the stream is seen to be cut.
    pub fn cut(&mut self) {
        match self {
            Self::Http2(stream) => stream.reset(h2::Reason::INTERNAL_ERROR),
            Self::Http3(stream) => stream.reset(h3::Code::INTERNAL_ERROR),
        }
    }
}
