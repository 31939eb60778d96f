//! Several datagrams in one call (recvmmsg, sendmmsg), each with the address of ours that it came to or leaves from:
//! behind a socket for every address, an answer from another one than was asked is thrown away by the client.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

/// Room for the datagrams of one call. Large, so there is one per worker.
pub struct Datagrams {
    /// `MOST` pieces of `SIZE` bytes.
    bytes: Box<[u8]>,
    names: Box<[Name; MOST]>,
    controls: Box<[Control; MOST]>,
    lengths: [usize; MOST],
    /// Bytes of control data per datagram.
    control_lengths: [usize; MOST],
}

/// Datagrams in one call at most. What more would save is small against what a call costs.
pub const MOST: usize = 32;
/// The largest that UDP has.
const SIZE: usize = 65_535;

/// A socket address as the kernel writes it.
#[derive(Clone, Copy)]
#[repr(C)]
union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// Room for one control message, aligned as its header wants it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// A header and an `in6_pktinfo`, rounded up.
const CONTROL: usize = 64;

impl Datagrams {
    /// Room for some datagrams.
    pub fn new() -> Self {
        // SAFETY: all of its variants are numbers, for which zero is a value.
        let name: Name = unsafe { std::mem::zeroed() };
        Self {
            bytes: vec![0; MOST * SIZE].into(),
            names: Box::new([name; MOST]),
            controls: Box::new([Control([0; CONTROL]); MOST]),
            lengths: [0; MOST],
            control_lengths: [0; MOST],
        }
    }

    /// Receives what is there, `most` datagrams at once. Never waits.
    pub fn receive(&mut self, socket: &impl AsFd, most: usize) -> io::Result<usize> {
        let most = most.clamp(1, MOST);
        let mut parts = [NO_PART; MOST];
        let mut headers = [no_header(); MOST];
        for (at, bytes) in self.bytes.chunks_exact_mut(SIZE).take(most).enumerate() {
            parts[at] = libc::iovec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: SIZE,
            };
            let header = &mut headers[at].msg_hdr;
            header.msg_iov = &raw mut parts[at];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut self.names[at]).cast();
            header.msg_namelen = size_of::<Name>() as libc::socklen_t;
            header.msg_control = (&raw mut self.controls[at]).cast();
            header.msg_controllen = CONTROL as _;
        }
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: `most` headers are filled in; what they point at is ours, of the lengths they say, and outlives the call.
        let count = unsafe {
            libc::recvmmsg(
                fd,
                headers.as_mut_ptr(),
                most as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (at, header) in headers.iter().take(count).enumerate() {
            self.lengths[at] = (header.msg_len as usize).min(SIZE);
            self.control_lengths[at] = header.msg_hdr.msg_controllen.min(CONTROL);
        }
        Ok(count)
    }

    /// Content of the datagram at `index` of the last call.
    pub fn content(&self, index: usize) -> &[u8] {
        &self.bytes[index * SIZE..][..self.lengths[index]]
    }

    /// Its sender.
    pub fn peer(&self, index: usize) -> Option<SocketAddr> {
        let name = &self.names[index];
        // SAFETY: the family is the first field of every variant, and zero before the kernel wrote it.
        match i32::from(unsafe { name.family }) {
            libc::AF_INET => {
                // SAFETY: the family says that it is this variant.
                let v4 = unsafe { name.v4 };
                let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
                Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                // SAFETY: likewise.
                let v6 = unsafe { name.v6 };
                let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                Some(SocketAddrV6::new(ip, u16::from_be(v6.sin6_port), 0, v6.sin6_scope_id).into())
            }
            _ => None,
        }
    }

    /// The address of ours that it came to, if [`tell_local_address`] was asked for.
    pub fn local(&self, index: usize) -> Option<IpAddr> {
        let control = self.controls[index].0.get(..self.control_lengths[index])?;
        // A header: its length, level and type.
        let (head, rest) = control.split_at_checked(HEAD)?;
        let level = i32::from_ne_bytes(head.get(HEAD - 8..HEAD - 4)?.try_into().ok()?);
        let kind = i32::from_ne_bytes(head.get(HEAD - 4..)?.try_into().ok()?);
        match (level, kind) {
            // `in_pktinfo`: interface, local address, destination of the header.
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let octets: [u8; 4] = rest.get(8..12)?.try_into().ok()?;
                Some(IpAddr::V4(octets.into()))
            }
            // `in6_pktinfo`: address, interface.
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let octets: [u8; 16] = rest.get(..16)?.try_into().ok()?;
                Some(IpAddr::V6(octets.into()))
            }
            _ => None,
        }
    }

    /// Sends the datagrams `from..to` of the last call on another socket: to `peer`, unless that is connected, and from
    /// `local`, if it matters. How many were sent; at least one, or an error.
    pub fn send(
        &mut self,
        socket: &impl AsFd,
        range: std::ops::Range<usize>,
        peer: Option<SocketAddr>,
        local: Option<IpAddr>,
    ) -> io::Result<usize> {
        let mut name = peer.map(name_of);
        let mut control = local.map(|local| control_of(local, peer));
        let mut parts = [NO_PART; MOST];
        let mut headers = [no_header(); MOST];
        let count = range.len().min(MOST);
        for at in 0..count {
            let index = range.start + at;
            parts[at] = libc::iovec {
                iov_base: self.bytes[index * SIZE..].as_mut_ptr().cast(),
                iov_len: self.lengths[index],
            };
            let header = &mut headers[at].msg_hdr;
            header.msg_iov = &raw mut parts[at];
            header.msg_iovlen = 1;
            if let Some((name, length)) = &mut name {
                header.msg_name = (&raw mut *name).cast();
                header.msg_namelen = *length;
            }
            if let Some((control, length)) = &mut control {
                header.msg_control = (&raw mut *control).cast();
                header.msg_controllen = *length as _;
            }
        }
        let fd = socket.as_fd().as_raw_fd();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        // SAFETY: `count` headers are filled in; what they point at is ours, of the lengths they say, and outlives the call.
        let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), count as libc::c_uint, flags as _) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

impl Default for Datagrams {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes a socket tell which address of ours each datagram came to.
pub fn tell_local_address(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    let (level, name) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    };
    let on: libc::c_int = 1;
    let fd = socket.as_fd().as_raw_fd();
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the option is an int, `on` is one and is only read.
    if unsafe { libc::setsockopt(fd, level, name, (&raw const on).cast(), size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn name_of(address: SocketAddr) -> (Name, libc::socklen_t) {
    match address {
        SocketAddr::V4(address) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*address.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            (Name { v4 }, size_of::<libc::sockaddr_in>() as libc::socklen_t)
        }
        SocketAddr::V6(address) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr {
                    s6_addr: address.ip().octets(),
                },
                sin6_scope_id: address.scope_id(),
            };
            (Name { v6 }, size_of::<libc::sockaddr_in6>() as libc::socklen_t)
        }
    }
}

/// A control message that says from where to send; of the family of the socket, which is that of `peer`.
fn control_of(local: IpAddr, peer: Option<SocketAddr>) -> (Control, usize) {
    let mut control = Control([0; CONTROL]);
    let v6 = matches!(peer, Some(SocketAddr::V6(_)));
    let (level, kind, content): (i32, i32, Vec<u8>) = match (local, v6) {
        (IpAddr::V4(ip), false) => {
            // Interface 0: any; local address; the destination is not looked at.
            let mut content = vec![0; 12];
            content[4..8].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IP, libc::IP_PKTINFO, content)
        }
        (ip, _) => {
            let ip = match ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            };
            let mut content = vec![0; 20];
            content[..16].copy_from_slice(&ip.octets());
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, content)
        }
    };
    let length = HEAD + content.len();
    let size = size_of::<usize>();
    control.0[..size].copy_from_slice(&length.to_ne_bytes());
    control.0[HEAD - 8..HEAD - 4].copy_from_slice(&level.to_ne_bytes());
    control.0[HEAD - 4..HEAD].copy_from_slice(&kind.to_ne_bytes());
    control.0[HEAD..length].copy_from_slice(&content);
    // What the next header would be aligned to.
    (control, length.next_multiple_of(size))
}

const NO_PART: libc::iovec = libc::iovec {
    iov_base: std::ptr::null_mut(),
    iov_len: 0,
};

fn no_header() -> libc::mmsghdr {
    // SAFETY: made of numbers and pointers, for which zero is a value.
    unsafe { std::mem::zeroed() }
}

/// Bytes of a control message's header: a length of the size of a pointer, level, type. Rounded up to the alignment.
const HEAD: usize = size_of::<usize>() + 8;

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    /// Loopback delivers at once, but not within the call.
    fn receive(datagrams: &mut Datagrams, socket: &UdpSocket, most: usize) -> usize {
        for _ in 0..1000 {
            match datagrams.receive(socket, most) {
                Ok(count) => return count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                Err(error) => panic!("{error}"),
            }
        }
        panic!("nothing came");
    }

    #[test]
    fn several_datagrams_come_and_go_in_one_call_each() {
        let (client, here, there) = (
            socket("127.0.0.1:0"),
            socket("127.0.0.1:0"),
            socket("127.0.0.1:0"),
        );
        for text in ["one", "", "three"] {
            client
                .send_to(text.as_bytes(), here.local_addr().unwrap())
                .unwrap();
        }
        let mut datagrams = Datagrams::new();
        assert_eq!(receive(&mut datagrams, &here, MOST), 3);
        assert_eq!(
            [0, 1, 2].map(|index| datagrams.content(index).to_vec()),
            [b"one".to_vec(), b"".to_vec(), b"three".to_vec()]
        );
        assert_eq!(datagrams.peer(1), client.local_addr().ok());
        assert_eq!(datagrams.local(1), None, "it was not asked for");
        let to = there.local_addr().ok();
        assert_eq!(datagrams.send(&here, 0..3, to, None).unwrap(), 3);
        assert_eq!(receive(&mut datagrams, &there, 2), 2);
        assert_eq!(datagrams.content(0), b"one");
        assert_eq!(receive(&mut datagrams, &there, 2), 1);
        assert_eq!(datagrams.content(0), b"three");
        assert!(datagrams.receive(&there, 2).is_err());
    }

    #[test]
    fn an_answer_leaves_from_the_address_that_was_asked() {
        for (bound, asked, v6) in [
            ("0.0.0.0:0", "127.0.0.3", false),
            ("[::]:0", "127.0.0.3", true),
            ("[::]:0", "::1", true),
        ] {
            let here = socket2::Socket::new(
                if v6 {
                    socket2::Domain::IPV6
                } else {
                    socket2::Domain::IPV4
                },
                socket2::Type::DGRAM,
                None,
            )
            .unwrap();
            if v6 && here.set_only_v6(false).is_err() {
                continue;
            }
            let bound: SocketAddr = bound.parse().unwrap();
            if here.bind(&bound.into()).is_err() {
                continue; // no IPv6 here
            }
            here.set_nonblocking(true).unwrap();
            let here: UdpSocket = here.into();
            tell_local_address(&here, v6).unwrap();
            let asked: IpAddr = asked.parse().unwrap();
            let client = match asked {
                IpAddr::V4(_) => socket("127.0.0.1:0"),
                IpAddr::V6(_) => socket("[::1]:0"),
            };
            let port = here.local_addr().unwrap().port();
            client.send_to(b"ping", (asked, port)).unwrap();
            let mut datagrams = Datagrams::new();
            assert_eq!(receive(&mut datagrams, &here, MOST), 1);
            let (peer, local) = (datagrams.peer(0), datagrams.local(0));
            assert_eq!(local.map(|ip| ip.to_canonical()), Some(asked));
            assert_eq!(datagrams.send(&here, 0..1, peer, local).unwrap(), 1);
            assert_eq!(receive(&mut datagrams, &client, MOST), 1);
            assert_eq!(datagrams.peer(0), Some((asked, port).into()));
        }
    }
}
