//! What metrics and faults say about exchanges.

mod support;

use support::{Peer, Plane, Server, forwarding, status, until, upstream};
use telemetry::Format;

fn sample(plane: &Plane, name: &str, labels: &[&str]) -> f64 {
    let text = String::from_utf8(plane.telemetry.scrape(Format::Text)).expect("text");
    text.lines()
        .filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[test]
fn exchanges_are_counted_by_rule_and_faults_by_code() {
    let origin = Server::named("app");
    let plane = Plane::start(1);
    let address = plane.serve(&forwarding(upstream("app", &[origin.address])));
    let mut client = Peer::connect(address);
    for _ in 0..3 {
        client.get("a").expect("a response");
    }
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    let _ = client.response();
    let mut bad = Peer::connect(address);
    bad.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(status(&bad.response().expect("a response").0), "400");
    let count = |labels: &[&str]| sample(&plane, "narthex_requests_total", labels);
    until("three requests are counted", || {
        (count(&["route=\"route\"", "method=\"GET\"", "status_class=\"2xx\""]) - 3.0).abs() < 0.1
    });
    until("the bad one is counted without a route", || {
        (count(&["route=\"\"", "status_class=\"4xx\""]) - 1.0).abs() < 0.1
    });
    assert!(sample(&plane, "narthex_faults_total", &["bad-request"]) > 0.5);
    assert!(
        sample(
            &plane,
            "narthex_request_received_bytes_total",
            &["route=\"route\""]
        ) > 100.0
    );
    assert!(
        sample(
            &plane,
            "narthex_upstream_first_byte_duration_seconds_count",
            &["app"]
        ) > 2.5
    );
}
