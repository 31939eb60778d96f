//! A scrape is well-formed in every format and says what was recorded.

#![allow(clippy::unwrap_used)]

mod protobuf;
mod text;

use narthex_telemetry::families::{ALL, Kind};
use narthex_telemetry::{
    CertificateExpiry, DiagnosticCount, Figures, Format, Handshake, Method, RouteLabels, StreamFigures,
    Telemetry, TlsVersion, UpstreamGauges,
};
use std::sync::Arc;
use std::time::Duration;

const CART: RouteLabels<'_> = RouteLabels {
    kind: "HTTPRoute",
    namespace: "shop",
    name: "cart",
    rule: "odd \"name\"\\\n",
};

fn figures(method: Method, status: u16, millis: u64) -> Figures {
    Figures {
        method,
        status,
        duration: Duration::from_millis(millis),
        bytes_in: 100,
        bytes_out: 1000,
    }
}

/// Something in every family.
fn busy() -> Arc<Telemetry> {
    let telemetry = Telemetry::new(2);
    let (first, second) = (telemetry.shard(0), telemetry.shard(1));
    let cart = telemetry.route(&CART);
    cart.record(&first, &figures(Method::Get, 200, 3));
    cart.record(&second, &figures(Method::Get, 204, 70));
    cart.record(&second, &figures(Method::of("BREW"), 418, 90_000));
    telemetry.unrouted().record(&first, &figures(Method::Post, 0, 0));
    let stream = telemetry.stream(&RouteLabels {
        kind: "TCPRoute",
        ..CART
    });
    for fault in ["", "connect"] {
        let figures = StreamFigures {
            fault,
            duration: Duration::from_secs(2),
            bytes_in: 10,
            bytes_out: 20,
        };
        stream.record(&first, &figures);
    }
    let upstream = telemetry.upstream("shop/cart:80");
    upstream.connected(&first, Duration::from_micros(200));
    upstream.connect_failed(&first);
    upstream.first_byte(&second, Duration::from_millis(2));
    upstream.retried(&second);
    telemetry.read_upstreams_from(|each| {
        each(UpstreamGauges {
            upstream: "shop/cart:80",
            endpoints: 3,
            in_flight: 1,
        });
    });
    first.connection_opened();
    second.connection_opened();
    second.connection_closed();
    first.connection_refused();
    first.tls_handshake(Handshake::Full(TlsVersion::Tls13));
    second.tls_handshake(Handshake::Failed);
    first.fault("connect_refused");
    second.fault("connect_refused");
    second.fault("head_timeout");
    telemetry.cluster().connected(["HTTPRoute"]);
    telemetry
        .cluster()
        .status_write("HTTPRoute", narthex_telemetry::StatusWrite::Written);
    let control = telemetry.control();
    control.translated(Duration::from_millis(2));
    control.applied(7, Duration::from_millis(12));
    control.apply_failed();
    control.set_diagnostics(vec![DiagnosticCount {
        code: "NTX0101",
        severity: "error",
        count: 2,
    }]);
    control.set_certificates(vec![CertificateExpiry {
        certificate: "shop/tls".into(),
        not_after: 1_800_000_000,
    }]);
    telemetry
}

fn scraped(format: Format) -> String {
    String::from_utf8(busy().scrape(format)).unwrap()
}

#[test]
fn both_text_formats_keep_to_their_grammar_and_have_every_family() {
    for format in [Format::Text, Format::OpenMetrics] {
        let page = text::Page::parse(&scraped(format), format == Format::OpenMetrics);
        for family in ALL {
            assert!(page.has_series_of(family), "{} in {format:?}", family.name);
        }
    }
}

#[test]
fn what_was_recorded_is_scraped_added_up_over_workers() {
    let page = text::Page::parse(&scraped(Format::Text), false);
    let cart = "route_kind=HTTPRoute,route_namespace=shop,route=cart,rule=odd \"name\"\\\n";
    for (name, labels, value) in [
        (
            "narthex_requests_total",
            format!("{cart},method=GET,status_class=2xx"),
            2.0,
        ),
        (
            "narthex_requests_total",
            format!("{cart},method=other,status_class=4xx"),
            1.0,
        ),
        (
            "narthex_requests_total",
            "route_kind=,route_namespace=,route=,rule=,method=POST,status_class=none".into(),
            1.0,
        ),
        (
            "narthex_request_duration_seconds_bucket",
            format!("{cart},le=0.0025"),
            0.0,
        ),
        (
            "narthex_request_duration_seconds_bucket",
            format!("{cart},le=0.005"),
            1.0,
        ),
        (
            "narthex_request_duration_seconds_bucket",
            format!("{cart},le=60.0"),
            2.0,
        ),
        (
            "narthex_request_duration_seconds_bucket",
            format!("{cart},le=+Inf"),
            3.0,
        ),
        ("narthex_request_duration_seconds_count", cart.into(), 3.0),
        ("narthex_request_duration_seconds_sum", cart.into(), 90.073),
        ("narthex_request_received_bytes_total", cart.into(), 300.0),
        ("narthex_response_sent_bytes_total", cart.into(), 3000.0),
        ("narthex_downstream_connections_total", String::new(), 2.0),
        ("narthex_downstream_open_connections", String::new(), 1.0),
        (
            "narthex_tls_handshakes_total",
            "version=1.3,resumed=false,result=ok".into(),
            1.0,
        ),
        (
            "narthex_tls_handshakes_total",
            "version=,resumed=,result=failed".into(),
            1.0,
        ),
        ("narthex_faults_total", "code=connect_refused".into(), 2.0),
        (
            "narthex_upstream_connect_failures_total",
            "upstream=shop/cart:80".into(),
            1.0,
        ),
        ("narthex_upstream_endpoints", "upstream=shop/cart:80".into(), 3.0),
        ("narthex_config_generation", String::new(), 7.0),
        (
            "narthex_config_diagnostics",
            "code=NTX0101,severity=error".into(),
            2.0,
        ),
        (
            "narthex_certificate_expiry_timestamp_seconds",
            "certificate=shop/tls".into(),
            1_800_000_000.0,
        ),
    ] {
        assert_eq!(page.value(name, &labels), Some(value), "{name} {labels}");
    }
}

#[test]
fn protobuf_says_the_same_and_has_native_histograms() {
    let families = protobuf::families(&busy().scrape(Format::Protobuf));
    let text = text::Page::parse(&scraped(Format::Text), false);
    assert_eq!(families.len(), ALL.len(), "every family");
    for (family, read) in ALL.iter().zip(&families) {
        assert_eq!(family.name, read.name);
        assert_eq!(
            read.kind,
            match family.kind {
                Kind::Counter => 0,
                Kind::Gauge => 1,
                Kind::Histogram => 4,
            }
        );
        for metric in &read.metrics {
            match &metric.histogram {
                None if family.name.starts_with("process_") || family.name.contains("applied_timestamp") => {}
                None => assert_eq!(text.value(family.name, &metric.labels), Some(metric.value)),
                Some(histogram) => {
                    let count = text.value(&format!("{}_count", family.name), &metric.labels);
                    assert_eq!(count, Some(histogram.count as f64));
                    assert_eq!(histogram.schema, 3);
                    assert_eq!(
                        histogram.native_count(),
                        histogram.count,
                        "buckets add up to the count"
                    );
                }
            }
        }
    }
}

#[test]
fn a_native_bucket_holds_the_duration_that_fell_into_it() {
    let telemetry = Telemetry::new(1);
    let shard = telemetry.shard(0);
    telemetry
        .upstream("a")
        .first_byte(&shard, Duration::from_millis(125));
    let families = protobuf::families(&telemetry.scrape(Format::Protobuf));
    let family = families
        .iter()
        .find(|family| family.name == "narthex_upstream_first_byte_duration_seconds")
        .unwrap();
    // 0.125 s is 2^-3 s: the upper bound of bucket -24.
    let histogram = family.metrics[0].histogram.as_ref().unwrap();
    assert_eq!(histogram.native_buckets(), [(-24, 1)]);
}

#[test]
fn counters_go_on_when_a_new_plan_asks_for_the_same_rule() {
    let telemetry = Telemetry::new(1);
    let shard = telemetry.shard(0);
    for _ in 0..3 {
        telemetry
            .route(&CART)
            .record(&shard, &figures(Method::Get, 200, 1));
    }
    let text = String::from_utf8(telemetry.scrape(Format::Text)).unwrap();
    let page = text::Page::parse(&text, false);
    let labels = "route_kind=HTTPRoute,route_namespace=shop,route=cart,rule=odd \"name\"\\\n";
    assert_eq!(
        page.value("narthex_request_duration_seconds_count", labels),
        Some(3.0)
    );
}
