//! Plain connections on which a test reads and writes HTTP/1.1 word by word.

use crate::DEADLINE;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A backend whose connections are each served by a script. It lives as long as the test's runtime.
pub struct ScriptedBackend {
    /// Where it listens.
    pub address: SocketAddr,
    connections: Arc<AtomicUsize>,
}

/// One end of a plain connection. Can be read as its [`Reader`].
pub struct Scripted {
    /// What comes.
    pub reader: Reader,
    /// What goes.
    pub writer: OwnedWriteHalf,
}

/// What comes on a plain connection.
pub struct Reader {
    tcp: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl ScriptedBackend {
    /// Starts one.
    pub async fn start<F, A>(script: F) -> Self
    where
        F: Fn(Scripted) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let connections = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(script(Scripted::over(tcp)));
            }
        });
        Self { address, connections }
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Scripted {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("the gateway accepts"))
    }

    fn over(tcp: TcpStream) -> Self {
        let _ = tcp.set_nodelay(true);
        let (reader, writer) = tcp.into_split();
        let reader = Reader {
            tcp: reader,
            buffer: Vec::new(),
        };
        Self { reader, writer }
    }

    /// Sends bytes. Tells whether the other side is there.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.writer.write_all(bytes.as_ref()).await.is_ok()
    }
}

impl Deref for Scripted {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

impl DerefMut for Scripted {
    fn deref_mut(&mut self) -> &mut Reader {
        &mut self.reader
    }
}

impl Reader {
    /// Start line and fields, up to the empty line; none at the end.
    pub async fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await.ok()?;
        };
        Some(String::from_utf8_lossy(&self.buffer.drain(..end).collect::<Vec<_>>()).into_owned())
    }

    /// The content that a head announces, and its trailer fields as text.
    pub async fn body(&mut self, head: &str) -> io::Result<(Vec<u8>, String)> {
        if field(head, "transfer-encoding").is_some() {
            return self.chunks().await;
        }
        let length = field(head, "content-length").and_then(|text| text.parse().ok());
        Ok((self.exactly(length.unwrap_or(0)).await?, String::new()))
    }

    async fn chunks(&mut self) -> io::Result<(Vec<u8>, String)> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).map_err(io::Error::other)?;
            if size == 0 {
                break;
            }
            body.extend(self.exactly(size).await?);
            self.line().await?;
        }
        let mut trailer = String::new();
        loop {
            match self.line().await? {
                line if line.is_empty() => return Ok((body, trailer)),
                line => trailer = trailer + &line + "\r\n",
            }
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

    /// Waits until the other side closes or resets. What comes until then is dropped.
    pub async fn closed(&mut self) {
        while self.more().await.is_ok() {
            self.buffer.clear();
        }
    }

    async fn more(&mut self) -> io::Result<()> {
        let read = self.tcp.read_buf(&mut self.buffer);
        match timeout(DEADLINE, read).await.expect("something comes in time")? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

/// First value of a field in a head as text.
pub fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
