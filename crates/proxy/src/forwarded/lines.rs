//! Field lines that a connection's requests have in common, made once.

use super::{Client, Ends};
use std::io::Write as _;
use std::net::IpAddr;

/// Field lines that are the same for every request of a connection whose client is not a trusted proxy, those that say
/// the host for as long as it stays the same, and the name of the request's id.
#[derive(Debug, Default)]
pub struct Lines {
    text: Vec<u8>,
    /// Where the lines end that are the connection's.
    common: usize,
    /// Where the host's name ends, which begins behind the name of its field; 0 if it has no line.
    host_end: usize,
}

impl Lines {
    /// All of them, up to where the id is to be written.
    #[inline]
    pub(super) fn of(&mut self, ends: &Ends, client: &Client, host: &[u8]) -> &[u8] {
        let known = self
            .text
            .get(self.common + HOST.len()..self.host_end)
            .unwrap_or_default();
        if known != host || self.text.is_empty() {
            self.fill(ends, client, host);
        }
        &self.text
    }

    #[cold]
    fn fill(&mut self, ends: &Ends, client: &Client, host: &[u8]) {
        if self.text.is_empty() {
            self.fill_common(ends, client, HOST.len() + host.len() + 2 + ID.len());
        }
        self.text.truncate(self.common);
        self.host_end = 0;
        if !host.is_empty() {
            self.text.extend_from_slice(HOST);
            self.text.extend_from_slice(host);
            self.host_end = self.text.len();
            self.text.extend_from_slice(b"\r\n");
        }
        self.text.extend_from_slice(ID);
    }

    fn fill_common(&mut self, ends: &Ends, client: &Client, behind: usize) {
        let mut ip = [0; LONGEST_IP];
        let ip = ip_text(ends.peer.ip(), &mut ip);
        let (scheme, mut port) = (client.scheme.as_bytes(), itoa::Buffer::new());
        // Made for every connection, and kept by it: in one piece, no larger than needed.
        let parts: [&[u8]; 12] = [
            b"X-Real-IP: ",
            ip,
            b"\r\nX-Forwarded-For: ",
            ip,
            b"\r\nX-Forwarded-Proto: ",
            scheme,
            b"\r\nX-Forwarded-Port: ",
            port.format(client.port).as_bytes(),
            b"\r\nX-Forwarded-Scheme: ",
            scheme,
            b"\r\nX-Scheme: ",
            scheme,
        ];
        self.text
            .reserve_exact(parts.iter().map(|part| part.len()).sum::<usize>() + 2 + behind);
        for part in parts {
            self.text.extend_from_slice(part);
        }
        self.text.extend_from_slice(b"\r\n");
        self.common = self.text.len();
    }
}

pub(super) const HOST: &[u8] = b"X-Forwarded-Host: ";
pub(super) const ID: &[u8] = b"X-Request-ID: ";

/// An address as text. Most are IPv4, and the formatter of the standard library costs some thousand instructions.
pub(super) fn ip_text(ip: IpAddr, room: &mut [u8; LONGEST_IP]) -> &[u8] {
    let mut end = 0;
    match ip {
        IpAddr::V4(ip) => {
            for (index, octet) in ip.octets().into_iter().enumerate() {
                if index > 0 {
                    room[end] = b'.';
                    end += 1;
                }
                let mut digits = itoa::Buffer::new();
                let digits = digits.format(octet).as_bytes();
                room[end..end + digits.len()].copy_from_slice(digits);
                end += digits.len();
            }
        }
        IpAddr::V6(ip) => {
            let mut free = &mut room[..];
            // The room is as long as the longest address.
            let _ = write!(free, "{ip}");
            end = LONGEST_IP - free.len();
        }
    }
    &room[..end]
}

/// IPv6 with an IPv4 address at its end.
const LONGEST_IP: usize = 45;

#[cfg(test)]
mod tests {
    use super::super::client;
    use super::*;
    use crate::http::h1::Fields;
    use ir::HttpSettings;

    #[test]
    fn lines_follow_the_host_of_each_request() {
        let ends = Ends {
            peer: "203.0.113.1:5000".parse().expect("an address"),
            local: "192.0.2.1:80".parse().expect("an address"),
            tls: false,
        };
        let client = client(&ends, &HttpSettings::default(), &Fields::default(), b"");
        let mut lines = Lines::default();
        for host in ["a.example", "a.example", "", "b", "long.example.org", "b", ""] {
            let text = String::from_utf8(lines.of(&ends, &client, host.as_bytes()).to_vec()).expect("text");
            let wanted = if host.is_empty() {
                String::new()
            } else {
                format!("X-Forwarded-Host: {host}\r\n")
            };
            assert!(
                text.starts_with("X-Real-IP: 203.0.113.1\r\n")
                    && text.ends_with(&format!("X-Scheme: http\r\n{wanted}X-Request-ID: ")),
                "{text}"
            );
        }
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_does() {
        for text in [
            "0.0.0.0",
            "255.255.255.255",
            "10.2.34.156",
            "::",
            "::1",
            "2001:db8::1",
            "::ffff:255.255.255.255",
            "1111:2222:3333:4444:5555:6666:7777:8888",
        ] {
            let ip: IpAddr = text.parse().expect("an address");
            assert_eq!(ip_text(ip, &mut [0; LONGEST_IP]), text.as_bytes());
        }
    }
}
