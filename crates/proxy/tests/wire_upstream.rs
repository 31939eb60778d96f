//! Upstreams that fail, lie, stall or flood: what the client gets, and what is never passed on.

mod support;

use ir::{HttpSettings, ServerTimeouts, Snapshot, UpstreamSettings};
use std::io::{Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::{PATIENCE, Peer, Plane, Server, answer, field, forwarding, status, upstream, upstream_with};

/// A gate in front of an origin whose connections are served by `script`.
fn gate(script: impl Fn(Peer) + Send + Sync + 'static) -> (Plane, Peer) {
    let origin = Server::start(script);
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    (plane, Peer::connect(address))
}

fn with_timeouts(mut snapshot: Snapshot, timeouts: ServerTimeouts) -> Snapshot {
    snapshot.http = Arc::new(HttpSettings {
        timeouts,
        ..HttpSettings::default()
    });
    snapshot
}

#[test]
fn an_upstream_that_dies_in_mid_body_is_seen_by_the_client() {
    for (framing, sent) in [
        ("Content-Length: 100", "part"),
        ("Transfer-Encoding: chunked", "4\r\npart\r\n"),
    ] {
        let (go, wait) = mpsc::channel();
        let wait = Mutex::new(wait);
        let (_plane, mut client) = gate(move |mut peer| {
            peer.head();
            peer.send(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{sent}"));
            let _ = wait.lock().expect("one thread").recv_timeout(PATIENCE);
        });
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(status(&client.head().expect("a response")), "200");
        go.send(()).expect("the origin waits");
        let mut rest = Vec::new();
        // An error (reset) or an early end; never a complete body.
        let _ = client.stream.read_to_end(&mut rest);
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.ends_with("0\r\n\r\n") && rest.len() < 100, "{rest}");
    }
}

#[test]
fn an_upstream_that_dies_before_anything_was_passed_on_gives_a_502() {
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nContent-");
    });
    let (head, _) = client.get("a").expect("a response");
    assert_eq!(status(&head), "502");
    assert_eq!(
        status(&client.get("a").expect("the connection lives on").0),
        "502"
    );
}

#[test]
fn a_client_that_stops_reading_slows_the_upstream_down() {
    const HUGE: usize = 200_000_000;
    let (report, sent) = mpsc::channel();
    let report = Mutex::new(report);
    let (_plane, mut client) = gate(move |mut peer| {
        peer.head();
        let stream = peer.stream.get_mut();
        stream
            .set_write_timeout(Some(Duration::from_millis(1500)))
            .expect("a time-out");
        stream
            .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {HUGE}\r\n\r\n").as_bytes())
            .expect("sent");
        let chunk = vec![0; 65536];
        let mut total = 0;
        while let Ok(count) = stream.write(&chunk) {
            total += count;
        }
        report.lock().expect("one thread").send(total).expect("reported");
    });
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    client.head().expect("a response");
    // Kernel buffers on both connections take a few megabytes; ours hold kilobytes.
    let total = sent.recv_timeout(PATIENCE).expect("the upstream got stuck");
    assert!(
        total < 40_000_000,
        "{total} bytes were taken for a client that doesn't read"
    );
}

#[test]
fn endless_interim_responses_end_in_a_502() {
    // RFC 9110 §15.2: interim responses come before a final one, which never comes here.
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        let some = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n".repeat(100);
        while peer.try_send(&some).is_ok() {}
    });
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut interim = 0;
    let last = loop {
        let head = client.head().expect("a response");
        if status(&head) != "103" {
            break head;
        }
        interim += 1;
    };
    assert_eq!(status(&last), "502");
    assert!(interim <= 1000, "{interim}");
}

#[test]
fn interim_responses_wait_for_a_client_that_does_not_read() {
    const LARGE: usize = 15_000;
    let (report, sent) = mpsc::channel();
    let report = Mutex::new(report);
    let (_plane, mut client) = gate(move |mut peer| {
        peer.head();
        let stream = peer.stream.get_mut();
        stream
            .set_write_timeout(Some(Duration::from_millis(500)))
            .expect("a time-out");
        let head = format!("HTTP/1.1 103 Early Hints\r\nLink: {}\r\n\r\n", "x".repeat(LARGE));
        let mut total = 0;
        while total < 1000 && stream.write_all(head.as_bytes()).is_ok() {
            total += 1;
        }
        report.lock().expect("one thread").send(total).expect("reported");
    });
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let total = sent.recv_timeout(PATIENCE).expect("the upstream got stuck");
    assert!(total < 1000, "all of it was taken for a client that doesn't read");
}

#[test]
fn a_request_that_met_a_closed_idle_connection_is_sent_again_if_it_is_safe() {
    // Serves one request per connection, but doesn't say that it will close: the close meets the next request.
    let origin = Server::start(|mut peer| {
        peer.head();
        peer.send(&answer("once"));
        peer.head();
        // Reads the second request, answers nothing.
    });
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    let mut client = Peer::connect(address);
    assert_eq!(client.get("a").expect("a response").1, "once");
    assert_eq!(
        client.get("a").expect("a response").1,
        "once",
        "sent again on a new connection"
    );
    assert_eq!(origin.accepted(), 2);
    let mut client = Peer::connect(address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let (head, _) = client.response().expect("a response");
    assert_eq!(status(&head), "502", "it may have been carried out");
}

#[test]
fn answers_of_the_upstream_that_can_be_read_two_ways_are_not_passed_on() {
    for bad in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        "nonsense\r\n\r\n",
    ] {
        let (_plane, mut client) = gate(move |mut peer| {
            peer.head();
            peer.send(bad);
            peer.head();
        });
        let (head, body) = client.get("a").expect("a response");
        assert_eq!(status(&head), "502", "{bad:?}");
        assert!(!body.contains("hello"));
    }
}

#[test]
fn each_phase_of_the_upstream_has_its_time_limit() {
    let silent = Server::start(|mut peer| {
        peer.head();
        peer.head();
    });
    let settings = UpstreamSettings {
        head_timeout: Duration::from_millis(200),
        ..UpstreamSettings::default()
    };
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream_with("app", &[silent.address], settings)));
    let mut client = Peer::connect(address);
    assert_eq!(status(&client.get("a").expect("a response").0), "504");
    assert_eq!(
        status(&client.get("a").expect("the connection lives on").0),
        "504"
    );
}

#[test]
fn a_head_that_comes_too_slowly_is_answered_with_408() {
    let origin = Server::named("app");
    let plane = Plane::start(1);
    let timeouts = ServerTimeouts {
        head: Duration::from_millis(300),
        body_idle: Duration::from_millis(300),
        ..ServerTimeouts::default()
    };
    let address = plane.serve(&with_timeouts(
        forwarding(upstream("app", &[origin.address])),
        timeouts,
    ));
    let mut client = Peer::connect(address);
    client.send("GET / HT");
    let (head, _) = client.response().expect("a response");
    assert_eq!(
        (status(&head), field(&head, "connection")),
        ("408", Some("close"))
    );
    assert!(client.is_closed());

    // A slow body: the origin has the head, the client never sends the rest.
    let mut client = Peer::connect(address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123");
    let (head, _) = client.response().expect("a response");
    assert!(["200", "408"].contains(&status(&head)), "{head}");
    assert!(client.is_closed());
}
