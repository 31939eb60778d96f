//! Ten thousand connections that wait: what they cost, and that nobody else feels them.

mod support;

use ir::{HttpSettings, Limits, Snapshot, Transport};
use narthex_proxy::sys::raise_file_limit;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use support::*;

const CONNECTIONS: usize = 10_000;

#[test]
fn ten_thousand_idle_connections_cost_little_and_harm_nobody() {
    let plane = Plane::start(2);
    let routes = vec![status_route("*", 404)];
    let bind = bind(0, Transport::Http, vec![listener(pattern("*"), vec![], routes)]);
    // The kernel may deal them unevenly.
    let limits = Limits {
        connections: CONNECTIONS as u32,
        ..Limits::default()
    };
    let http = Arc::new(HttpSettings {
        limits,
        ..HttpSettings::default()
    });
    let address = plane.serve(&Snapshot {
        http,
        ..snapshot(vec![bind], vec![], vec![])
    });
    let mut other = Peer::connect(address);
    assert_eq!(status(&other.get("x.example").expect("an answer").0), "404");

    let before = resident();
    // Another process holds the other ends: both sides would not fit into one process's limit of files.
    let mut holder = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "holds_the_other_ends", "--nocapture"])
        .env(HOLD, address.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(holder.stdout.take().expect("piped")).lines();
    assert!(
        lines
            .by_ref()
            .map_while(Result::ok)
            .any(|line| line.ends_with("all answered")),
        "the holder failed"
    );
    let each = || (resident() - before) / CONNECTIONS;
    until("waiting connections let go of what exchanges need", || {
        each() <= 4096
    });
    println!("{} bytes for each of {CONNECTIONS} idle connections", each());
    assert_eq!(status(&other.get("x.example").expect("an answer").0), "404");
    assert_eq!(
        status(&Peer::connect(address).get("x.example").expect("an answer").0),
        "404"
    );
    drop(holder.stdin.take());
    assert!(holder.wait().expect("an end").success());
}

/// Not a test by itself: the other process of the one above.
#[test]
fn holds_the_other_ends() {
    let Ok(address) = std::env::var(HOLD) else { return };
    raise_file_limit().expect("a limit");
    let connect = |_| {
        let mut peer = Peer::new(TcpStream::connect(&address).expect("connected"));
        assert_eq!(status(&peer.get("x.example").expect("an answer").0), "404");
        // Without its buffer.
        peer.stream.into_inner()
    };
    let held: Vec<TcpStream> = (0..CONNECTIONS).map(connect).collect();
    println!("all answered");
    std::io::stdout().flush().expect("written");
    std::io::stdin().read_line(&mut String::new()).expect("the end");
    drop(held);
}

/// Bytes of memory that this process has.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("figures");
    statm
        .split(' ')
        .nth(1)
        .and_then(|pages| pages.parse::<usize>().ok())
        .expect("a figure")
        * 4096
}

/// Tells the process above where to connect to.
const HOLD: &str = "NARTHEX_TEST_HOLD_CONNECTIONS";
