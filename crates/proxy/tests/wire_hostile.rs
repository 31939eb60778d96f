//! Hostile bytes through a real listener: each gets its status and a close, and nothing of it reaches the upstream.

mod support;

use ir::{HttpSettings, Limits};
use std::sync::Arc;
use support::{Peer, Plane, Server, field, forwarding, status, upstream};

fn gate(limits: Limits) -> (Plane, Server, std::net::SocketAddr) {
    let origin = Server::named("app");
    let plane = Plane::start(1);
    let mut snapshot = forwarding(upstream("app", &[origin.address]));
    snapshot.http = Arc::new(HttpSettings {
        limits,
        ..HttpSettings::default()
    });
    let address = plane.serve(&snapshot);
    (plane, origin, address)
}

#[test]
fn smuggling_attempts_are_refused_and_closed_without_reaching_the_upstream() {
    let (_plane, origin, address) = gate(Limits::default());
    let tail = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (name, fields) in [
        ("CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked"),
        ("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4"),
        ("TE.TE other value", "Transfer-Encoding: xchunked"),
        (
            "TE.TE repeated",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        ),
        ("TE.TE space before colon", "Transfer-Encoding : chunked"),
        ("TE.TE tab in the name", "Transfer\tEncoding: chunked"),
        ("TE.TE leading space", " Transfer-Encoding: chunked"),
        ("TE.TE folded", "X: y\r\n\tTransfer-Encoding: chunked"),
        ("TE.TE vertical tab", "Transfer-Encoding:\x0bchunked"),
        ("TE.TE quoted", "Transfer-Encoding: 'chunked'"),
        ("TE.TE identity", "Transfer-Encoding: identity, chunked"),
        ("TE.TE bare LF", "X: y\nTransfer-Encoding: chunked"),
        ("TE.TE bare CR", "X: y\rTransfer-Encoding: chunked"),
        ("TE.TE NUL", "Transfer-Encoding: chunked\0"),
        ("CL.CL", "Content-Length: 5\r\nContent-Length: 6"),
        ("CL list", "Content-Length: 5, 5"),
        ("CL sign", "Content-Length: +5"),
        ("CL space inside", "Content-Length: 1 0"),
    ] {
        let mut client = Peer::connect(address);
        client.send(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{tail}"));
        let (head, _) = client.response().expect(name);
        assert_eq!(status(&head), "400", "{name}");
        assert_eq!(field(&head, "connection"), Some("close"), "{name}");
        assert!(client.is_closed(), "{name}");
    }
    assert_eq!(origin.accepted(), 0);
}

#[test]
fn underscored_length_fields_are_not_passed_on() {
    let origin = Server::start(|mut peer| {
        while let Some(head) = peer.head() {
            peer.send(&support::answer(&head));
        }
    });
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    let mut client = Peer::connect(address);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\nContent-Length: 0\r\n\r\n");
    let (_, seen) = client.response().expect("a response");
    assert_eq!(field(&seen, "transfer_encoding"), None);
}

#[test]
fn a_broken_chunk_is_answered_with_400_and_a_close() {
    let (_plane, _origin, address) = gate(Limits::default());
    for chunk in [
        "x\r\n",
        "5\nhello\r\n",
        "5\r\nhello!\r\n",
        "-1\r\n",
        "5 \r\nhello\r\n",
    ] {
        let mut client = Peer::connect(address);
        client.send(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}"
        ));
        let (head, _) = client.response().expect("a response");
        assert_eq!(status(&head), "400", "{chunk:?}");
        assert!(client.is_closed());
    }
}

#[test]
fn every_limit_has_its_status() {
    let limits = Limits {
        request_line: 100,
        header_bytes: 300,
        header_count: 5,
        body: Some(10),
        ..Limits::default()
    };
    let (_plane, _origin, address) = gate(limits);
    let long = "x".repeat(400);
    for (request, expected) in [
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "414"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), "431"),
        (
            format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(6)),
            "431",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world".into(),
            "413",
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n\r\n"
                .into(),
            "413",
        ),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".into(), "505"),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n".into(), "405"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n".into(),
            "417",
        ),
        ("GET / HTTP/1.1\r\n\r\n".into(), "400"),
        ("GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("GET /../../etc HTTP/1.1\r\nHost: a\r\n\r\n".into(), "400"),
        ("\x16\x03\x01\x02".into(), "400"),
    ] {
        let mut client = Peer::connect(address);
        client.send(&request);
        let (head, _) = client.response().expect("a response");
        assert_eq!(status(&head), expected, "{request:?}");
    }
}

#[test]
fn an_empty_line_before_a_request_is_skipped() {
    let (_plane, _origin, address) = gate(Limits::default());
    let mut client = Peer::connect(address);
    client.send("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().expect("a response").1, "app");
}

#[test]
fn answers_of_our_own_come_in_the_form_asked_for_and_name_no_product() {
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[])));
    let mut client = Peer::connect(address);
    for (accept, media) in [
        ("text/html,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json", "application/json"),
        ("*/*", "text/plain; charset=utf-8"),
    ] {
        client.send(&format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n"));
        let (head, body) = client.response().expect("a response");
        assert_eq!(status(&head), "503");
        assert_eq!(field(&head, "content-type"), Some(media));
        assert!(field(&head, "date").is_some() && field(&head, "server").is_none());
        assert!(!(head + &body).to_lowercase().contains("narthex"));
    }
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.head().expect("a response");
    assert_ne!(field(&head, "content-length"), Some("0"));
    let (head, _) = client.get("a").expect("no body came between");
    assert_eq!(status(&head), "503");
}

#[test]
fn a_few_empty_lines_before_a_request_are_skipped_and_an_endless_row_is_refused() {
    // RFC 9112 §2.2
    let (_plane, origin, address) = gate(Limits::default());
    let mut client = Peer::connect(address);
    for _ in 0..3 {
        client.send("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(status(&client.response().expect("a response").0), "200");
    }
    let before = origin.accepted();
    let mut client = Peer::connect(address);
    client.send(&"\r\n".repeat(9));
    let (head, _) = client.response().expect("a response");
    assert_eq!(
        (status(&head), field(&head, "connection")),
        ("400", Some("close"))
    );
    assert!(client.is_closed());
    assert_eq!(origin.accepted(), before);
}

#[test]
fn a_field_that_would_choose_the_proxy_of_a_cgi_program_is_not_passed_on() {
    // CVE-2016-5385: `Proxy` becomes the environment variable HTTP_PROXY.
    let origin = Server::start(|mut peer| {
        while let Some(head) = peer.head() {
            peer.send(&support::answer(&head));
        }
    });
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    let mut client = Peer::connect(address);
    client.send("GET / HTTP/1.1\r\nHost: a\r\npROXY: http://evil\r\nProxies: kept\r\n\r\n");
    let (_, seen) = client.response().expect("a response");
    assert_eq!(field(&seen, "proxy"), None);
    assert_eq!(field(&seen, "proxies"), Some("kept"));
}
