//! One downstream connection, from `accept` until its HTTP version is known.

mod control;

pub use control::{Control, Idle, Occupation, Wait};

use crate::connections::Seat;
use crate::exchange;
use crate::fault::Fault;
use crate::http::proxy_protocol::{self, Header, Parsed};
use crate::l4::sni::{self, Arriving, Entry};
use crate::l4::tcp::{self, Incoming};
use crate::stream::Stream;
use crate::time::{Instant, timeout, timeout_at};
use crate::tls;
use crate::worker::WorkerState;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use telemetry::{Handshake, TlsVersion};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// A connection that is ready for HTTP, and what is known about it.
#[derive(Debug)]
pub struct Downstream {
    /// Its bytes.
    pub stream: Stream,
    /// The client: from the PROXY header if the bind takes one, else the socket's peer.
    pub peer: SocketAddr,
    /// The address that the client spoke to, likewise.
    pub local: SocketAddr,
    /// Which socket of the plan answers: [`crate::Plan::socket`]. Stays valid over reloads; a removed bind has no
    /// socket any more.
    pub slot: SocketSlot,
    /// Set on TLS.
    pub tls: Option<Rc<TlsFacts>>,
    /// How the worker speaks to the connection.
    pub control: Rc<Control>,
}

/// What the handshake settled.
#[derive(Debug, Clone)]
pub struct TlsFacts {
    /// The name the client asked for, lower-case.
    pub sni: Option<Box<str>>,
    /// `TLSv1_2` or `TLSv1_3`.
    pub version: rustls::ProtocolVersion,
    /// Agreed protocol; unset: the client offered none (HTTP/1.1 then).
    pub alpn: Option<Alpn>,
    /// How the client was let in.
    pub admission: tls::Admission,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// Protocols we agree to in a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// `http/1.1`
    Http11,
    /// `h2`
    Http2,
    /// `h3`
    Http3,
}

/// Names a socket in every plan: one per (address, transport, PROXY protocol), never given to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketSlot(pub u32);

/// A connection as `accept` gave it.
#[derive(Debug)]
pub struct Accepted<S> {
    /// Its socket.
    pub tcp: S,
    /// The other end.
    pub peer: SocketAddr,
    /// This end, if the listening socket knows it.
    pub local: Option<SocketAddr>,
    /// Which socket of the plan it came to.
    pub slot: SocketSlot,
}

impl<S> Accepted<S> {
    /// The same connection with another kind of socket.
    pub(crate) fn map<T>(self, change: impl FnOnce(S) -> io::Result<T>) -> io::Result<Accepted<T>> {
        Ok(Accepted {
            tcp: change(self.tcp)?,
            peer: self.peer,
            local: self.local,
            slot: self.slot,
        })
    }
}

/// Takes in a connection that was just accepted, and serves it in a task of its own. It counts as open from here on.
pub fn begin(worker: &Rc<WorkerState>, accepted: Accepted<TcpStream>) {
    let control = Rc::new(Control::default());
    let guard = open(worker, Rc::clone(&control), accepted.slot);
    tokio::task::spawn_local(run(guard, accepted, control));
}

/// Counts a connection from here on, for as long as what is returned lives.
pub(crate) fn open(worker: &Rc<WorkerState>, control: Rc<Control>, slot: SocketSlot) -> Guard {
    let seat = worker.connections.seat(control, slot);
    worker.shard.connection_opened();
    worker.tell_open();
    Guard {
        seat: Some(seat),
        worker: Rc::clone(worker),
    }
}

async fn run(guard: Guard, accepted: Accepted<TcpStream>, control: Rc<Control>) {
    let worker = Rc::clone(&guard.worker);
    // Boxed: what comes before the first request shall not make the future larger that waits between requests.
    let ready = match ready_at_once(&worker, accepted, &control) {
        Ok(downstream) => Some(Ready::Http(downstream)),
        Err(accepted) => Box::pin(prepare_or_close(&worker, accepted, control)).await,
    };
    match ready {
        Some(Ready::Http(downstream)) => exchange::serve(worker, downstream).await,
        Some(Ready::Stream(incoming)) => Box::pin(tcp::serve(&worker, incoming)).await,
        None => {}
    }
    drop(guard);
}

/// What is to be done with a connection.
enum Ready {
    Http(Downstream),
    Stream(Box<Incoming>),
}

/// Where HTTP comes first, there is nothing to prepare.
fn ready_at_once(
    worker: &WorkerState,
    accepted: Accepted<TcpStream>,
    control: &Rc<Control>,
) -> Result<Downstream, Accepted<TcpStream>> {
    let plan = worker.plan();
    match (plan.socket(accepted.slot), accepted.local) {
        (Some(socket), Some(local))
            if !socket.bind.proxy_protocol && socket.bind.transport == ir::Transport::Http =>
        {
            Ok(Downstream {
                stream: Stream::Plain(accepted.tcp),
                peer: canonical(accepted.peer),
                local: canonical(socket.bind.seen(local)),
                slot: accepted.slot,
                tls: None,
                control: Rc::clone(control),
            })
        }
        _ => Err(accepted),
    }
}

async fn prepare_or_close(
    worker: &Rc<WorkerState>,
    accepted: Accepted<TcpStream>,
    control: Rc<Control>,
) -> Option<Ready> {
    // Who has not even shaken hands makes room for others like who waits between requests.
    let since = worker.clock.now();
    control.set(Occupation::Idle {
        since,
        until: since + LONGEST_PREPARATION,
        wait: Wait::Long,
    });
    let mut preparation = pin!(prepare(worker, accepted, Rc::clone(&control)));
    let prepared = poll_fn(|cx| match control.poll_told(cx) {
        Poll::Ready(_) => Poll::Ready(None),
        Poll::Pending => preparation.as_mut().poll(cx),
    })
    .await;
    control.set(Occupation::Busy);
    prepared
}

/// From a socket to something that HTTP can be spoken on, or that bytes can be passed on from. None: the connection was
/// closed.
async fn prepare(
    worker: &Rc<WorkerState>,
    accepted: Accepted<TcpStream>,
    control: Rc<Control>,
) -> Option<Ready> {
    let Accepted {
        mut tcp, peer, slot, ..
    } = accepted;
    let local = match accepted.local {
        Some(local) => local,
        None => tcp.local_addr().ok()?,
    };
    let plan = worker.plan();
    let socket = Arc::clone(plan.socket(slot)?);
    let within = plan.http.timeouts.handshake;
    drop(plan);
    let local = socket.bind.seen(local);
    let mut addresses = Header::Proxied {
        source: peer,
        destination: local,
    };
    if socket.bind.proxy_protocol {
        match timeout(within, read_proxy_header(&mut tcp)).await {
            Ok(Ok(Header::Own)) => {}
            Ok(Ok(header)) => addresses = header,
            Ok(Err(error)) => {
                tracing::debug!(%peer, %error, "no valid PROXY header");
                worker.shard.fault(BAD_PROXY_HEADER);
                return None;
            }
            Err(_) => {
                worker.shard.fault(SLOW_HANDSHAKE);
                return None;
            }
        }
    }
    let (peer, local) = match addresses {
        Header::Proxied { source, destination } => (canonical(source), canonical(destination)),
        Header::Own => (canonical(peer), canonical(local)),
    };
    let (stream, tls) = match socket.bind.transport {
        ir::Transport::Http => (Stream::Plain(tcp), None),
        ir::Transport::Tcp => {
            let incoming = tcp::arrive(worker, tcp, (peer, local), slot, control)?;
            return Some(Ready::Stream(incoming));
        }
        ir::Transport::Https => {
            let newest = || worker.plan().socket(slot)?.tls.clone();
            let deadline = Instant::now() + within;
            let shaken = if socket.streams.is_some() {
                let arriving = Arriving {
                    tcp,
                    peer,
                    local,
                    slot,
                    control: Rc::clone(&control),
                    deadline,
                };
                match sni::enter(worker, arriving).await {
                    Entry::Https(opened) => timeout_at(deadline, tls::accept::shake(*opened, newest)).await,
                    Entry::Stream(incoming) => return Some(Ready::Stream(incoming)),
                    Entry::Closed => return None,
                }
            } else {
                timeout_at(deadline, tls::accept(tcp, newest)).await
            };
            let (stream, facts) = match shaken {
                Ok(Ok(accepted)) => accepted,
                failure => {
                    worker.shard.tls_handshake(Handshake::Failed);
                    match failure {
                        Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
                        _ => worker.shard.fault(SLOW_HANDSHAKE),
                    }
                    return None;
                }
            };
            worker.shard.tls_handshake(facts.handshake());
            (Stream::Tls(stream), Some(Rc::from(facts)))
        }
    };
    Some(Ready::Http(Downstream {
        stream,
        peer,
        local,
        slot,
        tls,
        control,
    }))
}

/// Reads the PROXY header and not a byte more: what follows belongs to TLS or HTTP.
async fn read_proxy_header(tcp: &mut TcpStream) -> io::Result<Header> {
    let mut seen = Vec::new();
    loop {
        let mut window = [0; 256];
        let there = tcp.peek(&mut window).await?;
        if there == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = seen.len();
        seen.extend_from_slice(&window[..there]);
        match proxy_protocol::parse(&seen) {
            Parsed::Complete { header, length } => {
                tcp.read_exact(&mut window[..length - before]).await?;
                return Ok(header);
            }
            // All that was seen belongs to the header, so it can be taken and the next peek waits for more.
            Parsed::Partial => {
                tcp.read_exact(&mut window[..there]).await?;
            }
            Parsed::Malformed(reason) => return Err(io::Error::new(io::ErrorKind::InvalidData, reason)),
        }
    }
}

/// IPv4 clients of a dual-stack socket are IPv4 clients.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Counts the end of a connection however it comes, also by a panic: the task dies, the worker lives.
pub(crate) struct Guard {
    seat: Option<Seat>,
    worker: Rc<WorkerState>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.seat = None;
        self.worker.tell_open();
        self.worker.shard.connection_closed();
        if std::thread::panicking() {
            self.worker.shard.fault(Fault::Internal.code());
        }
    }
}

impl TlsFacts {
    /// For the metrics.
    pub(crate) fn handshake(&self) -> Handshake {
        let version = match self.version {
            rustls::ProtocolVersion::TLSv1_2 => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        if self.resumed {
            Handshake::Resumed(version)
        } else {
            Handshake::Full(version)
        }
    }
}

impl Downstream {
    /// Waits between two requests, holding no buffer. Marks the connection as idle meanwhile, so that the worker may
    /// close it for a drain or to make room.
    pub async fn idle(&mut self, worker: &WorkerState, until: Instant, wait: Wait) -> Idle {
        if self.control.closing() {
            return Idle::Close;
        }
        let since = worker.clock.recent();
        self.control.set(Occupation::Idle { since, until, wait });
        let mut asked = false;
        let outcome = poll_fn(|cx| {
            // Woken, and not because it was told something: the read that comes next will see by what.
            if std::mem::replace(&mut asked, true) {
                return Poll::Ready(match self.control.poll_told(cx) {
                    Poll::Ready(told) => told,
                    Poll::Pending => Idle::Readable,
                });
            }
            match self.stream.poll_read_ready(cx) {
                Poll::Ready(_) => Poll::Ready(Idle::Readable),
                Poll::Pending => self.control.poll_told(cx),
            }
        })
        .await;
        self.control.set(Occupation::Busy);
        outcome
    }
}

/// The handshake and the PROXY header have time-outs of their own, which tell in the metrics what happened.
const LONGEST_PREPARATION: Duration = Duration::from_secs(3600);
/// Codes of faults that happen before there is an exchange.
const BAD_PROXY_HEADER: &str = "bad-proxy-header";
const SLOW_HANDSHAKE: &str = "slow-handshake";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::Seed;
    use telemetry::Telemetry;
    use tokio::runtime::{Builder, LocalOptions};

    fn on_a_worker<F: Future>(test: impl FnOnce(Rc<WorkerState>) -> F) -> F::Output {
        let telemetry = Telemetry::new(1);
        let seed = Seed {
            index: 0,
            workers: 1,
            telemetry,
            access_log: None,
            random: 1,
            default_connections: 10,
            tls_clients: Arc::default(),
            peers: Arc::default(),
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
            .unwrap();
        runtime.block_on(test(WorkerState::new(seed)))
    }

    async fn socket() -> (TcpStream, std::net::TcpStream, SocketAddr) {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (other, address) = listener.accept().unwrap();
        (tcp, other, address)
    }

    #[test]
    fn the_future_of_a_connection_is_small() {
        on_a_worker(|worker| async move {
            let (tcp, _other, peer) = socket().await;
            let seat = worker.connections.seat(Rc::default(), SocketSlot(0));
            let accepted = Accepted {
                tcp,
                peer,
                local: None,
                slot: SocketSlot(0),
            };
            let size = size_of_val(&run(
                Guard {
                    seat: Some(seat),
                    worker,
                },
                accepted,
                Rc::default(),
            ));
            assert!(size <= 1024, "{size} bytes");
        });
    }

    #[test]
    fn a_panic_ends_its_connection_and_nothing_else() {
        on_a_worker(|worker| async move {
            let seat = worker.connections.seat(Rc::default(), SocketSlot(0));
            let guard = Guard {
                seat: Some(seat),
                worker: Rc::clone(&worker),
            };
            let task = tokio::task::spawn_local(async move {
                let _guard = guard;
                std::panic::resume_unwind(Box::new("a mistake of ours"));
            });
            assert!(task.await.unwrap_err().is_panic());
            assert_eq!(worker.connections.open(), 0);
        });
    }
}
