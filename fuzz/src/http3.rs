//! Frames and field sections of HTTP/3.

use crate::bytes::cut;
use ::bytes::{Bytes, BytesMut};
use ir::Limits;
use proxy::http::buffer::Buffer;
use proxy::http::h1::{Name, RequestHead, Version};
use proxy::http::h3::frame::{Piece, Reader};
use proxy::http::h3::{Code, head, qpack};
use proxy::http::sections::{FIELD_OVERHEAD, RequestReader};

/// Frames: never a panic; the same however they arrive; no content beyond what came.
pub fn http3_frames(bytes: &[u8]) {
    let (at, bytes) = cut(bytes);
    for reader in [|| Reader::message(1000), Reader::control] {
        let whole = read(reader(), &[bytes]);
        assert_eq!(
            whole,
            read(reader(), &[&bytes[..at], &bytes[at..]]),
            "in two parts, cut at {at}"
        );
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(whole, read(reader(), &single), "byte by byte");
        let content = whole.pieces.iter().map(|piece| match piece {
            Piece::Data(data) | Piece::Section(data) => data.len(),
            _ => 0,
        });
        assert!(content.sum::<usize>() <= bytes.len());
    }
}

/// Field sections: never a panic, within the limit, and what was read is written and read again as it was.
pub fn qpack(bytes: &[u8]) {
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let read = qpack::decode(bytes, LIMIT, |_, name, value| {
        fields.push((name.to_vec(), value.to_vec()));
    });
    let size: usize = fields
        .iter()
        .map(|(name, value)| name.len() + value.len() + FIELD_OVERHEAD)
        .sum();
    assert!(size <= LIMIT);
    if read.is_ok() {
        let mut out = BytesMut::new();
        qpack::begin(&mut out);
        for (name, value) in &fields {
            qpack::encode(name, value, &mut out);
        }
        let mut again = fields.iter();
        let read = qpack::decode(&out, LIMIT, |_, name, value| {
            let field = again.next().expect("no more fields than before");
            assert_eq!((&field.0[..], &field.1[..]), (name, value));
        });
        assert_eq!((read, again.next()), (Ok(()), None));
    }
    let (mut raw, mut head) = (Buffer::default(), RequestHead::default());
    let limits = Limits::default();
    let mut reader = RequestReader::new(Version::Http3, &limits, &mut raw, &mut head);
    let request = head::read_request(bytes, LIMIT, &mut reader);
    assert_eq!(
        request.is_err_and(|bad| bad == head::Bad::Section),
        read == Err(qpack::Unreadable::Format)
    );
    if reader.finish(true, String::new).is_ok() {
        assert!(!head.fields.has(Name::Connection));
    }
    // Never a panic.
    let _ = (head::read_trailer(bytes, LIMIT), qpack::encoder_stream(bytes));
    let (at, bytes) = cut(bytes);
    let mut parts = qpack::DecoderStream::default();
    let in_two = parts.read(&bytes[..at]).and_then(|()| parts.read(&bytes[at..]));
    assert_eq!(in_two, qpack::DecoderStream::default().read(bytes));
}

#[derive(Debug, PartialEq)]
struct Came {
    pieces: Vec<Piece>,
    end: Result<bool, Code>,
}

/// All pieces; content that follows content is put together, as it comes in any cut.
fn read(mut reader: Reader, parts: &[&[u8]]) -> Came {
    let mut pieces: Vec<Piece> = Vec::new();
    for part in parts {
        let mut input = Bytes::copy_from_slice(part);
        loop {
            match reader.next(&mut input) {
                Ok(Some(Piece::Data(more))) => match pieces.last_mut() {
                    Some(Piece::Data(data)) => *data = [&data[..], &more[..]].concat().into(),
                    _ => pieces.push(Piece::Data(more)),
                },
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => break,
                Err(code) => {
                    return Came {
                        pieces,
                        end: Err(code),
                    };
                }
            }
        }
        assert!(input.is_empty());
    }
    let end = Ok(reader.may_end());
    Came { pieces, end }
}

const LIMIT: usize = 4096;
