//! Response heads from upstreams, judged as strictly as requests: an answer that the client could read differently
//! than we do is not passed on.

use super::head::{ConnectionOptions, Framing};
use super::scan::{BadHead, HeadLimits, HeadScan, MOST_FIELDS};
use super::{BodyLength, Fields, Name, NameSet, Span, Version};
use crate::Fault;

/// A response head. All text is in the bytes it was read from, which the caller keeps.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// Status, 100 to 599 (any three digits from 100 up are passed on).
    pub status: u16,
    /// Reason phrase, may be empty.
    pub reason: Span,
    /// The first line with its CR LF, if it can go to a client as it is.
    pub line: Span,
    /// Version.
    pub version: Version,
    /// Header fields.
    pub fields: Fields,
    /// What `Connection` says.
    pub connection: ConnectionOptions,
    framing: Option<BodyLength>,
    scan: HeadScan,
}

impl ResponseHead {
    /// Forgets the response, keeps the memory.
    pub fn clear(&mut self) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.clear();
        *self = Self {
            fields,
            ..Self::default()
        };
    }

    /// Whether another response follows for the same request.
    pub fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// How the body is framed, in answer to a HEAD request or another (RFC 9112 §6.3).
    pub fn body(&self, to_head: bool) -> BodyLength {
        if to_head || self.status < 200 || self.status == 204 || self.status == 304 {
            return BodyLength::Empty;
        }
        self.framing.unwrap_or(BodyLength::UntilClose)
    }

    /// Finds out how the body of a response from HTTP/2 is told, once its fields are written down in `raw`. `ended`: there
    /// is none.
    pub(crate) fn settle_stream(&mut self, raw: &[u8], ended: bool) -> Result<(), Fault> {
        let mut framing = Framing::default();
        for field in self.fields.iter() {
            if matches!(field.known, Name::ContentLength | Name::TransferEncoding) {
                framing.note(field.known, self.fields.value(raw, field));
            }
        }
        let length = match framing.settle(self.version) {
            Ok(Some(BodyLength::Length(length))) => Some(length),
            Ok(Some(BodyLength::Empty)) => Some(0),
            Ok(Some(_)) | Err(_) => return Err(Fault::BadResponse),
            Ok(None) => None,
        };
        self.framing = Some(if ended {
            BodyLength::Empty
        } else {
            BodyLength::Stream(length)
        });
        Ok(())
    }

    /// Whether the upstream would go on using the connection.
    pub fn persistent(&self) -> bool {
        self.connection.persistent(self.version)
    }
}

/// Reads a response head from the start of `bytes`. Gives its length, or `None` when more bytes are needed: call again
/// with the same head and the same bytes and more. Start a new response with [`ResponseHead::clear`].
pub fn parse_response(bytes: &[u8], head: &mut ResponseHead) -> Result<Option<usize>, Fault> {
    if bytes.first().is_some_and(|&first| first != b'H') {
        return Err(Fault::BadResponse);
    }
    let end = match head.scan.find_end(bytes, &LIMITS, &mut head.fields) {
        Ok(Some(end)) => end,
        Ok(None) => return Ok(None),
        Err(BadHead::BareLineFeed) => return Err(Fault::BadResponse),
        Err(BadHead::LongFirstLine | BadHead::TooLarge) => return Err(Fault::ResponseHeadTooLarge),
    };
    read(&bytes[..end], head)?;
    Ok(Some(end))
}

fn read(raw: &[u8], head: &mut ResponseHead) -> Result<(), Fault> {
    // RFC 9112 §4: `HTTP/1.1 200 OK`. The space before an empty reason may be missing.
    let line = head.scan.first_line(raw);
    let Some((version, [b' ', a, b, c, reason @ ..])) = line.split_first_chunk::<8>() else {
        return Err(Fault::BadResponse);
    };
    head.version = Version::of(*version).ok_or(Fault::BadResponse)?;
    let digits = [a, b, c].map(|digit| u16::from(digit.wrapping_sub(b'0')));
    head.status = digits[0] * 100 + digits[1] * 10 + digits[2];
    if digits.iter().any(|&digit| digit > 9) || head.status < 100 || head.scan.malformed() {
        return Err(Fault::BadResponse);
    }
    head.reason = match reason {
        // In which encoding 8-bit characters are, nobody knows: the usual reason is said instead.
        [b' ', text @ ..] if text.is_ascii() => Span::of(text, raw),
        [] | [b' ', ..] => Span::default(),
        _ => return Err(Fault::BadResponse),
    };
    // RFC 9112 §2.3: our own version is the one to tell.
    if head.version == Version::Http11 && !head.reason.is_empty() {
        head.line = Span {
            start: 0,
            end: (line.len() + 2) as u32,
        };
    }
    let mut framing = Framing::default();
    for field in head.fields.iter() {
        match field.known {
            known @ (Name::ContentLength | Name::TransferEncoding) => {
                framing.note(known, head.fields.value(raw, field));
            }
            Name::Connection => head.connection.note(head.fields.value(raw, field)),
            _ => {}
        }
    }
    head.framing = framing.settle(head.version).map_err(|_| Fault::BadResponse)?;
    // RFC 9110 §8.6, RFC 9112 §6.1: no body, and no fields that promise one. Who sends them anyway may send the
    // body too: not to be trusted with the next request.
    if (head.status < 200 || head.status == 204) && head.framing.is_some() {
        if head.framing != Some(BodyLength::Empty) {
            head.connection.close = true;
        }
        head.framing = None;
        head.fields.take_out(NameSet::of(&[Name::ContentLength]));
    }
    Ok(())
}

/// Upstreams are less of a danger than clients, and large cookies and policies are common: twice HAProxy's 16 KiB
/// buffer, four times nginx's default `proxy_buffer_size` of 8 KiB at most.
const LIMITS: HeadLimits = HeadLimits {
    first_line: 8 * 1024,
    fields: 64 * 1024,
    count: MOST_FIELDS,
};
/// A buffer with this much room holds any response head.
pub const LARGEST_HEAD: usize = LIMITS.first_line + LIMITS.fields + 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ResponseHead, Fault> {
        let bytes = text.as_bytes();
        let mut head = ResponseHead::default();
        let whole = parse_response(bytes, &mut head);
        let mut piecewise = ResponseHead::default();
        let mut last = Ok(None);
        for end in 1..=bytes.len() {
            last = parse_response(&bytes[..end], &mut piecewise);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, last, "{text:?}");
        whole.map(|end| {
            assert!(end.is_some(), "incomplete: {text:?}");
            head
        })
    }

    #[test]
    fn a_plain_response_is_read() {
        let text = "HTTP/1.1 200 Fine so far\r\nContent-Length: 5\r\n\r\n";
        let head = parse(text).expect("valid");
        assert_eq!((head.status, head.body(false)), (200, BodyLength::Length(5)));
        assert_eq!(head.reason.of_bytes(text.as_bytes()), b"Fine so far");
        assert_eq!(head.body(true), BodyLength::Empty);
        assert!(head.persistent());
    }

    #[test]
    fn an_ambiguous_response_is_refused() {
        let rows: &[(&str, &str)] = &[
            (
                "RFC 9112 §6.3 both framings",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            (
                "§6.3 two lengths",
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            ),
            (
                "§6.3 list of lengths",
                "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
            ),
            (
                "§6.1 other coding",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            ),
            (
                "§6.1 chunked in HTTP/1.0",
                "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            ),
            ("§2.2 bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\n"),
            ("§5.2 obs-fold", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"),
            (
                "§5.1 space before colon",
                "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
            ),
            ("§4 status", "HTTP/1.1 20 OK\r\n\r\n"),
            ("§4 status below 100", "HTTP/1.1 099 OK\r\n\r\n"),
            ("§2.3 version", "HTTP/2.0 200 OK\r\n\r\n"),
            ("not HTTP", "SSH-2.0-OpenSSH\r\n"),
        ];
        for (rule, text) in rows {
            assert_eq!(parse(text).map(|_| ()), Err(Fault::BadResponse), "{rule}");
        }
    }

    #[test]
    fn responses_that_can_have_no_body_have_none() {
        for status in [103, 204, 304] {
            let head = parse(&format!("HTTP/1.1 {status} X\r\nContent-Length: 5\r\n\r\n")).expect("valid");
            assert_eq!(head.body(false), BodyLength::Empty);
            assert_eq!(
                head.persistent(),
                status == 304,
                "a 204 with a length is not trusted further"
            );
        }
    }

    #[test]
    fn without_framing_the_body_ends_with_the_connection() {
        let head = parse("HTTP/1.1 200\r\n\r\n").expect("a reason is not required");
        assert_eq!(head.body(false), BodyLength::UntilClose);
    }
}
