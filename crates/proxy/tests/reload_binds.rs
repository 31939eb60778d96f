//! Which sockets are opened, kept and closed as snapshots come and go.

mod support;

use ir::{BindAddress, HostPattern, Snapshot, Transport};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use support::*;

fn plain(addresses: &[BindAddress]) -> Snapshot {
    let bind = |address: &BindAddress| ir::Bind {
        address: *address,
        ..bind(
            0,
            Transport::Http,
            vec![listener(HostPattern::Any, vec![], vec![status_route("*", 404)])],
        )
    };
    let mut binds: Vec<_> = addresses.iter().map(bind).collect();
    binds.sort_by_key(|bind| bind.address);
    snapshot(binds, vec![], vec![])
}

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    probe.local_addr().expect("an address").port()
}

fn connects(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, PATIENCE).is_ok()
}

#[test]
fn an_address_that_is_taken_is_reported_and_the_others_work_and_it_is_tried_again() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let plane = Plane::start(2);
    let snapshot = plain(&[loopback(0), loopback(port)]);
    let applied = plane.publish(&snapshot);
    assert_eq!(applied.failed.len(), 1);
    assert_eq!(applied.failed[0].address, loopback(port));
    assert_eq!(applied.failed[0].error.kind(), ErrorKind::AddrInUse);
    assert!(
        applied.failed[0]
            .to_string()
            .starts_with(&format!("127.0.0.1:{port}: "))
    );
    let works = plane.inner.local_addresses();
    assert_eq!(works.len(), 1);
    assert!(connects(works[0].1));
    drop(taken);
    assert!(plane.publish(&snapshot).failed.is_empty());
    assert!(connects(([127, 0, 0, 1], port).into()));
}

#[test]
fn a_port_shared_with_another_gateway_by_accident_is_reported() {
    let (first, second) = (Plane::start(1), Plane::start(1));
    let snapshot = plain(&[loopback(free_port())]);
    first.serve(&snapshot);
    let applied = second.publish(&snapshot);
    assert_eq!(applied.failed[0].error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn the_wildcard_address_takes_ipv4_and_ipv6() {
    let plane = Plane::start(1);
    let address = plane.serve(&plain(&[BindAddress { ip: None, port: 0 }]));
    assert!(connects(([127, 0, 0, 1], address.port()).into()));
    if address.is_ipv6() {
        assert!(connects((std::net::Ipv6Addr::LOCALHOST, address.port()).into()));
    }
}

#[test]
fn a_specific_address_and_the_wildcard_can_share_a_port() {
    let plane = Plane::start(2);
    let port = free_port();
    let applied = plane.publish(&plain(&[BindAddress { ip: None, port }, loopback(port)]));
    assert!(applied.failed.is_empty(), "{applied:?}");
    assert!(connects(([127, 0, 0, 1], port).into()) && connects(([127, 0, 0, 2], port).into()));
}

#[test]
fn the_socket_of_a_bind_that_is_gone_is_closed_and_can_be_opened_again() {
    let plane = Plane::start(2);
    let (stays, goes) = (loopback(free_port()), loopback(free_port()));
    let at = |address: BindAddress| SocketAddr::from(([127, 0, 0, 1], address.port));
    plane.serve(&plain(&[stays, goes]));
    assert!(connects(at(stays)) && connects(at(goes)));
    plane.serve(&plain(&[stays]));
    until("the socket is closed", || !connects(at(goes)));
    assert!(connects(at(stays)));
    plane.serve(&plain(&[stays, goes]));
    assert!(connects(at(goes)));
}
