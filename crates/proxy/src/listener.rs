//! Listening sockets: opening one per worker for an address, and accepting on it.
//!
//! Every worker has a socket of its own for each address (SO_REUSEPORT); the kernel spreads connections over them, and
//! [`handoff`] evens out what it did not.

use crate::connection::{self, Accepted, SocketSlot};
use crate::handoff;
use crate::worker::WorkerState;
use socket2::{Domain, Protocol, Socket, Type};
use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A listening socket of one worker, as the rest of the worker sees it.
#[derive(Debug)]
pub struct Listening {
    /// Where clients reach it; unset: at any address of the machine, so each connection has to be asked for its own.
    pub local: Option<SocketAddr>,
    /// What its connections belong to. Changes when the address stays and what is spoken on it changes.
    pub slot: Cell<SocketSlot>,
    stop: Cell<Option<Stop>>,
    stopped: Notify,
}

/// How to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The bind is gone: nothing would answer those who wait to be accepted.
    AtOnce,
    /// A drain: those whom the kernel has let in already are still served.
    AfterQueue,
}

impl Listening {
    /// A socket for connections of `slot`.
    pub fn new(listener: &TcpListener, slot: SocketSlot) -> Rc<Self> {
        let local = listener.local_addr().ok();
        Rc::new(Self {
            local: local.filter(|address| !address.ip().is_unspecified()),
            slot: Cell::new(slot),
            stop: Cell::new(None),
            stopped: Notify::new(),
        })
    }

    fn accepted<S>(&self, tcp: S, peer: SocketAddr) -> Accepted<S> {
        Accepted {
            tcp,
            peer,
            local: self.local,
            slot: self.slot.get(),
        }
    }

    /// Stops accepting and closes the socket.
    pub fn stop(&self, how: Stop) {
        self.stop.set(Some(how));
        self.stopped.notify_one();
    }
}

/// Opens one socket per worker for an address.
///
/// `alone`: no other socket of ours has this port. Then it is first made sure that no other process listens there: one
/// with SO_REUSEPORT and the same user would otherwise silently take a share of the connections.
pub fn open(address: ir::BindAddress, workers: usize, alone: bool) -> io::Result<Vec<std::net::TcpListener>> {
    match address.ip {
        Some(ip) => open_at(SocketAddr::new(ip, address.port), workers, alone),
        None => match open_at(
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), address.port),
            workers,
            alone,
        ) {
            // A kernel without IPv6, or one where it is switched off.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
                ) =>
            {
                open_at(
                    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port),
                    workers,
                    alone,
                )
            }
            outcome => outcome,
        },
    }
}

/// Accepts until told to stop.
pub async fn run(worker: Rc<WorkerState>, listener: TcpListener, listening: Rc<Listening>) {
    while listening.stop.get().is_none() {
        let accepted = tokio::select! {
            biased;
            () = listening.stopped.notified() => continue,
            accepted = poll_fn(|cx| listener.poll_accept(cx)) => accepted,
        };
        match accepted {
            Ok((tcp, peer)) => {
                if let Some(accepted) = handoff::hand_over(&worker, listening.accepted(tcp, peer)) {
                    room(&worker, &listening).await;
                    connection::begin(&worker, accepted);
                }
            }
            Err(error) => after_failure(&worker, &error).await,
        }
    }
    if listening.stop.get() == Some(Stop::AfterQueue) {
        accept_queue(&worker, listener, &listening);
    }
}

/// Opens the sockets of one address; the first decides the port if the kernel is to choose it.
fn open_at(address: SocketAddr, workers: usize, alone: bool) -> io::Result<Vec<std::net::TcpListener>> {
    if alone && address.port() != 0 {
        drop(socket(address, false)?);
    }
    let first: std::net::TcpListener = socket(address, true)?.into();
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(socket(address, true)?.into());
    }
    Ok(listeners)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // One socket for both families, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    // Without it a restart would wait for old connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // A response in several writes would otherwise wait for the client's delayed acknowledgement, 40 ms each. Accepted
    // sockets inherit it, which saves a call for each.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Waits until the connection that was just accepted has room, and makes it if somebody is idle. Those behind it wait in
/// the kernel's queue.
async fn room(worker: &WorkerState, listening: &Listening) {
    while !worker.connections.has_room() && listening.stop.get().is_none() {
        worker.connections.make_room();
        tokio::select! {
            () = worker.connections.changed() => {}
            () = listening.stopped.notified() => {}
        }
    }
}

async fn after_failure(worker: &WorkerState, error: &io::Error) {
    match error.raw_os_error() {
        // No file, or no memory, for one more: accepting again at once would fail again at once. The connection stays in
        // the queue.
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM) => {
            worker.shard.connection_refused();
            worker.shard.fault(NO_FILES);
            tracing::warn!(%error, "cannot accept connections");
            worker.connections.make_room();
            crate::time::sleep(PAUSE).await;
        }
        // The client went away while it waited; accept(2) lists further errors of single connections.
        _ => tokio::task::yield_now().await,
    }
}

/// Takes in what the kernel has let in already; closing the socket would reset it.
fn accept_queue(worker: &Rc<WorkerState>, listener: TcpListener, listening: &Listening) {
    let Ok(listener) = listener.into_std() else { return };
    while worker.connections.has_room() {
        let Ok((tcp, peer)) = listener.accept() else {
            return;
        };
        if tcp.set_nonblocking(true).is_ok()
            && let Ok(tcp) = TcpStream::from_std(tcp)
        {
            connection::begin(worker, listening.accepted(tcp, peer));
        }
    }
}

/// The kernel cuts it to net.core.somaxconn (4096 by default).
const BACKLOG: i32 = 16_384;
/// Long enough for some connections to end, short enough not to be felt.
const PAUSE: Duration = Duration::from_millis(50);
/// Code of the fault.
const NO_FILES: &str = "out-of-files";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_sockets_do_not_wait_for_more_to_send() {
        let port = 0;
        let address = ir::BindAddress {
            ip: Some(Ipv4Addr::LOCALHOST.into()),
            port,
        };
        let listeners = open(address, 1, true).unwrap();
        listeners[0].set_nonblocking(false).unwrap();
        let _client = std::net::TcpStream::connect(listeners[0].local_addr().unwrap()).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        assert!(accepted.nodelay().unwrap());
    }
}
