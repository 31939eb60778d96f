//! What the gateway tells about itself.

use narthex_testbed::Gateway;
use narthex_testbed::objects::{FRONT, endpoint_slice, route, services};
use std::collections::BTreeSet;

fn objects() -> String {
    [
        FRONT,
        &services(&["shop"]),
        &route(
            "all",
            "  hostnames: [a.example]\n  rules: [{name: main, backendRefs: [{name: shop, port: 80}]}]",
        ),
    ]
    .concat()
}

const RULE: [&str; 4] = [
    "route_kind=\"HTTPRoute\"",
    "route_namespace=\"default\"",
    "route=\"all\"",
    "rule=\"main\"",
];

#[tokio::test]
async fn the_admin_listener_shows_what_is_in_use() {
    let gw = Gateway::from_yaml(&objects()).await;
    assert_eq!(gw.admin("/healthz").await.0, 200);
    assert_eq!(gw.admin("/readyz").await.0, 200);
    let page = |path: &'static str| {
        let gw = &gw;
        async move {
            let (status, body) = gw.admin(path).await;
            assert_eq!(status, 200, "{path}: {body}");
            serde_json::from_str::<serde_json::Value>(&body).unwrap()
        }
    };
    let snapshot = page("/api/v1/snapshot").await;
    assert_eq!(snapshot["snapshot"]["binds"][0]["address"], "*:80");
    let status = page("/api/v1/status").await;
    let kinds: BTreeSet<_> = status["objects"]
        .as_array()
        .unwrap()
        .iter()
        .map(|object| object["kind"].as_str().unwrap())
        .collect();
    assert!(
        kinds.contains("Gateway") && kinds.contains("HTTPRoute"),
        "{kinds:?}"
    );
    let listeners = page("/api/v1/listeners").await;
    assert_eq!(listeners["binds"][0]["open"][0], gw.address(80).to_string());
    let upstreams = page("/api/v1/upstreams").await;
    assert_eq!(upstreams["upstreams"][0]["id"], "default/shop:80");
    page("/api/v1/diagnostics").await;
}

#[tokio::test]
async fn requests_are_counted_under_their_rule() {
    let gw = Gateway::from_yaml(&objects()).await;
    for _ in 0..5 {
        gw.get("http://a.example/").await.status(200);
    }
    gw.get("http://a.example/status/503").await.status(503);
    gw.get("http://nowhere.example/").await.status(404);
    // A request is recorded when its exchange has ended, which may be just after the client has its answer.
    let counted = |scrape: &narthex_testbed::Scrape| scrape.sum("narthex_requests_total", &[]) >= 7.0;
    let metrics = gw.metrics_when(counted).await;
    let with = |label: &'static str| -> Vec<&'static str> { [&RULE[..], &[label]].concat() };
    assert_eq!(
        metrics.sum("narthex_requests_total", &with("status_class=\"2xx\"")),
        5.0
    );
    assert_eq!(
        metrics.sum("narthex_requests_total", &with("status_class=\"5xx\"")),
        1.0
    );
    assert_eq!(
        metrics.sum("narthex_requests_total", &["route=\"\"", "status_class=\"4xx\""]),
        1.0
    );
    assert_eq!(metrics.sum("narthex_request_duration_seconds_count", &RULE), 6.0);
    assert!(metrics.sum("narthex_request_received_bytes_total", &RULE) > 6.0 * 30.0);
    assert!(metrics.sum("narthex_response_sent_bytes_total", &RULE) > 6.0 * 100.0);
    assert!(metrics.sum("narthex_downstream_connections_total", &[]) >= 7.0);
    assert!(
        metrics.sum(
            "narthex_upstream_first_byte_duration_seconds_count",
            &["upstream=\"default/shop:80\""]
        ) >= 6.0
    );
    assert!(
        metrics.sum(
            "narthex_upstream_connect_duration_seconds_count",
            &["upstream=\"default/shop:80\""]
        ) >= 1.0
    );
    assert_eq!(
        metrics.sum("narthex_upstream_endpoints", &["upstream=\"default/shop:80\""]),
        1.0
    );
    assert_eq!(
        metrics.sum("narthex_config_generation", &[]),
        gw.now().generation as f64
    );
    assert!(metrics.sum("narthex_config_apply_duration_seconds_count", &[]) >= 1.0);
}

#[tokio::test]
async fn counters_go_on_over_a_change_of_the_configuration() {
    let gw = Gateway::from_yaml(&objects()).await;
    gw.get("http://a.example/").await.status(200);
    gw.write(
        "objects.yaml",
        &objects().replace("a.example]", "a.example, b.example]"),
    )
    .live()
    .await;
    gw.get("http://b.example/").await.status(200);
    let metrics = gw
        .metrics_when(|scrape| scrape.sum("narthex_requests_total", &RULE) >= 2.0)
        .await;
    assert_eq!(metrics.sum("narthex_requests_total", &RULE), 2.0);
}

#[tokio::test]
async fn what_is_no_http_is_refused_and_counted_as_a_fault() {
    let gw = Gateway::from_yaml(&objects()).await;
    let mut connection = gw.connect(80).await;
    connection
        .send("GET / HTTP/1.1\nHost: a.example\n\n")
        .await
        .unwrap();
    connection.response(false).await.unwrap().status(400);
    assert_eq!(connection.rest().await.unwrap(), b"", "the connection is closed");
    let metrics = gw
        .metrics_when(|scrape| scrape.sum("narthex_faults_total", &[]) >= 1.0)
        .await;
    assert_eq!(metrics.sum("narthex_faults_total", &[]), 1.0);
    gw.get("http://a.example/").await.status(200);
}

#[tokio::test]
async fn a_service_that_refuses_connections_is_counted_and_named_in_the_log() {
    // A port that was free a moment ago: nobody listens there.
    let refused = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let yaml = format!("{}{}", objects(), endpoint_slice("shop", "shop", &[refused]));
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml)
        .access_log("json")
        .start()
        .await;
    gw.get("http://a.example/").await.status(502);
    let line: serde_json::Value = serde_json::from_str(&gw.access_log(1)[0]).unwrap();
    assert_eq!(line["status"], 502);
    let fault = line["fault"].as_str().expect("a fault").to_owned();
    let upstream = &["upstream=\"default/shop:80\""];
    let metrics = gw.metrics().await;
    assert_eq!(
        metrics.sum("narthex_faults_total", &[&format!("code=\"{fault}\"")]),
        1.0
    );
    assert!(metrics.sum("narthex_upstream_connect_failures_total", upstream) >= 1.0);
}

#[tokio::test]
async fn no_request_makes_a_new_label_value() {
    let gw = Gateway::from_yaml(&objects()).await;
    let send = async |number: usize| {
        let method = ["GET", "BREW", "POST"][number % 3];
        let call = gw
            .call(
                method,
                &format!("http://host-{number}.example/path-{number}?q={number}"),
            )
            .header("User-Agent", &format!("agent-{number}"));
        call.await.status(404);
        gw.get(&format!("http://a.example/path-{number}"))
            .await
            .status(200);
    };
    for number in 0..6 {
        send(number).await;
    }
    let names = |scrape: &narthex_testbed::Scrape| scrape.names().map(str::to_owned).collect::<BTreeSet<_>>();
    let before = names(
        &gw.metrics_when(|scrape| scrape.sum("narthex_requests_total", &[]) >= 12.0)
            .await,
    );
    for number in 6..1000 {
        send(number).await;
    }
    let after = names(
        &gw.metrics_when(|scrape| scrape.sum("narthex_requests_total", &[]) >= 2000.0)
            .await,
    );
    assert_eq!(after, before);
    assert!(after.iter().any(|name| name.contains("method=\"other\"")));
}

#[tokio::test]
async fn each_exchange_is_a_line_in_the_access_log() {
    let gw = Gateway::builder()
        .file("objects.yaml", &objects())
        .access_log("json")
        .start()
        .await;
    gw.get("http://a.example/cart?item=1")
        .header("User-Agent", "quoted \"agent\"")
        .header("X-Request-ID", "not-believed")
        .await
        .status(200);
    gw.get("http://nowhere.example/").await.status(404);
    let lines = gw.access_log(2);
    let lines: Vec<serde_json::Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let served = lines
        .iter()
        .find(|line| line["status"] == 200)
        .expect("a line for the first request");
    for (field, value) in [
        ("method", "GET"),
        ("host", "a.example"),
        ("path", "/cart"),
        ("query", "item=1"),
        ("protocol", "HTTP/1.1"),
        ("client", "127.0.0.1"),
        ("route_kind", "HTTPRoute"),
        ("route_namespace", "default"),
        ("route", "all"),
        ("rule", "main"),
        ("upstream", "default/shop:80"),
        ("user_agent", "quoted \"agent\""),
        ("listener", "Gateway default/front#http"),
    ] {
        assert_eq!(served[field], value, "{field} of {served}");
    }
    assert!(served["duration"].as_f64().is_some_and(|seconds| seconds > 0.0));
    assert_eq!(served["upstream_status"], 200);
    let refused = lines
        .iter()
        .find(|line| line["status"] == 404)
        .expect("a line for the second request");
    assert_eq!(refused.get("route"), None);
}

#[tokio::test]
async fn a_template_shapes_the_access_log() {
    let gw = Gateway::builder()
        .file("objects.yaml", &objects())
        .access_log("$remote_addr \"$request\" $status $route/$rule")
        .start()
        .await;
    gw.get("http://a.example/x").await.status(200);
    let lines = gw.access_log(1);
    assert_eq!(lines, ["127.0.0.1 \"GET /x HTTP/1.1\" 200 all/main"]);
}
