//! Changes while connections are open: what is under way goes on, what comes next follows the newest snapshot.

mod support;

use ir::{HostPattern, Snapshot, Transport};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use support::*;

/// One plain bind with these routes.
fn with(routes: &[Arc<ir::Route>], upstreams: Vec<ir::Upstream>) -> Snapshot {
    let bind = bind(
        0,
        Transport::Http,
        vec![listener(HostPattern::Any, vec![], routes.to_vec())],
    );
    snapshot(vec![bind], upstreams, vec![])
}

#[test]
fn a_websocket_and_a_download_live_through_a_hundred_changes() {
    let piece = "x".repeat(100);
    let (send_piece, pieces) = std::sync::mpsc::channel::<()>();
    let pieces = std::sync::Mutex::new(pieces);
    let slow = {
        let piece = piece.clone();
        Server::start(move |mut peer| {
            peer.head();
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n");
            while pieces.lock().expect("whole").recv().is_ok() {
                peer.send(&piece);
            }
        })
    };
    let socket = echo_after_upgrade();
    let plane = Plane::start(2);
    let state = |round: u16| {
        let routes = [
            route("ws.example", "socket"),
            route("file.example", "slow"),
            status_route("other.example", 400 + round),
        ];
        let unused = ([127, 0, 0, 1], 1000 + round).into();
        let upstreams = vec![
            upstream("socket", &[socket.address]),
            upstream("slow", &[slow.address]),
            upstream("unused", &[unused]),
        ];
        with(&routes, upstreams)
    };
    let address = plane.serve(&state(0));
    let mut websocket = upgrade(address, "ws.example");
    let (mut file, mut other) = (Peer::connect(address), Peer::connect(address));
    file.send("GET / HTTP/1.1\r\nHost: file.example\r\n\r\n");
    assert_eq!(status(&file.head().expect("a head")), "200");
    for round in 0..100 {
        assert_eq!(plane.serve(&state(round)), address);
        echoes(&mut websocket, &format!("round {round}"));
        send_piece.send(()).expect("the server lives");
        assert_eq!(file.read_exactly(100), piece);
        let (head, _) = other
            .get("other.example")
            .expect("an answer on the old connection");
        assert_eq!(
            status(&head),
            (400 + round).to_string(),
            "the newest plan answers"
        );
    }
    assert_eq!((socket.accepted(), slow.accepted()), (1, 1));
}

#[test]
fn an_old_connection_follows_the_newest_snapshot() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let plane = Plane::start(2);
    let to = |name: &str| {
        with(
            &[route("*", name)],
            vec![upstream("a", &[a.address]), upstream("b", &[b.address])],
        )
    };
    let address = plane.serve(&to("a"));
    let mut client = Peer::connect(address);
    assert_eq!(client.get("x.example").unwrap().1, "a");
    plane.serve(&to("b"));
    assert_eq!(client.get("x.example").unwrap().1, "b");
}

#[test]
fn endpoints_change_under_an_open_connection() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let plane = Plane::start(1);
    let routes = [route("*", "up")];
    let address = plane.serve(&with(&routes, vec![upstream("up", &[a.address])]));
    let mut client = Peer::connect(address);
    assert_eq!(client.get("x.example").unwrap().1, "a");
    plane.serve(&with(&routes, vec![upstream("up", &[b.address])]));
    assert_eq!(client.get("x.example").unwrap().1, "b");
    plane.serve(&with(&routes, vec![upstream("up", &[])]));
    assert_eq!(status(&client.get("x.example").unwrap().0), "503");
    plane.serve(&with(&routes, vec![upstream("up", &[a.address])]));
    assert_eq!(client.get("x.example").unwrap().1, "a");
}

#[test]
fn an_exchange_with_an_endpoint_that_goes_away_is_finished() {
    let (held, next) = (Held::start(), Server::named("next"));
    let plane = Plane::start(1);
    let routes = [route("*", "up")];
    let address = plane.serve(&with(&routes, vec![upstream("up", &[held.server.address])]));
    let mut client = Peer::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: x.example\r\n\r\n");
    held.request();
    plane.serve(&with(&routes, vec![upstream("up", &[next.address])]));
    held.answer(&answer("late"));
    assert_eq!(client.response().unwrap().1, "late");
    assert_eq!(client.get("x.example").unwrap().1, "next");
}

#[test]
fn a_bind_that_goes_away_finishes_its_exchanges_and_closes() {
    let held = Held::start();
    let plane = Plane::start(1);
    let snapshot = with(&[route("*", "up")], vec![upstream("up", &[held.server.address])]);
    let address = plane.serve(&snapshot);
    let (mut busy, mut idle) = (Peer::connect(address), Peer::connect(address));
    idle.send("GET / HTTP/1.1\r\nHost: x.example\r\n\r\n");
    held.request();
    held.answer(&answer("first"));
    assert_eq!(idle.response().unwrap().1, "first");
    busy.send("GET / HTTP/1.1\r\nHost: x.example\r\n\r\n");
    held.request();
    plane.publish(&Snapshot {
        binds: vec![],
        ..snapshot
    });
    assert!(idle.is_closed());
    held.answer(&answer("last"));
    assert_eq!(busy.response().unwrap().1, "last");
    assert!(busy.is_closed());
}

#[test]
fn connections_that_the_upstream_closes_between_requests_fail_no_request() {
    // Answers once per connection and closes without a word.
    let server = Server::start(|mut peer| {
        if peer.head().is_some() {
            peer.send(&answer("once"));
        }
    });
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("up", &[server.address])));
    let mut client = Peer::connect(address);
    for _ in 0..200 {
        assert_eq!(client.get("x.example").expect("an answer").1, "once");
    }
    assert_eq!(server.accepted(), 200);
}

#[test]
fn no_request_fails_while_everything_changes() {
    let servers = [Server::named("a"), Server::named("b"), Server::named("c")];
    let plane = Plane::start(2);
    let state = |round: usize| {
        let endpoints: Vec<_> = (0..2).map(|index| servers[(round + index) % 3].address).collect();
        with(
            &[
                route("*", "up"),
                status_route(&format!("host{round}.example"), 404),
            ],
            vec![upstream("up", &endpoints)],
        )
    };
    let address = plane.serve(&state(0));
    let over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut client = Peer::connect(address);
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    let (head, _) = client.get("x.example").expect("an answer");
                    assert_eq!(status(&head), "200");
                    count += 1;
                }
                count
            })
        })
        .collect();
    for round in 1..200 {
        plane.serve(&state(round));
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.join().expect("no failure") > 0);
    }
}
