//! The PROXY protocol, versions 1 and 2: who the client is when a load balancer stands in front
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>). Sans-I/O: bytes in, header out.
//!
//! Where a bind takes it, every connection must begin with it: whoever could leave it out could also make it up.

use ir::ProxyProtocol;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// The connection is made on behalf of a client.
    Proxied {
        /// The client.
        source: SocketAddr,
        /// The address that the client spoke to.
        destination: SocketAddr,
    },
    /// It is the sender's own (a health check: `LOCAL`), or the client can't be told (`UNKNOWN`, a UNIX socket, UDP).
    /// The socket's own addresses hold.
    Own,
}

/// What bytes at the start of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A header of this length.
    Complete {
        /// What it says.
        header: Header,
        /// Its bytes.
        length: usize,
    },
    /// The start of a header: more must come.
    Partial,
    /// Not a header.
    Malformed(&'static str),
}

/// Bytes of the longest header that is taken, version 2 with its extensions. The protocol allows 65,551; senders use
/// some hundreds.
pub const LONGEST: usize = 4096;

/// Reads a header from the start of `bytes`. Never looks beyond [`LONGEST`] bytes.
pub fn parse(bytes: &[u8]) -> Parsed {
    if starts_alike(bytes, SIGNATURE) {
        parse_v2(bytes)
    } else if starts_alike(bytes, b"PROXY ") {
        parse_v1(bytes)
    } else {
        Parsed::Malformed("no PROXY header")
    }
}

/// A header for a new connection; `addresses` are the client's and the one it spoke to. Without them, or when the two
/// are of different families, it says that the client is not known.
pub fn write(version: ProxyProtocol, addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let addresses = addresses.map(|(source, destination)| (canonical(source), canonical(destination)));
    match version {
        ProxyProtocol::V1 => write_v1(addresses),
        ProxyProtocol::V2 => write_v2(addresses),
    }
}

fn parse_v1(bytes: &[u8]) -> Parsed {
    let window = &bytes[..bytes.len().min(LONGEST_V1)];
    let Some(end) = memchr::memchr(b'\n', window) else {
        return if window.len() < LONGEST_V1 {
            Parsed::Partial
        } else {
            Parsed::Malformed("v1: line too long")
        };
    };
    let Some(line) = window[..end].strip_suffix(b"\r") else {
        return Parsed::Malformed("v1: bare line feed");
    };
    let Ok(line) = std::str::from_utf8(line) else {
        return Parsed::Malformed("v1: not text");
    };
    let length = end + 1;
    let mut words = line.split(' ').skip(1);
    let family = words.next().unwrap_or_default();
    if family == "UNKNOWN" {
        // The rest of the line must be ignored.
        return Parsed::Complete {
            header: Header::Own,
            length,
        };
    }
    let mut next = || words.next().unwrap_or_default();
    let (source, destination, source_port, destination_port) = (next(), next(), next(), next());
    if words.next().is_some() {
        return Parsed::Malformed("v1: too many words");
    }
    let pair: Option<(IpAddr, IpAddr)> = match family {
        "TCP4" => both::<Ipv4Addr>(source, destination),
        "TCP6" => both::<Ipv6Addr>(source, destination),
        _ => return Parsed::Malformed("v1: unknown family"),
    };
    let Some((source, destination)) = pair else {
        return Parsed::Malformed("v1: bad address");
    };
    let (Some(source_port), Some(destination_port)) = (port(source_port), port(destination_port)) else {
        return Parsed::Malformed("v1: bad port");
    };
    let header = Header::Proxied {
        source: canonical(SocketAddr::new(source, source_port)),
        destination: canonical(SocketAddr::new(destination, destination_port)),
    };
    Parsed::Complete { header, length }
}

fn parse_v2(bytes: &[u8]) -> Parsed {
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED_V2) else {
        return Parsed::Partial;
    };
    let (version_command, family) = (fixed[12], fixed[13]);
    let size = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if version_command >> 4 != 2 {
        return Parsed::Malformed("v2: unknown version");
    }
    if FIXED_V2 + size > LONGEST {
        return Parsed::Malformed("v2: too long");
    }
    let command = version_command & 0xf;
    if command > 1 {
        return Parsed::Malformed("v2: unknown command");
    }
    let Some(block) = rest.get(..size) else {
        return Parsed::Partial;
    };
    let length = FIXED_V2 + size;
    if command == 0 {
        return Parsed::Complete {
            header: Header::Own,
            length,
        };
    }
    let pair = match family {
        // TCP over IPv4, over IPv6. Extensions (TLVs) that follow the addresses are not used.
        0x11 => addresses_v2::<4>(block),
        0x21 => addresses_v2::<16>(block),
        // Unspecified, UDP, UNIX: accepted, the addresses say nothing to us.
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => {
            return Parsed::Complete {
                header: Header::Own,
                length,
            };
        }
        _ => return Parsed::Malformed("v2: unknown family"),
    };
    match pair {
        Some((source, destination)) => Parsed::Complete {
            header: Header::Proxied { source, destination },
            length,
        },
        None => Parsed::Malformed("v2: too short for its addresses"),
    }
}

fn write_v1(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let family = match addresses {
        Some((SocketAddr::V4(_), SocketAddr::V4(_))) => "TCP4",
        Some((SocketAddr::V6(_), SocketAddr::V6(_))) => "TCP6",
        _ => return b"PROXY UNKNOWN\r\n".to_vec(),
    };
    let Some((source, destination)) = addresses else {
        return b"PROXY UNKNOWN\r\n".to_vec();
    };
    let (from, to) = (source.ip(), destination.ip());
    format!(
        "PROXY {family} {from} {to} {} {}\r\n",
        source.port(),
        destination.port()
    )
    .into_bytes()
}

fn write_v2(addresses: Option<(SocketAddr, SocketAddr)>) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    match addresses {
        Some((SocketAddr::V4(source), SocketAddr::V4(destination))) => {
            header.extend_from_slice(&[0x21, 0x11, 0, 12]);
            header.extend_from_slice(&source.ip().octets());
            header.extend_from_slice(&destination.ip().octets());
            header.extend_from_slice(&source.port().to_be_bytes());
            header.extend_from_slice(&destination.port().to_be_bytes());
        }
        Some((SocketAddr::V6(source), SocketAddr::V6(destination))) => {
            header.extend_from_slice(&[0x21, 0x21, 0, 36]);
            header.extend_from_slice(&source.ip().octets());
            header.extend_from_slice(&destination.ip().octets());
            header.extend_from_slice(&source.port().to_be_bytes());
            header.extend_from_slice(&destination.port().to_be_bytes());
        }
        // PROXY, family unspecified: a connection for somebody, nobody knows whom.
        _ => header.extend_from_slice(&[0x21, 0x00, 0, 0]),
    }
    header
}

fn addresses_v2<const N: usize>(block: &[u8]) -> Option<(SocketAddr, SocketAddr)>
where
    IpAddr: From<[u8; N]>,
{
    let (source, rest) = block.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let (destination_port, _) = rest.split_first_chunk::<2>()?;
    let address = |ip: &[u8; N], port: &[u8; 2]| {
        canonical(SocketAddr::new(IpAddr::from(*ip), u16::from_be_bytes(*port)))
    };
    Some((
        address(source, source_port),
        address(destination, destination_port),
    ))
}

/// An IPv4 address that came in IPv6 clothes, without them.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn both<T: std::str::FromStr + Into<IpAddr>>(source: &str, destination: &str) -> Option<(IpAddr, IpAddr)> {
    Some((
        source.parse::<T>().ok()?.into(),
        destination.parse::<T>().ok()?.into(),
    ))
}

/// Decimal, without sign or leading zeros.
fn port(word: &str) -> Option<u16> {
    let plain = !word.is_empty()
        && word.bytes().all(|b| b.is_ascii_digit())
        && (word == "0" || !word.starts_with('0'));
    if plain { word.parse().ok() } else { None }
}

/// Whether `bytes` may go on to be something that starts with `prefix`.
fn starts_alike(bytes: &[u8], prefix: &[u8]) -> bool {
    let common = bytes.len().min(prefix.len());
    bytes[..common] == prefix[..common]
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const FIXED_V2: usize = 16;
/// The longest line of version 1, as its text says.
const LONGEST_V1: usize = 107;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn proxied(source: &str, destination: &str, length: usize) -> Parsed {
        Parsed::Complete {
            header: Header::Proxied {
                source: address(source),
                destination: address(destination),
            },
            length,
        }
    }

    #[test]
    fn a_text_header_names_client_and_destination_and_leaves_what_follows() {
        let line = b"PROXY TCP4 203.0.113.7 10.0.0.1 51234 443\r\n";
        let mut bytes = line.to_vec();
        bytes.extend_from_slice(b"GET / HTTP/1.1\r\n");
        assert_eq!(
            parse(&bytes),
            proxied("203.0.113.7:51234", "10.0.0.1:443", line.len())
        );
        assert_eq!(
            parse(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n"),
            proxied("[2001:db8::1]:1", "[2001:db8::2]:65535", 44)
        );
    }

    #[test]
    fn unknown_and_local_mean_the_sockets_own_addresses() {
        for line in [
            &b"PROXY UNKNOWN\r\n"[..],
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
        ] {
            assert_eq!(
                parse(line),
                Parsed::Complete {
                    header: Header::Own,
                    length: line.len()
                }
            );
        }
        let mut local = SIGNATURE.to_vec();
        local.extend_from_slice(&[0x20, 0x00, 0, 0]);
        assert_eq!(
            parse(&local),
            Parsed::Complete {
                header: Header::Own,
                length: 16
            }
        );
    }

    #[test]
    fn what_is_written_is_read_again_in_both_versions() {
        for (source, destination) in [
            ("203.0.113.7:51234", "10.0.0.1:443"),
            ("[2001:db8::1]:51234", "[2001:db8::2]:443"),
        ] {
            for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                let header = write(version, Some((address(source), address(destination))));
                assert_eq!(parse(&header), proxied(source, destination, header.len()));
                for cut in 0..header.len() {
                    assert_eq!(parse(&header[..cut]), Parsed::Partial, "{version:?} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn addresses_of_two_families_are_written_as_unknown() {
        let mixed = Some((address("203.0.113.7:1"), address("[2001:db8::2]:2")));
        for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
            for addresses in [mixed, None] {
                let header = write(version, addresses);
                assert_eq!(
                    parse(&header),
                    Parsed::Complete {
                        header: Header::Own,
                        length: header.len()
                    }
                );
            }
        }
    }

    #[test]
    fn an_ipv4_client_on_a_dual_stack_socket_is_written_as_ipv4() {
        let header = write(
            ProxyProtocol::V1,
            Some((address("[::ffff:203.0.113.7]:1"), address("[::ffff:10.0.0.1]:2"))),
        );
        assert_eq!(header, b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n");
    }

    #[test]
    fn extensions_are_skipped_within_bounds() {
        let mut header = write(
            ProxyProtocol::V2,
            Some((address("203.0.113.7:1"), address("10.0.0.1:2"))),
        );
        header[15] = 12 + 5;
        header.extend_from_slice(&[0x01, 0, 2, b'h', b'2']);
        assert_eq!(parse(&header), proxied("203.0.113.7:1", "10.0.0.1:2", 33));
        header[14] = 0xff;
        assert_eq!(parse(&header), Parsed::Malformed("v2: too long"));
    }

    #[test]
    fn anything_else_is_malformed() {
        let mut bad: Vec<Vec<u8>> = [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PROXY\r\n",
            b"PROXY TCP4\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 +1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
            b"PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n",
            b"PROXY TCP4 ::1 ::2 1 2\r\n",
            b"PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
            b"PROXY TCP4 1.2.3.256 5.6.7.8 1 2\r\n",
            b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
        ]
        .map(<[u8]>::to_vec)
        .into();
        bad.push([&b"PROXY TCP4 "[..], &[b'1'; 200]].concat());
        for tail in [
            [0x11, 0x11, 0, 12],
            [0x22, 0x11, 0, 12],
            [0x21, 0x41, 0, 12],
            [0x21, 0x11, 0, 4],
        ] {
            bad.push([SIGNATURE, &tail, &[0; 12]].concat());
        }
        for bytes in bad {
            assert!(
                matches!(parse(&bytes), Parsed::Malformed(_)),
                "{:?}",
                bytes.escape_ascii().to_string()
            );
        }
    }
}
