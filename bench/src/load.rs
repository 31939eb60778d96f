//! The load: what is sent, and the process that sends it from CPU 1 in windows, over connections that stay open between them.

mod answer;
pub mod closed;
mod connection;
mod datagram;
mod http3;
mod open;
mod streams;

use crate::bench::Bench;
use crate::process::{Process, Start, here};
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ChildStdin, ChildStdout};
use std::time::Duration;

/// What is sent to whom.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// Proxy under test.
    pub target: SocketAddr,
    /// `Host` of every request.
    pub host: String,
    /// Paths, in turn; one that does not begin with a slash begins with a host of its own.
    pub paths: Vec<String>,
    /// More header lines of every request, each with its line end.
    pub headers: String,
    /// What one exchange is.
    pub kind: Kind,
    /// Connections, each with one exchange under way.
    pub connections: usize,
    /// With TLS 1.3, and this certificate as the only root.
    pub tls: Option<PathBuf>,
}

/// What one exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// A GET on a connection that stays, answered with so many bytes.
    Get(u64),
    /// A connection with one GET, answered with so many bytes; over TLS with a full handshake or, if `resume`, a resumed one.
    Once {
        /// Bytes of the answer's body.
        bytes: u64,
        /// Whether TLS sessions are resumed.
        resume: bool,
    },
    /// A POST of so many bytes on a connection that stays, answered with [`crate::origin::BODY`].
    Post(u64),
    /// A WebSocket message of so many bytes that comes back, on a connection that was upgraded.
    Echo(u64),
    /// A datagram of so many bytes that comes back.
    Datagram(u64),
    /// A GET over HTTP/2, answered with so many bytes; so many at once on each connection.
    Streams {
        /// Bytes of the answer's body.
        bytes: u64,
        /// Streams under way on each connection.
        each: usize,
    },
    /// The same over HTTP/3.
    Http3 {
        /// Bytes of the answer's body.
        bytes: u64,
        /// Streams under way on each connection.
        each: usize,
    },
    /// A unary call of gRPC over HTTP/2, answered with so many bytes; so many at once on each connection.
    Calls {
        /// Bytes of the answer's message, with what stands in front of it.
        bytes: u64,
        /// Calls under way on each connection.
        each: usize,
    },
    /// GETs at so many per second whether or not earlier ones are answered; latency counts from when each was due.
    Paced(f64),
}

/// When a window ends.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Until {
    /// After so many exchanges in all.
    Requests(u64),
    /// After this long.
    Elapsed(Duration),
}

/// What came back.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Right answers.
    pub answered: u64,
    /// How many failures there were.
    pub failed: u64,
    /// Failures in words, at most a handful kept: wrong answers, broken connections.
    pub failures: Vec<String>,
    /// Connections whose TLS session was resumed.
    pub resumed: u64,
    /// Length of the window.
    pub elapsed: Duration,
    /// Time from request to answer: quantiles of [`QUANTILES`].
    pub latencies: [Duration; QUANTILES.len()],
}

/// Which latencies an outcome keeps.
pub const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

impl Load {
    /// Small keep-alive GETs of the path that the origin answers with [`crate::origin::BODY`] bytes.
    pub fn plain(target: SocketAddr) -> Self {
        Self {
            target,
            host: crate::peer::HOST.into(),
            paths: vec!["/bench".into()],
            headers: String::new(),
            kind: Kind::Get(crate::origin::BODY as u64),
            connections: 64,
            tls: None,
        }
    }
}

impl Outcome {
    /// Fills in the latencies, in microseconds and in any order.
    fn set_latencies(&mut self, mut micros: Vec<u32>) {
        micros.sort_unstable();
        for (latency, quantile) in self.latencies.iter_mut().zip(QUANTILES) {
            let index = ((micros.len() as f64 - 1.0) * quantile).round().max(0.0) as usize;
            *latency = Duration::from_micros(micros.get(index).copied().unwrap_or(0).into());
        }
    }

    fn fail(&mut self, what: impl std::fmt::Display) {
        self.failed += 1;
        if self.failures.len() < 5 {
            self.failures.push(what.to_string());
        }
    }
}

/// A load as a process of its own, pinned to CPU 1.
pub struct Client {
    process: Process,
    log: PathBuf,
    orders: ChildStdin,
    outcomes: BufReader<ChildStdout>,
}

impl Client {
    /// Starts it on CPU 1; it waits for windows.
    pub fn start(bench: &Bench, load: &Load) -> Result<Self, String> {
        Self::start_on("1", bench, load)
    }

    /// Starts it on another CPU.
    pub fn start_on(cpu: &str, bench: &Bench, load: &Load) -> Result<Self, String> {
        // One of each proxy, so that loads side by side don't write over each other's last words.
        let log = format!("load.{}.log", load.target.port());
        let log = bench.scratch.path().join(log);
        let load = serde_json::to_string(load).map_err(|error| error.to_string())?;
        let command = [here()?, "load".into(), load];
        let start = Start {
            cpus: Some(cpu),
            piped: true,
            ..Start::default()
        };
        let mut process = Process::start(&start, &command, &log)?;
        let (orders, outcomes) = process.pipes().ok_or("the load has no pipes")?;
        Ok(Self {
            process,
            log,
            orders,
            outcomes: BufReader::new(outcomes),
        })
    }

    /// CPU time that the load itself took so far, in seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.process.cpu_time().total
    }

    /// Sends until then; one wrong answer is an error.
    pub fn window(&mut self, until: Until) -> Result<Outcome, String> {
        let order = serde_json::to_string(&until).map_err(|error| error.to_string())?;
        let mut line = String::new();
        writeln!(self.orders, "{order}").map_err(|error| self.ended(&error))?;
        let read = self.outcomes.read_line(&mut line);
        read.map_err(|error| self.ended(&error))?;
        let outcome: Outcome = serde_json::from_str(&line).map_err(|error| self.ended(&error))?;
        if outcome.failed > 0 {
            return Err(format!(
                "void: {} of {} exchanges failed: {}",
                outcome.failed,
                outcome.failed + outcome.answered,
                outcome.failures.join("; ")
            ));
        }
        if outcome.answered == 0 {
            return Err("void: nothing was answered".into());
        }
        Ok(outcome)
    }

    /// That it ended, with its last words where it had any.
    fn ended(&self, error: &dyn std::fmt::Display) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        match log.lines().rfind(|line| !line.trim().is_empty()) {
            Some(last) => format!("the load ended: {last}"),
            None => format!("the load, process {}, ended: {error}", self.process.id()),
        }
    }
}

/// `load JSON`: the process. One line of standard input orders a window, one line of standard output tells its outcome.
pub fn run(words: &[String]) -> Result<(), String> {
    let words = words.first().ok_or("usage: load JSON")?;
    let load: Load = serde_json::from_str(words).map_err(|error| error.to_string())?;
    let mut streams = match load.kind {
        Kind::Streams { bytes, each } | Kind::Calls { bytes, each } => {
            Some(streams::Streams::new(&load, bytes, each)?)
        }
        _ => None,
    };
    let mut http3 = match load.kind {
        Kind::Http3 { bytes, each } => Some(http3::Http3::new(&load, bytes, each)?),
        _ => None,
    };
    let mut closed = closed::Loop::new(load.clone())?;
    for line in std::io::stdin().lines() {
        let line = line.map_err(|error| error.to_string())?;
        let until: Until = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let outcome = match load.kind {
            Kind::Paced(rate) => open::run(&load, rate, until),
            _ => match (&mut streams, &mut http3) {
                (Some(streams), _) => streams.window(until)?,
                (None, Some(http3)) => http3.window(until)?,
                (None, None) => closed.window(until)?,
            },
        };
        let outcome = serde_json::to_string(&outcome).map_err(|error| error.to_string())?;
        println!("{outcome}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_latencies() {
        let mut outcome = Outcome::default();
        outcome.set_latencies((0..=1000).rev().collect());
        let micros = outcome.latencies.map(|latency| latency.as_micros());
        assert_eq!(micros, [500, 900, 990, 999]);
    }

    #[test]
    fn a_window_without_answers_has_no_latency() {
        let mut outcome = Outcome::default();
        outcome.set_latencies(Vec::new());
        assert_eq!(outcome.latencies, [Duration::ZERO; 4]);
    }
}
