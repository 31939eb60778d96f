//! Who uses the proxy during the churn: connections with requests, WebSockets, new TLS connections, and one that watches
//! for changes. One thread each; what they find is counted in one place.

use crate::client::Client;
use crate::origin::BODY;
use crate::peer::HOST;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// Where to connect.
pub struct Target {
    /// Plain.
    pub plain: SocketAddr,
    /// With TLS.
    pub encrypted: SocketAddr,
    /// How.
    pub tls: Arc<ClientConfig>,
}

impl Target {
    fn connect(&self, tls: bool) -> io::Result<Client> {
        if tls {
            Client::connect(self.encrypted, HOST, Some(&self.tls))
        } else {
            Client::connect(self.plain, HOST, None)
        }
    }
}

/// What all threads count.
pub struct Shared {
    left: AtomicU64,
    ended: AtomicBool,
    /// Requests answered as they should be.
    pub answered: AtomicU64,
    /// All others.
    pub failed: AtomicU64,
    /// New TLS connections, each with a request.
    pub handshakes: AtomicU64,
    /// Those that failed.
    pub handshakes_failed: AtomicU64,
    /// Messages that came back over WebSockets.
    pub echoed: AtomicU64,
    /// WebSockets that ended early.
    pub dropped: AtomicU64,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    reasons: Vec<String>,
    certificates: Vec<CertificateDer<'static>>,
    /// Edits of the route that nobody has seen yet.
    written: VecDeque<(u64, Instant)>,
    live: Vec<Duration>,
}

impl Shared {
    /// For so many requests.
    pub fn new(requests: u64) -> Self {
        Self {
            left: AtomicU64::new(requests),
            ended: AtomicBool::new(false),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            handshakes: AtomicU64::new(0),
            handshakes_failed: AtomicU64::new(0),
            echoed: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            found: Mutex::default(),
        }
    }

    /// Whether everybody shall stop.
    pub fn ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    /// Lets everybody stop.
    pub fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Notes that edit `number` of the route is about to be written.
    pub fn written(&self, number: u64) {
        self.found().written.push_back((number, Instant::now()));
    }

    /// Failures of every kind.
    pub fn lost(&self) -> u64 {
        [&self.failed, &self.handshakes_failed, &self.dropped]
            .map(|counter| counter.load(Ordering::Relaxed))
            .iter()
            .sum()
    }

    /// The first failures in words.
    pub fn reasons(&self) -> Vec<String> {
        self.found().reasons.clone()
    }

    /// How many certificates new connections were shown.
    pub fn certificates_seen(&self) -> usize {
        self.found().certificates.len()
    }

    /// From write to live, sorted.
    pub fn live_times(&self) -> Vec<Duration> {
        let mut times = self.found().live.clone();
        times.sort_unstable();
        times
    }

    fn failure(&self, counter: &AtomicU64, what: &str) {
        counter.fetch_add(1, Ordering::Relaxed);
        let mut found = self.found();
        if found.reasons.len() < 5 {
            found.reasons.push(what.to_owned());
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one request out of the budget.
    fn more(&self) -> bool {
        !self.ended()
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok()
    }
}

/// One connection of the load. It stays open unless an answer says otherwise or something fails.
pub fn requests(shared: &Shared, target: &Target, tls: bool) {
    let mut open = None;
    while shared.more() {
        match right_answer(&mut open, || target.connect(tls)) {
            Ok(()) => {
                shared.answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => {
                open = None;
                let kind = if tls { "TLS" } else { "plain" };
                shared.failure(&shared.failed, &format!("{kind}: {error}"));
            }
        }
    }
}

fn right_answer(open: &mut Option<Client>, connect: impl Fn() -> io::Result<Client>) -> io::Result<()> {
    if open.is_none() {
        *open = Some(connect()?);
    }
    let Some(client) = open else { return Ok(()) };
    let answer = client.get(HOST, "/bench")?;
    if answer.status != 200 || answer.body != BODY {
        return Err(io::Error::other(format!(
            "status {} with {} bytes",
            answer.status, answer.body
        )));
    }
    if answer.closes() {
        *open = None;
    }
    Ok(())
}

/// An upgraded connection that sends a message every 50 ms and wants it back.
pub fn websocket(shared: &Shared, target: &Target, tls: bool) {
    let talk = || -> io::Result<()> {
        let mut client = target.connect(tls)?;
        client.upgrade(HOST, "/socket")?;
        while !shared.ended() {
            client.echo()?;
            shared.echoed.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    };
    if let Err(error) = talk() {
        shared.failure(&shared.dropped, &format!("WebSocket: {error}"));
    }
}

/// New TLS connections, one after the other, each with a request: whichever certificate is in use is one of ours.
pub fn handshakes(shared: &Shared, target: &Target) {
    while !shared.ended() {
        let mut open = None;
        let outcome = right_answer(&mut open, || {
            let client = target.connect(true)?;
            if let Some(certificate) = client.certificate() {
                let seen = &mut shared.found().certificates;
                if !seen.contains(&certificate) {
                    seen.push(certificate);
                }
            }
            Ok(client)
        });
        match outcome {
            Ok(()) => {
                shared.handshakes.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => shared.failure(&shared.handshakes_failed, &format!("new TLS connection: {error}")),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks every millisecond which edit of the route is live.
pub fn watch(shared: &Shared, target: &Target) {
    let mut open = None;
    while !shared.ended() {
        let mut ask = || -> io::Result<Option<u64>> {
            let client = match &mut open {
                Some(client) => client,
                none => none.insert(target.connect(false)?),
            };
            let head = client.get(HOST, "/bench")?.head;
            let number = head
                .split_once("\r\nx-edit: ")
                .and_then(|(_, rest)| rest.split("\r\n").next());
            Ok(number.and_then(|number| number.parse().ok()))
        };
        match ask() {
            Ok(Some(number)) => shared.seen(number),
            Ok(None) => shared.failure(&shared.failed, "an answer of no edit of the route"),
            Err(error) => {
                open = None;
                shared.failure(&shared.failed, &format!("watching: {error}"));
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

impl Shared {
    fn seen(&self, number: u64) {
        let mut found = self.found();
        while let Some((written, at)) = found.written.front().copied()
            && written <= number
        {
            found.written.pop_front();
            found.live.push(at.elapsed());
        }
    }
}
