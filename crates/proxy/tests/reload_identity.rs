//! What a plan keeps of the one before it: every part whose nodes are unchanged, by pointer.

mod support;

use ir::{HostPattern, Route, Snapshot, Transport, UpstreamSettings};
use narthex_proxy::connection::SocketSlot;
use narthex_proxy::plan::{Builder, CompiledRoute, Plan};
use router::Head;
use std::sync::Arc;
use support::*;
use telemetry::Telemetry;

fn plans() -> (Builder, Plan) {
    (Builder::new(Telemetry::new(1)), Plan::default())
}

fn with_routes(routes: &[&Arc<Route>], endpoints: &[u16]) -> Snapshot {
    let routes = routes.iter().map(|route| Arc::clone(route)).collect();
    let bind = bind(
        0,
        Transport::Http,
        vec![listener(HostPattern::Any, vec![], routes)],
    );
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|port| ([127, 0, 0, 1], *port).into())
        .collect();
    snapshot(vec![bind], vec![upstream("up", &endpoints)], vec![])
}

fn compiled<'p>(plan: &'p Plan, host: &str) -> &'p Arc<CompiledRoute> {
    let socket = plan.socket(SocketSlot(0)).expect("a socket");
    let head = Head {
        method: "GET",
        host,
        path: "/",
        query: None,
        headers: &(),
    };
    socket.router.find(&head).expect("a rule").found.compiled
}

#[test]
fn unchanged_routes_keep_what_was_compiled_from_them_when_another_changes() {
    let (mut builder, none) = plans();
    let (a, b, b2) = (
        route("a.example", "up"),
        route("b.example", "up"),
        status_route("b.example", 503),
    );
    let first = builder.build(&with_routes(&[&a, &b], &[1]), 1, &none).plan;
    let second = builder.build(&with_routes(&[&a, &b2], &[1]), 2, &first).plan;
    assert!(Arc::ptr_eq(
        compiled(&first, "a.example"),
        compiled(&second, "a.example")
    ));
    assert!(!Arc::ptr_eq(
        compiled(&first, "b.example"),
        compiled(&second, "b.example")
    ));
    assert!(Arc::ptr_eq(&first.upstreams()[0], &second.upstreams()[0]));
}

#[test]
fn a_change_of_endpoints_touches_neither_sockets_nor_routes() {
    let (mut builder, none) = plans();
    let a = route("a.example", "up");
    let first = builder.build(&with_routes(&[&a], &[1, 2]), 1, &none).plan;
    let second = builder.build(&with_routes(&[&a], &[2, 3]), 2, &first).plan;
    assert!(Arc::ptr_eq(
        first.socket(SocketSlot(0)).unwrap(),
        second.socket(SocketSlot(0)).unwrap()
    ));
    assert!(Arc::ptr_eq(&first.upstreams()[0], &second.upstreams()[0]));
    let endpoints: Vec<u16> = second.upstreams()[0]
        .state()
        .endpoints
        .iter()
        .map(|it| it.address.port())
        .collect();
    assert_eq!(endpoints, [2, 3]);
}

#[test]
fn a_change_of_upstream_settings_keeps_the_cell_and_the_routes() {
    let (mut builder, none) = plans();
    let a = route("a.example", "up");
    let before = with_routes(&[&a], &[1]);
    let settings = UpstreamSettings {
        max_requests: 7,
        ..UpstreamSettings::default()
    };
    let after = Snapshot {
        upstreams: [upstream_with("up", &[([127, 0, 0, 1], 1).into()], settings)]
            .map(Arc::new)
            .into_iter()
            .collect(),
        ..before.clone()
    };
    let first = builder.build(&before, 1, &none).plan;
    let second = builder.build(&after, 2, &first).plan;
    assert!(Arc::ptr_eq(
        compiled(&first, "a.example"),
        compiled(&second, "a.example")
    ));
    assert!(Arc::ptr_eq(&first.upstreams()[0], &second.upstreams()[0]));
}

#[test]
fn tls_is_kept_as_long_as_the_certificates_are_the_same() {
    let (mut builder, none) = plans();
    let (old, new, other) = (
        certificate("c", &["a.example"], false),
        certificate("c", &["a.example"], false),
        certificate("d", &["d"], false),
    );
    let with = |certificate: &Arc<ir::Certificate>, routes: &[&Arc<Route>]| {
        let routes = routes.iter().map(|route| Arc::clone(route)).collect();
        let tls = vec![tls_host("a.example", &[certificate])];
        let bind = bind(0, Transport::Https, vec![listener(HostPattern::Any, tls, routes)]);
        snapshot(
            vec![bind],
            vec![],
            vec![Arc::clone(certificate), Arc::clone(&other)],
        )
    };
    let tls = |plan: &Plan| Arc::clone(plan.socket(SocketSlot(0)).unwrap().tls.as_ref().unwrap());
    let first = builder.build(&with(&old, &[]), 1, &none).plan;
    let second = builder
        .build(&with(&old, &[&status_route("a.example", 404)]), 2, &first)
        .plan;
    assert!(Arc::ptr_eq(&tls(&first), &tls(&second)), "only a route changed");
    let third = builder.build(&with(&new, &[]), 3, &second).plan;
    assert!(!Arc::ptr_eq(&tls(&second), &tls(&third)));
}

#[test]
fn a_bind_has_the_same_slot_in_every_plan_and_no_other_gets_it() {
    let (mut builder, none) = plans();
    let on = |ports: &[u16]| {
        let bind = |port: &u16| {
            bind(
                *port,
                Transport::Http,
                vec![listener(HostPattern::Any, vec![], vec![])],
            )
        };
        snapshot(ports.iter().map(bind).collect(), vec![], vec![])
    };
    let slot = |plan: &Plan, port: u16| {
        plan.sockets()
            .find(|it| it.bind.address.port == port)
            .map(|it| it.slot)
    };
    let first = builder.build(&on(&[81, 82]), 1, &none).plan;
    let second = builder.build(&on(&[82, 83]), 2, &first).plan;
    assert_eq!(slot(&second, 82), slot(&first, 82));
    assert_ne!(slot(&second, 83), slot(&first, 81));
    assert!(second.socket(slot(&first, 81).unwrap()).is_none());
    let third = builder.build(&on(&[81]), 3, &second).plan;
    assert_eq!(slot(&third, 81), slot(&first, 81));
}

#[test]
fn what_was_compiled_for_a_route_that_is_gone_is_freed() {
    let (mut builder, none) = plans();
    let (a, b) = (route("a.example", "up"), route("b.example", "up"));
    let first = builder.build(&with_routes(&[&a, &b], &[1]), 1, &none).plan;
    let gone = Arc::downgrade(compiled(&first, "b.example"));
    let second = builder.build(&with_routes(&[&a], &[1]), 2, &first).plan;
    drop(first);
    builder.prune();
    assert!(gone.upgrade().is_none());
    drop(second);
}

/// The number of other routes must not matter to what a change compiles.
#[test]
fn one_route_is_compiled_when_one_changed_however_many_there_are() {
    for count in [10, 2000] {
        let (mut builder, none) = plans();
        let mut routes: Vec<_> = (0..count)
            .map(|number| route(&format!("h{number}.example"), "up"))
            .collect();
        let snapshot = |routes: &[Arc<Route>]| with_routes(&routes.iter().collect::<Vec<_>>(), &[1]);
        let first = builder.build(&snapshot(&routes), 1, &none).plan;
        assert_eq!(builder.compiled(), count);
        routes[7] = status_route("h7.example", 503);
        let second = builder.build(&snapshot(&routes), 2, &first).plan;
        builder.build(&snapshot(&routes), 3, &second);
        assert_eq!(builder.compiled(), count + 1);
    }
}
