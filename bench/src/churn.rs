//! A million requests while routes, certificates and endpoints change 50 times a second: no request may fail, no
//! WebSocket may drop, and each change must become visible soon.
//!
//! Objects lie one to a file in one folder, as a cluster would tell of them. Three edits of five rewrite an HTTPRoute
//! (its answers then carry another number), one the Secret of the TLS listener, one the EndpointSlice (the first
//! origin, both, the second: both go on running, so that a request which fails is our fault).

mod clients;
mod edits;

use crate::client;
use crate::layout;
use crate::peer::{Setup, alone, start_origin};
use crate::process::Scratch;
use clients::{Shared, Target};
use edits::Edits;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const REQUESTS: u64 = 1_000_000;
const CONNECTIONS: usize = 200;
/// One of so many connections is with TLS.
const TLS_EVERY: usize = 4;
const WEBSOCKETS: usize = 20;
/// Gives up where progress has stopped.
const STALLED: Duration = Duration::from_secs(60);

/// `churn [REQUESTS]`
pub fn run(words: &[String]) -> Result<(), String> {
    let requests = words
        .iter()
        .find(|word| !word.starts_with("--"))
        .map_or(Ok(REQUESTS), |word| {
            word.parse::<u64>().map_err(|error| format!("{word}: {error}"))
        })?;
    let scratch = Scratch::in_memory("churn")?;
    let origins = [start_origin(&scratch)?, start_origin(&scratch)?];
    let folder = scratch.path().join("objects");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let mut edits = Edits::new(&folder, [origins[0].address, origins[1].address])?;
    edits.first()?;
    let path = folder.display().to_string();
    let gateway = format!("{}{HTTPS}", layout::GATEWAY);
    let setup = Setup {
        workers: 2,
        cpus: "0,1",
        config: Some(&gateway),
        flags: &[&path],
        ..Setup::default()
    };
    let running = alone(&scratch, origins[0].address, &setup)?;
    let target = Target {
        plain: running.address,
        encrypted: running.tls,
        tls: client::tls(edits.roots())?,
    };

    eprintln!(
        "{requests} requests over {CONNECTIONS} connections ({} with TLS), {WEBSOCKETS} WebSockets, {} changes a second …",
        CONNECTIONS / TLS_EVERY,
        edits::PER_SECOND
    );
    let shared = Shared::new(requests);
    let start = Instant::now();
    let result = std::thread::scope(|scope| {
        let (shared, target) = (&shared, &target);
        for number in 0..CONNECTIONS {
            scope.spawn(move || clients::requests(shared, target, number.is_multiple_of(TLS_EVERY)));
        }
        for number in 0..WEBSOCKETS {
            scope.spawn(move || clients::websocket(shared, target, number % 2 == 0));
        }
        scope.spawn(move || clients::watch(shared, target));
        scope.spawn(move || clients::handshakes(shared, target));
        let editor = scope.spawn(move || {
            let outcome = edits.run(shared);
            shared.end();
            (outcome, edits)
        });
        watch_progress(shared, requests);
        shared.end();
        editor.join()
    });
    let elapsed = start.elapsed();
    let (outcome, edits) = result.map_err(|_| "the editing thread ended early".to_string())?;
    outcome?;
    drop(running);
    print(&shared, &edits, elapsed);
    if shared.lost() == 0 && shared.answered.load(Ordering::Relaxed) >= requests {
        Ok(())
    } else {
        Err("something was lost".into())
    }
}

/// Tells how far it is, until all requests are answered, the editor has failed or nothing moves any more.
fn watch_progress(shared: &Shared, requests: u64) {
    let (mut told, mut last, mut moved) = (Instant::now(), 0, Instant::now());
    while !shared.ended() {
        std::thread::sleep(Duration::from_millis(20));
        let done = shared.answered.load(Ordering::Relaxed) + shared.failed.load(Ordering::Relaxed);
        if done != last {
            (last, moved) = (done, Instant::now());
        }
        if done >= requests || moved.elapsed() > STALLED {
            return;
        }
        if told.elapsed() > Duration::from_secs(5) {
            told = Instant::now();
            eprintln!(
                "  {done} requests, {} failed …",
                shared.failed.load(Ordering::Relaxed)
            );
        }
    }
}

fn print(shared: &Shared, edits: &Edits, elapsed: Duration) {
    let seconds = elapsed.as_secs_f64();
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    println!(
        "\nchurn: {} changes in {seconds:.1} s ({:.0} a second: {} routes, {} certificates, {} endpoints)",
        edits.total(),
        edits.total() as f64 / seconds,
        edits.routes,
        edits.certificates,
        edits.endpoints
    );
    println!(
        "requests answered    {:>10}   {:.0} a second",
        load(&shared.answered),
        load(&shared.answered) as f64 / seconds
    );
    println!(
        "requests failed      {:>10}   {}",
        load(&shared.failed),
        shared.reasons().join("; ")
    );
    println!(
        "TLS handshakes       {:>10}   {} failed, {} different certificates seen",
        load(&shared.handshakes),
        load(&shared.handshakes_failed),
        shared.certificates_seen()
    );
    println!("WebSocket messages   {:>10}", load(&shared.echoed));
    println!(
        "WebSockets dropped   {:>10}   of {WEBSOCKETS}",
        load(&shared.dropped)
    );
    let live = shared.live_times();
    let quantile = |quantile: f64| {
        let index = ((live.len().max(1) - 1) as f64 * quantile).round() as usize;
        live.get(index).copied().unwrap_or_default()
    };
    println!(
        "write to live        p50 {:.1?}  p99 {:.1?}  (routes, hold-off included, {} changes)",
        quantile(0.5),
        quantile(0.99),
        live.len()
    );
}

/// One more listener for the Gateway of [`layout::GATEWAY`].
const HTTPS: &str =
    "  - {name: https, protocol: HTTPS, port: @TLS_PORT@, tls: {certificateRefs: [{name: bench}]}}\n";
