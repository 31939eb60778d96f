//! What gRPC wants of an intermediary: errors in its own words, and the time that a client gives.
//!
//! Source: grpc/doc/PROTOCOL-HTTP2.md and grpc/doc/http-grpc-status-mapping.md.

use crate::fault::Fault;
use crate::http::h1::{Fields, Name, write};
use crate::http::sections::Trailer;
use std::fmt::Write as _;
use std::time::Duration;

/// Whether a request is one of gRPC, not of gRPC-Web.
pub fn is_grpc(fields: &Fields, raw: &[u8]) -> bool {
    fields.get(raw, Name::ContentType).is_some_and(is_media_type)
}

/// Whether this is what a request of gRPC has as its `content-type`.
pub fn is_media_type(kind: &[u8]) -> bool {
    let rest = kind.strip_prefix(MEDIA_TYPE.as_bytes());
    matches!(rest, Some([] | [b'+' | b';' | b' ', ..]))
}

/// How long the client waits (`grpc-timeout`), if it says so in the form that it has to have: up to eight digits and a
/// unit.
pub fn timeout(fields: &Fields, raw: &[u8]) -> Option<Duration> {
    let (_, text) = fields.find_from(raw, b"grpc-timeout", 0)?;
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits
        .iter()
        .fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// The code of an answer of our own: what a client would make of the HTTP status, but for deadlines, which have a code of
/// their own.
pub fn code(status: u16, fault: Option<Fault>) -> u8 {
    match (fault, status) {
        (Some(Fault::RequestTimeout | Fault::TryTimeout), _) => DEADLINE_EXCEEDED,
        (Some(Fault::BodyTooLarge | Fault::HeadTooLarge), _) => RESOURCE_EXHAUSTED,
        (_, 400) => INTERNAL,
        (_, 401) => UNAUTHENTICATED,
        (_, 403) => PERMISSION_DENIED,
        (_, 404) => UNIMPLEMENTED,
        (_, 429 | 502 | 503 | 504) => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// The status of HTTP that stands for a call's failure, if this head of a response is all of it (Trailers-Only): as
/// google/rpc/code.proto says for each code. None: it goes on, went well, or is no call.
pub fn failed_at_once(fields: &Fields, raw: &[u8]) -> Option<u16> {
    let (_, text) = fields.find_from(raw, b"grpc-status", 0)?;
    let code: u8 = crate::sys::ascii(text)?.parse().ok()?;
    FAILURES.get(usize::from(code).checked_sub(1)?).copied()
}

/// By code, from CANCELLED on.
const FAILURES: [u16; 16] = [
    499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401,
];

/// What becomes of a call that breaks off behind the head of its response: its status, as trailer fields.
pub fn trailer(fault: Fault) -> Trailer {
    let text = format!("{} ({fault})", write::reason_of(fault.status()));
    let code = code(fault.status(), Some(fault)).to_string();
    let mut trailer = Trailer::default();
    trailer.push(b"grpc-status", code.as_bytes());
    trailer.push(b"grpc-message", message(&text).as_bytes());
    trailer
}

/// A message as `grpc-message` carries it: what is not printable ASCII, and the percent sign, escaped.
pub fn message(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            escaped.push(char::from(byte));
        } else {
            // Writing to a text can't fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// Without the encoding of messages.
pub const MEDIA_TYPE: &str = "application/grpc";

// google.rpc.Code
const UNKNOWN: u8 = 2;
const DEADLINE_EXCEEDED: u8 = 4;
const PERMISSION_DENIED: u8 = 7;
const RESOURCE_EXHAUSTED: u8 = 8;
const UNIMPLEMENTED: u8 = 12;
const INTERNAL: u8 = 13;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::h1::scan::fields_of;

    #[test]
    fn the_media_type_tells_and_nothing_like_it() {
        for (kind, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web", false),
            ("application/grpcx", false),
            ("text/plain", false),
        ] {
            let head: &'static str = format!("Content-Type: {kind}\r\n").leak();
            assert_eq!(is_grpc(&fields_of(head), head.as_bytes()), grpc, "{kind}");
        }
    }

    #[test]
    fn times_have_up_to_eight_digits_and_a_unit() {
        let read = |text: &str| {
            let head: &'static str = format!("grpc-timeout: {text}\r\n").leak();
            timeout(&fields_of(head), head.as_bytes())
        };
        assert_eq!(read("1S"), Some(Duration::from_secs(1)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "S", "1", "123456789S", "-1S", "1s", "1 S"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn codes_are_those_of_the_mapping() {
        for (status, expected) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (429, 14),
            (503, 14),
            (500, 2),
            (302, 2),
        ] {
            assert_eq!(code(status, None), expected, "{status}");
        }
        assert_eq!(code(504, Some(Fault::RequestTimeout)), 4);
        assert_eq!(code(504, Some(Fault::HeadTimeout)), 14);
        assert_eq!(code(413, Some(Fault::BodyTooLarge)), 8);
    }

    #[test]
    fn a_call_that_failed_at_once_has_a_status_of_http() {
        let read = |text: &str| {
            let head: &'static str = format!("grpc-status: {text}\r\n").leak();
            failed_at_once(&fields_of(head), head.as_bytes())
        };
        for (code, status) in [
            ("1", 499),
            ("4", 504),
            ("8", 429),
            ("13", 500),
            ("14", 503),
            ("16", 401),
        ] {
            assert_eq!(read(code), Some(status), "{code}");
        }
        for none in ["0", "17", "-1", "", "x", "256"] {
            assert_eq!(read(none), None, "{none:?}");
        }
        assert_eq!(failed_at_once(&fields_of(""), b""), None);
    }

    #[test]
    fn messages_are_escaped() {
        assert_eq!(message("50 % of ü"), "50 %25 of %C3%BC");
    }
}
