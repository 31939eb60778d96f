//! Pools and endpoints against real sockets on loopback, one worker in the test's own thread.

use super::{Cells, UpstreamCell, UpstreamConnection, Wanted, checkout};
use crate::fault::Fault;
use crate::forwarded::Ends;
use crate::time::Instant;
use crate::worker::{Seed, WorkerState};
use ir::{ProxyProtocol, UpstreamId, UpstreamSettings};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Telemetry;
use tokio::io::AsyncReadExt;

/// A worker and one upstream.
struct Bench {
    worker: Rc<WorkerState>,
    cells: Cells,
    telemetry: Arc<Telemetry>,
    settings: Arc<UpstreamSettings>,
    cell: Arc<UpstreamCell>,
}

impl Bench {
    fn new(settings: UpstreamSettings, endpoints: &[SocketAddr]) -> Self {
        Self::of_workers(1, settings, endpoints)
    }

    fn of_workers(workers: usize, settings: UpstreamSettings, endpoints: &[SocketAddr]) -> Self {
        let telemetry = Telemetry::new(1);
        let seed = Seed {
            tls_clients: Arc::default(),
            index: 0,
            workers,
            telemetry: Arc::clone(&telemetry),
            access_log: None,
            random: 1,
            default_connections: 10,
            peers: std::sync::Arc::default(),
        };
        let mut cells = Cells::default();
        let settings = Arc::new(settings);
        let updated = cells.update(&snapshot_of(&settings, endpoints), &telemetry);
        let cell = updated.iter().next().map(Arc::clone).expect("a cell");
        Self {
            worker: WorkerState::new(seed),
            cells,
            telemetry,
            settings,
            cell,
        }
    }

    /// A new snapshot arrives.
    fn change(&mut self, endpoints: &[SocketAddr]) {
        self.cells
            .update(&snapshot_of(&self.settings, endpoints), &self.telemetry);
        self.worker.upstreams.refresh(&self.worker.random);
    }

    async fn get(&self) -> Result<UpstreamConnection, Fault> {
        checkout(&self.worker, &self.cell, &mut Wanted::default()).await
    }

    fn idle(&self) -> usize {
        self.worker.upstreams.idle_connections()
    }

    fn in_flight(&self) -> Vec<u32> {
        self.cell
            .state()
            .endpoints
            .iter()
            .map(|endpoint| endpoint.in_flight)
            .collect()
    }
}

fn snapshot_of(settings: &Arc<UpstreamSettings>, endpoints: &[SocketAddr]) -> ir::Upstreams {
    let id = UpstreamId("a".into());
    let mut endpoints: Vec<_> = endpoints
        .iter()
        .map(|address| ir::Endpoint {
            address: *address,
            weight: 1,
        })
        .collect();
    endpoints.sort();
    let origin = ir::Origin::new("Service", "ns", "a");
    let upstream = ir::Upstream {
        id,
        origin,
        settings: Arc::clone(settings),
        endpoints: endpoints.into(),
    };
    [Arc::new(upstream)].into_iter().collect()
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address that refuses connections.
fn refusing() -> SocketAddr {
    listen().1
}

fn run<F: Future>(test: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(test)
}

/// Waits until the event loop has seen what the other side did.
async fn seen(connection: &UpstreamConnection) {
    let ready = connection.stream.tcp().unwrap().readable();
    crate::time::timeout(Duration::from_secs(10), ready)
        .await
        .unwrap()
        .unwrap();
}

#[test]
fn connections_are_used_again_the_last_one_first() {
    run(async {
        let (_listener, address) = listen();
        let bench = Bench::new(UpstreamSettings::default(), &[address]);
        let (a, b) = (bench.get().await.unwrap(), bench.get().await.unwrap());
        assert!(!a.reused() && !b.reused() && a.connected_in().is_some());
        assert_eq!(bench.in_flight(), [2]);
        let last = b.stream.tcp().unwrap().local_addr().unwrap();
        a.give_back(&bench.worker);
        b.give_back(&bench.worker);
        assert_eq!((bench.idle(), bench.in_flight()), (2, vec![0]));
        let again = bench.get().await.unwrap();
        assert!(again.reused());
        assert_eq!(again.stream.tcp().unwrap().local_addr().unwrap(), last);
    });
}

#[test]
fn a_connection_that_the_endpoint_closed_is_passed_over() {
    run(async {
        let (listener, address) = listen();
        let bench = Bench::new(UpstreamSettings::default(), &[address]);
        let connection = bench.get().await.unwrap();
        let (peer, _) = listener.accept().unwrap();
        drop(peer);
        seen(&connection).await;
        connection.give_back(&bench.worker);
        assert!(!bench.get().await.unwrap().reused());
    });
}

#[test]
fn a_connection_with_bytes_that_nobody_asked_for_is_passed_over() {
    run(async {
        let (listener, address) = listen();
        let bench = Bench::new(UpstreamSettings::default(), &[address]);
        let connection = bench.get().await.unwrap();
        listener
            .accept()
            .unwrap()
            .0
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .unwrap();
        seen(&connection).await;
        connection.give_back(&bench.worker);
        assert!(!bench.get().await.unwrap().reused());
    });
}

#[test]
fn whoever_wants_a_fresh_connection_gets_one() {
    run(async {
        let (_listener, address) = listen();
        let bench = Bench::new(UpstreamSettings::default(), &[address]);
        bench.get().await.unwrap().give_back(&bench.worker);
        let mut fresh = Wanted {
            fresh: true,
            ..Wanted::default()
        };
        assert!(
            !checkout(&bench.worker, &bench.cell, &mut fresh)
                .await
                .unwrap()
                .reused()
        );
    });
}

#[test]
fn an_endpoint_that_refuses_is_passed_over_and_rests() {
    run(async {
        let (_listener, good) = listen();
        let bench = Bench::new(UpstreamSettings::default(), &[refusing(), good]);
        for _ in 0..20 {
            assert_eq!(bench.get().await.unwrap().endpoint(), good);
        }
        let failures: u64 = bench
            .cell
            .state()
            .endpoints
            .iter()
            .map(|endpoint| endpoint.connect_failures)
            .sum();
        assert_eq!(failures, 1, "it is not tried with every request");
        assert_eq!(bench.in_flight(), [0, 0]);
    });
}

#[test]
fn when_all_refuse_the_fault_says_so_after_the_tries_allowed() {
    run(async {
        let bench = Bench::new(
            UpstreamSettings::default(),
            &[refusing(), refusing(), refusing(), refusing(), refusing()],
        );
        assert_eq!(bench.get().await.unwrap_err(), Fault::Connect);
        let failures: u64 = bench
            .cell
            .state()
            .endpoints
            .iter()
            .map(|endpoint| endpoint.connect_failures)
            .sum();
        assert_eq!(failures, 3);
    });
}

#[test]
fn an_endpoint_that_does_not_answer_times_out() {
    run(async {
        let (listener, address) = listen();
        let full = socket2::SockRef::from(&listener);
        full.listen(0).unwrap();
        // With its queue full the kernel drops further attempts.
        let waiting =
            std::iter::repeat_with(|| TcpStream::connect_timeout(&address, Duration::from_millis(100)));
        let _waiting: Vec<_> = waiting.take(4).take_while(Result::is_ok).collect();
        let settings = UpstreamSettings {
            connect_timeout: Duration::from_millis(50),
            ..UpstreamSettings::default()
        };
        let bench = Bench::new(settings, &[address]);
        assert_eq!(bench.get().await.unwrap_err(), Fault::ConnectTimeout);
    });
}

#[test]
fn without_endpoints_the_fault_says_so() {
    run(async {
        let bench = Bench::new(UpstreamSettings::default(), &[]);
        assert_eq!(bench.get().await.unwrap_err(), Fault::NoEndpoints);
    });
}

#[test]
fn a_full_endpoint_is_passed_over_and_when_all_are_full_the_fault_says_so() {
    run(async {
        let ((_one, a), (_two, b)) = (listen(), listen());
        let settings = UpstreamSettings {
            max_requests: 1,
            ..UpstreamSettings::default()
        };
        let bench = Bench::new(settings, &[a, b]);
        let first = bench.get().await.unwrap();
        let second = bench.get().await.unwrap();
        assert_ne!(first.endpoint(), second.endpoint());
        assert_eq!(bench.get().await.unwrap_err(), Fault::Overloaded);
        let freed = first.endpoint();
        drop(first);
        assert_eq!(bench.get().await.unwrap().endpoint(), freed);
    });
}

#[test]
fn connections_of_an_endpoint_that_is_gone_are_closed_and_not_taken_back() {
    run(async {
        let ((one, a), (_two, b)) = (listen(), listen());
        let mut bench = Bench::new(UpstreamSettings::default(), &[a]);
        let (idle, busy) = (bench.get().await.unwrap(), bench.get().await.unwrap());
        let (mut idle_peer, _) = one.accept().unwrap();
        idle.give_back(&bench.worker);
        bench.change(&[b]);
        assert_eq!(bench.idle(), 0);
        idle_peer.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        assert_eq!(idle_peer.read(&mut [0]).unwrap(), 0, "closed");
        busy.give_back(&bench.worker);
        assert_eq!(bench.idle(), 0);
        assert_eq!(bench.get().await.unwrap().endpoint(), b);
    });
}

#[test]
fn a_change_of_other_endpoints_keeps_the_idle_connections() {
    run(async {
        let ((_one, a), (_two, b)) = (listen(), listen());
        let mut bench = Bench::new(UpstreamSettings::default(), &[a]);
        bench.get().await.unwrap().give_back(&bench.worker);
        bench.change(&[a, b]);
        assert_eq!(bench.idle(), 1);
        bench.change(&[a]);
        assert!(bench.get().await.unwrap().reused());
    });
}

#[test]
fn a_worker_keeps_its_part_of_the_idle_connections() {
    run(async {
        let (_listener, address) = listen();
        let settings = UpstreamSettings {
            keep_alive_connections: 5,
            ..UpstreamSettings::default()
        };
        let bench = Bench::of_workers(3, settings, &[address]);
        let mut open = Vec::new();
        for _ in 0..4 {
            open.push(bench.get().await.unwrap());
        }
        assert_eq!(bench.cell.state().endpoints[0].connections, 4);
        for connection in open {
            connection.give_back(&bench.worker);
        }
        assert_eq!(bench.idle(), 2, "a third of five, rounded up");
        assert_eq!(bench.cell.state().endpoints[0].connections, 2);
    });
}

#[test]
fn a_connection_is_not_kept_for_longer_than_the_settings_say() {
    run(async {
        let (_listener, address) = listen();
        let bench = Bench::new(UpstreamSettings::default(), &[address]);
        bench.get().await.unwrap().give_back(&bench.worker);
        let limit = bench.settings.keep_alive_timeout;
        bench.worker.upstreams.sweep(Instant::now() + limit / 2);
        assert_eq!(bench.idle(), 1);
        bench.worker.upstreams.sweep(Instant::now() + limit);
        assert_eq!(bench.idle(), 0);
    });
}

#[test]
fn the_proxy_protocol_tells_the_client_and_the_connection_stays_its_own() {
    run(async {
        let (listener, address) = listen();
        let settings = UpstreamSettings {
            proxy_protocol: Some(ProxyProtocol::V1),
            ..UpstreamSettings::default()
        };
        let bench = Bench::new(settings, &[address]);
        let ends = Ends {
            peer: "203.0.113.7:1234".parse().unwrap(),
            local: "203.0.113.1:80".parse().unwrap(),
            tls: false,
        };
        let connection = checkout(
            &bench.worker,
            &bench.cell,
            &mut Wanted {
                ends: Some(&ends),
                ..Wanted::default()
            },
        )
        .await
        .unwrap();
        let expected = b"PROXY TCP4 203.0.113.7 203.0.113.1 1234 80\r\n";
        let mut header = vec![0; expected.len()];
        listener.set_nonblocking(true).unwrap();
        let (peer, _) = listener.accept().unwrap();
        peer.set_nonblocking(true).unwrap();
        tokio::net::TcpStream::from_std(peer)
            .unwrap()
            .read_exact(&mut header)
            .await
            .unwrap();
        assert_eq!(header, expected);
        connection.give_back(&bench.worker);
        assert_eq!(bench.idle(), 0);
    });
}

#[test]
fn an_upstream_that_left_the_snapshot_still_serves_an_old_plan_but_keeps_nothing() {
    run(async {
        let (_listener, address) = listen();
        let mut bench = Bench::new(UpstreamSettings::default(), &[address]);
        bench.get().await.unwrap().give_back(&bench.worker);
        assert_eq!(bench.idle(), 1);
        bench.cells.update(&ir::Upstreams::default(), &bench.telemetry);
        bench.worker.upstreams.refresh(&bench.worker.random);
        assert_eq!(bench.idle(), 0);
        bench.get().await.unwrap().give_back(&bench.worker);
        assert_eq!(bench.idle(), 0);
        // It comes back as it was, and connections are kept again.
        bench.change(&[address]);
        bench.get().await.unwrap().give_back(&bench.worker);
        assert_eq!(bench.idle(), 1);
    });
}

#[test]
fn an_upstream_that_nothing_refers_to_any_more_leaves_no_connections() {
    run(async {
        let (_listener, address) = listen();
        let bench = Bench::new(UpstreamSettings::default(), &[address]);
        bench.get().await.unwrap().give_back(&bench.worker);
        let Bench {
            worker, cell, cells, ..
        } = bench;
        drop((cell, cells));
        worker.upstreams.refresh(&worker.random);
        assert_eq!(worker.upstreams.idle_connections(), 0);
    });
}
