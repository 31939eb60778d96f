//! Frames one by one (RFC 9113 §4.1), for peers that keep to no rule.

use crate::DEADLINE;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A connection, either side.
pub struct Frames {
    /// Its socket.
    pub tcp: TcpStream,
    buffer: Vec<u8>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// Its flags.
    pub flags: u8,
    /// Its stream; 0: the connection.
    pub stream: u32,
    /// What is in it.
    pub payload: Vec<u8>,
}

#[allow(missing_docs, reason = "named as in RFC 9113 §6")]
impl Frame {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    pub const END_STREAM: u8 = 1;
    pub const ACK: u8 = 1;
    pub const END_HEADERS: u8 = 4;

    /// A frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// As it goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let length = (self.payload.len() as u32).to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], self.kind, self.flags];
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The code of a GOAWAY or an RST_STREAM.
    pub fn code(&self) -> u32 {
        let at = if self.kind == Self::GOAWAY { 4 } else { 0 };
        let bytes = self.payload.get(at..at + 4).expect("it has a code");
        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

/// A block of fields, none of them compressed or to be remembered (RFC 7541 §6.2.2).
pub fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        text(&mut block, name);
        text(&mut block, value);
    }
    block
}

/// A string (RFC 7541 §5.2), with its length (§5.1).
fn text(block: &mut Vec<u8>, text: &str) {
    let mut left = text.len();
    if left < 127 {
        block.push(left as u8);
    } else {
        block.push(127);
        left -= 127;
        while left >= 128 {
            block.push((left % 128) as u8 | 128);
            left /= 128;
        }
        block.push(left as u8);
    }
    block.extend(text.as_bytes());
}

impl Frames {
    /// A client that has said its preface and no settings of its own.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::with(address, &[]).await
    }

    /// The same with settings.
    pub async fn with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let tcp = TcpStream::connect(address).await.expect("the gateway accepts");
        tcp.set_nodelay(true).expect("a socket");
        let mut frames = Self::over(tcp);
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let settings = Frame::new(Frame::SETTINGS, 0, 0, payload).bytes();
        let hello = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat();
        frames.send(hello).await.expect("the gateway reads");
        frames
    }

    /// On a connection on which only frames follow.
    pub fn over(tcp: TcpStream) -> Self {
        Self {
            tcp,
            buffer: Vec::new(),
        }
    }

    /// Sends bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let sending = self.tcp.write_all(bytes.as_ref());
        timeout(DEADLINE, sending).await.expect("the other side reads")
    }

    /// Drops bytes that are no frames.
    pub async fn skip(&mut self, count: usize) {
        let mut bytes = vec![0; count];
        let reading = self.tcp.read_exact(&mut bytes);
        timeout(DEADLINE, reading)
            .await
            .expect("bytes in time")
            .expect("so many bytes");
    }

    /// The next frame; none once the connection is closed or reset.
    pub async fn next(&mut self) -> Option<Frame> {
        timeout(DEADLINE, self.read()).await.expect("a frame in time")
    }

    async fn read(&mut self) -> Option<Frame> {
        loop {
            if let Some(header) = self.buffer.first_chunk::<9>() {
                let [a, b, c, kind, flags, stream @ ..] = *header;
                let length = u32::from_be_bytes([0, a, b, c]) as usize;
                if self.buffer.len() >= 9 + length {
                    let payload = self.buffer[9..9 + length].to_vec();
                    self.buffer.drain(..9 + length);
                    return Some(Frame::new(kind, flags, u32::from_be_bytes(stream), payload));
                }
            }
            match self.tcp.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// The next frame of this kind; others are dropped.
    pub async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            match self.next().await {
                Some(frame) if frame.kind == kind => return Some(frame),
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// Reads to the end of the connection. The code of its last GOAWAY.
    pub async fn last_word(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some(frame) = self.next().await {
            if frame.kind == Frame::GOAWAY {
                code = Some(frame.code());
            }
        }
        code
    }
}
