//! A closed loop of keep-alive connections that checks status and length of every answer.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What to send, and how much of it.
#[derive(Clone)]
pub struct Load {
    /// Proxy under test.
    pub target: SocketAddr,
    /// `Host` and path of every request.
    pub host: &'static str,
    /// Path of every request.
    pub path: &'static str,
    /// Connections, each with one request in flight.
    pub connections: usize,
    /// When to stop.
    pub until: Until,
}

/// When a load ends.
#[derive(Clone, Copy)]
pub enum Until {
    /// After so many answers in all.
    Requests(u64),
    /// After this long.
    Elapsed(Duration),
}

/// What came back.
#[derive(Default)]
pub struct Outcome {
    /// Right answers.
    pub answered: u64,
    /// Wrong answers and broken connections, in words, at most a handful kept.
    pub failures: Vec<String>,
    /// How many failures there were.
    pub failed: u64,
    /// Time from request to answer, microseconds, sorted.
    pub latencies: Vec<u32>,
}

impl Outcome {
    /// A quantile of the latencies.
    pub fn latency(&self, quantile: f64) -> Duration {
        let index = ((self.latencies.len() as f64 - 1.0) * quantile).max(0.0) as usize;
        Duration::from_micros(self.latencies.get(index).copied().unwrap_or(0).into())
    }
}

/// Runs the load to its end on the current thread.
pub async fn run(load: Load) -> Outcome {
    let state = Rc::new(State {
        load,
        start: Instant::now(),
        sent: Cell::new(0),
        outcome: RefCell::default(),
    });
    let local = tokio::task::LocalSet::new();
    let tasks: Vec<_> = (0..state.load.connections)
        .map(|_| local.spawn_local(connection(Rc::clone(&state))))
        .collect();
    local
        .run_until(async {
            for task in tasks {
                if let Err(error) = task.await {
                    state.failure(&format!("a connection's task ended: {error}"));
                }
            }
        })
        .await;
    let mut outcome = state.outcome.take();
    outcome.latencies.sort_unstable();
    outcome
}

struct State {
    load: Load,
    start: Instant,
    sent: Cell<u64>,
    outcome: RefCell<Outcome>,
}

impl State {
    /// Takes one request out of the budget.
    fn more(&self) -> bool {
        self.sent.set(self.sent.get() + 1);
        match self.load.until {
            Until::Requests(count) => self.sent.get() <= count,
            Until::Elapsed(length) => self.start.elapsed() < length,
        }
    }

    fn failure(&self, what: &str) {
        let mut outcome = self.outcome.borrow_mut();
        outcome.failed += 1;
        if outcome.failures.len() < 5 {
            outcome.failures.push(what.to_owned());
        }
    }
}

async fn connection(state: Rc<State>) {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n",
        state.load.path, state.load.host
    );
    let mut buffer = vec![0; 16 * 1024];
    let mut stream = None;
    while state.more() {
        let start = Instant::now();
        match exchange(&mut stream, state.load.target, request.as_bytes(), &mut buffer).await {
            Ok(()) => {
                let mut outcome = state.outcome.borrow_mut();
                outcome.answered += 1;
                outcome
                    .latencies
                    .push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                stream = None;
                state.failure(&error.to_string());
            }
        }
    }
}

async fn exchange(
    stream: &mut Option<TcpStream>,
    target: SocketAddr,
    request: &[u8],
    buffer: &mut [u8],
) -> io::Result<()> {
    let stream = match stream {
        Some(stream) => stream,
        None => {
            let fresh = TcpStream::connect(target).await?;
            fresh.set_nodelay(true)?;
            stream.insert(fresh)
        }
    };
    stream.write_all(request).await?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::Error::other("closed without a whole answer"));
        }
        filled += read;
        if let Some(head) = buffer[..filled]
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
        {
            if !buffer.starts_with(b"HTTP/1.1 200") {
                return Err(io::Error::other(
                    String::from_utf8_lossy(&buffer[..head.min(40)]).into_owned(),
                ));
            }
            if filled - head - 4 >= crate::origin::BODY {
                return if filled - head - 4 == crate::origin::BODY {
                    Ok(())
                } else {
                    Err(io::Error::other("a longer body than the origin's"))
                };
            }
        }
    }
}
