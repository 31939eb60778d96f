//! What became of a stream, for metrics and the access log.

use crate::fault::Fault;
use crate::l4::CompiledStream;
use crate::upstream::UpstreamCell;
use crate::worker::WorkerState;
use router::streams::Chosen;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use telemetry::{AccessRecord, StreamFigures};

/// Gathers it.
#[derive(Debug)]
pub struct Record {
    /// The client.
    pub peer: SocketAddr,
    /// The address that it spoke to.
    pub local: SocketAddr,
    /// `TCP`, `TLS` or `UDP`.
    pub protocol: &'static str,
    /// Name that the client asked for.
    pub sni: Option<Box<str>>,
    /// `TLSv1.3`, where TLS ended here.
    pub tls_version: &'static str,
    /// Listener that took it, if any did.
    pub listener: Option<Arc<ir::StreamListener>>,
    /// The route, if there is one.
    pub chosen: Option<Chosen<Arc<CompiledStream>>>,
    /// Where it went.
    pub cell: Option<Arc<UpstreamCell>>,
    /// To which endpoint.
    pub endpoint: Option<SocketAddr>,
    /// How long connecting took.
    pub connect: Option<Duration>,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
}

impl Record {
    /// A stream of which only its ends are known.
    pub fn new(peer: SocketAddr, local: SocketAddr, protocol: &'static str) -> Self {
        Self {
            peer,
            local,
            protocol,
            sni: None,
            tls_version: "",
            listener: None,
            chosen: None,
            cell: None,
            endpoint: None,
            connect: None,
            bytes_in: 0,
            bytes_out: 0,
        }
    }

    /// The stream is over.
    pub fn finish(&self, worker: &WorkerState, duration: Duration, fault: Option<Fault>) {
        let code = fault.map_or("", Fault::code);
        if let Some(chosen) = &self.chosen {
            let figures = StreamFigures {
                fault: code,
                duration,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
            };
            chosen.compiled.metrics.record(&worker.shard, &figures);
        }
        if let Some(fault) = fault {
            worker.shard.fault(fault.code());
        }
        let Some(log) = &worker.access_log else { return };
        let route = self.chosen.as_ref().map(|chosen| &chosen.route);
        let origin = route.map(|route| &route.origin);
        let listener = self.listener.as_ref().map(|listener| listener.origin.to_string());
        log.write(
            worker.index,
            &AccessRecord {
                time: SystemTime::now() - duration,
                request_id: "",
                client: Some(self.peer.ip()),
                peer: Some(self.peer),
                method: b"",
                scheme: "",
                host: self.sni.as_deref().unwrap_or_default().as_bytes(),
                path: b"",
                query: None,
                protocol: self.protocol,
                status: 0,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                body_bytes_out: self.bytes_out,
                duration,
                upstream_connect: self.connect,
                upstream_first_byte: None,
                route_kind: origin.map_or("", |origin| &origin.kind),
                route_namespace: origin.map_or("", |origin| &origin.namespace),
                route: origin.map_or("", |origin| &origin.name),
                rule: route.map_or("", |route| &route.rule),
                upstream: self.cell.as_ref().map_or("", |cell| &cell.id.0),
                endpoint: self.endpoint,
                upstream_status: 0,
                tries: u32::from(self.endpoint.is_some()),
                fault: code,
                user_agent: b"",
                referer: b"",
                tls_version: self.tls_version,
                listener: listener.as_deref().unwrap_or_default(),
                local: Some(self.local),
            },
        );
    }
}
