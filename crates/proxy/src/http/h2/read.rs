//! Heads that came over HTTP/2, written down as the text of HTTP/1.1 that exchanges work on.
//!
//! Nothing is parsed here: names and values are known, so each line is noted as it is written. What RFC 9113 calls
//! malformed and the `h2` crate lets pass is refused.

use crate::Fault;
use crate::http::buffer::Buffer;
use crate::http::h1::authority::{is_plain_host, same_authority};
use crate::http::h1::fields::is_token;
use crate::http::h1::{Fields, Name, RequestHead, ResponseHead, Span, Target, Version, write};
use http::header::{COOKIE, HOST};
use http::{HeaderMap, Method, request, response};

/// Writes a request's head into `raw`, which is empty, and notes in `head` what is where. `ended`: no body follows.
///
/// Heads of HTTP/3 are written down in the same way: they come as what the `h2` crate makes of one.
///
/// An extended CONNECT (RFC 8441 §5, RFC 9220 §3) becomes the upgrade that it stands for: a GET that asks for the protocol; `key` is
/// then asked for what WebSocket wants beside it (RFC 6455 §4.1).
pub fn read_request(
    parts: &request::Parts,
    ended: bool,
    limits: &ir::Limits,
    raw: &mut Buffer,
    head: &mut RequestHead,
    key: impl FnOnce() -> String,
) -> Result<(), Fault> {
    let protocol = parts.extensions.get::<h2::ext::Protocol>();
    if parts.method == Method::CONNECT && protocol.is_none() {
        return Err(Fault::ConnectRefused);
    }
    // The crate takes any text for a protocol, line ends included.
    if protocol.is_some_and(|protocol| !is_protocol(protocol.as_str().as_bytes())) {
        return Err(Fault::BadRequest);
    }
    head.version = match parts.version {
        http::Version::HTTP_3 => Version::Http3,
        _ => Version::Http2,
    };
    write_line(parts, protocol.is_some(), limits, raw, head)?;
    write_authority(parts, raw, head)?;
    write_fields(&parts.headers, raw, &mut head.fields)?;
    if let Some(protocol) = protocol {
        push(raw, &mut head.fields, b"upgrade", protocol.as_str().as_bytes());
        // A client has no use for one, but may send it.
        if !parts.headers.contains_key("sec-websocket-key") {
            push(raw, &mut head.fields, b"sec-websocket-key", key().as_bytes());
        }
    }
    if head.fields.len() > limits.header_count {
        return Err(Fault::HeadTooLarge);
    }
    head.settle_stream(raw.filled(), ended, protocol.is_some())
}

/// Writes a response's head behind what is in `raw`, and notes in `head` what is where, counted from there. `ended`: no
/// body follows. Gives the length of the text.
pub fn read_response(
    parts: &response::Parts,
    ended: bool,
    raw: &mut Buffer,
    head: &mut ResponseHead,
) -> Result<usize, Fault> {
    debug_assert!(raw.is_empty());
    head.status = parts.status.as_u16();
    head.version = Version::Http2;
    write::status_line(raw, head.status, b"");
    head.line = Span {
        start: 0,
        end: raw.len() as u32,
    };
    write_fields(&parts.headers, raw, &mut head.fields).map_err(|_| Fault::BadResponse)?;
    raw.extend(b"\r\n");
    head.settle_stream(raw.filled(), ended)?;
    Ok(raw.len())
}

/// One token of RFC 9110 §7.8, and not another HTTP: requests inside of it would have met no rule.
fn is_protocol(text: &[u8]) -> bool {
    let http = |name: &[u8]| text.len() >= name.len() && text[..name.len()].eq_ignore_ascii_case(name);
    !text.is_empty() && text.iter().copied().all(is_token) && !http(b"h2") && !http(b"http")
}

fn write_line(
    parts: &request::Parts,
    upgrade: bool,
    limits: &ir::Limits,
    raw: &mut Buffer,
    head: &mut RequestHead,
) -> Result<(), Fault> {
    let method = if upgrade { "GET" } else { parts.method.as_str() };
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str)
        .as_bytes();
    if method.len() + target.len() > limits.request_line {
        return Err(Fault::RequestLineTooLong);
    }
    // As strict as a request line is read: printable ASCII (RFC 3986 §2), from the root or the asterisk of OPTIONS.
    let asterisk = target == b"*" && parts.method == Method::OPTIONS;
    if !target.iter().all(|byte| matches!(byte, 0x21..=0x7e)) || target[0] != b'/' && !asterisk {
        return Err(Fault::BadRequest);
    }
    raw.extend(method.as_bytes());
    raw.extend(b" ");
    let start = raw.len();
    raw.extend(target);
    let end = raw.len();
    raw.extend(b" HTTP/1.1\r\n");
    head.form = if asterisk {
        Target::Asterisk
    } else {
        Target::Origin
    };
    let span = |from: usize, to: usize| Span {
        start: from as u32,
        end: to as u32,
    };
    head.method = span(0, method.len());
    head.target = span(start, end);
    match memchr::memchr(b'?', target) {
        Some(question) => {
            head.path = span(start, start + question);
            head.query = Some(span(start + question + 1, end));
        }
        None => head.path = head.target,
    }
    if !asterisk {
        head.line = span(0, raw.len());
    }
    Ok(())
}

/// RFC 9113 §8.3.1: `:authority` says the host, or `Host` where it is missing; where both are there they must agree.
fn write_authority(parts: &request::Parts, raw: &mut Buffer, head: &mut RequestHead) -> Result<(), Fault> {
    let named = parts
        .uri
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let mut hosts = parts.headers.get_all(HOST).iter();
    let host = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Fault::BadRequest);
    }
    let authority = match (named, host) {
        (Some(named), Some(host)) if !same_authority(named, host) => return Err(Fault::BadRequest),
        (Some(authority), _) | (None, Some(authority)) => authority,
        (None, None) => return Err(Fault::BadRequest),
    };
    head.plain_host = is_plain_host(authority).ok_or(Fault::BadRequest)?;
    head.authority = push(raw, &mut head.fields, b"host", authority);
    Ok(())
}

/// Writes all fields but `Host`. Crumbs of cookies are put together (RFC 9113 §8.2.3).
fn write_fields(map: &HeaderMap, raw: &mut Buffer, fields: &mut Fields) -> Result<(), Fault> {
    let mut crumbs = false;
    for (name, value) in map {
        let value = value.as_bytes();
        // RFC 9113 §8.2.1.
        if matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t']) {
            return Err(Fault::BadRequest);
        }
        if name == COOKIE {
            if !std::mem::replace(&mut crumbs, true) {
                let all: Vec<&[u8]> = map
                    .get_all(COOKIE)
                    .iter()
                    .map(http::HeaderValue::as_bytes)
                    .collect();
                push(raw, fields, b"cookie", &all.join(&b"; "[..]));
            }
        } else if name != HOST {
            push(raw, fields, name.as_str().as_bytes(), value);
        }
    }
    Ok(())
}

/// Writes a line and notes it. Gives where its value is.
fn push(raw: &mut Buffer, fields: &mut Fields, name: &[u8], value: &[u8]) -> Span {
    let start = raw.len() as u32;
    write::field(raw, name, value);
    let colon = start + name.len() as u32;
    let value = Span {
        start: colon + 2,
        end: raw.len() as u32 - 2,
    };
    fields.push_written(Span { start, end: colon }, value, Name::of(name));
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn read(request: Request<()>) -> Result<String, Fault> {
        let (mut raw, mut head) = (Buffer::default(), RequestHead::default());
        let limits = ir::Limits::default();
        read_request(
            &request.into_parts().0,
            true,
            &limits,
            &mut raw,
            &mut head,
            || "key".into(),
        )?;
        Ok(String::from_utf8_lossy(raw.filled()).into_owned())
    }

    fn connect(protocol: &str) -> Request<()> {
        let request = Request::connect("http://a.example/chat").extension(h2::ext::Protocol::from(protocol));
        request.body(()).unwrap()
    }

    #[test]
    fn a_protocol_that_is_no_token_or_another_http_is_refused() {
        assert_eq!(
            read(connect("websocket")).unwrap(),
            "GET /chat HTTP/1.1\r\nhost: a.example\r\nupgrade: websocket\r\nsec-websocket-key: key\r\n"
        );
        for protocol in [
            "",
            "a b",
            "websocket\r\nx: y",
            "websocket\r\n\r\nGET / HTTP/1.1",
            "a, b",
            "ä",
            "h2c",
            "H2",
            "HTTP/1.1",
        ] {
            assert_eq!(read(connect(protocol)), Err(Fault::BadRequest), "{protocol:?}");
        }
    }

    #[test]
    fn crumbs_of_cookies_become_one_line_and_host_gives_way_to_the_authority() {
        let request = Request::get("http://a.example:8080/x?y")
            .header("cookie", "a=1")
            .header("accept", "*/*")
            .header("cookie", "b=2")
            .header("host", "A.example:8080");
        assert_eq!(
            read(request.body(()).unwrap()).unwrap(),
            "GET /x?y HTTP/1.1\r\nhost: a.example:8080\r\ncookie: a=1; b=2\r\naccept: */*\r\n"
        );
    }

    #[test]
    fn an_authority_that_is_none_or_that_host_contradicts_is_refused() {
        let with_host = |uri: &str, hosts: &[&str]| {
            let request = hosts
                .iter()
                .fold(Request::get(uri), |request, host| request.header("host", *host));
            read(request.body(()).unwrap())
        };
        assert!(with_host("/", &["a.example"]).is_ok());
        assert!(with_host("http://a.example/", &["a.example"]).is_ok());
        for (uri, hosts) in [
            ("/", &[][..]),
            ("/", &["a.example", "a.example"]),
            ("http://a.example/", &["b.example"]),
            ("http://a.example/", &["a.example:81"]),
            ("http://user@a.example/", &[]),
            ("/", &["user@a.example"]),
            ("/", &["a b"]),
        ] {
            assert_eq!(with_host(uri, hosts), Err(Fault::BadRequest), "{uri} {hosts:?}");
        }
    }
}
