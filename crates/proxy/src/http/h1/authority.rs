//! Authorities: host and port of a request (RFC 3986 §3.2).

use super::{Span, wide};

/// Whether an authority is one, and if so whether its host is in its normal form beyond doubt
/// ([`super::RequestHead::plain_host`]).
pub(crate) fn is_plain_host(authority: &[u8]) -> Option<bool> {
    Some(Spelling::of(authority)? == Spelling::Plain)
}

/// How an authority is written: host with an optional port, no user (RFC 3986 §3.2.2). Whether the name makes sense is
/// the router's question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Nearly all of them: small letters, digits, dashes, and single dots between them.
    Plain,
    Other,
}

impl Spelling {
    /// Of what stands at a place in a head. None: it is no authority.
    #[inline]
    pub fn at(raw: &[u8], part: Span) -> Option<Self> {
        if wide::is_plain_host(raw, part) {
            return Some(Self::Plain);
        }
        Self::of(part.of_bytes(raw))
    }

    /// None: it is no authority.
    pub fn of(text: &[u8]) -> Option<Self> {
        const DOT: u8 = 1;
        const PLAIN: u8 = 2;
        static KINDS: [u8; 256] = {
            let mut kinds = [4; 256];
            let mut byte = 0;
            while byte < 256 {
                if matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'-') {
                    kinds[byte] = PLAIN;
                }
                byte += 1;
            }
            kinds[b'.' as usize] = DOT;
            kinds
        };
        let (mut seen, mut doubled, mut before) = (0, 0, DOT);
        for &byte in text {
            let kind = KINDS[usize::from(byte)];
            seen |= kind;
            doubled |= before & kind;
            before = kind;
        }
        if seen <= (DOT | PLAIN) && doubled & DOT == 0 && before != DOT && text.len() <= 253 {
            return Some(Self::Plain);
        }
        is_authority(text).then_some(Self::Other)
    }
}

fn is_authority(text: &[u8]) -> bool {
    let (host, port) = split_port(text);
    let valid_host = match host {
        [b'[', inner @ .., b']'] => {
            !inner.is_empty()
                && inner
                    .iter()
                    .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.'))
        }
        name => {
            !name.is_empty()
                && name.iter().all(|b| {
                    b.is_ascii_alphanumeric()
                        || matches!(
                            b,
                            b'-' | b'.'
                                | b'_'
                                | b'~'
                                | b'%'
                                | b'!'
                                | b'$'
                                | b'&'
                                | b'\''
                                | b'('
                                | b')'
                                | b'*'
                                | b'+'
                                | b';'
                                | b'='
                        )
                })
        }
    };
    valid_host
        && port.is_none_or(|port| {
            port.len() <= 5
                && port.iter().all(u8::is_ascii_digit)
                && port.iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0')) <= 65_535
        })
}

/// Whether both name the same host and port.
pub(crate) fn same_authority(a: &[u8], b: &[u8]) -> bool {
    let ((host_a, port_a), (host_b, port_b)) = (split_port(a), split_port(b));
    let port = |port: Option<&[u8]>| port.filter(|port| !port.is_empty()).map(<[u8]>::to_vec);
    host_a.eq_ignore_ascii_case(host_b) && port(port_a) == port(port_b)
}

fn split_port(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let name_end = memchr::memchr(b']', text).unwrap_or_default();
    match memchr::memrchr(b':', &text[name_end..]) {
        Some(colon) => (&text[..name_end + colon], Some(&text[name_end + colon + 1..])),
        None => (text, None),
    }
}
