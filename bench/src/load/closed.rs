//! The closed loop: so many connections, each with one exchange under way, every answer checked.

use super::connection::{Connector, Stream};
use super::datagram::Datagrams;
use super::{Kind, Load, Outcome, Until, answer};
use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Connections of a load between its windows.
pub struct Loop {
    runtime: tokio::runtime::Runtime,
    shared: Rc<Shared>,
    idle: Vec<Option<Box<dyn Stream>>>,
}

/// What all connections see.
struct Shared {
    load: Load,
    /// One per connection: sessions that one may resume are not taken by another.
    connectors: Vec<Connector>,
    /// One request for each path.
    requests: Vec<Vec<u8>>,
    /// Of the window: when it began, when it ends, exchanges begun, what came back.
    began: Cell<Instant>,
    until: Cell<Until>,
    begun: Cell<u64>,
    outcome: RefCell<Outcome>,
    latencies: RefCell<Vec<u32>>,
}

impl Loop {
    /// Opens no connection yet.
    pub fn new(load: Load) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let resume = matches!(load.kind, Kind::Once { resume: true, .. });
        let connector = |_| Connector::new(load.target, &load.host, load.tls.as_deref(), resume);
        let connectors = (0..load.connections).map(connector).collect::<Result<_, _>>()?;
        let idle = (0..load.connections).map(|_| None).collect();
        let requests = load.paths.iter().map(|path| request(&load, path)).collect();
        Ok(Self {
            runtime,
            shared: Rc::new(Shared {
                requests,
                load,
                connectors,
                began: Cell::new(Instant::now()),
                until: Cell::new(Until::Requests(0)),
                begun: Cell::new(0),
                outcome: RefCell::default(),
                latencies: RefCell::default(),
            }),
            idle,
        })
    }

    /// Sends until then.
    pub fn window(&mut self, until: Until) -> Result<Outcome, String> {
        let shared = &self.shared;
        shared.begun.set(0);
        shared.until.set(until);
        shared.began.set(Instant::now());
        let local = tokio::task::LocalSet::new();
        let tasks: Vec<_> = self
            .idle
            .drain(..)
            .enumerate()
            .map(|(index, stream)| local.spawn_local(connection(Rc::clone(shared), index, stream)))
            .collect();
        self.idle = local.block_on(&self.runtime, async {
            let mut idle = Vec::with_capacity(tasks.len());
            for task in tasks {
                idle.push(
                    task.await
                        .map_err(|error| format!("a connection's task: {error}"))?,
                );
            }
            Ok::<_, String>(idle)
        })?;
        let mut outcome = shared.outcome.take();
        outcome.elapsed = shared.began.get().elapsed();
        outcome.set_latencies(shared.latencies.take());
        Ok(outcome)
    }
}

impl Shared {
    /// Takes one exchange out of the budget.
    fn more(&self) -> Option<u64> {
        let number = self.begun.get();
        self.begun.set(number + 1);
        let more = match self.until.get() {
            Until::Requests(count) => number < count,
            Until::Elapsed(length) => self.began.get().elapsed() < length,
        };
        // A proxy that answers nothing right ends the window.
        (more && self.outcome.borrow().failed < 100).then_some(number)
    }
}

/// One connection through one window; what is left of it afterwards.
async fn connection(
    shared: Rc<Shared>,
    index: usize,
    mut stream: Option<Box<dyn Stream>>,
) -> Option<Box<dyn Stream>> {
    let connector = &shared.connectors[index];
    let mut buffer = vec![0; 64 * 1024];
    // The proxy may have closed it since the last window, as is its right.
    let mut carried_over = stream.is_some();
    while let Some(number) = shared.more() {
        let start = Instant::now();
        let limited = tokio::time::timeout(
            LIMIT,
            exchange(&shared, connector, &mut stream, number, &mut buffer),
        );
        let result = limited
            .await
            .unwrap_or_else(|_| Err(io::Error::other(format!("no answer within {LIMIT:?}"))));
        match result {
            Ok(()) => {
                shared.outcome.borrow_mut().answered += 1;
                let micros = u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX);
                shared.latencies.borrow_mut().push(micros);
            }
            Err(error) if carried_over && is_closed(&error) => stream = None,
            Err(error) => {
                stream = None;
                shared.outcome.borrow_mut().fail(error);
            }
        }
        carried_over = false;
    }
    stream
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    [BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof].contains(&error.kind())
}

async fn exchange(
    shared: &Shared,
    connector: &Connector,
    slot: &mut Option<Box<dyn Stream>>,
    number: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    let request = &shared.requests[number as usize % shared.requests.len()];
    match shared.load.kind {
        Kind::Get(bytes) | Kind::Post(bytes) => {
            let stream = match slot {
                Some(stream) => stream,
                None => slot.insert(connector.connect().await?.0),
            };
            stream.write_all(request).await?;
            stream.flush().await?;
            let expected = if matches!(shared.load.kind, Kind::Post(_)) {
                crate::origin::BODY as u64
            } else {
                bytes
            };
            answer::read(&mut **stream, buffer, expected).await
        }
        Kind::Once { bytes, .. } => once(shared, connector, request, bytes, buffer).await,
        Kind::Echo(bytes) => {
            let stream = match slot {
                Some(stream) => stream,
                None => slot.insert(upgraded(shared, connector).await?),
            };
            let message = &message(bytes);
            stream.write_all(message).await?;
            let back = &mut buffer[..message.len()];
            stream.read_exact(back).await?;
            if back == message.as_slice() {
                Ok(())
            } else {
                Err(io::Error::other("another message came back"))
            }
        }
        Kind::Datagram(bytes) => {
            let stream = match slot {
                Some(stream) => stream,
                None => slot.insert(Box::new(Datagrams::connect(shared.load.target).await?)),
            };
            let message = &message(bytes);
            stream.write_all(message).await?;
            let back = &mut buffer[..message.len()];
            stream.read_exact(back).await?;
            if back == message.as_slice() {
                Ok(())
            } else {
                Err(io::Error::other("another datagram came back"))
            }
        }
        Kind::Paced(_) | Kind::Streams { .. } | Kind::Calls { .. } | Kind::Http3 { .. } => {
            Err(io::Error::other("not a load of this loop"))
        }
    }
}

async fn once(
    shared: &Shared,
    connector: &Connector,
    request: &[u8],
    bytes: u64,
    buffer: &mut [u8],
) -> io::Result<()> {
    let (mut stream, resumed) = connector.connect().await?;
    shared.outcome.borrow_mut().resumed += u64::from(resumed);
    stream.write_all(request).await?;
    stream.flush().await?;
    answer::read(&mut *stream, buffer, bytes).await?;
    // The proxy closes first, so that the ports of the load are free again at once.
    match stream.read(buffer).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(io::Error::other("bytes behind the answer")),
        // Over TLS some close without saying so first.
        Err(error) if is_closed(&error) => Ok(()),
        Err(error) => Err(error),
    }
}

/// A connection after the handshake of RFC 6455 §4.
async fn upgraded(shared: &Shared, connector: &Connector) -> io::Result<Box<dyn Stream>> {
    let (mut stream, _) = connector.connect().await?;
    let request = format!(
        "GET /socket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        shared.load.host
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"HTTP/1.1 101") {
        Ok(stream)
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&head[..head.len().min(40)]).into_owned(),
        ))
    }
}

/// A text frame as a client sends it, masked with zeros; the origin returns bytes as they are.
fn message(bytes: u64) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(bytes) {
        Ok(short @ 0..126) => frame.push(0x80 | short as u8),
        Ok(medium) => {
            frame.push(0x80 | 0x7e);
            frame.extend(medium.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 0x7f);
            frame.extend(bytes.to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.resize(frame.len() + bytes as usize, b'x');
    frame
}

fn request(load: &Load, path: &str) -> Vec<u8> {
    let (method, more, body) = match load.kind {
        Kind::Post(bytes) => ("POST", format!("Content-Length: {bytes}\r\n"), bytes),
        Kind::Once { .. } => ("GET", "Connection: close\r\n".to_owned(), 0),
        _ => ("GET", String::new(), 0),
    };
    // A path may name a host before its first slash.
    let (host, path) = match path.find('/') {
        Some(slash) if slash > 0 => path.split_at(slash),
        _ => (load.host.as_str(), path),
    };
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: bench\r\nAccept: */*\r\n{more}{}\r\n",
        load.headers
    )
    .into_bytes();
    request.resize(request.len() + body as usize, b'x');
    request
}

/// Longer than any answer may take: under valgrind they take long.
const LIMIT: Duration = Duration::from_secs(60);
