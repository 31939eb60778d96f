//! Field sections of HTTP/2: as bytes, and as heads on their way to the text that exchanges work on.

use crate::bytes::Bytes;
use ir::Limits;
use proxy::http::buffer::Buffer;
use proxy::http::h1::{Name, RequestHead, ResponseHead, Version, parse_request, parse_response};
use proxy::http::h2::hpack::{self, Decoder};
use proxy::http::sections::{HeadLines, Kind, RequestReader, ResponseReader, Trailer, TrailerReader};

type Lines = Vec<(Vec<u8>, Vec<u8>)>;

/// Sections, each with a byte before it that says how long it is: never a panic; what was read is written and read again as
/// it was.
pub fn hpack(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    let mut decoder = Decoder::new();
    while !choices.0.is_empty() {
        let length = usize::from(choices.next()).min(choices.0.len());
        let (section, rest) = choices.0.split_at(length);
        choices.0 = rest;
        let mut lines: Vec<(Kind, Vec<u8>, Vec<u8>)> = Vec::new();
        let read = decoder.decode(section, LIMIT, |kind, name, value| {
            assert_eq!(kind, Kind::of(name, value), "what it is was kept in the table");
            lines.push((kind, name.to_vec(), value.to_vec()));
        });
        if read.is_err() {
            return;
        }
        let fields = lines.iter().filter(|(kind, ..)| matches!(kind, Kind::Field(_)));
        let mut out = Buffer::default();
        for (_, name, value) in fields.clone() {
            hpack::field(&mut out, Name::of(name), name, value);
        }
        let mut again = fields;
        let read = Decoder::new().decode(out.filled(), LIMIT, |kind, name, value| {
            let (same, known, text) = again.next().expect("no more lines than before");
            assert_eq!((*same, &known[..], &text[..]), (kind, name, value));
        });
        assert!(read.is_ok() && again.next().is_none());
    }
}

/// A head or a trailer of HTTP/2: never a panic; as text it is exactly one head, with the same fields, to a reader of
/// HTTP/1.1; taken apart again it is the same.
pub fn http2_head(bytes: &[u8]) {
    let mut choices = Bytes(bytes);
    match choices.below(4) {
        0 => response(&mut choices),
        1 => trailer(&mut choices),
        _ => request(&mut choices),
    }
}

fn request(choices: &mut Bytes<'_>) {
    let pseudo = [
        (&b":method"[..], text(choices, 8)),
        (
            b":scheme",
            choices.one_of(&[&b"http"[..], b"https", b"", b"9"]).to_vec(),
        ),
        (
            b":authority",
            choices
                .one_of(&[&b"a"[..], b"A.b:80", b"u@a", b"[::1]", b"*"])
                .to_vec(),
        ),
        (b":path", [b"/", &*text(choices, 20)].concat()),
        (b":protocol", text(choices, 20)),
    ];
    let (plain, extended) = (choices.below(4) < 3, choices.below(8) == 7);
    let mut all: Lines = Vec::new();
    for (at, (name, value)) in pseudo.iter().enumerate() {
        let value = match at {
            0 if !plain => b"CONNECT".to_vec(),
            _ => value.clone(),
        };
        // Nearly always what belongs there.
        if (at < 4 || !plain) && (choices.below(16) < 15) != (extended && at == 4) {
            all.push((name.to_vec(), value));
        }
    }
    all.extend(lines(choices));
    let (mut raw, mut head) = (Buffer::default(), RequestHead::default());
    let limits = Limits::default();
    let mut reader = RequestReader::new(Version::Http2, &limits, &mut raw, &mut head);
    for (name, value) in &all {
        reader.take(Kind::of(name, value), name, value);
    }
    if reader.finish(true, || "key".into()).is_err() {
        return;
    }
    raw.extend(b"\r\n");
    let mut again = RequestHead::default();
    let read = parse_request(raw.filled(), &limits, &mut again);
    assert_eq!(read, Ok(Some(raw.len())), "it is not exactly one head");
    assert_eq!(again.fields.iter().count(), head.fields.iter().count());
    for span in [|head: &RequestHead| head.method, |head: &RequestHead| head.target] {
        assert_eq!(
            span(&again).of_bytes(raw.filled()),
            span(&head).of_bytes(raw.filled())
        );
    }
    let (_, mut taken) = HeadLines::of(raw.filled());
    // Crumbs were joined, the authority is a host here, and the upgrade and its key were ours.
    let own: [&[u8]; 4] = [b"cookie", b"host", b"upgrade", b"sec-websocket-key"];
    let mut same = all
        .iter()
        .filter(|(name, _)| name[0] != b':' && !own.contains(&&name[..]));
    for line in taken.by_ref().filter(|line| !own.contains(&line.name)) {
        assert_eq!(
            same.next().map(|(name, value)| (&name[..], &value[..])),
            Some((line.name, line.value))
        );
    }
    assert!(same.next().is_none(), "a field got lost");
    assert_eq!(taken.length(), raw.len());
}

fn response(choices: &mut Bytes<'_>) {
    let status = 100 + u16::from(choices.next()) * 2;
    let mut all = vec![(b":status".to_vec(), status.to_string().into_bytes())];
    all.extend(lines(choices));
    let (mut raw, mut head) = (Buffer::default(), ResponseHead::default());
    let mut reader = ResponseReader::new(&mut raw, &mut head, LIMIT);
    for (name, value) in &all {
        reader.take(Kind::of(name, value), name, value);
    }
    if !reader.finish(true) {
        return;
    }
    let mut again = ResponseHead::default();
    let read = parse_response(raw.filled(), &mut again);
    assert_eq!(read, Ok(Some(raw.len())), "it is not exactly one head");
    assert_eq!(again.status, status);
    let fields: Lines = head
        .fields
        .iter()
        .map(|field| {
            (
                head.fields.name(raw.filled(), field).to_vec(),
                head.fields.value(raw.filled(), field).to_vec(),
            )
        })
        .collect();
    assert_eq!(fields, all[1..]);
}

fn trailer(choices: &mut Bytes<'_>) {
    let all = lines(choices);
    let mut reader = TrailerReader::new(LIMIT);
    for (name, value) in &all {
        reader.take(Kind::of(name, value), name, value);
    }
    let Some(read) = reader.finish() else { return };
    assert_eq!(Trailer::of_lines(read.lines()), read);
    for (name, value) in read.iter() {
        assert!(all.iter().any(|line| (&line.0[..], &line.1[..]) == (name, value)));
    }
}

/// Fields by choice: names and values as they come, and those that mean something.
fn lines(choices: &mut Bytes<'_>) -> Lines {
    let count = choices.below(8);
    let line = |choices: &mut Bytes<'_>| {
        let name = match choices.below(3) {
            0 => text(choices, 12).to_ascii_lowercase(),
            _ => choices.one_of(NAMES).as_bytes().to_vec(),
        };
        let value = match choices.below(3) {
            0 => choices
                .one_of(&["", "5", "trailers", "100-continue", "a, b"])
                .as_bytes()
                .to_vec(),
            _ => text(choices, 24),
        };
        (name, value)
    };
    (0..count).map(|_| line(choices)).collect()
}

fn text(choices: &mut Bytes<'_>, most: usize) -> Vec<u8> {
    let count = choices.below(most);
    (0..count).map(|_| choices.next()).collect()
}

const LIMIT: usize = 100_000;
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
