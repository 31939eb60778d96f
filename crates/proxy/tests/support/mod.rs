//! A real data plane on loopback, and origins and clients that are scripted byte by byte.
//! What it is fed with is in `snapshots.rs`.

#![allow(dead_code, reason = "each test file uses a part of it")]

mod snapshots;
pub mod tls;

pub use snapshots::*;

use ir::Snapshot;
use narthex_proxy::{Applied, DataPlane, Options};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use telemetry::Telemetry;

/// Long enough for a loaded machine; reached only when something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A data plane under test.
pub struct Plane {
    pub inner: DataPlane,
    pub telemetry: Arc<Telemetry>,
    generation: std::cell::Cell<u64>,
}

impl Plane {
    pub fn start(workers: usize) -> Self {
        Self::start_with(workers, Duration::from_secs(10))
    }

    pub fn start_with(workers: usize, drain_timeout: Duration) -> Self {
        let telemetry = Telemetry::new(workers);
        let options = Options {
            workers,
            telemetry: Arc::clone(&telemetry),
            access_log: None,
            drain_timeout,
        };
        let inner = DataPlane::start(options).expect("a data plane starts");
        Self {
            inner,
            telemetry,
            generation: std::cell::Cell::new(0),
        }
    }

    /// Publishes and waits until every worker serves by it.
    pub fn publish(&self, snapshot: &Snapshot) -> Applied {
        self.generation.set(self.generation.get() + 1);
        let applied = wait(self.inner.publish(snapshot, self.generation.get()));
        assert!(applied.stragglers.is_empty(), "{applied:?}");
        applied
    }

    /// Publishes what must work altogether, and tells where the first bind listens.
    pub fn serve(&self, snapshot: &Snapshot) -> SocketAddr {
        let applied = self.publish(snapshot);
        assert!(
            applied.failed.is_empty() && applied.broken.is_empty(),
            "{applied:?}"
        );
        let bind = snapshot.binds[0].address;
        let local = self
            .inner
            .local_addresses()
            .into_iter()
            .find(|(address, _)| *address == bind);
        local.expect("the bind is listened on").1
    }
}

/// Runs a future that needs nothing but time.
pub fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        narthex_proxy::time::timeout(PATIENCE, future)
            .await
            .expect("in time")
    })
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::yield_now();
    }
}

/// A server whose connections are each served by `script` in a thread of their own. Ends with the test's process.
pub struct Server {
    pub address: SocketAddr,
    pub accepted: Arc<AtomicUsize>,
}

impl Server {
    pub fn start(script: impl Fn(Peer) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicUsize::new(0));
        let (script, count) = (Arc::new(script), Arc::clone(&accepted));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                count.fetch_add(1, Ordering::SeqCst);
                let script = Arc::clone(&script);
                std::thread::spawn(move || script(Peer::new(stream)));
            }
        });
        Self { address, accepted }
    }

    /// Answers every request with its own name.
    pub fn named(name: &'static str) -> Self {
        Self::start(move |mut peer| {
            while peer.head().is_some() {
                peer.send(&answer(name));
            }
        })
    }

    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

/// A response with this body.
pub fn answer(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The other end of a plain connection, either side.
pub struct Peer {
    pub stream: BufReader<TcpStream>,
}

impl Peer {
    pub fn connect(address: SocketAddr) -> Self {
        Self::new(TcpStream::connect_timeout(&address, PATIENCE).expect("connected"))
    }

    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: BufReader::new(stream),
        }
    }

    pub fn send(&mut self, text: &str) {
        self.try_send(text).expect("sent");
    }

    pub fn try_send(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.get_mut().write_all(text.as_bytes())
    }

    /// Start line and fields up to the empty line; none at the end of the stream.
    pub fn head(&mut self) -> Option<String> {
        let mut head = String::new();
        loop {
            match self.stream.read_line(&mut head) {
                Ok(0) | Err(_) => return None,
                Ok(_) if head.ends_with("\r\n\r\n") => return Some(head),
                Ok(_) => {}
            }
        }
    }

    pub fn read_exactly(&mut self, count: usize) -> String {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("so many bytes");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Head and body of a response with Content-Length.
    pub fn response(&mut self) -> Option<(String, String)> {
        let head = self.head()?;
        let length = field(&head, "content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let body = self.read_exactly(length);
        Some((head, body))
    }

    /// A request for a host, and its response.
    pub fn get(&mut self, host: &str) -> Option<(String, String)> {
        self.try_send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .ok()?;
        self.response()
    }

    /// Whether the other side closed (or reset) without another byte.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.read(&mut [0]) {
            Ok(count) => count == 0,
            // Not closed, only silent for as long as a test may wait.
            Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        }
    }
}

/// Value of a field in a head.
pub fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Status of a response head.
pub fn status(head: &str) -> &str {
    head.split(' ').nth(1).unwrap_or_default()
}

/// A server that reads request heads and answers each when the test says so.
pub struct Held {
    pub server: Server,
    arrived: std::sync::mpsc::Receiver<String>,
    release: std::sync::mpsc::Sender<String>,
}

impl Held {
    pub fn start() -> Self {
        let (arrive, arrived) = std::sync::mpsc::channel();
        let (release, released) = std::sync::mpsc::channel::<String>();
        let (arrive, released) = (std::sync::Mutex::new(arrive), std::sync::Mutex::new(released));
        let server = Server::start(move |mut peer| {
            while let Some(head) = peer.head() {
                arrive
                    .lock()
                    .expect("whole")
                    .send(head)
                    .expect("the test listens");
                // The test is over when nothing comes any more.
                let Ok(bytes) = released.lock().expect("whole").recv() else {
                    return;
                };
                if peer.try_send(&bytes).is_err() {
                    return;
                }
            }
        });
        Self {
            server,
            arrived,
            release,
        }
    }

    /// Waits for a request and returns its head.
    pub fn request(&self) -> String {
        self.arrived.recv_timeout(PATIENCE).expect("a request")
    }

    /// Sends bytes to whoever waits.
    pub fn answer(&self, bytes: &str) {
        self.release.send(bytes.into()).expect("the server lives");
    }
}

/// A server that upgrades every connection and then sends back what it gets.
pub fn echo_after_upgrade() -> Server {
    Server::start(|mut peer| {
        if peer.head().is_none() {
            return;
        }
        peer.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let mut bytes = [0; 64];
        // Idle for as long as the test likes.
        peer.stream.get_mut().set_read_timeout(None).expect("no time-out");
        while let Ok(count @ 1..) = peer.stream.read(&mut bytes) {
            if peer.stream.get_mut().write_all(&bytes[..count]).is_err() {
                return;
            }
        }
    })
}

/// Opens an upgraded connection through the gateway.
pub fn upgrade(address: SocketAddr, host: &str) -> Peer {
    let mut client = Peer::connect(address);
    client.send(&format!(
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n"
    ));
    assert_eq!(status(&client.head().expect("a response")), "101");
    client
}

/// Sends text over an upgraded connection and expects it back.
pub fn echoes(client: &mut Peer, text: &str) {
    client.send(text);
    assert_eq!(client.read_exactly(text.len()), text);
}
