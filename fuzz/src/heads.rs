//! Heads of requests and responses, and PROXY protocol headers.

use crate::bytes::cut;
use ir::{Limits, ProxyProtocol};
use proxy::http::buffer::Buffer;
use proxy::http::h1::{Name, RequestHead, ResponseHead, Version, parse_request, parse_response};
use proxy::http::proxy_protocol::{self, Header, Parsed};

/// A request head: never a panic; the same answer however it arrives; at most one framing; what is written out again
/// is read as the same request.
pub fn request_head(bytes: &[u8]) {
    let limits = Limits::default();
    let (at, bytes) = cut(bytes);
    let mut head = RequestHead::default();
    let whole = parse_request(bytes, &limits, &mut head);
    in_two_parts(at, bytes, &whole, |bytes, head: &mut RequestHead| {
        parse_request(bytes, &limits, head)
    });
    let Ok(Some(length)) = whole else { return };
    assert!(length <= bytes.len());
    let raw = &bytes[..length];
    let lengths = head.fields.all(raw, Name::ContentLength).count();
    let codings = head.fields.all(raw, Name::TransferEncoding).count();
    assert!(lengths + codings <= 1, "two framings passed");
    assert!(
        codings == 0 || head.version == Version::Http11,
        "HTTP/1.0 with a transfer coding passed"
    );
    for field in head.fields.iter() {
        assert_field(head.fields.name(raw, field), head.fields.value(raw, field));
    }
    let mut again = Buffer::default();
    let version: &[u8] = if head.version == Version::Http10 {
        b"HTTP/1.0"
    } else {
        b"HTTP/1.1"
    };
    for part in [
        head.method.of_bytes(raw),
        b" ",
        head.target.of_bytes(raw),
        b" ",
        version,
        b"\r\n",
    ] {
        again.extend(part);
    }
    head.fields.write(raw, &mut again);
    again.extend(b"\r\n");
    let mut second = RequestHead::default();
    let read = parse_request(again.filled(), &limits, &mut second);
    assert_eq!(read, Ok(Some(again.len())), "what was written is not read");
    assert_eq!(second.body, head.body);
    assert_eq!(second.fields.iter().count(), head.fields.iter().count());
    assert_eq!(second.upgrade, head.upgrade);
    assert_eq!(
        second.authority.of_bytes(again.filled()),
        head.authority.of_bytes(raw)
    );
}

/// A response head: as [`request_head`].
pub fn response_head(bytes: &[u8]) {
    let (at, bytes) = cut(bytes);
    let mut head = ResponseHead::default();
    let whole = parse_response(bytes, &mut head);
    in_two_parts(at, bytes, &whole, |bytes, head: &mut ResponseHead| {
        parse_response(bytes, head)
    });
    let Ok(Some(length)) = whole else { return };
    assert!(length <= bytes.len());
    assert!((100..1000).contains(&head.status));
    let raw = &bytes[..length];
    let framings = head.fields.all(raw, Name::ContentLength).count()
        + head.fields.all(raw, Name::TransferEncoding).count();
    assert!(framings <= 1, "two framings passed");
    for field in head.fields.iter() {
        assert_field(head.fields.name(raw, field), head.fields.value(raw, field));
    }
    let mut again = Buffer::default();
    let version: &[u8] = if head.version == Version::Http10 {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    };
    again.extend(version);
    again.extend(head.status.to_string().as_bytes());
    again.extend(b" ");
    again.extend(head.reason.of_bytes(raw));
    again.extend(b"\r\n");
    head.fields.write(raw, &mut again);
    again.extend(b"\r\n");
    let mut second = ResponseHead::default();
    assert_eq!(parse_response(again.filled(), &mut second), Ok(Some(again.len())));
    assert_eq!(second.body(false), head.body(false));
    assert_eq!(second.fields.iter().count(), head.fields.iter().count());
}

/// A PROXY header: never a panic; a part of a header is never taken for something else; what is written is read.
pub fn proxy_header(bytes: &[u8]) {
    let parsed = proxy_protocol::parse(bytes);
    if let Parsed::Complete { header, length } = parsed {
        assert!(length <= bytes.len() && length <= proxy_protocol::LONGEST);
        assert_eq!(
            proxy_protocol::parse(&bytes[..length]),
            parsed,
            "bytes behind a header change it"
        );
        for end in (1..length).filter(|end| length < 300 || end % 61 == 0) {
            assert_eq!(
                proxy_protocol::parse(&bytes[..end]),
                Parsed::Partial,
                "{end} of {length} bytes"
            );
        }
        if let Header::Proxied { source, destination } = header {
            for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                let written = proxy_protocol::write(version, Some((source, destination)));
                let read = proxy_protocol::parse(&written);
                let length = written.len();
                assert!(
                    matches!(read, Parsed::Complete { length: read, .. } if read == length),
                    "{read:?}"
                );
            }
        }
    }
}

/// The same bytes in two parts must give the same answer as at once.
fn in_two_parts<H: Default, F: PartialEq + std::fmt::Debug>(
    at: usize,
    bytes: &[u8],
    whole: &Result<Option<usize>, F>,
    parse: impl Fn(&[u8], &mut H) -> Result<Option<usize>, F>,
) {
    let mut head = H::default();
    match parse(&bytes[..at], &mut head) {
        Ok(None) => assert_eq!(&parse(bytes, &mut head), whole, "in two parts, cut at {at}"),
        Ok(Some(length)) => assert_eq!(whole, &Ok(Some(length)), "bytes behind a head change it"),
        Err(_) => assert!(whole.is_err(), "refused in part, taken as a whole"),
    }
}

/// RFC 9110 §5: a name is a token; a value has no control characters but tab, and no blanks around it.
fn assert_field(name: &[u8], value: &[u8]) {
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    assert!(
        !name.is_empty() && name.iter().all(token),
        "a name that is no token passed"
    );
    let allowed = |byte: &u8| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7f);
    assert!(value.iter().all(allowed), "a control character passed");
    let blank = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b' ' | b'\t'));
    assert!(
        !blank(value.first()) && !blank(value.last()),
        "blanks around a value"
    );
}
