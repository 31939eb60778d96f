//! One connection forwarded as a stream of bytes: to an endpoint of its route, at once and without waiting for the
//! client to say something (in many protocols the server speaks first).
//!
//! What is under way goes on whatever becomes of the configuration; a drain lets it, until its time is over.

use crate::connection::{Control, SocketSlot};
use crate::fault::Fault;
use crate::forwarded::Ends;
use crate::http::alarm::Alarm;
use crate::http::buffer::Buffer;
use crate::http::proxy_protocol;
use crate::l4::CompiledStream;
use crate::l4::record::Record;
use crate::l4::relay::{self, Passed};
use crate::stream::Stream;
use crate::time::Instant;
use crate::upstream::{Carries, UpstreamCell, Wanted, checkout};
use crate::worker::WorkerState;
use router::streams::Chosen;
use socket2::SockRef;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;

/// A connection that a stream listener took.
#[derive(Debug)]
pub struct Incoming {
    /// Its bytes.
    pub client: Stream,
    /// Those that were read already and have to be passed on.
    pub sent: Buffer,
    /// Where they come from.
    pub ends: Ends,
    /// How the worker speaks to the connection.
    pub control: Rc<Control>,
    /// What they are.
    pub carries: Carries,
    /// Where they go.
    pub cell: Arc<UpstreamCell>,
    /// What is known about it so far.
    pub record: Record,
    /// When it was accepted.
    pub began: Instant,
}

/// A connection to a TCP listener. `None`: it was refused.
pub fn arrive(
    worker: &Rc<WorkerState>,
    tcp: TcpStream,
    (peer, local): (SocketAddr, SocketAddr),
    slot: SocketSlot,
    control: Rc<Control>,
) -> Option<Box<Incoming>> {
    let began = worker.clock.now();
    let plan = worker.plan();
    let routes = plan.socket(slot)?.streams.as_ref()?.only()?;
    let mut record = Record::new(peer, local, "TCP");
    let Some(cell) = choose(worker, &mut record, routes.listener(), routes.first(), began) else {
        reset_tcp(&tcp);
        return None;
    };
    Some(Box::new(Incoming {
        client: Stream::Plain(tcp),
        sent: Buffer::default(),
        ends: Ends {
            peer,
            local,
            tls: false,
        },
        control,
        carries: Carries::Bytes,
        cell,
        record,
        began,
    }))
}

/// Decides where a stream goes by its listener's route. An error is written down already: the connection is to be
/// refused.
pub fn choose(
    worker: &WorkerState,
    record: &mut Record,
    listener: &Arc<ir::StreamListener>,
    chosen: Option<&Chosen<Arc<CompiledStream>>>,
    began: Instant,
) -> Option<Arc<UpstreamCell>> {
    record.listener = Some(Arc::clone(listener));
    record.chosen = chosen.cloned();
    let choice = match chosen {
        Some(chosen) => chosen.compiled.choose(|total| worker.random.below(total)),
        None => Err(Fault::NoRoute),
    };
    match choice {
        Ok(cell) => Some(cell),
        Err(fault) => {
            record.finish(worker, worker.clock.now() - began, Some(fault));
            None
        }
    }
}

/// Forwards until the end.
pub async fn serve(worker: &Rc<WorkerState>, mut incoming: Box<Incoming>) {
    let outcome = forward(worker, &mut incoming).await;
    if matches!(outcome, Err(fault) if fault != Fault::TunnelIdle) {
        reset(&incoming.client);
    }
    let duration = worker.clock.now() - incoming.began;
    incoming.record.finish(worker, duration, outcome.err());
}

/// Closes a connection with a reset: it must not look as if all had been said.
pub fn reset(stream: &Stream) {
    if let Some(tcp) = stream.tcp() {
        reset_tcp(tcp);
    }
}

/// The same for a socket.
pub fn reset_tcp(tcp: &TcpStream) {
    // Without it the connection closes in order, which is not worse than nothing.
    let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
}

async fn forward(worker: &Rc<WorkerState>, incoming: &mut Incoming) -> Result<(), Fault> {
    let Incoming {
        client,
        sent,
        ends,
        control,
        carries,
        cell,
        record,
        ..
    } = incoming;
    record.cell = Some(Arc::clone(cell));
    let mut wanted = Wanted {
        fresh: true,
        carries: *carries,
        ends: Some(ends),
        ..Wanted::default()
    };
    let mut connection = checkout(worker, cell, &mut wanted).await?;
    record.endpoint = Some(connection.endpoint());
    record.connect = connection.connected_in();
    let (upstream, settings) = connection.parts();
    let idle = settings.tunnel_idle_timeout;
    let route = record.chosen.as_ref().map(|chosen| &chosen.route);
    let mut ahead = 0;
    if let Some(version) = route.and_then(|route| route.proxy_protocol)
        && settings.proxy_protocol.is_none()
    {
        let mut with_header = Buffer::take();
        with_header.extend(&proxy_protocol::write(version, Some((ends.peer, ends.local))));
        ahead = with_header.len() as u64;
        with_header.extend(sent.filled());
        *sent = with_header;
    }
    let mut alarm = Alarm::new(Rc::clone(control));
    let mut passed = Passed::default();
    let outcome = relay::run(
        client,
        upstream,
        std::mem::take(sent),
        idle,
        &worker.clock,
        &mut alarm,
        &mut passed,
    )
    .await;
    record.bytes_in = passed.up.saturating_sub(ahead);
    record.bytes_out = passed.down;
    if matches!(outcome, Err(fault) if fault != Fault::TunnelIdle) {
        reset(upstream);
    }
    outcome
}
