//! Shares as origins see them: over endpoints, over backends, and around an endpoint that is down.

mod support;

use ir::{Action, Backend, Balance, Endpoint, Target, Transport, UpstreamId, UpstreamSettings};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::*;

/// How often each origin answered so many requests.
fn answers(plane: &Plane, snapshot: &ir::Snapshot, count: usize) -> BTreeMap<String, usize> {
    let mut client = Peer::connect(plane.serve(snapshot));
    let mut seen = BTreeMap::new();
    for _ in 0..count {
        let (head, body) = client.get("x.example").expect("an answer");
        let name = if status(&head) == "200" {
            body
        } else {
            status(&head).to_owned()
        };
        *seen.entry(name).or_default() += 1;
    }
    seen
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    expected.map(|(name, count)| (name.to_owned(), count)).into()
}

#[test]
fn round_robin_follows_the_endpoints_weights_exactly() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let mut upstream = upstream("up", &[]);
    let mut endpoints = [
        Endpoint {
            address: a.address,
            weight: 3,
        },
        Endpoint {
            address: b.address,
            weight: 1,
        },
    ];
    endpoints.sort();
    upstream.endpoints = endpoints.into();
    let seen = answers(&Plane::start(1), &forwarding(upstream), 40);
    assert_eq!(seen, counts([("a", 30), ("b", 10)]));
}

#[test]
fn least_request_uses_every_endpoint() {
    let (a, b) = (Server::named("a"), Server::named("b"));
    let settings = UpstreamSettings {
        balance: Balance::LeastRequest,
        ..UpstreamSettings::default()
    };
    let upstream = upstream_with("up", &[a.address, b.address], settings);
    let seen = answers(&Plane::start(1), &forwarding(upstream), 200);
    assert!(seen["a"] > 50 && seen["b"] > 50, "{seen:?}");
}

#[test]
fn least_request_avoids_the_endpoint_that_is_busy() {
    let (busy, free) = (Held::start(), Server::named("free"));
    let settings = UpstreamSettings {
        balance: Balance::LeastRequest,
        ..UpstreamSettings::default()
    };
    let upstream = upstream_with("up", &[busy.server.address, free.address], settings);
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream));
    // Until one of them hangs, which it does on the busy one. One after the other: of two at once both may meet it.
    let answered = Arc::new(AtomicUsize::new(0));
    for sent in 1.. {
        let (mut client, answers) = (Peer::connect(address), Arc::clone(&answered));
        std::thread::spawn(move || {
            if client.get("x.example").is_some() {
                answers.fetch_add(1, Ordering::SeqCst);
            }
        });
        until("it is answered or hangs", || {
            answered.load(Ordering::SeqCst) == sent || busy.server.accepted() > 0
        });
        if busy.server.accepted() > 0 {
            break;
        }
    }
    busy.request();
    until("the other one is free", || {
        let endpoints = &plane.inner.upstreams()[0].endpoints;
        endpoints
            .iter()
            .all(|endpoint| endpoint.address == busy.server.address || endpoint.in_flight == 0)
    });
    let mut client = Peer::connect(address);
    for _ in 0..50 {
        assert_eq!(client.get("x.example").expect("an answer").1, "free");
    }
}

#[test]
fn an_endpoint_that_is_down_costs_no_request() {
    let up = Server::named("up");
    let down = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|it| it.local_addr())
        .expect("a port");
    let seen = answers(
        &Plane::start(1),
        &forwarding(upstream("up", &[up.address, down])),
        50,
    );
    assert_eq!(seen, counts([("up", 50)]));
}

#[test]
fn backends_get_their_shares_and_a_broken_one_answers_for_its_own() {
    let a = Server::named("a");
    let to = |weight, target| Backend {
        weight,
        session: None,
        target,
        filters: [].into(),
    };
    let up = || Target::Upstream(UpstreamId("up".into()));
    let broken = Target::Broken {
        status: 500,
        reason: "no such Service".into(),
    };
    let mut route = (*route("*", "up")).clone();
    route.rules[0].action = Action::Forward(vec![to(3, up()), to(1, broken), to(0, up())]);
    let bind = bind(
        0,
        Transport::Http,
        vec![listener(pattern("*"), vec![], vec![Arc::new(route)])],
    );
    let snapshot = snapshot(vec![bind], vec![upstream("up", &[a.address])], vec![]);
    let seen = answers(&Plane::start(1), &snapshot, 1000);
    assert_eq!(seen["a"] + seen["500"], 1000);
    assert!((150..350).contains(&seen["500"]), "{seen:?}");
}
