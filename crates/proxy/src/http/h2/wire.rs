//! The connection below the streams: what was read of it before its version was known, then its socket.

use super::PREFACE;
use super::guard::Guard;
use super::watch::Watch;
use crate::http::buffer::Buffer;
use crate::stream::Stream;
use crate::time::Instant;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection's bytes.
#[derive(Debug)]
pub struct Wire {
    first: Buffer,
    stream: Stream,
    guard: Guard,
    watch: Rc<Watch>,
}

impl Wire {
    /// A client's connection. `first` was read from `stream` already.
    pub fn of_client(first: Buffer, stream: Stream) -> Self {
        Self::new(first, stream, PREFACE.len())
    }

    /// A connection to an endpoint.
    pub fn to_endpoint(stream: Stream) -> Self {
        Self::new(Buffer::default(), stream, 0)
    }

    fn new(first: Buffer, stream: Stream, preface: usize) -> Self {
        Self {
            first,
            stream,
            guard: Guard::new(preface, Instant::now()),
            watch: Rc::default(),
        }
    }

    /// What it tells besides bytes.
    pub fn watch(&self) -> Rc<Watch> {
        Rc::clone(&self.watch)
    }

    fn went(&mut self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        self.watch.set_blocked(outcome.is_pending());
        if let Poll::Ready(Ok(count)) = outcome {
            self.guard.went(count);
        }
        outcome
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self {
            first,
            stream,
            guard,
            watch,
        } = self.get_mut();
        if watch.flooded() {
            // Whoever runs the connection sees it next, and closes.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if first.is_empty() {
            std::task::ready!(Pin::new(stream).poll_read(cx, buf))?;
        } else {
            let count = first.len().min(buf.remaining());
            buf.put_slice(&first.filled()[..count]);
            first.consume(count);
            first.release();
        }
        watch.hear();
        if !guard.came(&buf.filled()[before..], Instant::now) {
            watch.set_flooded();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let outcome = Pin::new(&mut wire.stream).poll_write(cx, buf);
        wire.went(outcome)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let outcome = Pin::new(&mut wire.stream).poll_flush(cx);
        wire.watch.set_blocked(outcome.is_pending());
        outcome
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let outcome = Pin::new(&mut wire.stream).poll_shutdown(cx);
        if let (Poll::Ready(Ok(())), Some(tcp)) = (&outcome, wire.stream.tcp()) {
            wire.watch.keep(tcp);
        }
        outcome
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        let outcome = Pin::new(&mut wire.stream).poll_write_vectored(cx, bufs);
        wire.went(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
