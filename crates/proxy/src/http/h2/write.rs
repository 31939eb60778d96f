//! Heads as text, made into the fields of HTTP/2.

use crate::Fault;
use crate::http::buffer::Buffer;
use crate::http::h1::names::forbidden_in_trailer;
use crate::http::h1::{Fields, Name, write};
use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

/// The fields of a message whose head is `raw`. Those of one connection only have been taken out before.
pub fn fields_to_map(fields: &Fields, raw: &[u8]) -> Result<HeaderMap, InvalidField> {
    // One piece of memory that all values share.
    let block = Bytes::copy_from_slice(raw);
    let mut map = HeaderMap::with_capacity(fields.len() + 1);
    for field in fields.iter() {
        let name = match known(field.known) {
            Some(name) => name,
            None => self::name(fields.name(raw, field))?,
        };
        let value = match field.span_in_head() {
            Some(span) => block.slice(span.start as usize..span.end as usize),
            None => Bytes::copy_from_slice(fields.value(raw, field)),
        };
        map.append(
            name,
            HeaderValue::from_maybe_shared(value).map_err(|_| InvalidField)?,
        );
    }
    Ok(map)
}

/// A request out of the text of a head of HTTP/1.1 that we wrote ourselves, up to its empty line or the end of `text`.
/// An upgrade becomes an extended CONNECT (RFC 8441). Gives the length of the text too.
pub fn head_to_request(text: &[u8], scheme: Scheme) -> Result<(Request<()>, usize), InvalidField> {
    let length = memchr::memmem::find(text, b"\r\n\r\n").map_or(text.len(), |end| end + 4);
    let block = Bytes::copy_from_slice(&text[..length]);
    let mut lines = Lines { block: &block, at: 0 };
    let line = lines.next().ok_or(InvalidField)?;
    let mut words = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Err(InvalidField);
    };
    let mut request = Request::new(());
    *request.version_mut() = http::Version::HTTP_2;
    *request.method_mut() = Method::from_bytes(method).map_err(|_| InvalidField)?;
    let mut uri = http::uri::Parts::default();
    uri.path_and_query =
        Some(PathAndQuery::from_maybe_shared(block.slice_ref(target)).map_err(|_| InvalidField)?);
    uri.scheme = Some(scheme);
    let mut map = HeaderMap::with_capacity(24);
    let mut protocol = None;
    for line in lines {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        // Our own lines have one space behind the colon.
        let (field, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let meaning = Name::of(field);
        match meaning {
            Name::Host => {
                let authority = Authority::from_maybe_shared(block.slice_ref(value));
                uri.authority = Some(authority.map_err(|_| InvalidField)?);
            }
            Name::Upgrade => protocol = std::str::from_utf8(value).ok(),
            // RFC 9113 §8.2.2.
            Name::Connection | Name::TransferEncoding | Name::KeepAlive | Name::ProxyConnection => {}
            _ => {
                let value = HeaderValue::from_maybe_shared(block.slice_ref(value));
                let name = known(meaning).map_or_else(|| name(field), Ok)?;
                map.append(name, value.map_err(|_| InvalidField)?);
            }
        }
    }
    if let Some(protocol) = protocol {
        // RFC 8441 §5: the key has no meaning here.
        map.remove("sec-websocket-key");
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(h2::ext::Protocol::from(protocol));
    }
    *request.uri_mut() = Uri::from_parts(uri).map_err(|_| InvalidField)?;
    *request.headers_mut() = map;
    Ok((request, length))
}

/// The trailer fields in the lines of `text`, without those that may not stand there.
pub fn trailer_to_map(text: &[u8]) -> HeaderMap {
    let block = Bytes::copy_from_slice(text);
    let mut map = HeaderMap::new();
    for line in (Lines { block: &block, at: 0 }) {
        if let Some(colon) = memchr::memchr(b':', line)
            && let Ok(field) = name(&line[..colon])
            && !forbidden_in_trailer(&line[..colon])
            && let Ok(value) = HeaderValue::from_maybe_shared(block.slice_ref(line[colon + 1..].trim_ascii()))
        {
            map.append(field, value);
        }
    }
    map
}

/// Without the fields that may not stand in a trailer.
pub fn allowed_in_trailer(trailer: HeaderMap) -> HeaderMap {
    let bad = trailer
        .keys()
        .any(|name| forbidden_in_trailer(name.as_str().as_bytes()));
    if !bad {
        return trailer;
    }
    let good = trailer
        .iter()
        .filter(|(name, _)| !forbidden_in_trailer(name.as_str().as_bytes()));
    good.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Trailer fields as lines.
pub fn write_trailer(trailer: Option<&HeaderMap>, out: &mut Buffer) {
    for (name, value) in trailer.into_iter().flatten() {
        write::field(out, name.as_str().as_bytes(), value.as_bytes());
    }
}

/// A field that HTTP/2 has no form for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidField;

impl From<InvalidField> for Fault {
    fn from(_: InvalidField) -> Self {
        Self::BadRequest
    }
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_SCHEME: HeaderName = HeaderName::from_static("x-forwarded-scheme");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_SCHEME: HeaderName = HeaderName::from_static("x-scheme");

/// Names that most messages have: they need not be read again.
#[inline]
fn known(name: Name) -> Option<HeaderName> {
    Some(match name {
        Name::Accept => header::ACCEPT,
        Name::ContentLength => header::CONTENT_LENGTH,
        Name::ContentType => header::CONTENT_TYPE,
        Name::Date => header::DATE,
        Name::Origin => header::ORIGIN,
        Name::Referer => header::REFERER,
        Name::Server => header::SERVER,
        Name::SetCookie => header::SET_COOKIE,
        Name::Te => header::TE,
        Name::UserAgent => header::USER_AGENT,
        Name::Vary => header::VARY,
        Name::XForwardedFor => X_FORWARDED_FOR,
        Name::XForwardedHost => X_FORWARDED_HOST,
        Name::XForwardedPort => X_FORWARDED_PORT,
        Name::XForwardedProto => X_FORWARDED_PROTO,
        Name::XForwardedScheme => X_FORWARDED_SCHEME,
        Name::XRealIp => X_REAL_IP,
        Name::XRequestId => X_REQUEST_ID,
        Name::XScheme => X_SCHEME,
        _ => return None,
    })
}

fn name(text: &[u8]) -> Result<HeaderName, InvalidField> {
    HeaderName::from_bytes(text).map_err(|_| InvalidField)
}

/// Lines that end in CR LF, without it, up to an empty one.
struct Lines<'a> {
    block: &'a Bytes,
    at: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.block.get(self.at..)?;
        let end = memchr::memchr(b'\r', rest)?;
        self.at += end + 2;
        (end > 0).then_some(&rest[..end])
    }
}
