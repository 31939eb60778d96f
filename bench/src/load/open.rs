//! The open loop: requests are due at times that no answer can delay, and latency counts from when each was due, so that a
//! proxy that stalls pays for every request that had to wait (no coordinated omission).
//!
//! Threads that block, not tasks: a timer of tokio's is a millisecond coarse, more than most answers take.

use super::{Load, Outcome, Until};
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Sends at `rate` per second until then.
pub fn run(load: &Load, rate: f64, until: Until) -> Outcome {
    // Least lateness of sleeps that Linux grants; it fails only where /proc is not there.
    let _ = std::fs::write("/proc/self/timerslack_ns", "1000");
    let due = schedule(rate, until);
    let next = AtomicUsize::new(0);
    // Until then every worker has opened its connection.
    let start = Instant::now() + Duration::from_millis(300);
    let all = Mutex::new((Outcome::default(), Vec::with_capacity(due.len())));
    std::thread::scope(|scope| {
        for _ in 0..load.connections {
            scope.spawn(|| {
                let (mut outcome, mut latencies) = (Outcome::default(), Vec::new());
                worker(load, &due, &next, start, &mut outcome, &mut latencies);
                if let Ok(mut all) = all.lock() {
                    all.0.answered += outcome.answered;
                    all.0.failed += outcome.failed;
                    all.0.failures.extend(outcome.failures);
                    all.1.extend(latencies);
                }
            });
        }
    });
    let (mut outcome, latencies) = all.into_inner().unwrap_or_default();
    outcome.elapsed = Instant::now().saturating_duration_since(start);
    outcome.set_latencies(latencies);
    outcome
}

/// When each request is due: intervals of a Poisson process, the same for every proxy.
fn schedule(rate: f64, until: Until) -> Vec<Duration> {
    let (most, end) = match until {
        Until::Requests(count) => (count as usize, f64::INFINITY),
        Until::Elapsed(length) => (usize::MAX, length.as_secs_f64()),
    };
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut at = 0.0;
    let mut due = Vec::new();
    while due.len() < most {
        // xorshift64; the upper 53 bits as a number in (0, 1].
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let uniform = ((seed >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        at -= uniform.ln() / rate;
        if at >= end {
            break;
        }
        due.push(Duration::from_secs_f64(at));
    }
    due
}

fn worker(
    load: &Load,
    due: &[Duration],
    next: &AtomicUsize,
    start: Instant,
    outcome: &mut Outcome,
    latencies: &mut Vec<u32>,
) {
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n",
        load.paths.first().map_or("/", String::as_str),
        load.host
    );
    let mut stream = None;
    if let Err(error) = exchange(load, &mut stream, request.as_bytes()) {
        outcome.fail(error);
        return;
    }
    loop {
        // A worker takes the next request, however late it is: nobody else would send it sooner.
        let Some(due) = due.get(next.fetch_add(1, Ordering::Relaxed)) else {
            return;
        };
        let due = start + *due;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        match exchange(load, &mut stream, request.as_bytes()) {
            Ok(()) => {
                outcome.answered += 1;
                latencies.push(u32::try_from(due.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
            Err(error) => {
                outcome.fail(error);
                stream = None;
                if outcome.failed > 3 {
                    return;
                }
            }
        }
    }
}

fn exchange(load: &Load, slot: &mut Option<TcpStream>, request: &[u8]) -> io::Result<()> {
    let stream = match slot {
        Some(stream) => stream,
        None => {
            let fresh = TcpStream::connect(load.target)?;
            fresh.set_nodelay(true)?;
            fresh.set_read_timeout(Some(Duration::from_secs(20)))?;
            slot.insert(fresh)
        }
    };
    stream.write_all(request)?;
    let mut buffer = [0; 4096];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(io::Error::other("closed without a whole answer"));
        }
        filled += read;
        let head = buffer[..filled]
            .windows(4)
            .position(|window| window == b"\r\n\r\n");
        let body = head.map(|head| filled - head - 4);
        if body.is_some() && !buffer.starts_with(b"HTTP/1.1 200") {
            return Err(io::Error::other(
                String::from_utf8_lossy(&buffer[..12]).into_owned(),
            ));
        }
        match body {
            Some(crate::origin::BODY) => return Ok(()),
            Some(longer) if longer > crate::origin::BODY => {
                return Err(io::Error::other("a longer body than the origin's"));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_at_the_rate_and_at_the_same_times_again() {
        let due = schedule(1_000.0, Until::Elapsed(Duration::from_secs(10)));
        assert!((9_500..10_500).contains(&due.len()), "{}", due.len());
        assert!(due.is_sorted());
        assert_eq!(due, schedule(1_000.0, Until::Elapsed(Duration::from_secs(10))));
    }
}
