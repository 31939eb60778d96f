//! The end of a data plane: what is under way is finished, what waits is closed, what takes too long is cut.

mod support;

use narthex_proxy::DrainOutcome;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use support::*;

fn refused(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, PATIENCE).is_err()
}

#[test]
fn an_exchange_under_way_is_finished_and_told_to_close() {
    let held = Held::start();
    let plane = Plane::start(2);
    let address = plane.serve(&forwarding(upstream("up", &[held.server.address])));
    let mut client = Peer::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: x.example\r\n\r\n");
    held.request();
    let drain = plane.inner.drain();
    until("new connections are refused", || refused(address));
    held.answer(&answer("late"));
    let (head, body) = client.response().expect("a response");
    assert_eq!((field(&head, "connection"), &*body), (Some("close"), "late"));
    assert!(client.is_closed());
    assert_eq!(wait(drain).cut, 0);
}

#[test]
fn idle_connections_are_closed_soon() {
    let server = Server::named("a");
    let plane = Plane::start_with(1, Duration::from_secs(3600));
    let address = plane.serve(&forwarding(upstream("up", &[server.address])));
    let mut clients: Vec<Peer> = (0..5).map(|_| Peer::connect(address)).collect();
    for client in &mut clients {
        assert_eq!(client.get("x.example").unwrap().1, "a");
    }
    let silent = Peer::connect(address);
    let outcome = wait(plane.inner.drain());
    assert_eq!(outcome, DrainOutcome { finished: 6, cut: 0 });
    for client in clients.iter_mut().chain([&mut { silent }]) {
        assert!(client.is_closed());
    }
}

#[test]
fn a_request_that_was_on_its_way_when_the_drain_began_is_answered() {
    let server = Server::named("a");
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("up", &[server.address])));
    let mut client = Peer::connect(address);
    client.get("x.example").unwrap();
    let drain = plane.inner.drain();
    let (head, _) = client.get("x.example").expect("an answer within the grace");
    assert_eq!(field(&head, "connection"), Some("close"));
    assert_eq!(wait(drain).cut, 0);
}

#[test]
fn what_takes_longer_than_the_timeout_is_cut_and_counted() {
    let (held, socket) = (Held::start(), echo_after_upgrade());
    let plane = Plane::start_with(1, Duration::from_millis(300));
    let routes = vec![route("held.example", "held"), route("ws.example", "socket")];
    let bind = bind(
        0,
        ir::Transport::Http,
        vec![listener(ir::HostPattern::Any, vec![], routes)],
    );
    let upstreams = vec![
        upstream("held", &[held.server.address]),
        upstream("socket", &[socket.address]),
    ];
    let address = plane.serve(&snapshot(vec![bind], upstreams, vec![]));
    let mut websocket = upgrade(address, "ws.example");
    let mut client = Peer::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: held.example\r\n\r\n");
    held.request();
    let began = Instant::now();
    let drain = plane.inner.drain();
    echoes(&mut websocket, "still here");
    assert_eq!(wait(drain), DrainOutcome { finished: 0, cut: 2 });
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(client.is_closed() && websocket.is_closed());
}

#[test]
fn a_websocket_that_ends_during_the_drain_counts_as_finished() {
    let socket = echo_after_upgrade();
    let plane = Plane::start_with(1, Duration::from_secs(3600));
    let address = plane.serve(&forwarding(upstream("up", &[socket.address])));
    let mut websocket = upgrade(address, "x.example");
    let drain = plane.inner.drain();
    echoes(&mut websocket, "going on");
    drop(websocket);
    assert_eq!(wait(drain), DrainOutcome { finished: 1, cut: 0 });
}

#[test]
fn to_stop_now_closes_everything_at_once() {
    let socket = echo_after_upgrade();
    let plane = Plane::start(2);
    let address = plane.serve(&forwarding(upstream("up", &[socket.address])));
    let mut websocket = upgrade(address, "x.example");
    let drain = plane.inner.drain();
    plane.inner.stop_now();
    assert!(websocket.is_closed());
    wait(drain);
    assert!(refused(address));
}
