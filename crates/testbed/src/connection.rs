//! One connection from the client's side: bytes out, responses in, one after the other.

use crate::{Authority, DEADLINE, Response};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Anything that carries bytes both ways.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection to the gateway.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// Read, but not yet part of a response.
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects without TLS.
    pub async fn plain(address: SocketAddr) -> io::Result<Self> {
        Ok(Self::over(Box::new(connect(address).await?)))
    }

    /// Connects with TLS, for this server name.
    pub async fn tls(address: SocketAddr, name: &str) -> io::Result<Self> {
        Self::tls_as(address, name, Authority::shared().client()).await
    }

    /// The same as another client.
    pub async fn tls_as(address: SocketAddr, name: &str, client: Arc<ClientConfig>) -> io::Result<Self> {
        let connector = TlsConnector::from(client);
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = connector.connect(name, connect(address).await?).await?;
        Ok(Self::over(Box::new(stream)))
    }

    fn over(stream: Box<dyn Stream>) -> Self {
        Self {
            stream,
            buffer: Vec::new(),
        }
    }

    /// The stream itself, for what comes after an upgrade. Nothing may have been read ahead.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        assert!(self.buffer.is_empty(), "bytes were read ahead");
        self.stream
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        within(async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        })
        .await
    }

    /// Reads one final response. Interim ones are skipped. `to_head` says that the request's method was HEAD.
    pub async fn response(&mut self, to_head: bool) -> io::Result<Response> {
        within(async {
            loop {
                let head = self.head().await?;
                if head.status / 100 == 1 && head.status != 101 {
                    continue;
                }
                return self.with_body(head, to_head).await;
            }
        })
        .await
    }

    /// Everything until the other side closes.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        within(async {
            let mut rest = std::mem::take(&mut self.buffer);
            self.stream.read_to_end(&mut rest).await?;
            Ok(rest)
        })
        .await
    }

    async fn head(&mut self) -> io::Result<Response> {
        loop {
            let mut fields = [httparse::EMPTY_HEADER; 128];
            let mut parsed = httparse::Response::new(&mut fields);
            match parsed.parse(&self.buffer).map_err(io::Error::other)? {
                httparse::Status::Complete(length) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    let response = Response {
                        status: parsed.code.unwrap_or_default(),
                        headers: parsed
                            .headers
                            .iter()
                            .map(|field| (field.name.to_ascii_lowercase(), text(field.value)))
                            .collect(),
                        body: Vec::new(),
                    };
                    self.buffer.drain(..length);
                    return Ok(response);
                }
                httparse::Status::Partial => self.more().await?,
            }
        }
    }

    /// RFC 9112 §6.3, from the client's side.
    async fn with_body(&mut self, mut response: Response, to_head: bool) -> io::Result<Response> {
        if to_head || response.status == 101 || matches!(response.status, 204 | 304) {
            return Ok(response);
        }
        if response
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            response.body = self.chunks().await?;
        } else if let Some(length) = response.header("content-length") {
            let length = length.parse().map_err(io::Error::other)?;
            response.body = self.exactly(length).await?;
        } else {
            let mut body = std::mem::take(&mut self.buffer);
            self.stream.read_to_end(&mut body).await?;
            response.body = body;
        }
        Ok(response)
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            if size == 0 {
                while !self.line().await?.is_empty() {}
                return Ok(body);
            }
            body.extend(self.exactly(size).await?);
            self.line().await?;
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(line);
            }
            self.more().await?;
        }
    }

    /// So many bytes.
    pub async fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = within(TcpStream::connect(address)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(DEADLINE, work).await {
        Ok(result) => result,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
