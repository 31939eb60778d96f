//! The closed loop over HTTP/3: so many connections of QUIC, each with so many streams under way, every answer checked. The
//! frames are written and read here, as the little of them that is needed (RFC 9114 §7.2, RFC 9204 §4.5).

use super::connection::client_config;
use super::{Load, Outcome, Until};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, SendStream, TransportConfig, VarInt};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Connections of a load, which stay over its windows.
pub struct Http3 {
    runtime: tokio::runtime::Runtime,
    shared: Rc<Shared>,
    config: ClientConfig,
    target: SocketAddr,
    host: String,
    connections: usize,
    per_connection: usize,
    open: Vec<Open>,
}

/// A connection, and what it lives by.
struct Open {
    _endpoint: Endpoint,
    connection: Connection,
    /// A server closes a connection whose control stream ends.
    _control: SendStream,
}

/// What all streams see.
struct Shared {
    request: Vec<u8>,
    bytes: u64,
    began: Cell<Instant>,
    until: Cell<Until>,
    begun: Cell<u64>,
    outcome: RefCell<Outcome>,
    latencies: RefCell<Vec<u32>>,
}

impl Http3 {
    /// Opens no connection yet. `bytes` of each answer's body are expected.
    pub fn new(load: &Load, bytes: u64, per_connection: usize) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let root = load.tls.as_deref().ok_or("HTTP/3 is over TLS")?;
        let mut tls = client_config(root, false)?;
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
        let mut config = ClientConfig::new(Arc::new(tls));
        let mut transport = TransportConfig::default();
        // Large answers wait for nobody but the proxy.
        transport
            // How long to wait is up to the proxy: between windows nobody is here to say that we still are.
            .max_idle_timeout(None)
            .stream_receive_window(VarInt::from_u32(4 << 20))
            .receive_window(VarInt::from_u32(16 << 20));
        config.transport_config(Arc::new(transport));
        let path = load.paths.first().ok_or("a load needs a path")?;
        Ok(Self {
            runtime,
            shared: Rc::new(Shared {
                request: request(&load.host, path),
                bytes,
                began: Cell::new(Instant::now()),
                until: Cell::new(Until::Requests(0)),
                begun: Cell::new(0),
                outcome: RefCell::default(),
                latencies: RefCell::default(),
            }),
            config,
            target: load.target,
            host: load.host.clone(),
            connections: load.connections,
            per_connection,
            open: Vec::new(),
        })
    }

    /// Sends until then.
    pub fn window(&mut self, until: Until) -> Result<Outcome, String> {
        let local = tokio::task::LocalSet::new();
        let Self { runtime, shared, .. } = self;
        let (config, target, host) = (&self.config, self.target, &self.host);
        let (open, connections, each) = (&mut self.open, self.connections, self.per_connection);
        local
            .block_on(runtime, async {
                if !open.is_empty() {
                    // So that what came in the meantime is read first.
                    tokio::time::sleep(MEANTIME).await;
                }
                // On a slow machine, others may take their turns for longer than a proxy waits for requests.
                open.retain(|open| open.connection.close_reason().is_none());
                while open.len() < connections {
                    open.push(connect_in_time(config, target, host).await?);
                }
                shared.begun.set(0);
                shared.until.set(until);
                shared.began.set(Instant::now());
                let tasks: Vec<_> = open
                    .iter()
                    .flat_map(|open| std::iter::repeat_n(&open.connection, each))
                    .map(|connection| tokio::task::spawn_local(stream(Rc::clone(shared), connection.clone())))
                    .collect();
                for task in tasks {
                    task.await.map_err(io::Error::other)?;
                }
                Ok::<_, io::Error>(())
            })
            .map_err(|error| error.to_string())?;
        let mut outcome = shared.outcome.take();
        outcome.elapsed = shared.began.get().elapsed();
        outcome.set_latencies(shared.latencies.take());
        Ok(outcome)
    }
}

/// Tries again where a handshake fails: under valgrind the first one may take longer than a proxy allows, as all of its code is
/// translated then, and later ones don't.
async fn connect_in_time(config: &ClientConfig, target: SocketAddr, host: &str) -> io::Result<Open> {
    let start = Instant::now();
    let silent = |_| Err(io::Error::other(format!("no handshake within {LIMIT:?}")));
    loop {
        let connecting = tokio::time::timeout(LIMIT, connect(config, target, host));
        match connecting.await.unwrap_or_else(silent) {
            Err(_) if start.elapsed() < LIMIT => tokio::time::sleep(MEANTIME).await,
            result => return result,
        }
    }
}

/// A socket for each, so that the kernel spreads them over workers.
async fn connect(config: &ClientConfig, target: SocketAddr, host: &str) -> io::Result<Open> {
    let endpoint = Endpoint::client((Ipv4Addr::LOCALHOST, 0).into())?;
    let connecting = endpoint.connect_with(config.clone(), target, host);
    let connection = connecting
        .map_err(io::Error::other)?
        .await
        .map_err(io::Error::other)?;
    let mut control = connection.open_uni().await.map_err(io::Error::other)?;
    // A control stream with empty settings, which stays open.
    control.write_all(&[0, 4, 0]).await.map_err(io::Error::other)?;
    Ok(Open {
        _endpoint: endpoint,
        connection,
        _control: control,
    })
}

/// One stream after the other, through one window.
async fn stream(shared: Rc<Shared>, connection: Connection) {
    while shared.more() {
        let start = Instant::now();
        let limited = tokio::time::timeout(LIMIT, exchange(&shared, &connection));
        let result = limited
            .await
            .unwrap_or_else(|_| Err(io::Error::other(format!("no answer within {LIMIT:?}"))));
        match result {
            Ok(()) => {
                shared.outcome.borrow_mut().answered += 1;
                let micros = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
                shared.latencies.borrow_mut().push(micros);
            }
            Err(error) => shared.outcome.borrow_mut().fail(error),
        }
    }
}

async fn exchange(shared: &Shared, connection: &Connection) -> io::Result<()> {
    let (mut send, mut receive) = connection.open_bi().await.map_err(io::Error::other)?;
    send.write_all(&shared.request).await.map_err(io::Error::other)?;
    send.finish().map_err(io::Error::other)?;
    let mut answer = Answer::default();
    while let Some(chunk) = receive
        .read_chunk(usize::MAX, true)
        .await
        .map_err(io::Error::other)?
    {
        answer.read(&chunk.bytes)?;
    }
    if answer.content == shared.bytes {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "{} bytes instead of {}",
            answer.content, shared.bytes
        )))
    }
}

/// What came of an answer.
#[derive(Default)]
struct Answer {
    header: Vec<u8>,
    /// Of the frame at hand: its type, and what is missing of it.
    kind: u64,
    left: u64,
    /// The start of the head.
    head: Vec<u8>,
    content: u64,
}

impl Answer {
    fn read(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let count = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                match self.kind {
                    DATA => self.content += count as u64,
                    HEADERS => self.head(&bytes[..count])?,
                    _ => {}
                }
                self.left -= count as u64;
                bytes = &bytes[count..];
                continue;
            }
            self.header.push(first);
            bytes = rest;
            if let Some((kind, length)) = integer(&self.header)
                && let Some((left, _)) = integer(&self.header[length..])
            {
                (self.kind, self.left) = (kind, left);
                self.header.clear();
            }
        }
        Ok(())
    }

    /// The first line says the status: that of the static table for 200 is 25.
    fn head(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.head.extend_from_slice(&bytes[..bytes.len().min(3)]);
        match self.head.get(2) {
            Some(&OK) | None => Ok(()),
            Some(other) => Err(io::Error::other(format!("a head that begins with {other:#x}"))),
        }
    }
}

fn integer(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = 1 << (bytes.first()? >> 6);
    let bytes = bytes.get(..length)?;
    let whole = bytes
        .iter()
        .fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    Some((whole & (u64::MAX >> (66 - 8 * length)), length))
}

/// A HEADERS frame: GET, https, and the host, path and fields that the other loads send too.
fn request(host: &str, path: &str) -> Vec<u8> {
    let mut section = vec![0, 0, 0xc0 | 0x11, 0xc0 | 0x17];
    let mut with_name = |index: u8, value: &str| {
        // RFC 9204 §4.5.4, with indices and lengths of one more byte at most.
        match index {
            ..15 => section.push(0x50 | index),
            _ => section.extend([0x5f, index - 15]),
        }
        match value.len() {
            length @ ..127 => section.push(length as u8),
            length => section.extend([127, (length - 127).min(127) as u8]),
        }
        section.extend(value.as_bytes());
    };
    with_name(0, host);
    with_name(1, path);
    with_name(95, "bench");
    section.push(0xc0 | 0x1d);
    let length = section.len() as u16;
    let mut frame = vec![HEADERS as u8];
    frame.extend((0x4000 | length).to_be_bytes());
    frame.extend(section);
    frame
}

impl Shared {
    /// Takes one exchange out of the budget.
    fn more(&self) -> bool {
        let number = self.begun.get();
        self.begun.set(number + 1);
        let more = match self.until.get() {
            Until::Requests(count) => number < count,
            Until::Elapsed(length) => self.began.get().elapsed() < length,
        };
        // A proxy that answers nothing right ends the window.
        more && self.outcome.borrow().failed < 100
    }
}

const DATA: u64 = 0;
const HEADERS: u64 = 1;
/// An indexed line of the static table: `:status` 200.
const OK: u8 = 0xc0 | 0x19;
/// Longer than any answer or handshake may take: under valgrind they take long.
const LIMIT: Duration = Duration::from_secs(60);
/// Before another handshake, and for what waits in the sockets.
const MEANTIME: Duration = Duration::from_millis(10);
