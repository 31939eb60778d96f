//! TCP connections forwarded as they are.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use support::{PATIENCE, Peer, Plane, Server, relaying, until, upstream, upstream_with};

/// Says its name at once, then sends back what it gets, and says goodbye at the end.
fn talkative(name: &'static str) -> Server {
    Server::start(move |mut peer| {
        peer.send(&format!("{name}\n"));
        let mut bytes = [0; 16 * 1024];
        peer.stream.get_mut().set_read_timeout(None).unwrap();
        while let Ok(count @ 1..) = peer.stream.read(&mut bytes) {
            if peer.stream.get_mut().write_all(&bytes[..count]).is_err() {
                return;
            }
        }
        let _ = peer.try_send("bye\n");
    })
}

/// The name of the server that a new connection reaches; none if it is refused, which may come before or after `connect`.
fn reached(address: SocketAddr) -> Option<String> {
    let tcp = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    let mut peer = Peer::new(tcp);
    let mut name = [0; 4];
    peer.stream.read_exact(&mut name).ok()?;
    Some(String::from_utf8_lossy(&name).trim().to_owned())
}

fn metrics(plane: &Plane) -> String {
    String::from_utf8(plane.telemetry.scrape(telemetry::Format::Text)).unwrap()
}

#[test]
fn the_server_may_speak_first_and_a_half_closed_client_still_hears_the_rest() {
    let server = talkative("one");
    let plane = Plane::start(1);
    let address = plane.serve(&relaying(&[("a", 1)], vec![upstream("a", &[server.address])]));
    let mut client = Peer::connect(address);
    assert_eq!(client.read_exactly(4), "one\n");
    client.send("hello");
    assert_eq!(client.read_exactly(5), "hello");
    client.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.read_exactly(4), "bye\n");
    assert!(client.is_closed());
    until("the stream is counted", || {
        metrics(&plane).contains(
            "narthex_stream_received_bytes_total{route_kind=\"TCPRoute\",route_namespace=\"test\",route=\"r\",rule=\"rules[0]\"} 5",
        )
    });
}

#[test]
fn much_passes_both_ways_at_once_and_unchanged() {
    let server = talkative("one");
    let plane = Plane::start(1);
    let address = plane.serve(&relaying(&[("a", 1)], vec![upstream("a", &[server.address])]));
    let mut client = Peer::connect(address);
    assert_eq!(client.read_exactly(4), "one\n");
    let content: Vec<u8> = (0..8_000_000_u32).map(|index| (index % 251) as u8).collect();
    let sent = content.clone();
    let mut writing = client.stream.get_ref().try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        writing.write_all(&sent).unwrap();
        writing.shutdown(Shutdown::Write).unwrap();
    });
    let mut received = Vec::new();
    client.stream.read_to_end(&mut received).unwrap();
    writer.join().unwrap();
    assert!(received.ends_with(b"bye\n"));
    received.truncate(received.len() - 4);
    assert!(received == content);
}

#[test]
fn weights_are_kept_and_a_broken_backend_refuses_its_share() {
    let (one, other) = (talkative("one"), talkative("two"));
    let plane = Plane::start(1);
    let upstreams = vec![upstream("a", &[one.address]), upstream("b", &[other.address])];
    let address = plane.serve(&relaying(&[("a", 5), ("b", 3), ("", 2)], upstreams));
    let mut counts = [0, 0, 0];
    for _ in 0..400 {
        match reached(address).as_deref() {
            Some("one") => counts[0] += 1,
            Some(_) => counts[1] += 1,
            None => counts[2] += 1,
        }
    }
    let near = |count: i32, wanted: i32| (count - wanted).abs() <= 60;
    assert!(
        near(counts[0], 200) && near(counts[1], 120) && near(counts[2], 80),
        "{counts:?}"
    );
}

#[test]
fn without_a_route_or_an_endpoint_a_connection_is_reset_and_counted() {
    let plane = Plane::start(1);
    let address = plane.serve(&relaying(&[("a", 1)], vec![upstream("a", &[])]));
    assert_eq!(reached(address), None);
    assert!(metrics(&plane).contains("narthex_faults_total{code=\"no-endpoints\"} 1"));
    // An endpoint where nobody listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    plane.publish(&relaying(&[("a", 1)], vec![upstream("a", &[free])]));
    let address = plane.inner.local_addresses()[0].1;
    assert_eq!(reached(address), None);
    until("the failure is counted", || {
        metrics(&plane).contains("narthex_faults_total{code=\"connect\"} 1")
    });
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    let server = Server::start(|mut peer| {
        peer.read_exactly(1);
        socket2::SockRef::from(peer.stream.get_ref())
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    let plane = Plane::start(1);
    let address = plane.serve(&relaying(&[("a", 1)], vec![upstream("a", &[server.address])]));
    let mut client = Peer::connect(address);
    client.send("x");
    let error = client.stream.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn connections_survive_every_change_even_that_their_listener_goes() {
    let (first, second) = (talkative("one"), talkative("two"));
    let plane = Plane::start(2);
    let address = plane.serve(&relaying(&[("a", 1)], vec![upstream("a", &[first.address])]));
    let mut client = Peer::connect(address);
    assert_eq!(client.read_exactly(4), "one\n");
    plane.publish(&relaying(&[("b", 1)], vec![upstream("b", &[second.address])]));
    let mut new = Peer::connect(address);
    assert_eq!(new.read_exactly(4), "two\n");
    plane.publish(&ir::Snapshot::default());
    for client in [&mut client, &mut new] {
        client.send("still");
        assert_eq!(client.read_exactly(5), "still");
    }
    until("nobody listens", || {
        std::net::TcpStream::connect(address).is_err()
    });
}

#[test]
fn a_silent_connection_ends_at_its_time() {
    let server = talkative("one");
    let settings = ir::UpstreamSettings {
        tunnel_idle_timeout: Duration::from_millis(600),
        ..ir::UpstreamSettings::default()
    };
    let plane = Plane::start(1);
    let upstreams = vec![upstream_with("a", &[server.address], settings)];
    let address = plane.serve(&relaying(&[("a", 1)], upstreams));
    let mut client = Peer::connect(address);
    assert_eq!(client.read_exactly(4), "one\n");
    let began = Instant::now();
    assert!(client.is_closed());
    assert!(
        (500..3000).contains(&began.elapsed().as_millis()),
        "{:?}",
        began.elapsed()
    );
}

#[test]
fn an_upstream_that_wants_it_is_told_who_the_client_is() {
    let server = Server::start(|mut peer| {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut peer.stream, &mut line).unwrap();
        peer.send(&line);
    });
    let settings = ir::UpstreamSettings {
        proxy_protocol: Some(ir::ProxyProtocol::V1),
        ..ir::UpstreamSettings::default()
    };
    let plane = Plane::start(1);
    let address = plane.serve(&relaying(
        &[("a", 1)],
        vec![upstream_with("a", &[server.address], settings)],
    ));
    let mut client = Peer::connect(address);
    let own = client.stream.get_ref().local_addr().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut client.stream, &mut line).unwrap();
    assert_eq!(
        line,
        format!(
            "PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n",
            own.port(),
            address.port()
        )
    );
}

#[test]
fn a_drain_lets_streams_go_on_until_its_time_is_over() {
    let server = talkative("one");
    let plane = Plane::start_with(1, Duration::from_millis(1500));
    let address = plane.serve(&relaying(&[("a", 1)], vec![upstream("a", &[server.address])]));
    let mut client = Peer::connect(address);
    assert_eq!(client.read_exactly(4), "one\n");
    let drain = plane.inner.drain();
    let drained = std::thread::spawn(move || support::wait(drain));
    std::thread::sleep(Duration::from_millis(700));
    client.send("still");
    assert_eq!(client.read_exactly(5), "still");
    let outcome = drained.join().unwrap();
    assert_eq!((outcome.finished, outcome.cut), (0, 1));
    assert!(client.is_closed());
    assert!(PATIENCE > Duration::from_secs(2));
}
