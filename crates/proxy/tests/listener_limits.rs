//! Many connections, too many connections, and connections that begin with a PROXY header.

mod support;

use ir::{HttpSettings, Limits, ProxyProtocol, ServerTimeouts, Snapshot, Transport};
use narthex_proxy::http::proxy_protocol;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use support::tls::Client;
use support::*;

/// Answers with the request's head.
fn mirror() -> Server {
    Server::start(|mut peer| {
        while let Some(head) = peer.head() {
            peer.send(&answer(&head));
        }
    })
}

fn with_http(snapshot: Snapshot, http: HttpSettings) -> Snapshot {
    Snapshot {
        http: Arc::new(http),
        ..snapshot
    }
}

fn limited_to(connections: u32, server: &Server) -> Snapshot {
    let limits = Limits {
        connections,
        ..Limits::default()
    };
    with_http(
        forwarding(upstream("up", &[server.address])),
        HttpSettings {
            limits,
            ..HttpSettings::default()
        },
    )
}

fn taking_proxy_headers(server: &Server) -> Snapshot {
    let mut snapshot = forwarding(upstream("up", &[server.address]));
    Arc::make_mut(&mut snapshot.binds[0]).proxy_protocol = true;
    let timeouts = ServerTimeouts {
        handshake: Duration::from_secs(1),
        ..ServerTimeouts::default()
    };
    with_http(
        snapshot,
        HttpSettings {
            timeouts,
            ..HttpSettings::default()
        },
    )
}

#[test]
fn beyond_the_limit_the_longest_idle_connection_makes_room() {
    let server = Server::named("a");
    let plane = Plane::start(1);
    let address = plane.serve(&limited_to(2, &server));
    let (mut first, mut second) = (Peer::connect(address), Peer::connect(address));
    first.get("x.example").unwrap();
    second.get("x.example").unwrap();
    let mut third = Peer::connect(address);
    assert_eq!(third.get("x.example").expect("room was made").1, "a");
    assert!(first.is_closed());
    assert_eq!(second.get("x.example").unwrap().1, "a");
}

#[test]
fn who_does_not_shake_hands_makes_room_too() {
    let one = certificate("one", &["a.example"], false);
    let listeners = vec![listener(
        pattern("*"),
        vec![tls_host("a.example", &[&one])],
        vec![status_route("*", 404)],
    )];
    let snapshot = snapshot(vec![bind(0, Transport::Https, listeners)], vec![], vec![one]);
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let plane = Plane::start(1);
    let address = plane.serve(&with_http(
        snapshot,
        HttpSettings {
            limits,
            ..HttpSettings::default()
        },
    ));
    let mut silent = Peer::connect(address);
    assert!(Client::new().connect(address, Some("a.example")).is_ok());
    assert!(silent.is_closed());
}

#[test]
fn when_all_are_busy_a_further_connection_waits_for_one_to_end() {
    let held = Held::start();
    let plane = Plane::start(1);
    let address = plane.serve(&limited_to(1, &held.server));
    let mut busy = Peer::connect(address);
    busy.send("GET / HTTP/1.1\r\nHost: x.example\r\nConnection: close\r\n\r\n");
    held.request();
    let mut waits = Peer::connect(address);
    waits.send("GET /second HTTP/1.1\r\nHost: x.example\r\n\r\n");
    held.answer(&answer("first"));
    assert_eq!(busy.response().unwrap().1, "first");
    assert!(held.request().starts_with("GET /second"));
    held.answer(&answer("second"));
    assert_eq!(waits.response().unwrap().1, "second");
}

#[test]
fn a_connection_that_idles_for_too_long_is_closed() {
    let server = Server::named("a");
    let plane = Plane::start(1);
    let timeouts = ServerTimeouts {
        keep_alive: Duration::from_millis(500),
        head: Duration::from_millis(500),
        ..ServerTimeouts::default()
    };
    let http = HttpSettings {
        timeouts,
        ..HttpSettings::default()
    };
    let address = plane.serve(&with_http(forwarding(upstream("up", &[server.address])), http));
    let (mut used, mut silent) = (Peer::connect(address), Peer::connect(address));
    used.get("x.example").unwrap();
    assert!(used.is_closed() && silent.is_closed());
}

#[test]
fn the_client_is_who_the_proxy_header_names() {
    let server = mirror();
    let plane = Plane::start(1);
    let address = plane.serve(&taking_proxy_headers(&server));
    let names: (SocketAddr, SocketAddr) = (
        "203.0.113.7:1234".parse().unwrap(),
        "203.0.113.1:80".parse().unwrap(),
    );
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let mut client = Peer::connect(address);
        client
            .stream
            .get_mut()
            .write_all(&proxy_protocol::write(version, Some(names)))
            .unwrap();
        let (_, seen) = client.get("x.example").expect("an answer");
        assert_eq!(
            field(&seen, "x-forwarded-for"),
            Some("203.0.113.7"),
            "{version:?}"
        );
        // Once per connection: the second request has none before it.
        let (_, seen) = client.get("x.example").expect("an answer");
        assert_eq!(
            field(&seen, "x-forwarded-for"),
            Some("203.0.113.7"),
            "{version:?}"
        );
    }
}

#[test]
fn a_proxy_header_may_come_byte_by_byte_and_may_leave_the_client_unknown() {
    let server = mirror();
    let plane = Plane::start(1);
    let address = plane.serve(&taking_proxy_headers(&server));
    let mut client = Peer::connect(address);
    for byte in b"PROXY UNKNOWN\r\nGET / HTTP/1.1\r\nHost: x.example\r\n\r\n" {
        client.stream.get_mut().write_all(&[*byte]).unwrap();
    }
    let (_, seen) = client.response().expect("an answer");
    assert_eq!(field(&seen, "x-forwarded-for"), Some("127.0.0.1"));
}

#[test]
fn without_a_valid_proxy_header_a_connection_is_closed() {
    let server = mirror();
    let plane = Plane::start(1);
    let address = plane.serve(&taking_proxy_headers(&server));
    for start in [
        "GET / HTTP/1.1\r\nHost: x.example\r\n\r\n",
        "PROXY TCP4 nonsense\r\n",
        "PROXY TCP4 1.2.3.4",
    ] {
        let mut client = Peer::connect(address);
        client.send(start);
        assert!(client.is_closed(), "{start:?}");
    }
    assert_eq!(server.accepted(), 0);
}

#[test]
fn behind_a_proxy_header_tls_works_as_ever() {
    let one = certificate("one", &["a.example"], false);
    let listeners = vec![listener(
        pattern("*"),
        vec![tls_host("a.example", &[&one])],
        vec![status_route("*", 404)],
    )];
    let bind = ir::Bind {
        proxy_protocol: true,
        ..bind(0, Transport::Https, listeners)
    };
    let plane = Plane::start(1);
    let address = plane.serve(&snapshot(vec![bind], vec![], vec![one]));
    let mut client = Peer::connect(address);
    let header = proxy_protocol::write(ProxyProtocol::V2, Some((address, address)));
    client.stream.get_mut().write_all(&header).unwrap();
    client.send("not a ClientHello");
    // An alert: the bytes after the header were read as TLS.
    assert_eq!(client.read_exactly(1), "\u{15}");
}
