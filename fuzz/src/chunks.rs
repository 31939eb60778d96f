//! Chunked bodies.

use crate::bytes::cut;
use proxy::http::buffer::Buffer;
use proxy::http::h1::{BodyLength, BodyReader, BodyWriter};

/// A chunked body: never a panic; the same content however it arrives; what is written out again is read as the same.
pub fn chunked(bytes: &[u8]) {
    let (at, bytes) = cut(bytes);
    let whole = read(&[bytes], BodyWriter::Plain);
    let parts = read(&[&bytes[..at], &bytes[at..]], BodyWriter::Plain);
    assert_eq!(whole, parts, "in two parts, cut at {at}");
    let single: Vec<&[u8]> = bytes.chunks(1).take(256).collect();
    if single.len() == bytes.len() {
        assert_eq!(whole, read(&single, BodyWriter::Plain), "byte by byte");
    }
    let Some((content, rest)) = whole else { return };
    let Some((coded, same_rest)) = read(&[bytes], BodyWriter::Chunked) else {
        panic!("read plainly and not in chunks");
    };
    assert_eq!(rest, same_rest);
    let again = read(&[&coded], BodyWriter::Plain);
    assert_eq!(again, Some((content, Vec::new())), "what was written is not read");
}

/// What was written, and what was left of the input, if the body came to its end.
fn read(parts: &[&[u8]], writer: BodyWriter) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut reader = BodyReader::new(BodyLength::Chunked);
    let (mut input, mut output) = (Buffer::default(), Buffer::default());
    let mut content = Vec::new();
    for part in parts {
        input.extend(part);
        while !reader.ended() {
            let before = (input.len(), content.len());
            reader
                .transfer(writer, &mut input, &mut output, 4096, |bytes| {
                    content.extend_from_slice(bytes);
                })
                .ok()?;
            let mut written = std::mem::take(&mut output);
            if writer == BodyWriter::Chunked {
                coded(&mut content, &written, before.1);
            }
            written.clear();
            if (input.len(), content.len()) == before {
                break;
            }
        }
    }
    reader.ended().then(|| (content, input.filled().to_vec()))
}

/// Keeps what was written in place of what was seen since `from`.
fn coded(content: &mut Vec<u8>, written: &Buffer, from: usize) {
    content.truncate(from);
    content.extend_from_slice(written.filled());
}
