//! Every metric family, declared once: `docs/reference/metrics.md` and every scrape follow from this list.
//!
//! Names and labels marked stable do not change within a major version. No label ever takes its value from a
//! request, except the method, and that only out of a fixed list.

/// One metric family.
#[derive(Debug)]
pub struct Family {
    /// Full name, with the unit and `_total` where they belong.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// What kind of numbers it has.
    pub kind: Kind,
    /// Names of its labels, in order.
    pub labels: &'static [&'static str],
    /// Whether name and labels may change.
    pub stability: Stability,
}

/// What kind of numbers a family has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Durations in seconds, in classic buckets; native ones too where the format has them.
    Histogram,
}

/// Whether name and labels may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stability {
    /// Not within a major version.
    Stable,
    /// With a note in the change log.
    Experimental,
}

impl Family {
    /// Unit that the name carries, if any.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes"]
            .into_iter()
            .find(|unit| name.strip_suffix(unit).is_some_and(|stem| stem.ends_with('_')))
    }
}

macro_rules! families {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $stability:ident $help:literal;)*) => {
        $(pub(crate) static $constant: Family = Family {
            name: $name,
            help: $help,
            kind: Kind::$kind,
            labels: &[$($label),*],
            stability: Stability::$stability,
        };)*

        /// Every family, in the order of a scrape.
        pub static ALL: &[&Family] = &[$(&$constant),*];
    };
}

families! {
    REQUESTS = Counter "narthex_requests_total" ["route_kind", "route_namespace", "route", "rule", "method", "status_class"] Stable
        "Requests answered, by rule, method and class of the status sent; `none` if the client went away before there was one.";
    REQUEST_DURATION = Histogram "narthex_request_duration_seconds" ["route_kind", "route_namespace", "route", "rule"] Stable
        "Time from the first byte of a request to the last byte of its response.";
    RECEIVED = Counter "narthex_request_received_bytes_total" ["route_kind", "route_namespace", "route", "rule"] Stable
        "Bytes of requests received from clients, heads included.";
    SENT = Counter "narthex_response_sent_bytes_total" ["route_kind", "route_namespace", "route", "rule"] Stable
        "Bytes of responses sent to clients, heads included.";
    STREAMS = Counter "narthex_streams_total" ["route_kind", "route_namespace", "route", "rule", "fault"] Stable
        "Streams (TCP and TLS connections, UDP flows) that ended, by rule and by the stable code of what went wrong, if anything did.";
    STREAM_DURATION = Histogram "narthex_stream_duration_seconds" ["route_kind", "route_namespace", "route", "rule"] Stable
        "Time from the beginning of a stream to its end.";
    STREAM_RECEIVED = Counter "narthex_stream_received_bytes_total" ["route_kind", "route_namespace", "route", "rule"] Stable
        "Bytes received from clients on streams that ended.";
    STREAM_SENT = Counter "narthex_stream_sent_bytes_total" ["route_kind", "route_namespace", "route", "rule"] Stable
        "Bytes sent to clients on streams that ended.";
    CONNECTIONS = Counter "narthex_downstream_connections_total" [] Stable
        "Connections accepted from clients.";
    OPEN_CONNECTIONS = Gauge "narthex_downstream_open_connections" [] Stable
        "Connections from clients that are open now.";
    REFUSED_CONNECTIONS = Counter "narthex_downstream_refused_connections_total" [] Stable
        "Connections closed before their first request for want of room.";
    HANDSHAKES = Counter "narthex_tls_handshakes_total" ["version", "resumed", "result"] Stable
        "TLS handshakes with clients, by protocol version, whether a session was resumed, and result.";
    FAULTS = Counter "narthex_faults_total" ["code"] Stable
        "Exchanges and connections that went wrong, by the stable code of the fault.";
    CONNECT_DURATION = Histogram "narthex_upstream_connect_duration_seconds" ["upstream"] Stable
        "Time to connect to an endpoint, where it succeeded.";
    CONNECT_FAILURES = Counter "narthex_upstream_connect_failures_total" ["upstream"] Stable
        "Attempts to connect to an endpoint that failed.";
    FIRST_BYTE_DURATION = Histogram "narthex_upstream_first_byte_duration_seconds" ["upstream"] Stable
        "Time from sending a request head to the first byte of the response.";
    RETRIES = Counter "narthex_upstream_retries_total" ["upstream"] Stable
        "Requests sent again, to the same or another endpoint.";
    ENDPOINTS = Gauge "narthex_upstream_endpoints" ["upstream"] Stable
        "Endpoints that can be chosen.";
    IN_FLIGHT = Gauge "narthex_upstream_in_flight_requests" ["upstream"] Stable
        "Requests that endpoints are working on now.";
    GENERATION = Gauge "narthex_config_generation" [] Stable
        "Generation of the configuration that is live in all workers; 0 before the first.";
    APPLIED_AT = Gauge "narthex_config_applied_timestamp_seconds" [] Stable
        "When that generation became live, in seconds since 1970.";
    APPLY_DURATION = Histogram "narthex_config_apply_duration_seconds" [] Stable
        "Time from a change of the configuration to its being live in all workers.";
    APPLY_FAILURES = Counter "narthex_config_apply_failures_total" [] Stable
        "Generations that could not be applied in full, as when a socket could not be opened.";
    DIAGNOSTICS = Gauge "narthex_config_diagnostics" ["code", "severity"] Stable
        "Findings about the configuration in use, by code.";
    CERTIFICATE_EXPIRY = Gauge "narthex_certificate_expiry_timestamp_seconds" ["certificate"] Stable
        "When a certificate in use expires, in seconds since 1970.";
    STAGE_DURATION = Histogram "narthex_config_stage_duration_seconds" ["stage"] Experimental
        "Time that a stage of a change took: `translate`, or `publish` until all workers acknowledged.";
    LEADER = Gauge "narthex_cluster_leader" [] Stable
        "1 if this process writes statuses and Events.";
    WATCH_RESTARTS = Counter "narthex_cluster_watch_restarts_total" ["kind"] Stable
        "Times that a watch of the API server broke off and began again.";
    STATUS_WRITES = Counter "narthex_cluster_status_writes_total" ["kind", "outcome"] Stable
        "Statuses written to the API server; `conflict` is tried again at once, `failed` later.";
    STATUSES_WAITING = Gauge "narthex_cluster_statuses_waiting" [] Stable
        "Statuses that wait to be written.";
    LOG_LINES = Counter "narthex_access_log_lines_total" [] Stable
        "Lines of the access log handed to the writer.";
    LOG_DROPS = Counter "narthex_access_log_dropped_lines_total" [] Stable
        "Lines of the access log that were dropped because its output did not keep up or failed.";
    WORKERS = Gauge "narthex_workers" [] Stable
        "Worker threads.";
    BUILD = Gauge "narthex_build_info" ["version"] Stable
        "Always 1; the label tells the version.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" [] Stable
        "CPU time spent by the process, user and system.";
    PROCESS_RESIDENT = Gauge "process_resident_memory_bytes" [] Stable
        "Memory of the process that is resident.";
    PROCESS_VIRTUAL = Gauge "process_virtual_memory_bytes" [] Stable
        "Address space of the process.";
    PROCESS_FDS = Gauge "process_open_fds" [] Stable
        "File descriptors that are open.";
    PROCESS_MAX_FDS = Gauge "process_max_fds" [] Stable
        "File descriptors that may be open.";
    PROCESS_START = Gauge "process_start_time_seconds" [] Stable
        "When the process started, in seconds since 1970.";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_keep_to_the_conventions() {
        let mut names = BTreeSet::new();
        for family in ALL {
            assert!(
                family.name.starts_with("narthex_") || family.name.starts_with("process_"),
                "{}",
                family.name
            );
            assert_eq!(
                family.kind == Kind::Counter,
                family.name.ends_with("_total"),
                "{}",
                family.name
            );
            assert!(
                family.kind != Kind::Histogram || family.unit() == Some("seconds"),
                "{}",
                family.name
            );
            assert!(
                family.help.ends_with('.') && !family.help.contains('\n'),
                "{}",
                family.name
            );
            // OpenMetrics knows a counter by its name without `_total`; two families must not meet there.
            assert!(
                names.insert(family.name.trim_end_matches("_total")),
                "{}",
                family.name
            );
        }
    }
}
