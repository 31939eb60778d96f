//! The access log: one line per exchange.

mod escape;
mod fields;
mod format;
mod writer;

pub use fields::{FIELDS, Field};
pub use format::{Format, Template};
pub(crate) use writer::Lines;

use crate::Telemetry;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use writer::Shared;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// A file, appended to; opened anew when it was renamed or removed.
    File(PathBuf),
}

/// Writes lines from all workers. Cheap to clone; the writer thread ends with the last clone, after writing out
/// what it has.
#[derive(Clone)]
pub struct AccessLog {
    owner: Arc<Owner>,
}

struct Owner {
    format: Format,
    shared: Arc<Shared>,
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
    /// Starts the writer thread, with a buffer per worker of `telemetry`, which counts the lines too. Fails when the
    /// file can't be opened.
    pub fn start(output: Output, format: Format, telemetry: &Telemetry) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(
            telemetry.workers(),
            Arc::clone(&telemetry.access_log),
        ));
        writer::start(&shared, output)?;
        Ok(Self {
            owner: Arc::new(Owner { format, shared }),
        })
    }

    /// Adds a line to the worker's buffer. Never waits: with the buffer full the line is dropped and counted.
    pub fn write(&self, worker: usize, record: &AccessRecord<'_>) {
        self.owner
            .shared
            .add(worker, |buffer| self.owner.format.write(buffer, record));
    }

    /// Lines that were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.owner.shared.lines().dropped()
    }

    /// Opens the file anew, as after it was rotated (SIGUSR1).
    pub fn reopen(&self) {
        self.owner.shared.reopen();
    }

    /// Writes out what workers have handed in so far, waiting at most this long. Tells whether all was written.
    pub fn flush(&self, limit: Duration) -> bool {
        self.owner.shared.flush(limit)
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("format", &self.owner.format)
            .finish_non_exhaustive()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Instant;

    /// A plain exchange.
    pub(super) fn record() -> AccessRecord<'static> {
        AccessRecord {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_255_200_125),
            request_id: "r1",
            client: Some([192, 0, 2, 1].into()),
            peer: Some(([192, 0, 2, 1], 4711).into()),
            method: b"GET",
            scheme: "http",
            host: b"a.example",
            path: b"/a",
            query: Some(b"b=c"),
            protocol: "HTTP/1.1",
            status: 200,
            bytes_in: 80,
            bytes_out: 120,
            body_bytes_out: 5,
            duration: Duration::from_micros(1500),
            upstream_connect: None,
            upstream_first_byte: Some(Duration::from_micros(900)),
            route_kind: "HTTPRoute",
            route_namespace: "shop",
            route: "cart",
            rule: "rules[0]",
            upstream: "shop/cart:80",
            endpoint: Some(([10, 0, 0, 1], 8080).into()),
            upstream_status: 200,
            tries: 1,
            fault: "",
            user_agent: b"curl/8",
            referer: b"",
            tls_version: "",
            listener: "Gateway shop/front#http",
            local: Some(([127, 0, 0, 1], 80).into()),
        }
    }

    fn log_to(path: &std::path::Path, telemetry: &Telemetry) -> AccessLog {
        let format = Format::parse("$path").unwrap();
        AccessLog::start(Output::File(path.into()), format, telemetry).unwrap()
    }

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn lines_of_all_workers_are_written_out_on_flush() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let telemetry = Telemetry::new(4);
        let log = log_to(&path, &telemetry);
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let log = log.clone();
                scope.spawn(move || (0..1000).for_each(|_| log.write(worker, &record())));
            }
        });
        assert!(log.flush(LIMIT));
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().filter(|line| *line == "/a").count(), 4000);
        assert_eq!((log.dropped(), telemetry.access_log.written()), (0, 4000));
    }

    #[test]
    fn a_file_that_was_renamed_is_opened_anew() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let telemetry = Telemetry::new(1);
        let log = log_to(&path, &telemetry);
        log.write(0, &record());
        assert!(log.flush(LIMIT));
        fs::rename(&path, directory.path().join("access.log.1")).unwrap();
        log.reopen();
        log.write(0, &record());
        assert!(log.flush(LIMIT));
        assert_eq!(fs::read_to_string(&path).unwrap(), "/a\n");

        // Without being told it finds out by itself.
        fs::remove_file(&path).unwrap();
        let deadline = Instant::now() + LIMIT;
        while !path.exists() {
            assert!(Instant::now() < deadline, "the file did not come back");
            log.flush(LIMIT);
        }
    }

    #[test]
    fn an_output_that_does_not_keep_up_costs_lines_but_never_holds_up_a_worker() {
        let telemetry = Telemetry::new(1);
        // No writer thread at all is the slowest output there is.
        let shared = Shared::new(1, Arc::clone(&telemetry.access_log));
        let format = Format::Json;
        for _ in 0..5000 {
            shared.add(0, |buffer| format.write(buffer, &record()));
        }
        assert!(telemetry.access_log.dropped() > 3000);
    }

    #[test]
    fn an_output_that_fails_counts_its_lines_as_dropped() {
        let telemetry = Telemetry::new(1);
        let log = log_to(std::path::Path::new("/dev/full"), &telemetry);
        log.write(0, &record());
        assert!(log.flush(LIMIT));
        assert_eq!(log.dropped(), 1);
    }

    #[test]
    fn a_file_that_can_not_be_opened_is_an_error_at_start() {
        let telemetry = Telemetry::new(1);
        let output = Output::File("/nowhere/at/all.log".into());
        assert!(AccessLog::start(output, Format::Json, &telemetry).is_err());
    }
}
