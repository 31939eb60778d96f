//! The codec: a browser's request and a server's response, each read, stripped of hop-by-hop fields and written again.

use crate::count::within;
use proxy::http::buffer::Buffer;
use proxy::http::h1::head::strip_hop_by_hop;
use proxy::http::h1::{RequestHead, ResponseHead, parse_request, parse_response, write};
use std::hint::black_box;
use std::path::Path;

const TIMES: u32 = 4_000;

/// Instructions per request with its response.
pub fn count(out: &Path) -> Result<f64, String> {
    Ok(within("counted_heads", out, &["codec"])? / f64::from(TIMES))
}

/// `work codec`
pub fn work() -> Result<(), String> {
    let mut codec = Codec::default();
    // Once before counting: buffers grow to what they need.
    codec.exchange()?;
    counted_heads(&mut codec)
}

#[inline(never)]
fn counted_heads(codec: &mut Codec) -> Result<(), String> {
    for _ in 0..TIMES {
        codec.exchange()?;
    }
    Ok(())
}

#[derive(Default)]
struct Codec {
    limits: ir::Limits,
    request: RequestHead,
    response: ResponseHead,
    out: Buffer,
}

impl Codec {
    fn exchange(&mut self) -> Result<(), String> {
        let (out, request, response) = (&mut self.out, &mut self.request, &mut self.response);
        out.clear();
        request.clear();
        let raw = black_box(REQUEST);
        if parse_request(raw, &self.limits, request) != Ok(Some(raw.len())) {
            return Err("codec: the request was refused".into());
        }
        strip_hop_by_hop(&mut request.fields, raw, request.connection);
        for part in [
            request.method.of_bytes(raw),
            b" ",
            request.target.of_bytes(raw),
            b" HTTP/1.1\r\n",
        ] {
            out.extend(part);
        }
        request.fields.write(raw, out);
        out.extend(b"\r\n");
        black_box(out.filled());

        out.clear();
        response.clear();
        let raw = black_box(RESPONSE);
        if parse_response(raw, response) != Ok(Some(raw.len())) {
            return Err("codec: the response was refused".into());
        }
        strip_hop_by_hop(&mut response.fields, raw, response.connection);
        write::status_line(out, response.status, response.reason.of_bytes(raw));
        response.fields.write(raw, out);
        out.extend(b"\r\n");
        black_box(out.filled());
        Ok(())
    }
}

const REQUEST: &[u8] = b"GET /cart/items/4711?page=2 HTTP/1.1\r\nHost: shop.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Referer: https://shop.example.com/\r\nCookie: session=0123456789abcdef\r\nConnection: keep-alive\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Tue, 24 Nov 2026 12:00:00 GMT\r\n\
    Content-Type: text/html; charset=utf-8\r\nContent-Length: 1200\r\nConnection: keep-alive\r\n\
    Cache-Control: max-age=60\r\nETag: \"0123456789abcdef\"\r\nVary: Accept-Encoding\r\n\r\n";
