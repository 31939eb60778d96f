//! Memory (PSS) and time to ready: empty, with 5,000 routes, with 10,000 idle connections.

use crate::peer::{HOST, Running, Setup, alone, start_origin};
use crate::process::Scratch;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

const ROUTES: usize = 5_000;
const IDLE: usize = 10_000;
/// Memory is read once what the start freed is back with the system: the allocator takes 5 s to stop using a page and
/// 5 s more to give it up (`.cargo/config.toml`).
const SETTLED: Duration = Duration::from_secs(12);

/// `memory`
pub fn run(_: &[String]) -> Result<(), String> {
    let scratch = Scratch::new("memory")?;
    let origin = start_origin(&scratch)?;
    println!("memory: proportional set size of the process, two workers, defaults on\n");

    let (empty, ready) = started(&scratch, origin.address, &gateway(0))?;
    println!(
        "{:<34} {:>8.1} MiB   ready after {ready:.0?}",
        "no routes",
        mib(empty.process.pss())
    );
    drop(empty);

    let (full, ready) = started(&scratch, origin.address, &gateway(ROUTES))?;
    println!(
        "{:<34} {:>8.1} MiB   ready after {ready:.0?}",
        format!("{ROUTES} HTTPRoutes"),
        mib(full.process.pss())
    );
    drop(full);

    let running = alone(&scratch, origin.address, &Setup::default())?;
    let before = running.process.pss();
    let connections = idle(running.address)?;
    let after = running.process.pss();
    println!(
        "{:<34} {:>8.1} MiB   {:.2} KiB each",
        format!("{} idle connections", connections.len()),
        mib(after),
        (after.saturating_sub(before)) as f64 / connections.len() as f64
    );
    Ok(())
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Starts Narthex and waits until it says that it is ready.
fn started(scratch: &Scratch, origin: SocketAddr, yaml: &str) -> Result<(Running, Duration), String> {
    let setup = Setup {
        workers: 2,
        cpus: "0,1",
        config: Some(yaml),
        flags: &["--admin-address", "@ADMIN@"],
        ..Setup::default()
    };
    let start = Instant::now();
    let running = alone(scratch, origin, &setup)?;
    while start.elapsed() < Duration::from_secs(60) {
        if ready(running.admin) {
            let elapsed = start.elapsed();
            std::thread::sleep(SETTLED);
            return Ok((running, elapsed));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err("not ready within 60 s".into())
}

fn ready(admin: SocketAddr) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(admin)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    ask().unwrap_or(false)
}

/// A Gateway and `routes` HTTPRoutes, each with a host of its own.
fn gateway(routes: usize) -> String {
    let mut yaml = String::from(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: narthex}\nspec: {controllerName: narthex.dev/gateway-controller}\n---\n\
         apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: default}\nspec:\n  gatewayClassName: narthex\n  \
         addresses: [{type: IPAddress, value: @LISTEN_IP@}]\n  listeners: [{name: http, protocol: HTTP, port: @LISTEN_PORT@}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {name: origin, namespace: default}\nspec: {ports: [{port: 80}]}\n",
    );
    for route in 0..routes {
        // Writing to a String cannot fail.
        let _ = write!(
            yaml,
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r{route}, namespace: default}}\nspec:\n  \
             parentRefs: [{{name: g}}]\n  hostnames: [h{route}.example]\n  rules:\n  - matches: [{{path: {{type: PathPrefix, value: /api}}}}]\n    \
             backendRefs: [{{name: origin, port: 80}}]\n"
        );
    }
    yaml
}

/// Connections that made one request each and now wait.
fn idle(target: SocketAddr) -> Result<Vec<TcpStream>, String> {
    let request = format!("GET /bench HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let mut connections = Vec::with_capacity(IDLE);
    let mut buffer = [0; 4096];
    for index in 0..IDLE {
        let mut open = || -> std::io::Result<TcpStream> {
            // 28,000 ports per source address: one is enough for 10,000 connections.
            let mut stream = TcpStream::connect(target)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(request.as_bytes())?;
            let mut seen = 0;
            while seen < crate::origin::BODY {
                seen += stream.read(&mut buffer)?;
            }
            Ok(stream)
        };
        connections.push(open().map_err(|error| {
            format!("connection {index}: {error} (is the file limit above {IDLE}? ulimit -n)")
        })?);
    }
    std::thread::sleep(SETTLED);
    Ok(connections)
}
