//! A byte stream to a peer as one type, plain, TLS or a stream of HTTP/2 or HTTP/3: a `match` instead of a virtual call, and no
//! type parameter running through the whole data plane.
//!
//! On a stream of HTTP/2 or HTTP/3 the bytes are content alone: heads, trailers and ends are told by other calls.

use crate::http::Inbound;
use crate::http::buffer::Buffer;
use crate::http::h2::Outbound;
use crate::http::sections::Trailer;
use crate::sys::socket;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

/// A connection's bytes.
#[derive(Debug)]
pub enum Stream {
    /// TCP as it is.
    Plain(TcpStream),
    /// TLS that this side accepted. Boxed: a TLS session is some kilobytes, and plain connections are many.
    Tls(Box<tokio_rustls::server::TlsStream<TcpStream>>),
    /// TLS that this side asked for.
    TlsClient(Box<tokio_rustls::client::TlsStream<TcpStream>>),
    /// What a client asks on a connection that it shares with other requests of its own.
    Inbound(Box<Inbound>),
    /// What is asked of an endpoint on a connection that other requests share.
    Outbound(Box<Outbound>),
}

impl Stream {
    /// The socket below, unless others share it.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(tls) => Some(tls.get_ref().0),
            Self::TlsClient(tls) => Some(tls.get_ref().0),
            Self::Inbound(_) | Self::Outbound(_) => None,
        }
    }

    /// Whether it carries content only, so that heads and ends have to be told.
    #[inline]
    pub fn is_multiplexed(&self) -> bool {
        matches!(self, Self::Inbound(_) | Self::Outbound(_))
    }

    /// Whether nothing has to be told any more, where ends are told.
    #[inline]
    pub fn is_finished(&self) -> bool {
        match self {
            Self::Plain(_) | Self::Tls(_) | Self::TlsClient(_) => true,
            Self::Inbound(stream) => stream.is_over(),
            Self::Outbound(stream) => stream.is_over(),
        }
    }

    /// Writes all that is in `content` and adds its length to `written`; it is the end, and told where ends are.
    pub fn poll_finish(
        &mut self,
        cx: &mut Context<'_>,
        content: &mut Buffer,
        written: &mut u64,
    ) -> Poll<io::Result<()>> {
        let finished = match self {
            Self::Plain(_) | Self::Tls(_) | Self::TlsClient(_) => {
                return content.poll_drain(cx, self, written);
            }
            Self::Inbound(stream) => stream.poll_finish(cx, content, written),
            Self::Outbound(stream) => stream.poll_finish(cx, content, written),
        };
        ready!(finished)?;
        // Nothing is left in it; this lets it know.
        content.poll_drain(cx, self, written)
    }

    /// Trailer fields that came behind the content, where it does not carry them itself.
    pub fn take_trailer(&mut self) -> Option<Trailer> {
        match self {
            Self::Plain(_) | Self::Tls(_) | Self::TlsClient(_) => None,
            Self::Inbound(stream) => stream.take_trailer(),
            Self::Outbound(stream) => stream.take_trailer(),
        }
    }

    /// Trailer fields to be told with the end, where the content does not carry them itself.
    pub fn set_trailer(&mut self, trailer: Trailer) {
        match self {
            Self::Plain(_) | Self::Tls(_) | Self::TlsClient(_) => {}
            Self::Inbound(stream) => stream.set_trailer(trailer),
            Self::Outbound(stream) => stream.set_trailer(trailer),
        }
    }

    /// The socket, if what passes over it is what is meant: not on TLS.
    pub fn plain(&self) -> Option<&TcpStream> {
        match self {
            Self::Plain(tcp) => Some(tcp),
            Self::Tls(_) | Self::TlsClient(_) | Self::Inbound(_) | Self::Outbound(_) => None,
        }
    }

    /// Ready when a read may find something (bytes, the end, or an error). Needs no buffer, so an idle connection
    /// holds none. On TLS it can be ready although no plaintext comes of it (a ticket, a key update).
    #[inline]
    pub fn poll_read_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            layered => layered.poll_layered_ready(cx),
        }
    }

    /// Reads once where news has just come, into `room`, which is not empty. 0: the other side will send no more.
    ///
    /// It is not counted against the task's turn (tokio's `coop`), which saves as much as the call itself takes: only for
    /// one read after a wait, or after [`Self::poll_read_ready`], which both are.
    #[inline]
    pub fn poll_read_news(&mut self, cx: &mut Context<'_>, room: &mut [u8]) -> Poll<io::Result<usize>> {
        if let Self::Plain(tcp) = self
            && let Some(came) = read_now(tcp, room)
        {
            return Poll::Ready(came);
        }
        let mut room = ReadBuf::new(room);
        ready!(Pin::new(self).poll_read(cx, &mut room))?;
        Poll::Ready(Ok(room.filled().len()))
    }

    #[inline(never)]
    fn poll_layered_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => tcp.poll_read_ready(cx),
            Self::Tls(tls) => {
                let (tcp, session) = tls.get_mut();
                // rustls wants no more ciphertext while plaintext waits to be taken.
                if session.wants_read() {
                    tcp.poll_read_ready(cx)
                } else {
                    Poll::Ready(Ok(()))
                }
            }
            Self::TlsClient(tls) => {
                let (tcp, session) = tls.get_mut();
                if session.wants_read() {
                    tcp.poll_read_ready(cx)
                } else {
                    Poll::Ready(Ok(()))
                }
            }
            Self::Inbound(stream) => stream.poll_ready(cx),
            Self::Outbound(stream) => stream.poll_ready(cx),
        }
    }
}

/// Plain TCP is answered where the call is, whatever lies above it out of line.
impl AsyncRead for Stream {
    #[inline]
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => loop {
                ready!(tcp.poll_read_ready(cx))?;
                if let Some(came) = read_now(tcp, buf.initialize_unfilled()) {
                    buf.advance(came?);
                    return Poll::Ready(Ok(()));
                }
            },
            layered => layered.poll_layered_read(cx, buf),
        }
    }
}

/// Reads once, if there is news of the socket. `None`: there is nothing to be read.
#[inline]
fn read_now(tcp: &TcpStream, room: &mut [u8]) -> Option<io::Result<usize>> {
    let mut came = 0;
    let outcome = tcp.try_io(Interest::READABLE, || {
        came = socket::receive(tcp, room)?;
        // Less than fits in is all that there was: the next read waits for news, as after a read by tokio.
        if came > 0 && came < room.len() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(())
    });
    match outcome {
        outcome if came > 0 => {
            // A mere kind, which has no memory to give back, but the compiler can't know.
            std::mem::forget(outcome);
            Some(Ok(came))
        }
        Ok(()) => Some(Ok(0)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
        Err(error) => Some(Err(error)),
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            // Sockets nearly always take what there is: only one that doesn't is asked to tell when it will.
            Self::Plain(tcp) => match tcp.try_io(Interest::WRITABLE, || socket::send(tcp, buf)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Pin::new(tcp).poll_write(cx, buf),
                done => Poll::Ready(done),
            },
            layered => layered.poll_layered_write(cx, buf),
        }
    }

    #[inline]
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            layered => layered.poll_layered_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Self::TlsClient(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            stream @ (Self::Inbound(_) | Self::Outbound(_)) => {
                stream.poll_finish(cx, &mut Buffer::default(), &mut 0)
            }
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, bufs),
            Self::TlsClient(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, bufs),
            stream @ (Self::Inbound(_) | Self::Outbound(_)) => {
                let first = bufs.iter().find(|buf| !buf.is_empty());
                Pin::new(stream).poll_write(cx, first.map_or(&[], |buf| buf))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(tcp) => tcp.is_write_vectored(),
            Self::Tls(tls) => tls.is_write_vectored(),
            Self::TlsClient(tls) => tls.is_write_vectored(),
            Self::Inbound(_) | Self::Outbound(_) => false,
        }
    }
}

/// What is above TCP.
impl Stream {
    #[inline(never)]
    fn poll_layered_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
            Self::TlsClient(tls) => Pin::new(tls.as_mut()).poll_read(cx, buf),
            Self::Inbound(stream) => stream.poll_read(cx, buf),
            Self::Outbound(stream) => stream.poll_read(cx, buf),
        }
    }

    #[inline(never)]
    fn poll_layered_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
            Self::TlsClient(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
            Self::Inbound(stream) => stream.poll_write(cx, buf),
            Self::Outbound(stream) => stream.poll_write(cx, buf),
        }
    }

    #[inline(never)]
    fn poll_layered_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Self::TlsClient(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Self::Inbound(stream) => stream.poll_flush(cx),
            // The connection's own task does.
            Self::Outbound(_) => Poll::Ready(Ok(())),
        }
    }
}
