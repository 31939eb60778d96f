//! What recording one request costs: user instructions by callgrind, as the difference of a long and a short run.

use crate::measure::count::callgrind_total;
use crate::process::{Scratch, installed};
use std::process::{Command, Stdio};
use std::time::Duration;
use telemetry::access::{Format, Output};
use telemetry::{AccessLog, AccessRecord, Figures, Method, RouteLabels, Telemetry};

const SHORT: u64 = 10_000;
const LONG: u64 = 110_000;

/// `telemetry`
pub fn run(_words: &[String]) -> Result<(), String> {
    if !installed("valgrind") {
        return Err("valgrind is not installed (Debian package valgrind)".into());
    }
    let scratch = Scratch::new("telemetry")?;
    for (what, meaning) in [
        ("metrics", "all metrics of a plain request"),
        ("json", "its line in the access log, json"),
        ("combined", "its line in the access log, combined"),
    ] {
        let count = |requests: u64| -> Result<f64, String> {
            let out = scratch.path().join(format!("callgrind.{what}.{requests}"));
            let here = std::env::current_exe().map_err(|error| error.to_string())?;
            let status = Command::new("valgrind")
                .args(["--quiet", "--tool=callgrind"])
                .arg(format!("--callgrind-out-file={}", out.display()))
                .arg(here)
                .args(["recording", what, &requests.to_string()])
                .stderr(Stdio::null())
                .status()
                .map_err(|error| format!("valgrind: {error}"))?;
            if !status.success() {
                return Err(format!("recording {what}: {status}"));
            }
            callgrind_total(&out)
        };
        let each = (count(LONG)? - count(SHORT)?) / (LONG - SHORT) as f64;
        println!("{each:8.0} instructions  {meaning}");
    }
    Ok(())
}

/// `recording metrics|json|combined REQUESTS`: records that often, as a process of its own.
pub fn record_many(words: &[String]) -> Result<(), String> {
    let [what, requests] = words else {
        return Err("recording metrics|json|combined REQUESTS".into());
    };
    let requests: u64 = requests.parse().map_err(|_| "REQUESTS is a number")?;
    if what == "metrics" {
        metrics(requests);
        return Ok(());
    }
    let telemetry = Telemetry::new(1);
    let output = Output::File("/dev/null".into());
    let log =
        AccessLog::start(output, Format::parse(what)?, &telemetry).map_err(|error| error.to_string())?;
    for number in 0..requests {
        log.write(0, &record());
        // Within what the buffer holds, so that every line is written and none dropped.
        if number % 500 == 499 {
            log.flush(Duration::from_secs(10));
        }
    }
    if log.dropped() > 0 {
        return Err(format!("{} lines were dropped", log.dropped()));
    }
    Ok(())
}

fn metrics(requests: u64) {
    let telemetry = Telemetry::new(1);
    let shard = telemetry.shard(0);
    let route = telemetry.route(&RouteLabels {
        kind: "HTTPRoute",
        namespace: "shop",
        name: "cart",
        rule: "rules[0]",
    });
    let upstream = telemetry.upstream("shop/cart:80");
    for number in 0..requests {
        // Durations differ a little, as they do.
        let duration = Duration::from_nanos(900_000 + number * 7 % 400_000);
        upstream.first_byte(&shard, duration);
        route.record(
            &shard,
            &Figures {
                method: Method::of(std::hint::black_box("GET")),
                status: std::hint::black_box(200),
                duration,
                bytes_in: 180,
                bytes_out: 1_400,
            },
        );
    }
}

fn record() -> AccessRecord<'static> {
    AccessRecord {
        time: std::time::SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_255_200_125),
        request_id: "0192f0c1a2b3c4d5e6f708192a3b4c5d",
        client: Some([192, 0, 2, 1].into()),
        peer: Some(([192, 0, 2, 1], 4711).into()),
        method: b"GET",
        scheme: "http",
        host: b"shop.example.com",
        path: b"/cart/items/4711",
        query: Some(b"page=2"),
        protocol: "HTTP/1.1",
        status: 200,
        bytes_in: 180,
        bytes_out: 1_400,
        body_bytes_out: 1_200,
        duration: Duration::from_micros(1_500),
        upstream_connect: None,
        upstream_first_byte: Some(Duration::from_micros(900)),
        route_kind: "HTTPRoute",
        route_namespace: "shop",
        route: "cart",
        rule: "rules[0]",
        upstream: "shop/cart:80",
        endpoint: Some(([10, 0, 0, 1], 8080).into()),
        upstream_status: 200,
        tries: 1,
        fault: "",
        user_agent: b"Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0",
        referer: b"https://shop.example.com/",
        tls_version: "",
        listener: "Gateway shop/front#http",
        local: Some(([10, 0, 0, 2], 80).into()),
    }
}
