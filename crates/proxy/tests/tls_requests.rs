//! Requests over TLS: on connections that outlive their certificate, and for hosts of another listener.

mod support;

use ir::{Certificate, HostPattern, Snapshot, Transport};
use rustls::ClientConfig;
use std::sync::Arc;
use support::tls::{Client, Stream, leaf};
use support::*;

fn snapshot_with(certificate: &Arc<Certificate>) -> Snapshot {
    let tls = vec![tls_host("a.example", &[certificate])];
    let bind = bind(
        0,
        Transport::Https,
        vec![listener(
            HostPattern::Any,
            tls,
            vec![status_route("a.example", 418)],
        )],
    );
    snapshot(vec![bind], vec![], vec![Arc::clone(certificate)])
}

fn ask(stream: &mut Stream, host: &str) -> String {
    let (head, _) = stream.get(host).expect("a response");
    status(&head).to_owned()
}

fn open(config: &Arc<ClientConfig>, address: std::net::SocketAddr, sni: &str) -> Stream {
    Stream::open(config, address, Some(sni))
}

#[test]
fn a_connection_outlives_the_certificate_that_it_began_with() {
    let (old, new) = (
        certificate("c", &["a.example"], false),
        certificate("c", &["a.example"], false),
    );
    let plane = Plane::start(1);
    let address = plane.serve(&snapshot_with(&old));
    let mut connection = open(&Client::new().config(), address, "a.example");
    assert_eq!(ask(&mut connection, "a.example"), "418");
    plane.serve(&snapshot_with(&new));
    assert_eq!(ask(&mut connection, "a.example"), "418");
    assert_eq!(leaf(&connection.session), old.chain[0]);
    let mut next = open(&Client::new().config(), address, "a.example");
    assert_eq!(ask(&mut next, "a.example"), "418");
    assert_eq!(leaf(&next.session), new.chain[0]);
}

#[test]
fn a_host_of_another_listener_than_the_handshakes_is_misdirected() {
    let one = certificate("one", &["a.example"], false);
    let on = |host: &str, code: u16| {
        listener(
            pattern(host),
            vec![tls_host(host, &[&one])],
            vec![status_route(host, code)],
        )
    };
    let listeners = vec![on("a.example", 418), on("b.example", 410), on("*.example", 404)];
    let plane = Plane::start(1);
    let address = plane.serve(&snapshot(
        vec![bind(0, Transport::Https, listeners)],
        vec![],
        vec![Arc::clone(&one)],
    ));
    let mut connection = open(&Client::new().config(), address, "a.example");
    assert_eq!(ask(&mut connection, "a.example"), "418");
    let mut connection = open(&Client::new().config(), address, "a.example");
    assert_eq!(ask(&mut connection, "b.example"), "421");
    let mut connection = open(&Client::new().config(), address, "c.example");
    assert_eq!(ask(&mut connection, "d.example"), "404", "the same listener");
}
