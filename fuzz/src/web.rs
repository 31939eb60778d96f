//! Requests of gRPC-Web in base64.

use crate::bytes::cut;
use proxy::http::buffer::Buffer;
use proxy::http::grpc_web::Decoder;

/// Text that may be base64: never a panic; the same content however it arrives; never more than the text has room for.
pub fn grpc_web(bytes: &[u8]) {
    let (at, bytes) = cut(bytes);
    let whole = read(&[bytes]);
    assert_eq!(
        whole,
        read(&[&bytes[..at], &bytes[at..]]),
        "in two parts, cut at {at}"
    );
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(whole, read(&single), "byte by byte");
    if let Some((content, between)) = whole {
        assert!(content.len() <= bytes.len() / 4 * 3);
        assert_eq!(between, bytes.len() % 4 == 0);
    }
}

/// What it stands for, and whether it ends with a group, if it is base64.
fn read(parts: &[&[u8]]) -> Option<(Vec<u8>, bool)> {
    let (mut decoder, mut out) = (Decoder::default(), Buffer::default());
    for part in parts {
        decoder.decode(part, &mut out).ok()?;
    }
    Some((out.filled().to_vec(), decoder.is_between()))
}
