//! A file that changes 50 times a second under load: no request may fail, no WebSocket may drop, and each change
//! must become visible soon.

use crate::load::{Load, Until, closed::Loop};
use crate::peer::{HOST, Setup, alone, start_origin};
use crate::process::{Scratch, replace};
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const EDITS_PER_SECOND: u32 = 50;
const WEBSOCKETS: usize = 20;
const CONNECTIONS: usize = 16;

/// `churn [SECONDS]`
pub fn run(words: &[String]) -> Result<(), String> {
    let seconds = words.first().map_or(Ok(30), |word| {
        word.parse::<u64>().map_err(|error| format!("{word}: {error}"))
    })?;
    let length = Duration::from_secs(seconds);
    let scratch = Scratch::new("churn")?;
    let origin = start_origin(&scratch)?;
    let narthex = alone(&scratch, origin.address, &Setup::default())?;
    let template = std::fs::read_to_string(&narthex.config).map_err(|error| error.to_string())?;
    let file = narthex.config.clone();
    let target = narthex.address;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;

    eprintln!(
        "{EDITS_PER_SECOND} edits a second for {seconds} s, {CONNECTIONS} connections and {WEBSOCKETS} WebSockets …"
    );
    let (edits, load, sockets) = std::thread::scope(|scope| {
        let editor = scope.spawn(|| edit(&file, &template, length));
        let load = scope.spawn(|| {
            let load = Load {
                connections: CONNECTIONS,
                ..Load::plain(target)
            };
            Loop::new(load)?.window(Until::Elapsed(length))
        });
        let sockets = runtime.block_on(websockets(target, length));
        (editor.join(), load.join(), sockets)
    });
    let edits = edits.map_err(|_| "the editing thread ended early".to_string())??;
    let load = load.map_err(|_| "the load's thread ended early".to_string())??;
    let live = runtime.block_on(edit_to_live(&file, &template, target))?;

    println!(
        "\nchurn: one HTTPRoute rewritten {edits} times in {seconds} s ({} a second)",
        edits / seconds.max(1)
    );
    println!(
        "requests answered    {:>10}   p50 {:.0?}  p99 {:.0?}",
        load.answered, load.latencies[0], load.latencies[2]
    );
    println!(
        "requests failed      {:>10}   {}",
        load.failed,
        load.failures.join("; ")
    );
    println!("WebSocket messages   {:>10}", sockets.echoed);
    println!("WebSockets dropped   {:>10}   of {WEBSOCKETS}", sockets.dropped);
    println!(
        "write to live        p50 {:.0?}  p90 {:.0?}  (hold-off included, {} edits)",
        live[live.len() / 2],
        live[live.len() * 9 / 10],
        live.len()
    );
    if load.failed == 0 && sockets.dropped == 0 {
        Ok(())
    } else {
        Err("something was lost".into())
    }
}

/// A version of the configuration whose answers carry `X-Edit: number`.
fn version(template: &str, number: u64) -> String {
    let filter = format!(
        "filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: X-Edit, value: \"{number}\"}}]}}}}], backendRefs:"
    );
    template.replace("backendRefs:", &filter)
}

fn edit(file: &Path, template: &str, length: Duration) -> Result<u64, String> {
    let start = Instant::now();
    let mut edits = 0;
    while start.elapsed() < length {
        edits += 1;
        replace(file, &version(template, edits))?;
        let next = start + Duration::from_secs(edits) / EDITS_PER_SECOND;
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(edits)
}

/// Single edits after a pause: how long until an answer shows each.
async fn edit_to_live(file: &Path, template: &str, target: SocketAddr) -> Result<Vec<Duration>, String> {
    let mut times = Vec::new();
    let mut stream = TcpStream::connect(target)
        .await
        .map_err(|error| error.to_string())?;
    for number in 1_000_000..1_000_030_u64 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        replace(file, &version(template, number))?;
        let start = Instant::now();
        let wanted = format!("x-edit: {number}\r\n");
        while !answer(&mut stream)
            .await
            .map_err(|error| error.to_string())?
            .to_ascii_lowercase()
            .contains(&wanted)
        {
            if start.elapsed() > Duration::from_secs(5) {
                return Err(format!("edit {number} was not live within 5 s"));
            }
        }
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times)
}

async fn answer(stream: &mut TcpStream) -> std::io::Result<String> {
    stream
        .write_all(format!("GET /bench HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await?;
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            return Err(std::io::Error::other("closed"));
        }
        text.extend_from_slice(&buffer[..read]);
        let head = text.windows(4).position(|window| window == b"\r\n\r\n");
        if head.is_some_and(|head| text.len() >= head + 4 + crate::origin::BODY) {
            return Ok(String::from_utf8_lossy(&text).into_owned());
        }
    }
}

#[derive(Default)]
struct Sockets {
    echoed: u64,
    dropped: usize,
}

/// Upgraded connections that each send a message every 50 ms and want it back.
async fn websockets(target: SocketAddr, length: Duration) -> Sockets {
    let tasks: Vec<_> = (0..WEBSOCKETS).map(|_| websocket(target, length)).collect();
    let mut sockets = Sockets::default();
    let local = tokio::task::LocalSet::new();
    let handles: Vec<_> = tasks.into_iter().map(|task| local.spawn_local(task)).collect();
    local
        .run_until(async {
            for handle in handles {
                match handle.await {
                    Ok(Ok(echoed)) => sockets.echoed += echoed,
                    _ => sockets.dropped += 1,
                }
            }
        })
        .await;
    sockets
}

async fn websocket(target: SocketAddr, length: Duration) -> std::io::Result<u64> {
    let start = Instant::now();
    let mut stream = TcpStream::connect(target).await?;
    let request = format!(
        "GET /socket HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if !head.starts_with(b"HTTP/1.1 101") {
        return Err(std::io::Error::other("not upgraded"));
    }
    let mut echoed = 0;
    // A frame as a client would send it; the origin returns bytes as they are.
    let (message, mut back) = (b"\x81\x85\0\0\0\0hello", [0; 11]);
    while start.elapsed() < length {
        stream.write_all(message).await?;
        tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut back)).await??;
        if &back != message {
            return Err(std::io::Error::other("another message came back"));
        }
        echoed += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(echoed)
}
