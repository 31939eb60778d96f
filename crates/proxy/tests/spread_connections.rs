//! Few long-lived connections are spread evenly over workers, whatever the kernel's hash says, and served wherever
//! they are.

mod support;

use support::{Peer, Plane, Server, forwarding, until, upstream};

#[test]
fn few_connections_are_spread_evenly_and_each_is_served() {
    let origin = Server::named("app");
    let plane = Plane::start(4);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    // By hash alone, the busiest of four workers has more than 14 of 40 in one round of five; a hand-over keeps it below.
    for round in 0..8 {
        let mut clients: Vec<Peer> = (0..40)
            .map(|_| {
                let mut client = Peer::connect(address);
                assert!(client.get("a").is_some());
                client
            })
            .collect();
        let open = plane.inner.connections();
        assert_eq!(open.iter().sum::<usize>(), 40, "{open:?}");
        let most = open.iter().max().copied().unwrap_or_default();
        assert!(most <= 14, "round {round}: {open:?}");
        for client in &mut clients {
            assert!(client.get("a").is_some(), "served where it is");
        }
        drop(clients);
        until("all have ended", || {
            plane.inner.connections().iter().sum::<usize>() == 0
        });
    }
}

#[test]
fn a_drain_serves_what_was_handed_over_before_it() {
    let origin = Server::named("app");
    let plane = Plane::start(2);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    let mut clients: Vec<Peer> = (0..8).map(|_| Peer::connect(address)).collect();
    until("all are accepted", || {
        plane.inner.connections().iter().sum::<usize>() == 8
    });
    let drained = plane.inner.drain();
    for client in &mut clients {
        let (head, _) = client.get("a").expect("a response");
        assert!(head.contains("Connection: close"), "{head}");
    }
    let outcome = support::wait(drained);
    assert_eq!((outcome.finished, outcome.cut), (8, 0));
}
