//! Byte-scripted clients and origins around a real listener: how messages pass through.

mod support;

use std::io::{Read, Write};
use std::net::Shutdown;
use support::{Peer, Plane, Server, answer, field, forwarding, status, upstream};

/// A gate in front of an origin whose connections are served by `script`.
fn gate(script: impl Fn(Peer) + Send + Sync + 'static) -> (Plane, Peer) {
    let origin = Server::start(script);
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    (plane, Peer::connect(address))
}

/// An origin that answers every request with its head, as received, in the body.
fn mirror(mut peer: Peer) {
    while let Some(head) = peer.head() {
        peer.send(&answer(&head));
    }
}

fn lines(head: &str) -> Vec<&str> {
    let mut lines: Vec<_> = head.split("\r\n").filter(|line| !line.is_empty()).collect();
    lines[1..].sort_unstable();
    lines
}

#[test]
fn the_upstream_gets_the_request_with_forwarding_fields_and_without_hop_by_hop_ones() {
    let (_plane, mut client) = gate(mirror);
    client.send(
        "GET /a/b?c=d HTTP/1.1\r\nHost: A.example:80\r\nConnection: keep-alive, X-Private\r\nKeep-Alive: 5\r\n\
         X-Private: 1\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=1.2.3.4\r\nX_Real_IP: 1.2.3.4\r\nProxy-Connection: close\r\n\
         Accept:   text/html  \r\nTE: gzip\r\nX-Request-ID: forged\r\nmy_field: kept\r\n\r\n",
    );
    let (_, seen) = client.response().expect("a response");
    let id = field(&seen, "x-request-id").expect("an id");
    assert!(
        id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    let port = field(&seen, "x-forwarded-port").expect("a port");
    assert_eq!(
        lines(&seen),
        [
            "GET /a/b?c=d HTTP/1.1",
            "Accept: text/html",
            "Host: A.example:80",
            "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Host: A.example:80",
            &format!("X-Forwarded-Port: {port}"),
            "X-Forwarded-Proto: http",
            "X-Forwarded-Scheme: http",
            "X-Real-IP: 127.0.0.1",
            &format!("X-Request-ID: {id}"),
            "X-Scheme: http",
            "my_field: kept",
        ]
    );
}

#[test]
fn behind_a_service_that_maps_ports_the_upstream_gets_the_port_of_the_client() {
    let origin = Server::start(mirror);
    let plane = Plane::start(1);
    let mut snapshot = forwarding(upstream("app", &[origin.address]));
    let mut bind = ir::Bind::clone(&snapshot.binds[0]);
    bind.public_port = Some(80);
    snapshot.binds = vec![bind.into()];
    let mut client = Peer::connect(plane.serve(&snapshot));
    let (_, seen) = client.get("a").expect("a response");
    assert_eq!(field(&seen, "x-forwarded-port"), Some("80"));
}

#[test]
fn connection_can_not_take_away_host_or_forwarding_fields() {
    let (_plane, mut client) = gate(mirror);
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: host, x-forwarded-for, x-real-ip, content-length\r\n\r\n",
    );
    let (_, seen) = client.response().expect("a response");
    assert_eq!(field(&seen, "host"), Some("a"));
    assert_eq!(field(&seen, "x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn pipelined_requests_are_answered_in_order_on_one_connection() {
    let (_plane, mut client) = gate(mirror);
    let all: Vec<_> = (0..50)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n"))
        .collect();
    client.send(&all.concat());
    for n in 0..50 {
        let (_, seen) = client.response().expect("a response");
        assert!(seen.starts_with(&format!("GET /{n} HTTP/1.1\r\n")), "{n}: {seen}");
    }
}

#[test]
fn chunks_pass_both_ways_without_extensions_and_with_trailers() {
    let (_plane, mut client) = gate(|mut peer| {
        let head = peer.head().expect("a request");
        assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
        let expected = "5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n";
        assert_eq!(peer.read_exactly(expected.len()), expected);
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nX-Late: yes\r\nHost: evil\r\n\r\n");
    });
    client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
         5;x=\"y\"\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\nContent-Length: 5\r\n\r\n",
    );
    let head = client.head().expect("a response");
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    let expected = "3\r\nabc\r\n0\r\nX-Late: yes\r\n\r\n";
    assert_eq!(client.read_exactly(expected.len()), expected);
}

#[test]
fn an_expected_100_comes_from_the_upstream() {
    let (_plane, mut client) = gate(|mut peer| {
        let head = peer.head().expect("a request");
        assert_eq!(field(&head, "expect"), Some("100-continue"));
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let body = peer.read_exactly(5);
        peer.send(&answer(&body));
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.head().as_deref(), Some("HTTP/1.1 100 Continue\r\n\r\n"));
    client.send("hello");
    assert_eq!(client.response().expect("a response").1, "hello");
}

#[test]
fn a_refusal_instead_of_100_closes_the_connection_and_says_so() {
    let (_plane, mut client) = gate(|mut peer| {
        peer.head().expect("a request");
        peer.send("HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n");
        peer.head();
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let (head, _) = client.response().expect("a response");
    assert_eq!(status(&head), "413");
    assert_eq!(field(&head, "connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn early_hints_pass_before_the_final_response_but_not_to_http_1_0() {
    let script = |mut peer: Peer| {
        while peer.head().is_some() {
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
            peer.send(&answer("final"));
        }
    };
    let (_plane, mut client) = gate(script);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(
        client.head().as_deref(),
        Some("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    );
    assert_eq!(client.response().expect("a response").1, "final");
    client.send("GET / HTTP/1.0\r\n\r\n");
    let (head, body) = client.response().expect("a response");
    assert_eq!((status(&head), body.as_str()), ("200", "final"));
}

#[test]
fn responses_without_a_body_end_at_their_head() {
    let (_plane, mut client) = gate(|mut peer| {
        while let Some(head) = peer.head() {
            let answer = match head.split(' ').nth(1) {
                Some("/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                Some("/304") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\nETag: \"x\"\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n",
            };
            peer.send(answer);
        }
    });
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head().expect("a response");
    assert_eq!(field(&head, "content-length"), Some("700"));
    client.send("GET /304 HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head().expect("a response");
    assert_eq!(
        (status(&head), field(&head, "content-length")),
        ("304", Some("700"))
    );
    client.send("GET /204 HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head().expect("a response");
    assert_eq!((status(&head), field(&head, "content-length")), ("204", None));
}

#[test]
fn a_client_of_http_1_0_gets_chunks_as_a_body_that_ends_with_the_connection() {
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
        peer.head();
    });
    client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    let head = client.head().expect("a response");
    assert_eq!(field(&head, "transfer-encoding"), None);
    assert_eq!(field(&head, "connection"), Some("close"));
    let mut rest = String::new();
    client.stream.read_to_string(&mut rest).expect("a clean end");
    assert_eq!(rest, "abcde");
}

#[test]
fn a_client_of_http_1_0_can_ask_to_keep_the_connection() {
    let (_plane, mut client) = gate(mirror);
    for _ in 0..2 {
        client.send("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        let (head, _) = client.response().expect("a response");
        assert_eq!(field(&head, "connection"), Some("keep-alive"));
    }
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    let (head, _) = client.response().expect("a response");
    assert_eq!(field(&head, "connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn absolute_form_is_forwarded_in_origin_form() {
    let (_plane, mut client) = gate(mirror);
    client.send("GET http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let (_, seen) = client.response().expect("a response");
    assert!(seen.starts_with("GET /x?y HTTP/1.1\r\n"), "{seen}");
    client.send("OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let (_, seen) = client.response().expect("a response");
    assert!(seen.starts_with("OPTIONS * HTTP/1.1\r\n"), "{seen}");
}

#[test]
fn a_body_until_close_becomes_chunks() {
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\n\r\nhello");
    });
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head().expect("a response");
    assert_eq!(field(&head, "transfer-encoding"), Some("chunked"));
    let expected = "5\r\nhello\r\n0\r\n\r\n";
    assert_eq!(client.read_exactly(expected.len()), expected);
}

#[test]
fn an_upgrade_becomes_a_tunnel_with_half_close() {
    let (_plane, mut client) = gate(|mut peer| {
        let head = peer.head().expect("a request");
        assert_eq!(field(&head, "upgrade"), Some("websocket"));
        assert_eq!(field(&head, "connection"), Some("Upgrade"));
        peer.send(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nfirst",
        );
        let mut all = String::new();
        peer.stream.read_to_string(&mut all).expect("a clean end");
        // The client's side is closed; ours still speaks.
        peer.send(&format!("got {all}"));
    });
    client.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nsent-ahead ");
    let head = client.head().expect("a response");
    assert_eq!(status(&head), "101");
    assert_eq!(field(&head, "upgrade"), Some("websocket"));
    assert_eq!(field(&head, "connection"), Some("Upgrade"));
    assert_eq!(client.read_exactly(5), "first");
    client.send("and after");
    client
        .stream
        .get_mut()
        .shutdown(Shutdown::Write)
        .expect("half-closed");
    let mut rest = String::new();
    client.stream.read_to_string(&mut rest).expect("a clean end");
    assert_eq!(rest, "got sent-ahead and after");
}

#[test]
fn a_refused_upgrade_is_a_response_like_any_other() {
    let (_plane, mut client) = gate(mirror);
    for _ in 0..2 {
        client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        let (head, seen) = client.response().expect("a response");
        assert_eq!(
            (status(&head), field(&seen, "upgrade")),
            ("200", Some("websocket"))
        );
    }
}

#[test]
fn a_switch_that_nobody_asked_for_is_a_bad_response() {
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n");
        peer.head();
    });
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(status(&client.response().expect("a response").0), "502");
}

#[test]
fn h2c_is_not_offered_to_the_upstream() {
    let (_plane, mut client) = gate(mirror);
    client.send(
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
    );
    let (_, seen) = client.response().expect("a response");
    assert_eq!(
        (field(&seen, "upgrade"), field(&seen, "http2-settings")),
        (None, None)
    );
}

#[test]
fn a_response_may_come_and_end_before_the_request_body() {
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        let _ = peer.stream.read(&mut [0]);
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nsome");
    let (head, body) = client.response().expect("a response");
    assert_eq!((status(&head), body.as_str()), ("403", "no"));
    assert!(client.is_closed(), "nobody would read the rest of the body");
}

#[test]
fn response_and_request_bodies_flow_at_the_same_time() {
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..3 {
            let part = peer.read_exactly(4);
            peer.send(&format!("4\r\n{part}\r\n"));
        }
        peer.send("0\r\n\r\n");
        peer.head();
    });
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n");
    client.head().expect("a response");
    for part in ["aaaa", "bbbb", "cccc"] {
        client.send(part);
        assert_eq!(client.read_exactly(9), format!("4\r\n{part}\r\n"));
    }
    assert_eq!(client.read_exactly(5), "0\r\n\r\n");
}

#[test]
fn large_bodies_pass_whole_in_both_directions() {
    const SIZE: usize = 20_000_000;
    let (_plane, mut client) = gate(|mut peer| {
        peer.head();
        let mut left = SIZE;
        let mut sum = 0u64;
        let mut room = vec![0; 65536];
        while left > 0 {
            let count = peer.stream.read(&mut room).expect("bytes");
            assert!(count > 0);
            sum += room[..count].iter().map(|byte| u64::from(*byte)).sum::<u64>();
            left -= count;
        }
        peer.send(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\nX-Sum: {sum}\r\n\r\n"
        ));
        peer.stream.get_mut().write_all(&vec![b'z'; SIZE]).expect("sent");
        peer.head();
    });
    client.send(&format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {SIZE}\r\n\r\n"
    ));
    client.stream.get_mut().write_all(&vec![3; SIZE]).expect("sent");
    let head = client.head().expect("a response");
    assert_eq!(field(&head, "x-sum"), Some((3 * SIZE).to_string().as_str()));
    let mut body = vec![0; SIZE];
    client.stream.read_exact(&mut body).expect("the body");
    assert!(body.iter().all(|byte| *byte == b'z'));
}
