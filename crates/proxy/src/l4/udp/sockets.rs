//! UDP sockets: the ones to listen on, one per worker and address, and one for each flow.

use crate::sys::datagrams;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::UdpSocket;

/// Opens one socket per worker for an address.
pub fn open(address: ir::BindAddress, workers: usize, alone: bool) -> io::Result<Vec<std::net::UdpSocket>> {
    let at = |ip: IpAddr| open_at(SocketAddr::new(ip, address.port), workers, alone);
    match address.ip {
        Some(ip) => at(ip),
        None => match at(Ipv6Addr::UNSPECIFIED.into()) {
            // A kernel without IPv6, or one where it is switched off.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
                ) =>
            {
                at(Ipv4Addr::UNSPECIFIED.into())
            }
            outcome => outcome,
        },
    }
}

/// A socket that speaks to one endpoint alone.
pub(super) fn connected(endpoint: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(endpoint), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.connect(&endpoint.into())?;
    UdpSocket::from_std(socket.into())
}

/// Opens the sockets of one address; the first decides the port if the kernel is to choose it.
fn open_at(address: SocketAddr, workers: usize, alone: bool) -> io::Result<Vec<std::net::UdpSocket>> {
    if alone && address.port() != 0 {
        // Another process with SO_REUSEPORT and the same user would silently take a share.
        drop(socket(address, false)?);
    }
    let first: std::net::UdpSocket = socket(address, true)?.into();
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(socket(address, true)?.into());
    }
    Ok(sockets)
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        // One socket for both families, whatever the system's default.
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    // What comes while the worker is busy waits here; the kernel cuts it to net.core.rmem_max (208 KiB by default).
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    if address.ip().is_unspecified() {
        datagrams::tell_local_address(&socket, address.is_ipv6())?;
    }
    socket.bind(&address.into())?;
    Ok(socket)
}

const RECEIVE_BUFFER: usize = 4 << 20;
