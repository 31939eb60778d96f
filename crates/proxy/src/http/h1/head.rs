//! What request and response heads have in common: the fields that frame the body, and those of the connection.

use super::{Fields, Name, NameSet};

/// Version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
    /// HTTP/2
    Http2,
    /// HTTP/3
    Http3,
}

impl Version {
    /// The version that a message of HTTP/1 says, if it is one of the two.
    #[inline]
    pub(super) fn of(text: [u8; 8]) -> Option<Self> {
        // As one number: the compiler would compare byte by byte.
        const HTTP10: u64 = u64::from_le_bytes(*b"HTTP/1.0");
        const HTTP11: u64 = u64::from_le_bytes(*b"HTTP/1.1");
        match u64::from_le_bytes(text) {
            HTTP11 => Some(Self::Http11),
            HTTP10 => Some(Self::Http10),
            _ => None,
        }
    }

    /// Whether each message has a stream of its own.
    #[inline]
    pub fn has_streams(self) -> bool {
        matches!(self, Self::Http2 | Self::Http3)
    }
}

/// How the end of a message's body is known (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyLength {
    /// There is none.
    #[default]
    Empty,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// Until the connection closes; responses only.
    UntilClose,
    /// Until its stream ends (HTTP/2, HTTP/3). How many bytes that will be, if it was said: then the stream keeps to it.
    Stream(Option<u64>),
}

/// The fields that say how a body is framed, gathered while fields are read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Framing {
    length: Option<u64>,
    chunked: bool,
    ambiguous: bool,
}

/// The framing fields contradict each other or can't be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

impl Framing {
    /// Takes note of a field.
    #[inline]
    pub fn note(&mut self, name: Name, value: &[u8]) {
        match name {
            // RFC 9112 §6.3: a repeated or invalid Content-Length is unrecoverable. Equal repetitions could be
            // merged; we refuse them, as a proxy in front of or behind us might not.
            Name::ContentLength => {
                self.ambiguous |= self.length.is_some();
                match content_length(value) {
                    Some(length) => self.length = Some(length),
                    None => self.ambiguous = true,
                }
            }
            // RFC 9112 §6.1: other codings than chunked are unknown to us, and a body that ends otherwise than by
            // chunks has no certain end.
            Name::TransferEncoding => {
                self.ambiguous |= self.chunked || !value.eq_ignore_ascii_case(b"chunked");
                self.chunked = true;
            }
            _ => {}
        }
    }

    /// What the fields come to. Both framings at once are refused (RFC 9112 §6.3, smuggling), and HTTP/1.0 has
    /// no chunks (§6.1).
    pub fn settle(self, version: Version) -> Result<Option<BodyLength>, Ambiguous> {
        if self.ambiguous || (self.chunked && (self.length.is_some() || version == Version::Http10)) {
            return Err(Ambiguous);
        }
        Ok(match (self.chunked, self.length) {
            (true, _) => Some(BodyLength::Chunked),
            (false, Some(0)) => Some(BodyLength::Empty),
            (false, Some(length)) => Some(BodyLength::Length(length)),
            (false, None) => None,
        })
    }
}

/// What `Connection` asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionOptions {
    /// `close`
    pub close: bool,
    /// `keep-alive`
    pub keep_alive: bool,
    /// `upgrade`
    pub upgrade: bool,
    /// Names of fields that are for this connection only.
    pub others: bool,
}

impl ConnectionOptions {
    /// Takes note of a `Connection` field.
    #[inline]
    pub fn note(&mut self, value: &[u8]) {
        // What nearly all say who say something.
        if value.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
            return;
        }
        for option in super::fields::elements(value) {
            if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"upgrade") {
                self.upgrade = true;
            } else {
                self.others = true;
            }
        }
    }

    /// Whether the connection outlives the message (RFC 9112 §9.3).
    pub fn persistent(self, version: Version) -> bool {
        match version {
            Version::Http11 | Version::Http2 | Version::Http3 => !self.close,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }
}

/// Takes out everything that concerns this connection only, and what `Connection` lists, except fields that
/// it must not list.
pub fn strip_hop_by_hop(fields: &mut Fields, raw: &[u8], options: ConnectionOptions) {
    if options.others {
        // Rare, so the copy does no harm.
        let listed: Vec<u8> = fields
            .all(raw, Name::Connection)
            .fold(Vec::new(), |mut all, value| {
                all.extend_from_slice(value);
                all.push(b',');
                all
            });
        fields.remove_if(raw, |known, name| {
            !known.is_protected()
                && super::fields::elements(&listed).any(|option| option.eq_ignore_ascii_case(name))
        });
    }
    fields.take_out(NameSet::HOP_BY_HOP);
}

/// 1*DIGIT, nothing else: no sign, no list, no overflow (RFC 9110 §8.6).
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || value.len() > 18 {
        return None;
    }
    let mut length = 0u64;
    for byte in value {
        if !byte.is_ascii_digit() {
            return None;
        }
        length = length * 10 + u64::from(byte - b'0');
    }
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_digits_and_nothing_else() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"0042"), Some(42));
        for bad in [
            &b""[..],
            b"+1",
            b"-1",
            b"1,1",
            b"0x10",
            b"1 1",
            b"9999999999999999999",
        ] {
            assert_eq!(content_length(bad), None);
        }
    }
}
