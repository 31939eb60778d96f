//! Field sections made into heads (RFC 9114 §4.2, §4.3), and heads into field sections.
//!
//! A request becomes the same thing that the `h2` crate makes of one, so that both are written down as text by the same
//! code ([`crate::http::h2::read_request`]).

use super::qpack::{self, Unreadable};
use super::{Code, frame};
use bytes::{BufMut, BytesMut};
use http::header::TE;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, request};

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// The stream is reset (RFC 9114 §4.1.2).
    Message,
    /// The connection is closed.
    Section,
    /// It is answered with 431.
    TooLarge,
}

/// A request's head.
pub fn read_request(section: &[u8], limit: usize) -> Result<request::Parts, Bad> {
    let mut parts = Parts::default();
    decode(section, limit, |name, value| parts.take(name, value))?;
    parts.into_request().ok_or(Bad::Message)
}

/// Trailer fields.
pub fn read_trailer(section: &[u8], limit: usize) -> Result<HeaderMap, Bad> {
    let mut trailer = HeaderMap::new();
    // RFC 9114 §4.3: no pseudo-header fields in there.
    decode(section, limit, |name, value| {
        take_field(&mut trailer, name, value).is_some()
    })?;
    Ok(trailer)
}

/// Writes a response's head.
pub fn write_response(status: u16, fields: &HeaderMap, out: &mut BytesMut) {
    let digits = [status / 100 % 10, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
    write(Some(&digits), fields, out);
}

/// Writes trailer fields.
pub fn write_trailer(fields: &HeaderMap, out: &mut BytesMut) {
    write(None, fields, out);
}

fn write(status: Option<&[u8]>, fields: &HeaderMap, out: &mut BytesMut) {
    let mut section = BytesMut::with_capacity(256);
    qpack::begin(&mut section);
    if let Some(status) = status {
        qpack::encode(b":status", status, &mut section);
    }
    for (name, value) in fields {
        qpack::encode(name.as_str().as_bytes(), value.as_bytes(), &mut section);
    }
    frame::header(frame::HEADERS, section.len(), out);
    out.put(section);
}

fn decode(section: &[u8], limit: usize, field: impl FnMut(&[u8], &[u8]) -> bool) -> Result<(), Bad> {
    qpack::decode(section, limit, field).map_err(|why| match why {
        Unreadable::Format => Bad::Section,
        Unreadable::TooLarge => Bad::TooLarge,
        Unreadable::Refused => Bad::Message,
    })
}

/// A field that may stand in a message (RFC 9114 §4.2).
fn take_field(map: &mut HeaderMap, name: &[u8], value: &[u8]) -> Option<()> {
    // Refuses capital letters, and the colon of pseudo-header fields.
    let name = HeaderName::from_lowercase(name).ok()?;
    let of_connection = matches!(
        name.as_str(),
        "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
    );
    if of_connection || name == TE && value != b"trailers" {
        return None;
    }
    map.try_append(name, HeaderValue::from_bytes(value).ok()?).ok()?;
    Some(())
}

/// What of a request is known so far.
#[derive(Default)]
struct Parts {
    method: Option<Method>,
    scheme: Option<Scheme>,
    authority: Option<Authority>,
    path: Option<PathAndQuery>,
    protocol: Option<String>,
    fields: HeaderMap,
}

impl Parts {
    fn take(&mut self, name: &[u8], value: &[u8]) -> bool {
        let Some(pseudo) = name.strip_prefix(b":") else {
            return take_field(&mut self.fields, name, value).is_some();
        };
        // RFC 9114 §4.3: before all others, each once, and none but these.
        if !self.fields.is_empty() {
            return false;
        }
        match pseudo {
            b"method" => set(&mut self.method, Method::from_bytes(value).ok()),
            b"scheme" => set(&mut self.scheme, Scheme::try_from(value).ok()),
            b"authority" => set(&mut self.authority, Authority::try_from(value).ok()),
            b"path" => set(
                &mut self.path,
                PathAndQuery::try_from(value).ok().filter(|_| !value.is_empty()),
            ),
            b"protocol" => set(&mut self.protocol, String::from_utf8(value.to_vec()).ok()),
            _ => false,
        }
    }

    /// RFC 9114 §4.3.1, §4.4; RFC 9220 §3.
    fn into_request(self) -> Option<request::Parts> {
        let Self {
            method,
            scheme,
            authority,
            path,
            protocol,
            fields,
        } = self;
        let method = method?;
        let tunnel = method == Method::CONNECT && protocol.is_none();
        let complete = if tunnel {
            scheme.is_none() && path.is_none() && authority.is_some()
        } else {
            scheme.is_some() && path.is_some()
        };
        let extended = protocol.is_some();
        if !complete || extended && (method != Method::CONNECT || authority.is_none()) {
            return None;
        }
        let mut uri = http::uri::Parts::default();
        // Without an authority there is `Host`, and no form of a URI with a scheme.
        uri.scheme = scheme.filter(|_| authority.is_some());
        uri.authority = authority;
        uri.path_and_query = path;
        let mut request = Request::new(());
        *request.version_mut() = http::Version::HTTP_3;
        *request.method_mut() = method;
        *request.uri_mut() = Uri::from_parts(uri).ok()?;
        *request.headers_mut() = fields;
        if let Some(protocol) = protocol {
            request
                .extensions_mut()
                .insert(h2::ext::Protocol::from(protocol.as_str()));
        }
        Some(request.into_parts().0)
    }
}

/// What the field section of a response comes to, as RFC 9114 §4.2.2 counts.
pub fn response_size(fields: &HeaderMap) -> usize {
    let all = fields.iter();
    let own: usize = all
        .map(|(name, value)| name.as_str().len() + value.len() + qpack::FIELD_OVERHEAD)
        .sum();
    own + ":status".len() + "200".len() + qpack::FIELD_OVERHEAD
}

/// False: it was there already, or there is nothing to set it to.
fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    place.is_none() && {
        *place = value;
        place.is_some()
    }
}

impl Bad {
    /// The code that goes with it.
    pub fn code(self) -> Code {
        match self {
            Self::Message => Code::MESSAGE_ERROR,
            Self::Section => Code::QPACK_DECOMPRESSION_FAILED,
            Self::TooLarge => Code::EXCESSIVE_LOAD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(fields: &[(&str, &str)]) -> BytesMut {
        let mut out = BytesMut::new();
        qpack::begin(&mut out);
        for (name, value) in fields {
            qpack::encode(name.as_bytes(), value.as_bytes(), &mut out);
        }
        out
    }

    const GET: [(&str, &str); 4] = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a.example"),
        (":path", "/x?y"),
    ];

    #[test]
    fn a_request_is_read() {
        let fields = [
            &GET[..],
            &[
                ("accept", "*/*"),
                ("te", "trailers"),
                ("cookie", "a=1"),
                ("cookie", "b=2"),
            ],
        ];
        let parts = read_request(&section(&fields.concat()), 1000).unwrap();
        assert_eq!(parts.uri, "https://a.example/x?y");
        assert_eq!(parts.headers.len(), 4);
        let no_authority = [GET[0], GET[1], GET[3], ("host", "a.example")];
        assert_eq!(read_request(&section(&no_authority), 1000).unwrap().uri, "/x?y");
    }

    type Fields = Vec<(&'static str, &'static str)>;

    #[test]
    fn malformed_requests_are_told_from_well_formed_ones() {
        let with = |more: &[(&'static str, &'static str)]| [&GET[..], more].concat();
        let without = |at: usize| {
            let mut fields = GET.to_vec();
            fields.remove(at);
            fields
        };
        let websocket = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            GET[1],
            GET[2],
            GET[3],
        ];
        let table: &[(&str, Fields, bool)] = &[
            ("whole", GET.to_vec(), true),
            ("no method", without(0), false),
            ("no scheme", without(1), false),
            ("no path", without(3), false),
            ("an empty path", [&GET[..3], &[(":path", "")]].concat(), false),
            ("a second path", with(&[(":path", "/")]), false),
            ("an unknown pseudo-header", with(&[(":x", "")]), false),
            ("a response's", with(&[(":status", "200")]), false),
            (
                "one behind a field",
                [&GET[..3], &[("a", "b")], &GET[3..]].concat(),
                false,
            ),
            ("a capital letter", with(&[("Accept", "x")]), false),
            ("an empty name", with(&[("", "x")]), false),
            ("a line end in a value", with(&[("a", "b\r\nc: d")]), false),
            ("Connection", with(&[("connection", "close")]), false),
            (
                "Transfer-Encoding",
                with(&[("transfer-encoding", "chunked")]),
                false,
            ),
            ("TE of another kind", with(&[("te", "gzip")]), false),
            (
                "CONNECT",
                vec![(":method", "CONNECT"), (":authority", "a:1")],
                true,
            ),
            (
                "CONNECT with a path",
                vec![(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")],
                false,
            ),
            ("an extended CONNECT", websocket.to_vec(), true),
            ("a protocol with GET", with(&[(":protocol", "websocket")]), false),
        ];
        for (what, fields, good) in table {
            let read = read_request(&section(fields), 1000);
            assert_eq!(
                read.map(|_| ()),
                if *good { Ok(()) } else { Err(Bad::Message) },
                "{what}"
            );
        }
        assert_eq!(read_request(&section(&GET), 100).err(), Some(Bad::TooLarge));
        assert_eq!(read_request(&[0, 0, 0x80], 100).err(), Some(Bad::Section));
        assert_eq!(read_trailer(&section(&GET), 1000), Err(Bad::Message));
        assert_eq!(read_trailer(&section(&[("a", "b")]), 1000).unwrap().len(), 1);
    }
}
