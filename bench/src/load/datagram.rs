//! A UDP socket of the load, as a stream whose writes and reads are datagrams.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UdpSocket;

/// A socket that is connected to the proxy.
pub struct Datagrams(UdpSocket);

impl Datagrams {
    /// Opens one on loopback.
    pub async fn connect(target: SocketAddr) -> io::Result<Self> {
        let socket = UdpSocket::bind((target.ip(), 0)).await?;
        socket.connect(target).await?;
        Ok(Self(socket))
    }
}

impl AsyncRead for Datagrams {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_recv(cx, buf)
    }
}

impl AsyncWrite for Datagrams {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.poll_send(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
