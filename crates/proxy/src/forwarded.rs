//! What upstreams are told about the client: `X-Forwarded-*`, `X-Real-IP`, `X-Request-ID`, `Forwarded`.
//!
//! What a client says about itself in these fields is believed only from trusted proxies; everyone else's are
//! replaced. The set is the one that ingress-nginx sends, `X-Forwarded-Scheme` and `X-Scheme` included.

mod lines;

pub use lines::Lines;

use crate::http::buffer::Buffer;
use crate::http::h1::{Fields, Name, NameSet, fields::elements, write};
use ir::{ForwardedHeaders, HttpSettings};
use lines::{HOST, ID};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

/// What is known about the client of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// Its address: the peer's, or what trusted proxies say.
    pub ip: IpAddr,
    /// `http` or `https`, as the client used it.
    pub scheme: &'static str,
    /// Port that the client spoke to.
    pub port: u16,
    /// The peer is a trusted proxy.
    pub trusted: bool,
}

/// The connection's own ends.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    /// The other end.
    pub peer: SocketAddr,
    /// Our end.
    pub local: SocketAddr,
    /// Whether TLS ends here.
    pub tls: bool,
}

/// Finds out about the client. The fields are still as received.
pub fn client(ends: &Ends, settings: &HttpSettings, fields: &Fields, raw: &[u8]) -> Client {
    let own = Client {
        ip: ends.peer.ip(),
        scheme: if ends.tls { "https" } else { "http" },
        port: ends.local.port(),
        trusted: false,
    };
    if settings.trusted_proxies.is_empty() || !is_trusted(settings, own.ip) {
        return own;
    }
    let scheme = fields
        .get(raw, Name::XForwardedProto)
        .and_then(|value| elements(value).next())
        .and_then(|scheme| {
            ["http", "https"]
                .into_iter()
                .find(|known| scheme.eq_ignore_ascii_case(known.as_bytes()))
        });
    let said_port = fields
        .get(raw, Name::XForwardedPort)
        .and_then(|value| elements(value).next())
        .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let port = match (said_port, scheme) {
        (Some(port), _) => port,
        // Who changed the scheme but named no port means the scheme's own.
        (None, Some(scheme)) if scheme != own.scheme => {
            if scheme == "https" {
                443
            } else {
                80
            }
        }
        _ => own.port,
    };
    Client {
        ip: original_ip(settings, fields, raw).unwrap_or(own.ip),
        scheme: scheme.unwrap_or(own.scheme),
        port,
        trusted: true,
    }
}

/// The request's id: a trusted proxy's, else a new one of 32 hexadecimal digits.
pub fn request_id(client: &Client, fields: &Fields, raw: &[u8], bits: impl Fn() -> u64, id: &mut Vec<u8>) {
    id.clear();
    if client.trusted
        && let Some(given) = fields.get(raw, Name::XRequestId)
        && (1..=128).contains(&given.len())
        && given.iter().all(u8::is_ascii_graphic)
    {
        id.extend_from_slice(given);
        return;
    }
    let mut text = [[0; 8]; 4];
    for pair in text.chunks_exact_mut(2) {
        let bits = bits();
        pair[0] = hexadecimal(bits as u32);
        pair[1] = hexadecimal((bits >> 32) as u32);
    }
    id.extend_from_slice(text.as_flattened());
}

/// Eight hexadecimal digits, the lowest first, all at once.
#[inline]
fn hexadecimal(bits: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // A nibble to each byte.
    let bits = u64::from(bits);
    let bits = (bits | (bits << 16)) & 0x0000_ffff_0000_ffff;
    let bits = (bits | (bits << 8)) & 0x00ff_00ff_00ff_00ff;
    let nibbles = (bits | (bits << 4)) & (0x0f * EACH);
    // 1 in the bytes that are 10 or more: adding 6 carries into their fifth bit.
    let letters = ((nibbles + 6 * EACH) >> 4) & EACH;
    // Times 39 (32 + 8 - 1), the way from behind the digits to the letters, in steps that vector instructions have.
    let to_letters = (letters << 5) + (letters << 3) - letters;
    (nibbles + u64::from(b'0') * EACH + to_letters).to_le_bytes()
}

/// The fields that are written anew.
pub const OURS: NameSet = NameSet::of(&[
    Name::Forwarded,
    Name::XForwardedFor,
    Name::XForwardedHost,
    Name::XForwardedPort,
    Name::XForwardedProto,
    Name::XForwardedScheme,
    Name::XRealIp,
    Name::XRequestId,
    Name::XScheme,
]);

/// What was received in these fields and goes on, when the client is a trusted proxy. Taken before the fields are
/// stripped.
#[derive(Debug, Default)]
pub struct Received(Option<Box<Claims>>);

#[derive(Debug)]
struct Claims {
    forwarded_for: Vec<u8>,
    host: Vec<u8>,
    forwarded: Vec<u8>,
}

impl Received {
    /// Takes what counts. Allocates only for trusted proxies.
    pub fn take(client: &Client, fields: &Fields, raw: &[u8]) -> Self {
        if !client.trusted {
            return Self::default();
        }
        Self(Some(Box::new(Claims {
            forwarded_for: joined(fields, raw, Name::XForwardedFor),
            host: fields
                .get(raw, Name::XForwardedHost)
                .and_then(|value| elements(value).next())
                .unwrap_or_default()
                .to_vec(),
            forwarded: joined(fields, raw, Name::Forwarded),
        })))
    }

    fn forwarded_for(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |claims| &claims.forwarded_for)
    }

    fn host(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |claims| &claims.host)
    }

    fn forwarded(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |claims| &claims.forwarded)
    }
}

/// Writes the fields, except those that a filter has set.
#[expect(clippy::too_many_arguments, reason = "each is a different thing")]
pub fn write(
    out: &mut Buffer,
    lines: &mut Lines,
    ends: &Ends,
    client: &Client,
    received: &Received,
    which: ForwardedHeaders,
    authority: &[u8],
    request_id: &[u8],
    fields: &Fields,
    edited: bool,
) {
    let free = |name: Name| !edited || !fields.has(name);
    let replaced = edited && fields.iter().any(|field| OURS.has(field.known));
    if client.trusted || replaced {
        let mut text = received.forwarded_for().to_vec();
        if !text.is_empty() {
            text.extend_from_slice(b", ");
        }
        // Writing to a vector can't fail.
        let _ = write!(text, "{}", ends.peer.ip());
        let (ip, port) = (client.ip.to_string(), client.port.to_string());
        for (known, name, value) in [
            (Name::XRealIp, &b"X-Real-IP"[..], ip.as_bytes()),
            (Name::XForwardedFor, b"X-Forwarded-For", &text),
            (
                Name::XForwardedProto,
                b"X-Forwarded-Proto",
                client.scheme.as_bytes(),
            ),
            (Name::XForwardedPort, b"X-Forwarded-Port", port.as_bytes()),
            (
                Name::XForwardedScheme,
                b"X-Forwarded-Scheme",
                client.scheme.as_bytes(),
            ),
            (Name::XScheme, b"X-Scheme", client.scheme.as_bytes()),
        ] {
            if free(known) {
                write::field(out, name, value);
            }
        }
    } else {
        // Here nothing stands in the way of the host and the id either.
        out.extend(lines.of(ends, client, authority));
        out.extend(request_id);
        out.extend(b"\r\n");
        if which == ForwardedHeaders::Both && free(Name::Forwarded) {
            write::field(out, b"Forwarded", &forwarded(ends, client, received, authority));
        }
        return;
    }
    let host = if received.host().is_empty() {
        authority
    } else {
        received.host()
    };
    if !host.is_empty() && free(Name::XForwardedHost) {
        write::line(out, HOST, host);
    }
    if free(Name::XRequestId) {
        write::line(out, ID, request_id);
    }
    if which == ForwardedHeaders::Both {
        if free(Name::Forwarded) {
            write::field(out, b"Forwarded", &forwarded(ends, client, received, host));
        }
    } else if !received.forwarded().is_empty() && free(Name::Forwarded) {
        // Somebody else's, trusted: passed on as it came.
        write::field(out, b"Forwarded", received.forwarded());
    }
}

/// The `Forwarded` value with our element at its end (RFC 7239 §4).
fn forwarded(ends: &Ends, client: &Client, received: &Received, host: &[u8]) -> Vec<u8> {
    let mut value = received.forwarded().to_vec();
    if !value.is_empty() {
        value.extend_from_slice(b", ");
    }
    // Writing to a vector can't fail.
    let _ = match ends.peer.ip() {
        IpAddr::V4(ip) => write!(value, "for={ip}"),
        IpAddr::V6(ip) => write!(value, "for=\"[{ip}]\""),
    };
    if !host.is_empty() && !host.contains(&b'"') && !host.contains(&b'\\') {
        value.extend_from_slice(b";host=\"");
        value.extend_from_slice(host);
        value.push(b'"');
    }
    value.extend_from_slice(b";proto=");
    value.extend_from_slice(client.scheme.as_bytes());
    value
}

/// The nearest address in `X-Forwarded-For` that is not a trusted proxy's; else `X-Real-IP`.
fn original_ip(settings: &HttpSettings, fields: &Fields, raw: &[u8]) -> Option<IpAddr> {
    let list = joined(fields, raw, Name::XForwardedFor);
    let mut last = None;
    let addresses: Vec<_> = elements(&list).collect();
    for address in addresses.into_iter().rev() {
        let Some(ip) = read_ip(address) else { break };
        last = Some(ip);
        if !is_trusted(settings, ip) {
            break;
        }
    }
    last.or_else(|| read_ip(fields.get(raw, Name::XRealIp)?))
}

fn read_ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
}

fn is_trusted(settings: &HttpSettings, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    settings
        .trusted_proxies
        .iter()
        .any(|network| network.contains(&ip))
}

fn joined(fields: &Fields, raw: &[u8], name: Name) -> Vec<u8> {
    let mut all = Vec::new();
    for value in fields.all(raw, name) {
        if !all.is_empty() {
            all.extend_from_slice(b", ");
        }
        all.extend_from_slice(value);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2\r\nX-Forwarded-Proto: HTTPS\r\n\
                        X-Request-ID: abc\r\nX-Forwarded-Host: shop.example\r\nForwarded: for=1.2.3.4\r\n";

    fn parsed() -> Fields {
        crate::http::h1::scan::fields_of(HEAD)
    }

    fn ends(peer: &str) -> Ends {
        Ends {
            peer: SocketAddr::new(peer.parse().expect("an address"), 5000),
            local: "192.0.2.1:80".parse().expect("an address"),
            tls: false,
        }
    }

    fn settings(forwarded: ForwardedHeaders) -> HttpSettings {
        HttpSettings {
            trusted_proxies: vec!["10.0.0.0/8".parse().expect("a network")],
            forwarded,
            ..HttpSettings::default()
        }
    }

    fn sent(ends: &Ends, settings: &HttpSettings) -> String {
        let (mut fields, raw) = (parsed(), HEAD.as_bytes());
        let client = client(ends, settings, &fields, raw);
        let received = Received::take(&client, &fields, raw);
        let mut id = Vec::new();
        request_id(&client, &fields, raw, || 0, &mut id);
        fields.take_out(OURS);
        let mut out = Buffer::default();
        write(
            &mut out,
            &mut Lines::default(),
            ends,
            &client,
            &received,
            settings.forwarded,
            b"a.example",
            &id,
            &fields,
            true,
        );
        String::from_utf8(out.filled().to_vec()).expect("text")
    }

    #[test]
    fn digits_are_hexadecimal() {
        for bits in [0, 0x0123_4567, 0x89ab_cdef, u32::MAX] {
            let digits: String = hexadecimal(bits)
                .iter()
                .rev()
                .map(|&digit| char::from(digit))
                .collect();
            assert_eq!(digits, format!("{bits:08x}"));
        }
    }

    #[test]
    fn a_strangers_claims_are_replaced() {
        let text = sent(&ends("203.0.113.1"), &settings(ForwardedHeaders::XForwarded));
        assert_eq!(
            text,
            "X-Real-IP: 203.0.113.1\r\nX-Forwarded-For: 203.0.113.1\r\nX-Forwarded-Proto: http\r\n\
             X-Forwarded-Port: 80\r\nX-Forwarded-Scheme: http\r\nX-Scheme: http\r\n\
             X-Forwarded-Host: a.example\r\nX-Request-ID: 00000000000000000000000000000000\r\n"
        );
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_added_to_the_list() {
        let text = sent(&ends("10.0.0.1"), &settings(ForwardedHeaders::Both));
        assert_eq!(
            text,
            "X-Real-IP: 198.51.100.7\r\nX-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2, 10.0.0.1\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Forwarded-Scheme: https\r\nX-Scheme: https\r\n\
             X-Forwarded-Host: shop.example\r\nX-Request-ID: abc\r\n\
             Forwarded: for=1.2.3.4, for=10.0.0.1;host=\"shop.example\";proto=https\r\n"
        );
    }

    #[test]
    fn ipv6_in_forwarded_is_quoted() {
        let text = sent(&ends("2001:db8::1"), &settings(ForwardedHeaders::Both));
        assert!(text.ends_with("Forwarded: for=\"[2001:db8::1]\";host=\"a.example\";proto=http\r\n"));
    }
}
