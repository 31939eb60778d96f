//! Heads on their way between the versions of HTTP.

use crate::bytes::Bytes;
use h2::ext::Protocol;
use http::header::{COOKIE, HOST};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use ir::Limits;
use proxy::http::buffer::Buffer;
use proxy::http::h1::{RequestHead, ResponseHead, parse_request, parse_response};
use proxy::http::h2::{
    fields_to_map, head_to_request, read_request, read_response, trailer_to_map, write_trailer,
};

/// A head as the `h2` crate lets it pass: never a panic; as text it is exactly one head, with the same fields, to a reader
/// of HTTP/1.1; made into fields again it is the same.
pub fn http2_head(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    let kind = choices.below(4);
    let map = map(&mut choices);
    match kind {
        0 => response(&map, choices.next()),
        1 => trailer(&map),
        _ => request(&map, &mut choices),
    }
}

fn request(map: &HeaderMap, choices: &mut Bytes<'_>) {
    let mut request = Request::new(());
    *request.headers_mut() = map.clone();
    *request.method_mut() = Method::from_bytes(&text(choices, 8)).unwrap_or(Method::POST);
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.path_and_query = PathAndQuery::try_from(&[b"/", &*text(choices, 20)].concat()[..]).ok();
    uri.authority = choices.one_of(&["a", "A.b:80", "u@a", "[::1]", "*"]).parse().ok();
    let Ok(uri) = Uri::from_parts(uri) else { return };
    *request.uri_mut() = uri;
    if choices.below(4) == 3 {
        let protocol = text(choices, 20);
        let Ok(protocol) = String::from_utf8(protocol) else {
            return;
        };
        *request.method_mut() = Method::CONNECT;
        request.extensions_mut().insert(Protocol::from(&*protocol));
    }
    let extended = request.extensions().get::<Protocol>().cloned();
    let (parts, ()) = request.into_parts();
    let (mut raw, mut head) = (Buffer::default(), RequestHead::default());
    let limits = Limits::default();
    if read_request(&parts, true, &limits, &mut raw, &mut head, || "key".into()).is_err() {
        return;
    }
    raw.extend(b"\r\n");
    let mut again = RequestHead::default();
    let read = parse_request(raw.filled(), &limits, &mut again);
    assert_eq!(read, Ok(Some(raw.len())), "it is not exactly one head");
    assert_eq!(again.fields.iter().count(), head.fields.iter().count());
    assert_eq!(
        again.method.of_bytes(raw.filled()),
        head.method.of_bytes(raw.filled())
    );
    assert_eq!(
        again.target.of_bytes(raw.filled()),
        head.target.of_bytes(raw.filled())
    );

    let Ok((back, length)) = head_to_request(raw.filled(), Scheme::HTTP) else {
        return;
    };
    assert_eq!(length, raw.len());
    assert_eq!(back.extensions().get::<Protocol>(), extended.as_ref());
    if extended.is_none() {
        assert_eq!(back.method(), parts.method);
    }
    for (name, value) in back.headers() {
        let same = |known: &HeaderValue| known.as_bytes() == value.as_bytes();
        // Crumbs were joined, and the key was ours.
        let known = name == COOKIE || name == HOST || parts.headers.get_all(name).iter().any(same);
        assert!(known, "{name} came out of nothing");
    }
    let ours = |name: &HeaderName| name == HOST || extended.is_some() && name == "sec-websocket-key";
    for name in parts.headers.keys().filter(|name| !ours(name)) {
        assert!(back.headers().contains_key(name), "{name} got lost");
    }
}

fn response(map: &HeaderMap, status: u8) {
    let mut response = Response::new(());
    *response.headers_mut() = map.clone();
    *response.status_mut() = http::StatusCode::from_u16(100 + u16::from(status) * 2).expect("below 1000");
    let (parts, ()) = response.into_parts();
    let (mut raw, mut head) = (Buffer::default(), ResponseHead::default());
    let Ok(length) = read_response(&parts, true, &mut raw, &mut head) else {
        return;
    };
    assert_eq!(length, raw.len());
    let mut again = ResponseHead::default();
    let read = parse_response(raw.filled(), &mut again);
    assert_eq!(read, Ok(Some(length)), "it is not exactly one head");
    assert_eq!(again.status, parts.status.as_u16());
    let Ok(back) = fields_to_map(&head.fields, raw.filled()) else {
        panic!("what came as fields is none any more");
    };
    for name in parts
        .headers
        .keys()
        .filter(|name| *name != COOKIE && *name != HOST)
    {
        let values = |map: &HeaderMap| map.get_all(name).iter().cloned().collect::<Vec<_>>();
        assert_eq!(values(&back), values(&parts.headers), "{name}");
    }
}

fn trailer(map: &HeaderMap) {
    let mut lines = Buffer::default();
    write_trailer(Some(map), &mut lines);
    let back = trailer_to_map(lines.filled());
    for (name, value) in &back {
        // White space around values is no part of them as lines.
        let same = |known: &HeaderValue| known.as_bytes().trim_ascii() == value.as_bytes();
        assert!(map.get_all(name).iter().any(same), "{name} came out of nothing");
    }
}

/// Fields by choice: names and values as they come, and those that mean something. None that the `h2` crate refuses.
fn map(choices: &mut Bytes<'_>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for _ in 0..choices.below(8) {
        let name = match choices.below(3) {
            0 => HeaderName::from_bytes(&text(choices, 12).to_ascii_lowercase()).ok(),
            _ => choices.one_of(NAMES).parse().ok(),
        };
        let value = match choices.below(3) {
            0 => choices
                .one_of(&["", "5", "trailers", "100-continue", "a, b"])
                .parse()
                .ok(),
            _ => HeaderValue::from_bytes(&text(choices, 24)).ok(),
        };
        let (Some(name), Some(value)) = (name, value) else {
            continue;
        };
        let refused = matches!(
            name.as_str(),
            "connection" | "transfer-encoding" | "upgrade" | "keep-alive" | "proxy-connection"
        );
        if !refused && (name != "te" || value == "trailers") {
            map.append(name, value);
        }
    }
    map
}

fn text(choices: &mut Bytes<'_>, most: usize) -> Vec<u8> {
    let count = choices.below(most);
    (0..count).map(|_| choices.next()).collect()
}

const NAMES: &[&str] = &[
    "cookie",
    "host",
    "te",
    "content-length",
    "expect",
    "trailer",
    "accept",
    "content_length",
    "sec-websocket-key",
    "x-a",
];
