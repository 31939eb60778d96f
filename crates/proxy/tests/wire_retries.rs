//! Rules that ask for retries: after what a request is sent again, where to, how often, and what the client gets.

mod support;

use ir::{Retry, Snapshot, Timeouts};
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use support::{
    Peer, Plane, Server, answer, bind, echo_after_upgrade, field, listener, pattern, route, snapshot, status,
    upgrade, upstream,
};
use telemetry::Format;

const ERROR: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";

fn policy(attempts: u32, codes: &[u16]) -> Retry {
    Retry {
        attempts,
        codes: codes.to_vec(),
        backoff: Duration::from_millis(5),
    }
}

/// One plain bind whose only rule has this policy and these limits.
fn retrying(endpoints: &[SocketAddr], retry: Retry, timeouts: Timeouts) -> Snapshot {
    let mut route = Arc::unwrap_or_clone(route("*", "app"));
    route.rules[0].retry = Some(Box::new(retry));
    route.rules[0].timeouts = Some(Arc::new(timeouts));
    let listener = listener(pattern("*"), vec![], vec![Arc::new(route)]);
    let bind = bind(0, ir::Transport::Http, vec![listener]);
    snapshot(vec![bind], vec![upstream("app", endpoints)], vec![])
}

fn gate(endpoints: &[SocketAddr], retry: Retry, timeouts: Timeouts) -> (Plane, Peer) {
    let plane = Plane::start(1);
    let address = plane.serve(&retrying(endpoints, retry, timeouts));
    (plane, Peer::connect(address))
}

/// Answers the requests of all its connections with what the script says for each, counted from 0.
struct Counting {
    server: Server,
    requests: Arc<AtomicUsize>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Counting {
    fn start(script: impl Fn(usize, &mut Peer) + Send + Sync + 'static) -> Self {
        let requests = Arc::<AtomicUsize>::default();
        let bodies = Arc::<Mutex<Vec<String>>>::default();
        let (count, seen) = (Arc::clone(&requests), Arc::clone(&bodies));
        let server = Server::start(move |mut peer| {
            while let Some(head) = peer.head() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let body = body(&head, &mut peer);
                seen.lock().expect("whole").push(body);
                script(number, &mut peer);
            }
        });
        Self {
            server,
            requests,
            bodies,
        }
    }

    /// So many errors, then good answers.
    fn failing(times: usize) -> Self {
        Self::start(move |number, peer| {
            if number < times {
                peer.send(ERROR);
            } else {
                peer.send(&answer("fine"));
            }
        })
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn bodies(&self) -> Vec<String> {
        self.bodies.lock().expect("whole").clone()
    }

    fn at(&self) -> [SocketAddr; 1] {
        [self.server.address]
    }
}

/// The body that a request's head announces, chunks and trailers as they are.
fn body(head: &str, peer: &mut Peer) -> String {
    if let Some(length) = field(head, "content-length") {
        return peer.read_exactly(length.parse().expect("a number"));
    }
    let mut body = String::new();
    if field(head, "transfer-encoding").is_some() {
        while !body.ends_with("0\r\n\r\n") {
            body += &peer.read_exactly(1);
        }
    }
    body
}

fn scrape(plane: &Plane) -> String {
    String::from_utf8_lossy(&plane.telemetry.scrape(Format::Text)).into_owned()
}

/// Whether the upstream has answered once.
fn answered(plane: &Plane) -> bool {
    scrape(plane).contains("narthex_upstream_first_byte_duration_seconds_count{upstream=\"app\"} 1")
}

/// An address where nobody listens, and where nobody will as long as the test runs.
fn nobody() -> SocketAddr {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).expect("a port");
    let address = socket.local_addr().ok().and_then(|address| address.as_socket());
    std::mem::forget(socket);
    address.expect("an address")
}

fn limits(request: Option<u64>, backend_request: Option<u64>) -> Timeouts {
    Timeouts {
        request: request.map(Duration::from_millis),
        backend_request: backend_request.map(Duration::from_millis),
        tunnel_idle: None,
    }
}

#[test]
fn after_a_listed_status_the_request_is_sent_again() {
    let origin = Counting::failing(2);
    let (plane, mut client) = gate(&origin.at(), policy(2, &[500, 503]), Timeouts::default());
    let (head, body) = client.get("a").expect("a response");
    assert_eq!((status(&head), &*body), ("200", "fine"));
    assert_eq!(origin.requests(), 3);
    assert_eq!(
        origin.server.accepted(),
        1,
        "what came of the answers was read away"
    );
    let page = scrape(&plane);
    assert!(
        page.contains("narthex_upstream_retries_total{upstream=\"app\"} 2"),
        "{page}"
    );
}

#[test]
fn when_no_attempt_is_left_the_last_answer_is_passed_on() {
    let origin = Counting::failing(usize::MAX);
    let (_plane, mut client) = gate(&origin.at(), policy(2, &[503]), Timeouts::default());
    for round in 1..=2 {
        let (head, body) = client.get("a").expect("a response");
        assert_eq!((status(&head), &*body), ("503", "busy"));
        assert_eq!(origin.requests(), 3 * round);
    }
}

#[test]
fn zero_attempts_are_none_also_where_nobody_listens() {
    let origin = Counting::failing(1);
    let (_plane, mut client) = gate(&origin.at(), policy(0, &[503]), Timeouts::default());
    assert_eq!(status(&client.get("a").expect("a response").0), "503");
    assert_eq!(origin.requests(), 1);

    let origin = Server::named("app");
    let (_plane, mut client) = gate(&[origin.address, nobody()], policy(0, &[]), Timeouts::default());
    let mut statuses: Vec<_> = (0..2)
        .map(|_| status(&client.get("a").expect("a response").0).to_owned())
        .collect();
    statuses.sort();
    assert_eq!(statuses, ["200", "502"], "one of two endpoints refuses");
}

#[test]
fn a_status_that_is_not_listed_passes_at_once() {
    let origin = Counting::failing(1);
    let (_plane, mut client) = gate(&origin.at(), policy(5, &[500]), Timeouts::default());
    let (head, body) = client.get("a").expect("a response");
    assert_eq!((status(&head), &*body), ("503", "busy"));
    assert_eq!(origin.requests(), 1);
}

#[test]
fn an_endpoint_that_refuses_is_followed_by_another_also_without_codes() {
    let origin = Server::named("app");
    let plane = Plane::start(1);
    let endpoints = [nobody(), origin.address, nobody()];
    let address = plane.serve(&retrying(&endpoints, policy(2, &[]), Timeouts::default()));
    for _ in 0..20 {
        // POST as well: nobody got it.
        let mut client = Peer::connect(address);
        client.send("POST / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(client.response().expect("a response").1, "app");
    }
}

#[test]
fn where_nobody_listens_at_all_the_client_gets_a_502_in_the_end() {
    let (_plane, mut client) = gate(&[nobody(), nobody()], policy(5, &[503]), Timeouts::default());
    let (head, _) = client.get("a").expect("a response");
    assert_eq!(status(&head), "502");
}

#[test]
fn another_endpoint_is_preferred_to_one_that_answered_with_an_error() {
    let (bad, good) = (Counting::failing(usize::MAX), Counting::failing(0));
    let endpoints = [bad.server.address, good.server.address];
    let (_plane, mut client) = gate(&endpoints, policy(1, &[503]), Timeouts::default());
    for _ in 0..10 {
        assert_eq!(client.get("a").expect("a response").1, "fine");
    }
    assert_eq!(good.requests(), 10);
    assert!(bad.requests() > 0);
}

#[test]
fn a_connection_that_breaks_after_the_request_was_sent_is_no_reason() {
    let origin = Counting::start(|_, peer| {
        peer.stream
            .get_mut()
            .shutdown(std::net::Shutdown::Both)
            .expect("shut");
    });
    let (_plane, mut client) = gate(&origin.at(), policy(5, &[500, 502, 503]), Timeouts::default());
    assert_eq!(status(&client.get("a").expect("a response").0), "502");
    assert_eq!(origin.requests(), 1);
}

#[test]
fn all_tries_and_waits_are_within_the_time_of_the_request() {
    let origin = Counting::failing(usize::MAX);
    let slow = Retry {
        backoff: Duration::from_secs(60),
        ..policy(5, &[503])
    };
    let began = Instant::now();
    let (_plane, mut client) = gate(&origin.at(), slow, limits(Some(300), None));
    assert_eq!(status(&client.get("a").expect("a response").0), "504");
    assert_eq!(origin.requests(), 1);
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(20));
    // The connection is as good as before.
    assert_eq!(status(&client.get("a").expect("a response").0), "504");
}

#[test]
fn a_try_that_takes_too_long_is_followed_by_another() {
    let origin = Counting::start(|number, peer| {
        if number > 0 {
            peer.send(&answer("fine"));
        }
    });
    let (_plane, mut client) = gate(&origin.at(), policy(3, &[500]), limits(None, Some(200)));
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!(client.response().expect("a response").1, "fine");
    assert_eq!(origin.bodies(), ["hi", "hi"]);
}

#[test]
fn when_every_try_takes_too_long_the_client_gets_a_504() {
    let origin = Counting::start(|_, _| {});
    let (_plane, mut client) = gate(&origin.at(), policy(2, &[500]), limits(None, Some(100)));
    assert_eq!(status(&client.get("a").expect("a response").0), "504");
    assert_eq!(origin.requests(), 3);
}

#[test]
fn a_body_is_sent_again_as_it_was() {
    let origin = Counting::failing(2);
    let (_plane, mut client) = gate(&origin.at(), policy(2, &[503]), Timeouts::default());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.response().expect("a response").1, "fine");
    assert_eq!(origin.bodies(), ["hello", "hello", "hello"]);
    // What comes behind is the next request.
    assert_eq!(client.get("a").expect("a response").1, "fine");

    let origin = Counting::failing(1);
    let (_plane, mut client) = gate(&origin.at(), policy(1, &[503]), Timeouts::default());
    client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    client.send("2\r\nyo\r\n0\r\n\r\n");
    assert_eq!(client.response().expect("a response").1, "fine");
    let bodies = origin.bodies();
    assert_eq!(bodies[0], bodies[1]);
    assert!(
        bodies[0].contains("hello") && bodies[0].contains("yo"),
        "{bodies:?}"
    );
}

#[test]
fn the_rest_of_a_body_goes_where_its_beginning_is_sent_again() {
    // The error comes when half of the body is there.
    let origin = Server::start(|mut peer| {
        peer.head();
        if peer.read_exactly(5) == "01234" {
            peer.send(ERROR);
        }
    });
    let good = Counting::failing(0);
    let endpoints = [origin.address, good.server.address];
    let (_plane, mut client) = gate(&endpoints, policy(1, &[503]), Timeouts::default());
    for _ in 0..2 {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234");
        std::thread::sleep(Duration::from_millis(50));
        client.send("56789");
        assert_eq!(client.response().expect("a response").1, "fine");
    }
    assert_eq!(good.bodies(), ["0123456789", "0123456789"]);
}

#[test]
fn a_body_too_large_to_be_kept_is_not_sent_again() {
    const LARGE: usize = 64 * 1024 + 1;
    for head in ["Content-Length: 65537", "Transfer-Encoding: chunked"] {
        let origin = Counting::failing(1);
        let (_plane, mut client) = gate(&origin.at(), policy(3, &[503]), Timeouts::default());
        let content = "x".repeat(LARGE);
        let body = if head.starts_with('T') {
            format!("{LARGE:x}\r\n{content}\r\n0\r\n\r\n")
        } else {
            content
        };
        client.send(&format!("POST / HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n{body}"));
        let (answered, body) = client.response().expect("a response");
        assert_eq!((status(&answered), &*body), ("503", "busy"), "{head}");
        assert_eq!(origin.requests(), 1);
    }
}

#[test]
fn a_large_body_of_which_nothing_is_gone_goes_to_another_endpoint() {
    let good = Counting::failing(0);
    let endpoints = [nobody(), good.server.address];
    let (_plane, mut client) = gate(&endpoints, policy(1, &[]), Timeouts::default());
    let content = "x".repeat(200_000);
    for _ in 0..4 {
        client.send(&format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n{content}"
        ));
        assert_eq!(client.response().expect("a response").1, "fine");
    }
    assert!(good.bodies().iter().all(|body| *body == content));
}

#[test]
fn an_answer_that_is_not_there_yet_is_not_waited_for() {
    // The body of the error never comes.
    let origin = Counting::start(|number, peer| {
        if number == 0 {
            peer.send("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 1000000\r\n\r\nbusy");
        } else {
            peer.send(&answer("fine"));
        }
    });
    let (_plane, mut client) = gate(&origin.at(), policy(1, &[503]), Timeouts::default());
    assert_eq!(client.get("a").expect("a response").1, "fine");
    assert_eq!(origin.server.accepted(), 2, "its connection was closed");
}

#[test]
fn an_upgrade_is_tried_again_before_the_protocol_is_switched() {
    let bad = Counting::failing(usize::MAX);
    let echo = echo_after_upgrade();
    let plane = Plane::start(1);
    let endpoints = [bad.server.address, echo.address];
    let address = plane.serve(&retrying(&endpoints, policy(1, &[503]), Timeouts::default()));
    for _ in 0..4 {
        let mut client = upgrade(address, "a");
        support::echoes(&mut client, "hello");
    }
    assert!(bad.requests() > 0);
}

#[test]
fn a_client_that_leaves_during_the_wait_ends_the_exchange() {
    let origin = Counting::failing(1);
    let slow = Retry {
        backoff: Duration::from_secs(2),
        ..policy(1, &[503])
    };
    let (plane, mut client) = gate(&origin.at(), slow, Timeouts::default());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    support::until("the wait has begun", || answered(&plane));
    // Reset: an orderly end may be that of a client that still reads.
    socket2::SockRef::from(client.stream.get_ref())
        .set_linger(Some(Duration::ZERO))
        .expect("an option");
    drop(client);
    support::until("the fault is counted", || scrape(&plane).contains("client-gone"));
    assert_eq!(origin.requests(), 1);
}

#[test]
fn what_is_sent_ahead_during_the_wait_is_answered_next() {
    let origin = Counting::failing(1);
    let slow = Retry {
        backoff: Duration::from_millis(100),
        ..policy(1, &[503])
    };
    let (plane, mut client) = gate(&origin.at(), slow, Timeouts::default());
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    support::until("the wait has begun", || answered(&plane));
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.response().expect("the first").1, "fine");
    assert_eq!(client.response().expect("the second").1, "fine");
    let mut rest = [0; 1];
    client.stream.get_mut().set_nonblocking(true).expect("an option");
    assert!(client.stream.read(&mut rest).is_err(), "and nothing else");
}
