//! Content that comes on a stream.

use bytes::{Buf, Bytes};
use h2::RecvStream;
use http::HeaderMap;
use std::io;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// The receiving side of a stream, read as bytes. What was not read stays within the stream's window: the peer sends no
/// more than that ahead.
#[derive(Debug)]
pub struct Incoming {
    stream: RecvStream,
    /// Of the piece at hand.
    rest: Bytes,
    /// Length of that piece, to be given back to the window once it is read.
    piece: usize,
    over: bool,
    trailer: Option<HeaderMap>,
}

impl Incoming {
    /// Content that nothing was read of yet.
    pub fn new(stream: RecvStream) -> Self {
        Self {
            over: stream.is_end_stream(),
            stream,
            rest: Bytes::new(),
            piece: 0,
            trailer: None,
        }
    }

    /// Whether all of it was read.
    pub fn is_over(&self) -> bool {
        self.over && self.rest.is_empty()
    }

    /// What came behind the content. Known once a read has given nothing.
    pub fn take_trailer(&mut self) -> Option<HeaderMap> {
        self.trailer.take()
    }

    /// Ready when a read gives something: bytes, the end, or an error.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.over {
            match ready!(self.stream.poll_data(cx)) {
                Some(piece) => {
                    self.rest = piece.map_err(error)?;
                    self.piece = self.rest.len();
                }
                None => {
                    self.trailer = ready!(self.stream.poll_trailers(cx)).map_err(error)?;
                    self.over = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads. Nothing read: that was all.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(cx))?;
        let count = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        if self.rest.is_empty() && self.piece > 0 {
            let piece = std::mem::take(&mut self.piece);
            self.rest = Bytes::new();
            // The stream may be gone by now; then there is no window either.
            let _ = self.stream.flow_control().release_capacity(piece);
        }
        Poll::Ready(Ok(()))
    }
}

/// As sockets would tell it.
pub(super) fn error(error: h2::Error) -> io::Error {
    if error.is_io() {
        error.into_io().unwrap_or_else(|| io::ErrorKind::Other.into())
    } else {
        io::Error::new(io::ErrorKind::ConnectionReset, error)
    }
}
