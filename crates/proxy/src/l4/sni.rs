//! Who takes a TLS connection on a socket where streams and HTTPS stand side by side: read from the ClientHello before
//! anything is answered. A connection that nobody takes, or whose route leads nowhere, is closed without a byte of TLS.

use crate::connection::{Control, SocketSlot, TlsFacts};
use crate::fault::Fault;
use crate::forwarded::Ends;
use crate::http::buffer::Buffer;
use crate::l4::record::Record;
use crate::l4::tcp::{self, Incoming};
use crate::stream::Stream;
use crate::time::{Instant, timeout_at};
use crate::tls::accept::{self, HandshakeFault, Opened};
use crate::tls::hello::{Hello, HelloReader, Progress};
use crate::upstream::Carries;
use crate::worker::WorkerState;
use router::TakenBy;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use telemetry::Handshake;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Who takes it.
#[derive(Debug)]
pub enum Entry {
    /// HTTPS: shake hands as everywhere.
    Https(Box<Opened>),
    /// A stream listener.
    Stream(Box<Incoming>),
    /// Nobody. The connection is closed, and that is written down.
    Closed,
}

/// A connection being looked at.
pub struct Arriving {
    /// Its socket.
    pub tcp: TcpStream,
    /// The client.
    pub peer: SocketAddr,
    /// The address that it spoke to.
    pub local: SocketAddr,
    /// Which socket of the plan it came to.
    pub slot: SocketSlot,
    /// How the worker speaks to it.
    pub control: Rc<Control>,
    /// Until when its handshake has to be over.
    pub deadline: Instant,
}

/// Reads the ClientHello and finds out.
pub async fn enter(worker: &Rc<WorkerState>, mut arriving: Arriving) -> Entry {
    let began = worker.clock.now();
    let mut sent = Buffer::take();
    let hello = match timeout_at(arriving.deadline, read(&mut arriving.tcp, &mut sent)).await {
        Ok(Ok(hello)) => hello,
        failure => {
            sent.give_back();
            worker.shard.tls_handshake(Handshake::Failed);
            match failure {
                Ok(Err(error)) => tracing::debug!(peer = %arriving.peer, %error, "no ClientHello"),
                _ => worker.shard.fault(SLOW_HANDSHAKE),
            }
            return Entry::Closed;
        }
    };
    let mut record = Record::new(arriving.peer, arriving.local, "TLS");
    record.sni.clone_from(&hello.sni);
    let plan = worker.plan();
    let socket = plan.socket(arriving.slot);
    let streams = socket.and_then(|socket| socket.streams.as_ref());
    let (listener, chosen) = match streams.map(|streams| streams.of_sni(hello.sni.as_deref())) {
        Some(TakenBy::Stream { listener, chosen, .. }) => (listener, chosen),
        // No stream listener is left: the socket is all HTTPS by now.
        Some(TakenBy::Http) | None if socket.is_some() => return https(arriving, sent),
        _ => {
            tcp::reset_tcp(&arriving.tcp);
            sent.give_back();
            record.finish(worker, worker.clock.now() - began, Some(Fault::NoRoute));
            return Entry::Closed;
        }
    };
    let Some(cell) = tcp::choose(worker, &mut record, listener, chosen, began) else {
        tcp::reset_tcp(&arriving.tcp);
        sent.give_back();
        return Entry::Closed;
    };
    let tls = socket.and_then(|socket| socket.tls.as_ref());
    let config = match &listener.tls {
        ir::StreamTls::Terminate(_) => tls.map(|tls| Arc::clone(tls.streams(hello.sni.as_deref()))),
        ir::StreamTls::Passthrough | ir::StreamTls::None => None,
    };
    let ends = Ends {
        peer: arriving.peer,
        local: arriving.local,
        tls: config.is_some(),
    };
    let Arriving {
        tcp,
        control,
        deadline,
        ..
    } = arriving;
    let (client, sent) = match config {
        None => (Stream::Plain(tcp), sent),
        Some(config) => {
            let handshake = async {
                let opened = accept::open(tcp, sent.filled())?;
                accept::shake_for_stream(opened, config).await
            };
            let shaken = timeout_at(deadline, handshake).await;
            sent.give_back();
            match shaken {
                Ok(Ok((stream, facts))) => {
                    worker.shard.tls_handshake(facts.handshake());
                    record.tls_version = version(&facts);
                    (Stream::Tls(stream), Buffer::default())
                }
                failure => {
                    failed(worker, arriving.peer, failure.ok().and_then(Result::err));
                    return Entry::Closed;
                }
            }
        }
    };
    let carries = match client {
        Stream::Plain(_) => Carries::Sealed,
        _ => Carries::Bytes,
    };
    Entry::Stream(Box::new(Incoming {
        client,
        sent,
        ends,
        control,
        carries,
        cell,
        record,
        began,
    }))
}

fn https(arriving: Arriving, sent: Buffer) -> Entry {
    let opened = accept::open(arriving.tcp, sent.filled());
    sent.give_back();
    match opened {
        Ok(opened) => Entry::Https(Box::new(opened)),
        Err(error) => {
            tracing::debug!(peer = %arriving.peer, %error, "handshake failed");
            Entry::Closed
        }
    }
}

fn failed(worker: &WorkerState, peer: SocketAddr, error: Option<HandshakeFault>) {
    worker.shard.tls_handshake(Handshake::Failed);
    match error {
        Some(error) => tracing::debug!(%peer, %error, "handshake failed"),
        None => worker.shard.fault(SLOW_HANDSHAKE),
    }
}

/// Reads until the whole ClientHello is in `sent`, perhaps with some of what follows it.
async fn read(tcp: &mut TcpStream, sent: &mut Buffer) -> io::Result<Hello> {
    let mut reader = HelloReader::default();
    let mut window = [0; 2048];
    loop {
        let count = tcp.read(&mut window).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sent.extend(&window[..count]);
        match reader.read(&window[..count]) {
            Progress::Partial => {}
            Progress::Complete(hello) => return Ok(hello),
            Progress::Malformed(reason) => return Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
        }
    }
}

fn version(facts: &TlsFacts) -> &'static str {
    match facts.version {
        rustls::ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "TLSv1.3",
    }
}

/// Code of the fault.
const SLOW_HANDSHAKE: &str = "slow-handshake";
