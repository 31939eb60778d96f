//! What request and response heads have in common: finding their end, and the fields that frame the body.

use super::{Fields, Name};

/// Version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
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
}

/// Looks for the end of a head as its bytes come in, each byte once, so that a head sent a byte at a time costs no
/// more than another. Lines must end in CR LF: a bare LF is where servers disagree (RFC 9112 §2.2).
#[derive(Debug, Clone, Copy, Default)]
pub struct HeadScan {
    /// Bytes looked at.
    scanned: usize,
    /// Start of the line at hand.
    line: usize,
    /// End of the first line; 0 while it is not known.
    first: usize,
    /// Complete field lines.
    fields: usize,
}

/// Bounds on a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of the first line.
    pub first_line: usize,
    /// Bytes of all field lines.
    pub fields: usize,
    /// Number of field lines; at most [`MOST_FIELDS`] count.
    pub count: usize,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// A line ends in LF without CR.
    BareLineFeed,
    /// The first line is longer than allowed.
    LongFirstLine,
    /// The fields are more or longer than allowed.
    TooLarge,
}

impl HeadScan {
    /// Length of the head at the start of `bytes`, its empty line included; `None` when more is needed.
    #[inline]
    pub fn find_end(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Option<usize>, BadHead> {
        let offset = self.scanned;
        for at in memchr::memchr_iter(b'\n', &bytes[offset..]) {
            let at = offset + at;
            let length = at - self.line;
            if length == 0 || bytes[at - 1] != b'\r' {
                return Err(BadHead::BareLineFeed);
            }
            self.line = at + 1;
            if self.first == 0 {
                if length > limits.first_line + 1 {
                    return Err(BadHead::LongFirstLine);
                }
                self.first = at + 1;
            } else if length == 1 {
                if at - 1 - self.first > limits.fields {
                    return Err(BadHead::TooLarge);
                }
                return Ok(Some(at + 1));
            } else {
                self.fields += 1;
                if self.fields > limits.count.min(MOST_FIELDS) {
                    return Err(BadHead::TooLarge);
                }
            }
        }
        self.scanned = bytes.len();
        if self.first == 0 {
            // The line's own CR may be there already.
            if bytes.len() > limits.first_line + 1 {
                return Err(BadHead::LongFirstLine);
            }
        } else if bytes.len() - self.first > limits.fields + 2 {
            return Err(BadHead::TooLarge);
        }
        Ok(None)
    }
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
            Version::Http11 => !self.close,
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
    fields.retain_not(Name::is_hop_by_hop);
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

/// Field lines that fit into a head at all, whatever the configured limit.
pub const MOST_FIELDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        first_line: 20,
        fields: 40,
        count: 3,
    };

    fn scan(bytes: &[u8]) -> Result<Option<usize>, BadHead> {
        let whole = HeadScan::default().find_end(bytes, &LIMITS);
        // A byte at a time comes to the same.
        let mut scan = HeadScan::default();
        let mut last = Ok(None);
        for end in 1..=bytes.len() {
            last = scan.find_end(&bytes[..end], &LIMITS);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, last, "{:?}", String::from_utf8_lossy(bytes));
        whole
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r\n"), Ok(Some(18)));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody"), Ok(Some(24)));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n"), Ok(None));
    }

    #[test]
    fn a_bare_line_feed_is_refused_as_soon_as_it_is_seen() {
        for bad in [
            &b"GET / HTTP/1.1\n"[..],
            b"GET / HTTP/1.1\r\nA: b\n",
            b"\n",
            b"GET / HTTP/1.1\r\n\n",
        ] {
            assert_eq!(scan(bad), Err(BadHead::BareLineFeed));
        }
    }

    #[test]
    fn limits_hold_before_the_line_or_the_head_is_complete() {
        assert_eq!(
            scan(b"GET /aaaaaaaaaaaaaaaaaaaaaaaa"),
            Err(BadHead::LongFirstLine)
        );
        assert_eq!(scan(b"GET /aaaaa HTTP/1.1\r\n\r\n"), Ok(Some(23)));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
            Err(BadHead::TooLarge)
        );
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA:b\r\nA:b\r\nA:b\r\n\r\n"), Ok(Some(33)));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\n\r\n"),
            Err(BadHead::TooLarge)
        );
    }

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
