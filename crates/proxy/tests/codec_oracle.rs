//! Our reading of heads against another parser's: what we take, `httparse` takes too, and finds the same in it.

mod mutations;

use mutations::Random;
use narthex_proxy::http::h1::{RequestHead, ResponseHead, parse_request, parse_response};

const ROUNDS: usize = 40_000;

#[test]
fn a_request_that_is_taken_says_the_same_to_another_parser() {
    let seeds: &[&[u8]] = &[
        b"GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\nX-Empty:\r\n\r\n",
        b"PURGE /x HTTP/1.0\r\nHOST:a\r\nX-A:  \t b c\td \t\r\nX-Forwarded-For: 1.2.3.4, 5.6.7.8\r\n\r\n",
        b"POST http://a.example/x HTTP/1.1\r\nhost: a.example\r\nContent-Length: 5\r\nConnection: close, x\r\n\r\nhello",
    ];
    let limits = ir::Limits::default();
    let mut random = Random(0x1357_9bdf_2468_ace0);
    let mut taken = 0;
    for round in 0..ROUNDS {
        let bytes = random.mutated(seeds[round % seeds.len()]);
        let mut head = RequestHead::default();
        let Ok(Some(length)) = parse_request(&bytes, &limits, &mut head) else {
            continue;
        };
        taken += 1;
        let text = String::from_utf8_lossy(&bytes);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut other = httparse::Request::new(&mut headers);
        assert_eq!(
            other.parse(&bytes),
            Ok(httparse::Status::Complete(length)),
            "{text:?}"
        );
        assert_eq!(
            other.method.map(str::as_bytes),
            Some(head.method.of_bytes(&bytes)),
            "{text:?}"
        );
        assert_eq!(
            other.path.map(str::as_bytes),
            Some(head.target.of_bytes(&bytes)),
            "{text:?}"
        );
        assert_eq!(fields(&head.fields, &bytes), pairs(other.headers), "{text:?}");
    }
    assert!(taken > ROUNDS / 50, "only {taken} were taken");
}

#[test]
fn a_response_that_is_taken_says_the_same_to_another_parser() {
    let seeds: &[&[u8]] = &[
        b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nDate: Tue, 24 Nov 2026 00:00:00 GMT\r\n\r\nhello",
        b"HTTP/1.0 404\r\nTransfer-Encoding-Of:  y\r\nVary:\r\n\r\n",
        b"HTTP/1.1 301 Moved  so far\r\nLocation: /\r\nconnection:close\r\n\r\n",
    ];
    let mut random = Random(0x0246_8ace_1357_9bdf);
    let mut taken = 0;
    for round in 0..ROUNDS {
        let bytes = random.mutated(seeds[round % seeds.len()]);
        let mut head = ResponseHead::default();
        let Ok(Some(length)) = parse_response(&bytes, &mut head) else {
            continue;
        };
        taken += 1;
        let text = String::from_utf8_lossy(&bytes);
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut other = httparse::Response::new(&mut headers);
        assert_eq!(
            other.parse(&bytes),
            Ok(httparse::Status::Complete(length)),
            "{text:?}"
        );
        assert_eq!(other.code, Some(head.status), "{text:?}");
        assert_eq!(
            other.reason.map(str::as_bytes),
            Some(head.reason.of_bytes(&bytes)),
            "{text:?}"
        );
        let line = head.line.of_bytes(&bytes);
        assert!(
            line.is_empty() || line.ends_with(b"\r\n") && line.starts_with(b"HTTP/1.1 "),
            "{text:?}"
        );
        if head.status >= 200 && head.status != 204 {
            assert_eq!(fields(&head.fields, &bytes), pairs(other.headers), "{text:?}");
        }
    }
    assert!(taken > ROUNDS / 50, "only {taken} were taken");
}

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn fields(fields: &narthex_proxy::http::h1::Fields, raw: &[u8]) -> Pairs {
    fields
        .iter()
        .map(|field| {
            (
                fields.name(raw, field).to_vec(),
                fields.value(raw, field).to_vec(),
            )
        })
        .collect()
}

fn pairs(headers: &[httparse::Header<'_>]) -> Pairs {
    headers
        .iter()
        .map(|header| (header.name.as_bytes().to_vec(), header.value.to_vec()))
        .collect()
}
