//! What became of an exchange, for metrics and the access log.

use super::facts::Facts;
use super::relay::Figures;
use super::session::Session;
use crate::fault::Fault;
use crate::forwarded::Client;
use crate::http::h1::{Name, RequestHead, Version};
use crate::plan::Found;
use crate::time::Instant;
use crate::upstream::{UpstreamCell, UpstreamConnection};
use crate::worker::WorkerState;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use telemetry::{AccessRecord, Method};

/// Gathers it.
pub(super) struct Record<'p> {
    began: Instant,
    head_bytes: u64,
    pub found: Option<Found<'p>>,
    pub figures: Figures,
    /// Sent to the client; 0 if nothing was.
    pub status: u16,
    /// Times the request was sent.
    pub tries: u32,
    sent_at: Option<Instant>,
    pub cell: Option<&'p UpstreamCell>,
    endpoint: Option<SocketAddr>,
    connect: Option<Duration>,
    first_byte: Option<Duration>,
}

impl Record<'_> {
    /// Begins with a head of so many bytes.
    pub fn new(began: Instant, head_bytes: u64) -> Self {
        Self {
            began,
            head_bytes,
            found: None,
            figures: Figures::default(),
            status: 0,
            tries: 0,
            sent_at: None,
            cell: None,
            endpoint: None,
            connect: None,
            first_byte: None,
        }
    }

    /// A connection was chosen and is about to be used.
    pub fn connected(&mut self, connection: &UpstreamConnection, now: Instant) {
        self.tries += 1;
        self.endpoint = Some(connection.endpoint());
        self.connect = connection.connected_in();
        self.sent_at = Some(now);
    }

    /// A try is over.
    pub fn tried(&mut self, worker: &WorkerState, connection: &UpstreamConnection) {
        if let (Some(sent), Some(came)) = (self.sent_at, self.figures.first_byte) {
            let after = came.saturating_duration_since(sent);
            self.first_byte = Some(after);
            connection.metrics().first_byte(&worker.shard, after);
        }
    }

    /// The exchange is over.
    #[expect(clippy::too_many_arguments, reason = "each is a different thing")]
    pub fn finish(
        &self,
        session: &Session,
        head: &RequestHead,
        facts: &Facts<'_>,
        client: &Client,
        raw: &[u8],
        request_id: &[u8],
        fault: Option<Fault>,
    ) {
        let worker = &session.worker;
        let duration = worker.clock.now().saturating_duration_since(self.began);
        let bytes_in = self.head_bytes + self.figures.bytes_in;
        let metrics = self.found.map_or(&worker.unrouted, |found| &found.rule.metrics);
        metrics.record(
            &worker.shard,
            &telemetry::Figures {
                method: Method::of(facts.method),
                status: self.status,
                duration,
                bytes_in,
                bytes_out: self.figures.bytes_out,
            },
        );
        if let Some(fault) = fault {
            worker.shard.fault(fault.code());
        }
        let Some(log) = &worker.access_log else { return };
        let origin = self.found.map(|found| &found.source.origin);
        let listener = self.found.map(|found| found.listener.origin.to_string());
        log.write(
            worker.index,
            &AccessRecord {
                request_id: std::str::from_utf8(request_id).unwrap_or_default(),
                client: Some(client.ip),
                method: facts.method.as_bytes(),
                scheme: client.scheme,
                host: facts.authority,
                path: facts.raw_path,
                query: facts.query.map(str::as_bytes),
                protocol: match head.version {
                    Version::Http10 => "HTTP/1.0",
                    Version::Http11 => "HTTP/1.1",
                    Version::Http2 => "HTTP/2.0",
                    Version::Http3 => "HTTP/3.0",
                },
                bytes_in,
                route_kind: origin.map_or("", |origin| &origin.kind),
                route_namespace: origin.map_or("", |origin| &origin.namespace),
                route: origin.map_or("", |origin| &origin.name),
                rule: origin
                    .and_then(|origin| origin.section.as_deref())
                    .unwrap_or_default(),
                upstream: self.cell.map_or("", |cell| &cell.id.0),
                fault: fault.map_or("", Fault::code),
                user_agent: head.fields.get(raw, Name::UserAgent).unwrap_or_default(),
                referer: head.fields.get(raw, Name::Referer).unwrap_or_default(),
                listener: listener.as_deref().unwrap_or_default(),
                ..self.line(session, duration)
            },
        );
    }

    /// What came was not a request.
    pub fn finish_unread(&self, session: &Session, fault: Fault) {
        let worker = &session.worker;
        let duration = worker.clock.now().saturating_duration_since(self.began);
        worker.unrouted.record(
            &worker.shard,
            &telemetry::Figures {
                method: Method::Other,
                status: self.status,
                duration,
                bytes_in: self.head_bytes,
                bytes_out: self.figures.bytes_out,
            },
        );
        worker.shard.fault(fault.code());
        if let Some(log) = &worker.access_log {
            log.write(
                worker.index,
                &AccessRecord {
                    fault: fault.code(),
                    ..self.line(session, duration)
                },
            );
        }
    }

    /// The log line, as far as it is known without a request.
    fn line(&self, session: &Session, duration: Duration) -> AccessRecord<'static> {
        AccessRecord {
            time: SystemTime::now() - duration,
            request_id: "",
            client: Some(session.ends.peer.ip()),
            peer: Some(session.ends.peer),
            method: b"",
            scheme: if session.ends.tls { "https" } else { "http" },
            host: b"",
            path: b"",
            query: None,
            protocol: "",
            status: self.status,
            bytes_in: self.head_bytes,
            bytes_out: self.figures.bytes_out,
            body_bytes_out: self.figures.body_out,
            duration,
            upstream_connect: self.connect,
            upstream_first_byte: self.first_byte,
            route_kind: "",
            route_namespace: "",
            route: "",
            rule: "",
            upstream: "",
            endpoint: self.endpoint,
            upstream_status: self.figures.upstream_status,
            tries: self.tries,
            fault: "",
            user_agent: b"",
            referer: b"",
            tls_version: match session.downstream.tls.as_ref().map(|tls| tls.version) {
                Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
                Some(_) => "TLSv1.3",
                None => "",
            },
            listener: "",
            local: Some(session.ends.local),
        }
    }
}
