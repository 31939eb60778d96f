//! Reads every cell and writes a page, family by family, in the order of [`families::ALL`].

use crate::exposition::{Format, Page};
use crate::process::Process;
use crate::shard::{Cells, Handshake};
use crate::{Telemetry, UpstreamGauges, families};
use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

pub(crate) fn scrape(telemetry: &Telemetry, format: Format) -> Vec<u8> {
    let mut page = format.page();
    routes(telemetry, &mut *page);
    streams(telemetry, &mut *page);
    downstream(telemetry, &mut *page);
    upstreams(telemetry, &mut *page);
    control(telemetry, &mut *page);
    cluster(telemetry, &mut *page);
    access_log(telemetry, &mut *page);
    process(telemetry, &mut *page);
    page.finish()
}

fn routes(telemetry: &Telemetry, page: &mut dyn Page) {
    let mut routes = telemetry.routes.all(Instant::now());
    routes.retain(|route| route.is_used());
    page.family(&families::REQUESTS);
    for route in &routes {
        let [kind, namespace, name, rule] = route.labels();
        route.requests(|method, class, count| {
            page.number(&[kind, namespace, name, rule, method, class], count as f64);
        });
    }
    page.family(&families::REQUEST_DURATION);
    for route in &routes {
        page.durations(&route.labels(), &route.duration());
    }
    page.family(&families::RECEIVED);
    for route in &routes {
        page.number(&route.labels(), route.bytes().0 as f64);
    }
    page.family(&families::SENT);
    for route in &routes {
        page.number(&route.labels(), route.bytes().1 as f64);
    }
}

fn streams(telemetry: &Telemetry, page: &mut dyn Page) {
    let mut streams = telemetry.streams.all(Instant::now());
    streams.retain(|stream| stream.is_used());
    page.family(&families::STREAMS);
    for stream in &streams {
        let [kind, namespace, name, rule] = stream.labels();
        for (fault, count) in stream.streams() {
            page.number(&[kind, namespace, name, rule, fault], count as f64);
        }
    }
    page.family(&families::STREAM_DURATION);
    for stream in &streams {
        page.durations(&stream.labels(), &stream.duration());
    }
    page.family(&families::STREAM_RECEIVED);
    for stream in &streams {
        page.number(&stream.labels(), stream.bytes().0 as f64);
    }
    page.family(&families::STREAM_SENT);
    for stream in &streams {
        page.number(&stream.labels(), stream.bytes().1 as f64);
    }
}

fn downstream(telemetry: &Telemetry, page: &mut dyn Page) {
    let sum = |of: fn(&Cells) -> u64| telemetry.shards.iter().map(|shard| of(shard)).sum::<u64>();
    // Closed ones first: what closes in between was counted as opened by then.
    let closed = sum(|cells| cells.closed.get());
    let opened = sum(|cells| cells.opened.get());
    single(page, &families::CONNECTIONS, opened as f64);
    single(
        page,
        &families::OPEN_CONNECTIONS,
        opened.saturating_sub(closed) as f64,
    );
    single(
        page,
        &families::REFUSED_CONNECTIONS,
        sum(|cells| cells.refused.get()) as f64,
    );
    page.family(&families::HANDSHAKES);
    for (at, labels) in Handshake::LABELS.iter().enumerate() {
        let count: u64 = telemetry
            .shards
            .iter()
            .map(|shard| shard.handshakes[at].get())
            .sum();
        page.number(labels, count as f64);
    }
    page.family(&families::FAULTS);
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    for (code, count) in telemetry.shards.iter().flat_map(|shard| shard.faults()) {
        *faults.entry(code).or_default() += count;
    }
    for (code, count) in faults {
        page.number(&[code], count as f64);
    }
}

fn upstreams(telemetry: &Telemetry, page: &mut dyn Page) {
    let mut upstreams = telemetry.upstreams.all(Instant::now());
    upstreams.retain(|upstream| upstream.is_used());
    page.family(&families::CONNECT_DURATION);
    for upstream in &upstreams {
        page.durations(&[upstream.id()], &upstream.connect());
    }
    page.family(&families::CONNECT_FAILURES);
    for upstream in &upstreams {
        page.number(&[upstream.id()], upstream.connect_failures() as f64);
    }
    page.family(&families::FIRST_BYTE_DURATION);
    for upstream in &upstreams {
        page.durations(&[upstream.id()], &upstream.first_bytes());
    }
    page.family(&families::RETRIES);
    for upstream in &upstreams {
        page.number(&[upstream.id()], upstream.retries() as f64);
    }
    let mut gauges = BTreeMap::new();
    if let Some(source) = telemetry.upstream_gauges.get() {
        source(&mut |state: UpstreamGauges<'_>| {
            gauges.insert(state.upstream.to_owned(), (state.endpoints, state.in_flight));
        });
    }
    page.family(&families::ENDPOINTS);
    for (upstream, (endpoints, _)) in &gauges {
        page.number(&[upstream], *endpoints as f64);
    }
    page.family(&families::IN_FLIGHT);
    for (upstream, (_, in_flight)) in &gauges {
        page.number(&[upstream], *in_flight as f64);
    }
}

fn control(telemetry: &Telemetry, page: &mut dyn Page) {
    let figures = telemetry.control.figures();
    single(page, &families::GENERATION, figures.generation as f64);
    if let Some(at) = figures.applied_at {
        let seconds = at
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0.0, |since| since.as_secs_f64());
        single(page, &families::APPLIED_AT, seconds);
    }
    page.family(&families::APPLY_DURATION);
    page.durations(&[], &figures.apply);
    single(page, &families::APPLY_FAILURES, figures.apply_failures as f64);
    page.family(&families::DIAGNOSTICS);
    for finding in &figures.diagnostics {
        page.number(&[finding.code, finding.severity], finding.count as f64);
    }
    page.family(&families::CERTIFICATE_EXPIRY);
    for certificate in &figures.certificates {
        page.number(&[&certificate.certificate], certificate.not_after as f64);
    }
    page.family(&families::STAGE_DURATION);
    page.durations(&["translate"], &figures.translate);
    page.durations(&["publish"], &figures.publish);
}

fn cluster(telemetry: &Telemetry, page: &mut dyn Page) {
    let figures = telemetry.cluster.figures();
    if !figures.connected {
        return;
    }
    single(page, &families::LEADER, f64::from(u8::from(figures.leads)));
    page.family(&families::WATCH_RESTARTS);
    for (kind, count) in &figures.watch_restarts {
        page.number(&[kind], *count as f64);
    }
    page.family(&families::STATUS_WRITES);
    for ((kind, outcome), count) in &figures.status_writes {
        page.number(&[kind, outcome], *count as f64);
    }
    single(page, &families::STATUSES_WAITING, figures.statuses_waiting as f64);
}

fn access_log(telemetry: &Telemetry, page: &mut dyn Page) {
    let lines = &telemetry.access_log;
    single(page, &families::LOG_LINES, lines.written() as f64);
    single(page, &families::LOG_DROPS, lines.dropped() as f64);
}

fn process(telemetry: &Telemetry, page: &mut dyn Page) {
    single(page, &families::WORKERS, telemetry.workers as f64);
    page.family(&families::BUILD);
    page.number(&[env!("CARGO_PKG_VERSION")], 1.0);
    let process = Process::read();
    for (family, value) in [
        (&families::PROCESS_CPU, process.cpu_seconds),
        (&families::PROCESS_RESIDENT, process.resident_bytes),
        (&families::PROCESS_VIRTUAL, process.virtual_bytes),
        (&families::PROCESS_FDS, process.open_fds),
        (&families::PROCESS_MAX_FDS, process.max_fds),
        (&families::PROCESS_START, process.start_seconds),
    ] {
        if let Some(value) = value {
            single(page, family, value);
        }
    }
}

/// A family that has no labels and so one series.
fn single(page: &mut dyn Page, family: &'static families::Family, value: f64) {
    page.family(family);
    page.number(&[], value);
}
