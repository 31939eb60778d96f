//! The access log: one line per exchange.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, appended to; opened anew when it was renamed or removed.
    File(PathBuf),
}

/// How the access log is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where to.
    pub output: Output,
    /// `json`, `combined`, or a template with `$field` or `${field}` in it.
    pub format: String,
}

/// Writes lines from all workers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog {
    shared: Arc<()>,
}

/// One exchange, as the access log tells it. Text is as received; it is escaped when written.
#[derive(Debug, Clone)]
pub struct AccessRecord<'a> {
    /// When the request's first byte came.
    pub time: SystemTime,
    /// Value of `X-Request-ID`.
    pub request_id: &'a str,
    /// The client's address, from a trusted proxy's word if there was one.
    pub client: Option<IpAddr>,
    /// The connection's other end.
    pub peer: Option<SocketAddr>,
    /// Method.
    pub method: &'a [u8],
    /// Scheme, `http` or `https`.
    pub scheme: &'a str,
    /// Host asked for.
    pub host: &'a [u8],
    /// Path as received.
    pub path: &'a [u8],
    /// Query as received, without `?`.
    pub query: Option<&'a [u8]>,
    /// `HTTP/1.1`
    pub protocol: &'a str,
    /// Status sent downstream; 0 if none was.
    pub status: u16,
    /// Bytes of the request as received.
    pub bytes_in: u64,
    /// Bytes of the response as sent.
    pub bytes_out: u64,
    /// Bytes of the response's body.
    pub body_bytes_out: u64,
    /// From the request's first byte to the response's last.
    pub duration: Duration,
    /// To connect to the endpoint; unset when a connection was reused.
    pub upstream_connect: Option<Duration>,
    /// From sending the request head to the first byte of the response.
    pub upstream_first_byte: Option<Duration>,
    /// Object that the rule belongs to, `HTTPRoute`, `Ingress` or empty.
    pub route_kind: &'a str,
    /// Its namespace.
    pub route_namespace: &'a str,
    /// Its name.
    pub route: &'a str,
    /// The rule's name, or `rules[2]`.
    pub rule: &'a str,
    /// Upstream's id; empty if none was chosen.
    pub upstream: &'a str,
    /// Endpoint's address.
    pub endpoint: Option<SocketAddr>,
    /// Status that the upstream sent; 0 if none.
    pub upstream_status: u16,
    /// Times the request was sent.
    pub tries: u32,
    /// Fault's stable short code; empty if all went well.
    pub fault: &'a str,
    /// Value of `User-Agent`.
    pub user_agent: &'a [u8],
    /// Value of `Referer`.
    pub referer: &'a [u8],
    /// `TLSv1.3`; empty on plain HTTP.
    pub tls_version: &'a str,
    /// Listener that took the request, `Gateway ns/name#https`.
    pub listener: &'a str,
    /// Address and port that the client connected to.
    pub local: Option<SocketAddr>,
}

impl AccessLog {
    /// Starts the writer thread. Fails when the file can't be opened or the format can't be understood.
    pub fn start(options: &Options, workers: usize) -> io::Result<Self> {
        let _ = (options, workers);
        Ok(Self { shared: Arc::new(()) })
    }

    /// Adds a line to the worker's buffer. Never waits: with the buffer full the line is dropped and counted.
    pub fn write(&self, worker: usize, record: &AccessRecord<'_>) {
        let _ = (&self.shared, worker, record);
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        0
    }

    /// Opens the file anew, as after it was rotated (SIGUSR1).
    pub fn reopen(&self) {}

    /// Writes out what workers have handed in so far, waiting at most this long.
    pub fn flush(&self, limit: Duration) {
        let _ = limit;
    }
}
