//! UDP flows: real sockets on loopback.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};
use support::{PATIENCE, Plane, udp_relaying, until, upstream};

const LONG: Duration = Duration::from_secs(60);

/// Answers each datagram with its own name, the sender's port and the content; one that is empty with nothing.
fn echo(name: &'static str) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut bytes = vec![0; 65_535];
        while let Ok((count, peer)) = socket.recv_from(&mut bytes) {
            if count == 0 {
                continue;
            }
            let mut answer = format!("{name} {} ", peer.port()).into_bytes();
            answer.extend_from_slice(&bytes[..count]);
            let _ = socket.send_to(&answer, peer);
        }
    });
    address
}

struct Client(UdpSocket);

impl Client {
    fn to(address: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(socket)
    }

    fn ask(&self, text: &str) -> String {
        self.0.send(text.as_bytes()).unwrap();
        self.answer()
    }

    fn answer(&self) -> String {
        let mut bytes = vec![0; 65_535];
        let count = self.0.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    }

    fn hears_nothing(&self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let nothing = self.0.recv(&mut [0; 100]).is_err();
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        nothing
    }
}

fn serve(plane: &Plane, snapshot: &ir::Snapshot) -> SocketAddr {
    let applied = plane.publish(snapshot);
    assert!(applied.failed.is_empty(), "{applied:?}");
    plane.inner.local_udp_addresses()[0].1
}

fn words(answer: &str) -> (String, u16) {
    let mut words = answer.split(' ');
    let name = words.next().unwrap().to_owned();
    (name, words.next().unwrap().parse().unwrap())
}

fn metrics(plane: &Plane) -> String {
    String::from_utf8(plane.telemetry.scrape(telemetry::Format::Text)).unwrap()
}

#[test]
fn a_client_keeps_its_endpoint_and_hears_only_what_is_for_it() {
    let endpoints = [echo("one"), echo("two"), echo("three")];
    // Several workers: the kernel gives a client's datagrams to the same one.
    let plane = Plane::start(4);
    let address = serve(
        &plane,
        &udp_relaying(&[("a", 1)], vec![upstream("a", &endpoints)], LONG),
    );
    let clients: Vec<Client> = (0..24).map(|_| Client::to(address)).collect();
    let mut flows: HashMap<usize, (String, u16)> = HashMap::new();
    for round in 0..10 {
        for (at, client) in clients.iter().enumerate() {
            let answer = client.ask(&format!("client {at} round {round}"));
            assert!(
                answer.ends_with(&format!("client {at} round {round}")),
                "{answer}"
            );
            let flow = flows.entry(at).or_insert_with(|| words(&answer));
            assert_eq!(*flow, words(&answer), "client {at}");
        }
    }
    let names: std::collections::BTreeSet<_> = flows.values().map(|(name, _)| name.clone()).collect();
    assert_eq!(names.len(), 3, "all endpoints have flows");
}

#[test]
fn datagrams_keep_their_boundaries_up_to_the_largest() {
    let plane = Plane::start(1);
    let endpoint = echo("one");
    let address = serve(
        &plane,
        &udp_relaying(&[("a", 1)], vec![upstream("a", &[endpoint])], LONG),
    );
    let client = Client::to(address);
    for size in [1, 511, 1472, 1473, 9000, 60_000] {
        let answer = client.ask(&"x".repeat(size));
        assert_eq!(answer.matches('x').count(), size);
    }
    // A burst of many, of which none is merged or split.
    for number in 0..100 {
        client.0.send(format!("number {number}").as_bytes()).unwrap();
    }
    let mut seen: Vec<String> = (0..100).map(|_| client.answer()).collect();
    seen.retain(|answer| answer.contains("number"));
    assert_eq!(seen.len(), 100);
}

#[test]
fn weights_hold_over_flows_and_a_broken_backend_drops_its_share() {
    let (one, two) = (echo("one"), echo("two"));
    let plane = Plane::start(1);
    let upstreams = vec![upstream("a", &[one]), upstream("b", &[two])];
    let backends = [("a", 7), ("b", 3), ("", 0)];
    let address = serve(&plane, &udp_relaying(&backends, upstreams, LONG));
    let mut counts: HashMap<String, i32> = HashMap::new();
    for _ in 0..300 {
        let (name, _) = words(&Client::to(address).ask("x"));
        *counts.entry(name).or_default() += 1;
    }
    assert!((counts["one"] - 210).abs() < 45, "{counts:?}");
    plane.publish(&udp_relaying(&[("", 1)], vec![], LONG));
    let client = Client::to(address);
    client.0.send(b"x").unwrap();
    assert!(client.hears_nothing());
    assert!(metrics(&plane).contains("narthex_faults_total{code=\"broken-backend\"} 1"));
}

#[test]
fn a_flow_keeps_its_endpoint_while_that_is_there_and_moves_when_it_is_gone() {
    let (one, two) = (echo("one"), echo("two"));
    let plane = Plane::start(1);
    let address = serve(
        &plane,
        &udp_relaying(&[("a", 1)], vec![upstream("a", &[one])], LONG),
    );
    let client = Client::to(address);
    let first = words(&client.ask("x"));
    plane.publish(&udp_relaying(&[("a", 1)], vec![upstream("a", &[one, two])], LONG));
    for _ in 0..10 {
        assert_eq!(words(&client.ask("x")), first, "more endpoints move nobody");
    }
    // One that goes is used as long as it answers.
    plane.publish(&udp_relaying(&[("a", 1)], vec![upstream("a", &[two])], LONG));
    assert_eq!(words(&client.ask("x")), first);
    assert_eq!(words(&Client::to(address).ask("x")).0, "two");
    // A client that hears nothing is not left with it.
    let silent = Client::to(address);
    plane.publish(&udp_relaying(&[("a", 1)], vec![upstream("a", &[one])], LONG));
    silent.0.send(b"").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    plane.publish(&udp_relaying(&[("a", 1)], vec![upstream("a", &[two])], LONG));
    assert_eq!(words(&silent.ask("x")).0, "two");
}

#[test]
fn an_endpoint_that_refuses_is_left_for_another() {
    let good = echo("good");
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plane = Plane::start(1);
    let address = serve(
        &plane,
        &udp_relaying(&[("a", 1)], vec![upstream("a", &[gone, good])], LONG),
    );
    for _ in 0..4 {
        let client = Client::to(address);
        client
            .0
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            client.0.send(b"x").unwrap();
            if client.0.recv(&mut [0; 100]).is_ok() {
                break;
            }
            assert!(Instant::now() < end, "it never got through");
        }
    }
}

#[test]
fn a_silent_flow_is_forgotten_and_counted_with_its_bytes() {
    let endpoint = echo("one");
    let plane = Plane::start(1);
    let idle = Duration::from_millis(500);
    let address = serve(
        &plane,
        &udp_relaying(&[("a", 1)], vec![upstream("a", &[endpoint])], idle),
    );
    let client = Client::to(address);
    let first = words(&client.ask("12345"));
    until("the flow is counted", || {
        metrics(&plane).contains(
            "narthex_stream_received_bytes_total{route_kind=\"TCPRoute\",route_namespace=\"test\",route=\"r\",rule=\"rules[0]\"} 5",
        )
    });
    assert_ne!(words(&client.ask("x")).1, first.1, "a new flow has another port");
}

#[test]
fn behind_a_socket_for_every_address_the_one_that_was_asked_answers() {
    let endpoint = echo("one");
    let plane = Plane::start(2);
    let mut snapshot = udp_relaying(&[("a", 1)], vec![upstream("a", &[endpoint])], LONG);
    let mut bind = ir::UdpBind::clone(&snapshot.udp[0]);
    bind.address.ip = None;
    snapshot.udp = vec![std::sync::Arc::new(bind)];
    let port = serve(&plane, &snapshot).port();
    let mut addresses = vec!["127.0.0.1", "127.0.0.2", "127.0.0.3"];
    if UdpSocket::bind("[::1]:0").is_ok() {
        addresses.push("::1");
    }
    for address in addresses {
        let ip: std::net::IpAddr = address.parse().unwrap();
        let any = if ip.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let socket = UdpSocket::bind(any).unwrap();
        // Connected: an answer from another address would not get through.
        socket.connect((ip, port)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(words(&Client(socket).ask("x")).0, "one", "{address}");
    }
}

#[test]
fn strangers_send_nothing_to_a_client() {
    let endpoint = echo("one");
    let plane = Plane::start(1);
    let address = serve(
        &plane,
        &udp_relaying(&[("a", 1)], vec![upstream("a", &[endpoint])], LONG),
    );
    let client = Client::to(address);
    let (_, port) = words(&client.ask("x"));
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(b"forged", ("127.0.0.1", port)).unwrap();
    assert!(client.hears_nothing());
}

#[test]
fn a_port_that_is_taken_is_told_and_tcp_does_not_take_it() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let plane = Plane::start(2);
    let mut snapshot = udp_relaying(&[("", 1)], vec![], LONG);
    let mut bind = ir::UdpBind::clone(&snapshot.udp[0]);
    bind.address.port = port;
    snapshot.udp = vec![std::sync::Arc::new(bind)];
    let applied = plane.publish(&snapshot);
    assert_eq!(applied.failed[0].name(), format!("127.0.0.1:{port}/udp"));
    drop(taken);
    let tcp = std::net::TcpListener::bind(("127.0.0.1", port));
    assert!(plane.publish(&snapshot).failed.is_empty());
    drop(tcp);
}
