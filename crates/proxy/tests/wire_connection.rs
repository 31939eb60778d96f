//! Connections under unusual clients: half-closed, dripping, pushing, gone.

mod support;

use ir::{ForwardedHeaders, HttpSettings, Limits, ServerTimeouts};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use support::{PATIENCE, Peer, Plane, Server, answer, field, forwarding, status, upstream};

fn gate(http: HttpSettings, script: impl Fn(Peer) + Send + Sync + 'static) -> (Plane, SocketAddr) {
    let origin = Server::start(script);
    let plane = Plane::start(1);
    let mut snapshot = forwarding(upstream("app", &[origin.address]));
    snapshot.http = Arc::new(http);
    let address = plane.serve(&snapshot);
    (plane, address)
}

fn echo(mut peer: Peer) {
    while let Some(head) = peer.head() {
        peer.send(&answer(&head));
    }
}

#[test]
fn a_client_that_closed_its_sending_side_still_gets_its_response() {
    let (_plane, address) = gate(HttpSettings::default(), echo);
    let mut client = Peer::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client
        .stream
        .get_mut()
        .shutdown(Shutdown::Write)
        .expect("half-closed");
    let (head, _) = client.response().expect("a response");
    assert_eq!(status(&head), "200");
    assert!(client.is_closed());
}

#[test]
fn a_dripping_head_has_one_time_limit_for_all_of_it_and_others_are_not_slowed() {
    let http = HttpSettings {
        timeouts: ServerTimeouts {
            head: Duration::from_millis(400),
            ..ServerTimeouts::default()
        },
        ..HttpSettings::default()
    };
    let (_plane, address) = gate(http, echo);
    let mut slow = Peer::connect(address);
    slow.stream
        .get_mut()
        .set_read_timeout(Some(Duration::from_millis(20)))
        .expect("a time-out");
    let mut other = Peer::connect(address);
    let began = Instant::now();
    slow.send("GET / HTTP/1.1\r\nX: ");
    let mut got = [0; 12];
    // One more byte each time that nothing has come back for a while.
    while let Err(error) = slow.stream.read_exact(&mut got) {
        assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock), "{error}");
        assert!(began.elapsed() < PATIENCE);
        slow.send("x");
        assert_eq!(status(&other.get("a").expect("served").0), "200");
    }
    assert_eq!(&got, b"HTTP/1.1 408");
}

#[test]
fn a_head_that_comes_a_byte_at_a_time_is_served() {
    let (_plane, address) = gate(HttpSettings::default(), echo);
    let mut client = Peer::connect(address);
    for byte in "GET /slow HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\n".chars() {
        client.send(&byte.to_string());
    }
    let (_, seen) = client.response().expect("a response");
    assert!(seen.starts_with("GET /slow HTTP/1.1\r\n"));
}

#[test]
fn an_upstream_that_stops_reading_slows_the_client_down() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (_plane, address) = gate(HttpSettings::default(), move |mut peer| {
        peer.head();
        // Reads nothing of the body until the test is over.
        let _ = wait.lock().expect("one thread").recv_timeout(PATIENCE);
    });
    let mut client = Peer::connect(address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
    let stream = client.stream.get_mut();
    stream
        .set_write_timeout(Some(Duration::from_millis(1500)))
        .expect("a time-out");
    let chunk = vec![0; 65536];
    let mut total = 0;
    while let Ok(count) = stream.write(&chunk) {
        total += count;
    }
    assert!(
        total < 40_000_000,
        "{total} bytes were taken for an upstream that doesn't read"
    );
    drop(go);
}

#[test]
fn the_number_of_requests_on_a_connection_can_be_limited() {
    let http = HttpSettings {
        limits: Limits {
            requests_per_connection: 2,
            ..Limits::default()
        },
        ..HttpSettings::default()
    };
    let (_plane, address) = gate(http, echo);
    let mut client = Peer::connect(address);
    assert_eq!(field(&client.get("a").expect("a response").0, "connection"), None);
    assert_eq!(
        field(&client.get("a").expect("a response").0, "connection"),
        Some("close")
    );
    assert!(client.is_closed());
}

#[test]
fn a_trusted_proxy_in_front_is_believed() {
    let http = HttpSettings {
        trusted_proxies: vec!["127.0.0.0/8".parse().expect("a network")],
        forwarded: ForwardedHeaders::Both,
        ..HttpSettings::default()
    };
    let (_plane, address) = gate(http, echo);
    let mut client = Peer::connect(address);
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: shop.example\r\nX-Request-ID: given\r\nForwarded: for=203.0.113.7\r\n\r\n",
    );
    let (_, seen) = client.response().expect("a response");
    for (name, value) in [
        ("x-real-ip", "203.0.113.7"),
        ("x-forwarded-for", "203.0.113.7, 127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-host", "shop.example"),
        ("x-request-id", "given"),
        (
            "forwarded",
            "for=203.0.113.7, for=127.0.0.1;host=\"shop.example\";proto=https",
        ),
    ] {
        assert_eq!(field(&seen, name), Some(value), "{name}");
        assert_eq!(
            seen.to_lowercase().matches(&format!("\r\n{name}:")).count(),
            1,
            "{name}"
        );
    }
}

#[test]
fn requests_behind_a_body_are_found() {
    let (_plane, address) = gate(HttpSettings::default(), |mut peer| {
        while let Some(head) = peer.head() {
            let body = match field(&head, "content-length") {
                Some(length) => peer.read_exactly(length.parse().expect("a number")),
                None if field(&head, "transfer-encoding").is_some() => peer.read_exactly(13),
                None => "none".into(),
            };
            peer.send(&answer(&body));
        }
    });
    let mut client = Peer::connect(address);
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello\
         POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
         GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    for expected in ["hello", "3\r\nabc\r\n0\r\n\r\n", "none"] {
        assert_eq!(client.response().expect("a response").1, expected);
    }
}

#[test]
fn a_body_that_is_not_wanted_is_dropped_and_the_connection_goes_on() {
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[])));
    let mut client = Peer::connect(address);
    for _ in 0..3 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
        let (head, _) = client.response().expect("a response");
        assert_eq!((status(&head), field(&head, "connection")), ("503", None));
    }
}

#[test]
fn a_cut_body_that_only_the_connection_frames_ends_with_a_reset() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let (_plane, address) = gate(HttpSettings::default(), move |mut peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n");
        let _ = wait.lock().expect("one thread").recv_timeout(PATIENCE);
    });
    let mut client = Peer::connect(address);
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    client.head().expect("a response");
    assert_eq!(client.read_exactly(4), "part");
    drop(go);
    let error = client.stream.read(&mut [0]).expect_err("not a clean end");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_client_that_is_gone_frees_the_upstream() {
    let (report, closed) = mpsc::channel();
    let report = Mutex::new(report);
    let (_plane, address) = gate(HttpSettings::default(), move |mut peer| {
        peer.head();
        // Never answers; notices when its connection is let go.
        let gone = peer.is_closed();
        report.lock().expect("one thread").send(gone).expect("reported");
    });
    let mut client = Peer::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    drop(client);
    assert!(closed.recv_timeout(PATIENCE).expect("within seconds"));
}
