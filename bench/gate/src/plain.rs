//! The plain path: a small keep-alive GET through a real data plane over real sockets.
//!
//! The data plane is a process of its own under callgrind; client and origin are one thread here that takes strict
//! turns with it over one connection, and waits before each turn until the worker sleeps. So every request costs the
//! same wake-ups however fast the machine is. A long run minus a short one: start and end cancel out.

use crate::count::{callgrind, total, wait};
use crate::objects;
use ir::{Bind, BindAddress, Snapshot};
use proxy::{DataPlane, Options};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::Telemetry;
use translate::{Settings, Translator};

const SHORT: u32 = 500;
const LONG: u32 = 3_500;
const WAIT: Duration = Duration::from_secs(5);

/// Instructions per request.
pub fn count(out: &Path) -> Result<f64, String> {
    let short = run(SHORT, Duration::ZERO, out)?;
    let waited = run(SHORT, WAIT, out)?;
    let long = run(LONG, Duration::ZERO, out)?;
    // A worker's timer ticks four times a second, which is more ticks on a slow machine: they are taken off.
    let tick = (waited.instructions - short.instructions).max(0.0) / (waited.seconds - short.seconds);
    let ticks = tick * (long.seconds - short.seconds);
    Ok((long.instructions - short.instructions - ticks) / f64::from(LONG - SHORT))
}

struct Run {
    instructions: f64,
    /// How long the data plane was up.
    seconds: f64,
}

fn run(requests: u32, wait_for: Duration, out: &Path) -> Result<Run, String> {
    let io = |error: std::io::Error| format!("plain: {error}");
    let origin = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(io)?;
    let origin_address = origin.local_addr().map_err(io)?.to_string();
    let mut child = Running(
        callgrind(out, &[], &["plain", &origin_address])?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("valgrind: {error}"))?,
    );
    let output = child.0.stdout.take().ok_or("no standard output")?;
    let mut address = String::new();
    BufReader::new(output).read_line(&mut address).map_err(io)?;
    let address: SocketAddr = address
        .trim()
        .parse()
        .map_err(|_| format!("plain: the data plane did not start: {address:?}"))?;
    let worker = worker(child.0.id()).ok_or("plain: no thread worker-0")?;
    let start = Instant::now();
    exchanges(requests, address, &origin, &worker).map_err(io)?;
    std::thread::sleep(wait_for);
    let seconds = start.elapsed().as_secs_f64();
    // The end of its standard input ends it.
    drop(child.0.stdin.take());
    wait(&mut child.0)?;
    Ok(Run {
        instructions: total(out)?,
        seconds,
    })
}

/// Ends the process on every way out.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn exchanges(requests: u32, address: SocketAddr, origin: &TcpListener, worker: &Path) -> std::io::Result<()> {
    let mut client = connected(TcpStream::connect(address)?)?;
    let mut upstream = None;
    let (mut request, mut response) = (Vec::new(), Vec::new());
    let answer = format!("{ANSWER}{}", "x".repeat(BODY));
    for _ in 0..requests {
        asleep(worker);
        client.write_all(REQUEST)?;
        let upstream = match &mut upstream {
            Some(upstream) => upstream,
            none => none.insert(connected(origin.accept()?.0)?),
        };
        read(upstream, &mut request, 0)?;
        asleep(worker);
        upstream.write_all(answer.as_bytes())?;
        read(&mut client, &mut response, BODY)?;
        if !response.starts_with(b"HTTP/1.1 200 OK\r\n")
            || !response.ends_with(&answer.as_bytes()[ANSWER.len()..])
        {
            return Err(std::io::Error::other("a wrong answer"));
        }
    }
    // What every installation has is part of what is counted.
    let request = String::from_utf8_lossy(&request).to_ascii_lowercase();
    for field in ["x-request-id: ", "x-forwarded-for: 127.0.0.1"] {
        if !request.contains(field) {
            return Err(std::io::Error::other(format!("the origin got no {field:?}")));
        }
    }
    Ok(())
}

fn connected(stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    Ok(stream)
}

/// Reads a head and `body` bytes behind it.
fn read(stream: &mut TcpStream, text: &mut Vec<u8>, body: usize) -> std::io::Result<()> {
    text.clear();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Err(std::io::Error::other("closed in the middle of a message"));
        }
        text.extend_from_slice(&buffer[..read]);
        let head = text.windows(4).position(|window| window == b"\r\n\r\n");
        if head.is_some_and(|head| text.len() >= head + 4 + body) {
            return Ok(());
        }
    }
}

/// The folder in /proc of the data plane's only worker.
fn worker(process: u32) -> Option<PathBuf> {
    std::fs::read_dir(format!("/proc/{process}/task"))
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|thread| {
            std::fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim() == "worker-0")
        })
}

/// Waits until a thread sleeps, for a second at most: then the count is as good as it gets.
fn asleep(thread: &Path) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(1) {
        let stat = std::fs::read_to_string(thread.join("stat")).unwrap_or_default();
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S')) {
            return;
        }
    }
}

/// `work plain ORIGIN`: the data plane, until standard input ends.
pub fn work(origin: &str) -> Result<(), String> {
    let origin: SocketAddr = origin.parse().map_err(|error| format!("{origin}: {error}"))?;
    let objects = objects::one(origin)?;
    let snapshot = Translator::new(Settings::default())
        .translate(&objects, objects::NOW)
        .snapshot;
    let binds = snapshot.binds.iter().map(|bind| {
        Arc::new(Bind {
            address: BindAddress {
                ip: Some(Ipv4Addr::LOCALHOST.into()),
                port: 0,
            },
            public_port: None,
            ..Bind::clone(bind)
        })
    });
    let snapshot = Snapshot {
        binds: binds.collect(),
        ..Snapshot::clone(&snapshot)
    };
    let options = Options {
        workers: 1,
        telemetry: Telemetry::new(1),
        access_log: None,
        drain_timeout: Duration::from_secs(1),
    };
    let data_plane = DataPlane::start(options).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|error| error.to_string())?;
    let applied = runtime.block_on(data_plane.publish(&snapshot, 1));
    if let Some(failure) = applied.failed.first() {
        return Err(failure.to_string());
    }
    let (_, address) = data_plane.local_addresses().pop().ok_or("nothing to listen on")?;
    println!("{address}");
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .map_err(|error| error.to_string())?;
    Ok(())
}

const REQUEST: &[u8] =
    b"GET /bench HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const BODY: usize = 128;
const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n";
