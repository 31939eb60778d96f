//! Handshakes as clients see them: which certificate for which name, who is refused, sessions over workers and reloads.

mod support;

use ir::{Bind, Certificate, HostPattern, Snapshot, Transport};
use rustls::{AlertDescription, Error, HandshakeKind, SignatureScheme};
use std::io::Read;
use std::sync::Arc;
use support::tls::{Client, handshake, leaf};
use support::*;

/// A TLS bind with these hosts, in one listener for all names.
fn tls_snapshot(hosts: &[(&str, &[&Arc<Certificate>])], default: &[&Arc<Certificate>]) -> Snapshot {
    let tls = hosts
        .iter()
        .map(|(name, certificates)| tls_host(name, certificates))
        .collect();
    let listeners = vec![listener(pattern("*"), tls, vec![status_route("*", 404)])];
    let default_certificates = default.iter().map(|certificate| certificate.id.clone()).collect();
    let bind = Bind {
        default_certificates,
        streams: Vec::new(),
        ..bind(0, Transport::Https, listeners)
    };
    let all = hosts
        .iter()
        .flat_map(|(_, certificates)| *certificates)
        .chain(default);
    snapshot(
        vec![bind],
        vec![],
        all.map(|certificate| Arc::clone(certificate)).collect(),
    )
}

#[test]
fn an_exact_name_goes_before_a_wildcard_and_a_wildcard_before_the_default() {
    let [exact, wide, deep, default] =
        ["exact", "wide", "deep", "default"].map(|id| certificate(id, &["x.example"], false));
    let plane = Plane::start(1);
    let snapshot = tls_snapshot(
        &[
            ("*.example.com", &[&wide]),
            ("shop.example.com", &[&exact]),
            ("*.eu.example.com", &[&deep]),
        ],
        &[&default],
    );
    let address = plane.serve(&snapshot);
    for (sni, expected) in [
        (Some("shop.example.com"), &exact),
        (Some("SHOP.Example.com"), &exact),
        (Some("blog.example.com"), &wide),
        (Some("a.b.example.com"), &wide),
        (Some("shop.eu.example.com"), &deep),
        (Some("example.com"), &default),
        (Some("notexample.com"), &default),
        (None, &default),
    ] {
        let session = Client::new().connect(address, sni).expect("a handshake");
        assert_eq!(leaf(&session), expected.chain[0], "{sni:?}");
    }
}

#[test]
fn the_star_of_an_ingress_stands_for_one_label_only() {
    let [wide, default] = ["wide", "default"].map(|id| certificate(id, &["x.example"], false));
    let plane = Plane::start(1);
    let mut snapshot = tls_snapshot(&[("*.example.com", &[&wide])], &[&default]);
    let mut changed = (*snapshot.binds[0].listeners[0]).clone();
    changed.tls[0].hostname = HostPattern::Wildcard {
        suffix: ".example.com".into(),
        one_label: true,
    };
    Arc::make_mut(&mut snapshot.binds[0]).listeners = vec![Arc::new(changed)];
    let address = plane.serve(&snapshot);
    for (sni, expected) in [
        ("a.example.com", &wide),
        ("a.b.example.com", &default),
        ("example.com", &default),
    ] {
        let session = Client::new().connect(address, Some(sni)).expect("a handshake");
        assert_eq!(leaf(&session), expected.chain[0], "{sni:?}");
    }
}

#[test]
fn without_a_default_an_unknown_name_is_refused_by_name() {
    let only = certificate("only", &["shop.example.com"], false);
    let plane = Plane::start(1);
    let address = plane.serve(&tls_snapshot(&[("shop.example.com", &[&only])], &[]));
    for sni in [Some("other.example.com"), None] {
        let error = Client::new().connect(address, sni).expect_err("refused");
        assert_eq!(
            error,
            Error::AlertReceived(AlertDescription::UnrecognisedName),
            "{sni:?}"
        );
    }
    assert!(Client::new().connect(address, Some("shop.example.com")).is_ok());
}

#[test]
fn of_ecdsa_and_rsa_the_client_gets_what_it_can_verify() {
    let (ecdsa, rsa) = (
        certificate("ecdsa", &["a.example"], false),
        certificate("rsa", &["a.example"], true),
    );
    let plane = Plane::start(1);
    let address = plane.serve(&tls_snapshot(&[("a.example", &[&ecdsa, &rsa])], &[]));
    let modern = Client::new()
        .connect(address, Some("a.example"))
        .expect("a handshake");
    assert_eq!(leaf(&modern), ecdsa.chain[0]);
    let old = Client {
        schemes: vec![SignatureScheme::RSA_PSS_SHA256],
        ..Client::new()
    };
    let session = old.connect(address, Some("a.example")).expect("a handshake");
    assert_eq!(leaf(&session), rsa.chain[0]);
}

#[test]
fn the_key_exchange_withstands_quantum_computers_when_the_client_offers_it() {
    let certificate = certificate("one", &["a.example"], false);
    let plane = Plane::start(1);
    let address = plane.serve(&tls_snapshot(&[("a.example", &[&certificate])], &[]));
    let session = Client::new()
        .connect(address, Some("a.example"))
        .expect("a handshake");
    let group = session.negotiated_key_exchange_group().expect("a group");
    assert_eq!(group.name(), rustls::NamedGroup::X25519MLKEM768);
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
}

#[test]
fn a_session_is_resumed_by_any_worker_in_both_versions_and_after_a_reload() {
    let one = certificate("one", &["a.example"], false);
    let plane = Plane::start(3);
    let before = tls_snapshot(&[("a.example", &[&one])], &[]);
    let address = plane.serve(&before);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = Client {
            versions: vec![version],
            ..Client::new()
        };
        let config = client.config();
        let kind = || {
            handshake(&config, address, Some("a.example"))
                .expect("a handshake")
                .handshake_kind()
        };
        assert_ne!(kind(), Some(HandshakeKind::Resumed));
        // Each connection has a port of its own and so may meet another worker.
        for _ in 0..12 {
            assert_eq!(kind(), Some(HandshakeKind::Resumed), "{version:?}");
        }
        let other = certificate("other", &["b.example"], false);
        plane.serve(&tls_snapshot(
            &[("a.example", &[&one]), ("b.example", &[&other])],
            &[],
        ));
        assert_eq!(kind(), Some(HandshakeKind::Resumed), "after a reload");
        plane.serve(&before);
    }
}

#[test]
fn a_session_of_one_name_does_not_open_another() {
    let (a, b) = (
        certificate("a", &["a.example"], false),
        certificate("b", &["b.example"], false),
    );
    let plane = Plane::start(1);
    let address = plane.serve(&tls_snapshot(&[("a.example", &[&a]), ("b.example", &[&b])], &[]));
    let config = Client::new().config();
    handshake(&config, address, Some("a.example")).expect("a handshake");
    let session = handshake(&config, address, Some("b.example")).expect("a handshake");
    assert_eq!(session.handshake_kind(), Some(HandshakeKind::Full));
    assert_eq!(leaf(&session), b.chain[0]);
}

#[test]
fn a_certificate_that_cannot_be_used_is_reported_and_the_others_work() {
    let good = certificate("good", &["good.example"], false);
    let other = certificate("other", &["x.example"], false);
    let mixed = Arc::new(Certificate {
        key: other.key.clone(),
        id: ir::CertificateId("mixed".into()),
        ..(*good).clone()
    });
    let garbage = Arc::new(Certificate {
        key: ir::PrivateKey(vec![1, 2, 3]),
        id: ir::CertificateId("garbage".into()),
        ..(*good).clone()
    });
    let plane = Plane::start(1);
    let snapshot = tls_snapshot(
        &[
            ("good.example", &[&good]),
            ("mixed.example", &[&mixed]),
            ("garbage.example", &[&garbage]),
        ],
        &[],
    );
    let applied = plane.publish(&snapshot);
    let broken: Vec<&str> = applied.broken.iter().map(|broken| &*broken.id.0).collect();
    assert_eq!(broken, ["garbage", "mixed"]);
    let address = plane.inner.local_addresses()[0].1;
    assert!(Client::new().connect(address, Some("good.example")).is_ok());
    assert!(Client::new().connect(address, Some("mixed.example")).is_err());
}

#[test]
fn a_new_certificate_is_shown_to_new_connections() {
    let (old, new) = (
        certificate("same", &["a.example"], false),
        certificate("same", &["a.example"], false),
    );
    let plane = Plane::start(2);
    let address = plane.serve(&tls_snapshot(&[("a.example", &[&old])], &[]));
    assert_eq!(
        leaf(&Client::new().connect(address, Some("a.example")).unwrap()),
        old.chain[0]
    );
    assert_eq!(
        plane.serve(&tls_snapshot(&[("a.example", &[&new])], &[])),
        address,
        "the socket stays"
    );
    for _ in 0..8 {
        assert_eq!(
            leaf(&Client::new().connect(address, Some("a.example")).unwrap()),
            new.chain[0]
        );
    }
}

#[test]
fn who_speaks_no_tls_is_turned_away() {
    let one = certificate("one", &["a.example"], false);
    let plane = Plane::start(1);
    let address = plane.serve(&tls_snapshot(&[("a.example", &[&one])], &[]));
    let mut plain = Peer::connect(address);
    plain.send("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    let mut answer = Vec::new();
    let _ = plain.stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}
