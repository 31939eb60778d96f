//! Large bodies, which pass inside the kernel: byte for byte, at every pace, and with an end that is told.

mod support;

use ir::{HttpSettings, ServerTimeouts, Snapshot, UpstreamSettings};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use support::{Peer, Plane, Server, field, forwarding, status, until, upstream, upstream_with};

/// Sizes around those where something changes: where moving begins, the room of a pipe, and far beyond.
const SIZES: [usize; 12] = [
    0, 1, 4_096, 65_535, 65_536, 65_537, 131_072, 262_144, 262_145, 1_000_003, 1_048_576, 5_000_011,
];

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index % 251) as u8).collect()
}

fn announced(head: &str) -> usize {
    field(head, "content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

fn read(peer: &mut Peer, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    peer.stream.read_exact(&mut bytes).expect("so many bytes");
    bytes
}

/// An origin that sends as many bytes as the path says, and at the end of a request's body says what it was.
fn sizes() -> Server {
    Server::start(|mut peer| {
        while let Some(head) = peer.head() {
            let body = read(&mut peer, announced(&head));
            let size = head
                .split(['/', ' '])
                .nth(2)
                .and_then(|size| size.parse().ok())
                .unwrap_or(0);
            let answer = if body.is_empty() { content(size) } else { body };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            peer.send(&head);
            if peer.stream.get_mut().write_all(&answer).is_err() {
                return;
            }
        }
    })
}

/// An origin that announces a long body and sends a part of it, then waits for the client to go, or closes.
fn stopping(announced: usize, sent: usize, closes: bool) -> Server {
    Server::start(move |mut peer| {
        if peer.head().is_some() {
            peer.send(&format!("HTTP/1.1 200 OK\r\nContent-Length: {announced}\r\n\r\n"));
            // The gateway may have closed before all of it was taken.
            let _ = peer.stream.get_mut().write_all(&vec![b'x'; sent]);
            if !closes {
                peer.is_closed();
            }
        }
    })
}

fn with_timeouts(snapshot: Snapshot, timeouts: ServerTimeouts) -> Snapshot {
    let http = HttpSettings {
        timeouts,
        ..HttpSettings::default()
    };
    Snapshot {
        http: Arc::new(http),
        ..snapshot
    }
}

fn gate(origin: &Server) -> (Plane, SocketAddr) {
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    (plane, address)
}

fn ask(client: &mut Peer, path: &str) {
    client.send(&format!("GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n"));
}

/// Reads until the end or an error, and counts.
fn rest(client: &mut Peer) -> usize {
    let mut count = 0;
    let mut room = vec![0; 65_536];
    loop {
        match client.stream.read(&mut room) {
            Ok(0) => return count,
            Ok(read) => count += read,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return count,
            Err(error) => panic!("{error}"),
        }
    }
}

fn pipes() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").expect("open files");
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("pipe:"))
        .count()
}

#[test]
fn responses_of_every_size_come_out_as_they_went_in_on_one_connection() {
    let origin = sizes();
    let (_plane, address) = gate(&origin);
    let mut client = Peer::connect(address);
    for size in SIZES {
        ask(&mut client, &size.to_string());
        let head = client.head().expect("a head");
        assert_eq!((status(&head), announced(&head)), ("200", size));
        assert!(read(&mut client, size) == content(size), "{size} bytes");
    }
    assert_eq!(origin.accepted(), 1, "the upstream connection was used again");
}

#[test]
fn request_bodies_of_every_size_come_out_as_they_went_in_on_one_connection() {
    let origin = sizes();
    let (_plane, address) = gate(&origin);
    let mut client = Peer::connect(address);
    for size in SIZES {
        if size == 0 {
            continue;
        }
        client.send(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        ));
        client
            .stream
            .get_mut()
            .write_all(&content(size))
            .expect("all was taken");
        let head = client.head().expect("a head");
        assert_eq!((status(&head), announced(&head)), ("200", size));
        assert!(read(&mut client, size) == content(size), "{size} bytes");
    }
    assert_eq!(origin.accepted(), 1, "the upstream connection was used again");
}

#[test]
fn a_request_behind_a_large_body_is_not_taken_for_a_part_of_it() {
    let origin = sizes();
    let (_plane, address) = gate(&origin);
    let mut client = Peer::connect(address);
    let size = 300_000;
    let mut sent = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    sent.extend(content(size));
    sent.extend(b"GET /7 HTTP/1.1\r\nHost: a\r\n\r\n");
    client.stream.get_mut().write_all(&sent).expect("all was taken");
    assert_eq!(announced(&client.head().expect("a head")), size);
    assert!(read(&mut client, size) == content(size));
    assert_eq!(announced(&client.head().expect("a second head")), 7);
    assert!(read(&mut client, 7) == content(7));
}

#[test]
fn what_a_slow_reader_leaves_is_held_by_the_kernel_and_comes_out_whole() {
    let origin = sizes();
    let (_plane, address) = gate(&origin);
    let mut client = Peer::connect(address);
    let size = 12_000_000;
    ask(&mut client, &size.to_string());
    assert_eq!(announced(&client.head().expect("a head")), size);
    until("bytes wait in a pipe", || pipes() > 0);
    let mut all = Vec::new();
    while all.len() < size {
        let step = (size - all.len()).min(777_777);
        all.extend(read(&mut client, step));
        std::thread::yield_now();
    }
    assert!(all == content(size));
}

#[test]
fn a_body_that_breaks_off_ends_the_connection_before_its_length() {
    let origin = stopping(1_000_000, 400_000, true);
    let (_plane, address) = gate(&origin);
    let mut client = Peer::connect(address);
    ask(&mut client, "");
    assert_eq!(announced(&client.head().expect("a head")), 1_000_000);
    assert_eq!(rest(&mut client), 400_000);
}

#[test]
fn a_body_that_stops_coming_meets_its_time_limit() {
    let origin = stopping(1_000_000, 400_000, false);
    let plane = Plane::start(1);
    let settings = UpstreamSettings {
        body_idle_timeout: Duration::from_millis(300),
        ..UpstreamSettings::default()
    };
    let address = plane.serve(&forwarding(upstream_with("app", &[origin.address], settings)));
    let mut client = Peer::connect(address);
    ask(&mut client, "");
    assert_eq!(announced(&client.head().expect("a head")), 1_000_000);
    assert_eq!(rest(&mut client), 400_000);
}

#[test]
fn a_client_that_takes_nothing_of_a_large_body_is_given_up() {
    let origin = stopping(100_000_000, 100_000_000, false);
    let plane = Plane::start(1);
    let timeouts = ServerTimeouts {
        send: Duration::from_millis(300),
        ..ServerTimeouts::default()
    };
    let address = plane.serve(&with_timeouts(
        forwarding(upstream("app", &[origin.address])),
        timeouts,
    ));
    let mut client = Peer::connect(address);
    ask(&mut client, "");
    assert_eq!(announced(&client.head().expect("a head")), 100_000_000);
    // Waits for the gateway to have let go of the connection, then sees what was under way.
    until("the connection is given up", || {
        let text = plane.telemetry.scrape(telemetry::Format::Text);
        String::from_utf8_lossy(&text).contains("slow-client")
    });
    assert!(rest(&mut client) < 100_000_000);
}

#[test]
fn a_client_that_goes_away_in_a_large_upload_takes_the_upstream_connection_with_it() {
    let (ended, end) = std::sync::mpsc::channel();
    let origin = Server::start(move |mut peer| {
        if peer.head().is_some() {
            // The end comes before the announced length.
            let _ = ended.send(rest(&mut peer));
        }
    });
    let (_plane, address) = gate(&origin);
    let mut client = Peer::connect(address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    client
        .stream
        .get_mut()
        .write_all(&content(500_000))
        .expect("taken");
    client.stream.get_mut().shutdown(Shutdown::Both).expect("closed");
    let arrived = end.recv_timeout(support::PATIENCE).expect("an end");
    assert!(arrived <= 500_000, "{arrived}");
}
