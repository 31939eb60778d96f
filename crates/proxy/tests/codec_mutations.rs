//! Heads and chunked bodies with bytes changed, dropped and doubled: whatever comes, the codec answers, agrees with
//! itself however the bytes are cut, and passes on nothing that it would not accept.

mod mutations;

use mutations::Random;
use narthex_proxy::http::buffer::Buffer;
use narthex_proxy::http::h1::{
    BodyLength, BodyReader, BodyWriter, Name, RequestHead, ResponseHead, parse_request, parse_response,
};

const ROUNDS: usize = 20_000;

#[test]
fn changed_requests_are_answered_the_same_however_they_are_cut_and_pass_on_strictly() {
    let seeds: &[&[u8]] = &[
        b"GET /a/b?c=d HTTP/1.1\r\nHost: a.example:80\r\nAccept: */*\r\nX-Empty:\r\n\r\n",
        b"POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n",
        b"PUT / HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 5\r\nConnection: close, x\r\nExpect: 100-continue\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ];
    let limits = ir::Limits::default();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut accepted = 0;
    for round in 0..ROUNDS {
        let bytes = random.mutated(seeds[round % seeds.len()]);
        let mut head = RequestHead::default();
        let whole = parse_request(&bytes, &limits, &mut head);
        let (mut piecewise, mut last) = (RequestHead::default(), Ok(None));
        for end in 1..=bytes.len() {
            last = parse_request(&bytes[..end], &limits, &mut piecewise);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, last, "{:?}", String::from_utf8_lossy(&bytes));
        let Ok(Some(end)) = whole else { continue };
        accepted += 1;
        // What would be written is accepted again, and means the same.
        let raw = &bytes[..end];
        let mut out = Buffer::default();
        out.extend(b"GET / HTTP/1.1\r\n");
        if !head.fields.has(Name::Host) {
            out.extend(b"Host: a\r\n");
        }
        head.fields.write(raw, &mut out);
        out.extend(b"\r\n");
        let mut again = RequestHead::default();
        let reread = parse_request(out.filled(), &limits, &mut again);
        if head.form == narthex_proxy::http::h1::Target::Origin {
            assert_eq!(reread, Ok(Some(out.len())), "{:?}", String::from_utf8_lossy(raw));
            assert_eq!(again.body, head.body);
        }
    }
    assert!(accepted > ROUNDS / 50, "only {accepted} were valid");
}

#[test]
fn changed_responses_are_answered_the_same_however_they_are_cut() {
    let seed = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\nhello";
    let mut random = Random(0x1234_5678_9abc_def1);
    for _ in 0..ROUNDS {
        let bytes = random.mutated(seed);
        let whole = parse_response(&bytes, &mut ResponseHead::default());
        let (mut piecewise, mut last) = (ResponseHead::default(), Ok(None));
        for end in 1..=bytes.len() {
            last = parse_response(&bytes[..end], &mut piecewise);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, last, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn changed_chunks_give_the_same_content_however_they_are_cut() {
    let seed = b"5;a=\"b\"\r\nhello\r\n00b\r\n world again\r\n0\r\nX-Sum: 1\r\nHost: b\r\n\r\nNEXT";
    let mut random = Random(0x0fed_cba9_8765_4321);
    for _ in 0..ROUNDS {
        let bytes = random.mutated(seed);
        let (whole, by_bytes) = (decode(&bytes, bytes.len()), decode(&bytes, 1));
        assert_eq!(whole, by_bytes, "{:?}", String::from_utf8_lossy(&bytes));
    }
}

/// Content and whether the end was reached; `None` for broken framing.
fn decode(bytes: &[u8], step: usize) -> Option<(Vec<u8>, bool)> {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let (mut input, mut output) = (Buffer::default(), Buffer::default());
    for piece in bytes.chunks(step) {
        input.extend(piece);
        reader
            .transfer(BodyWriter::Plain, &mut input, &mut output, usize::MAX, |_| {})
            .ok()?;
        if reader.ended() {
            break;
        }
    }
    Some((output.filled().to_vec(), reader.ended()))
}
