//! WebSocket on one side by an upgrade (RFC 6455), on the other by an extended CONNECT (RFC 8441): the key that only the
//! first one has, and the answer to it.

use crate::http::h1::RequestHead;
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A client's key out of these random bits.
pub fn key(high: u64, low: u64) -> String {
    STANDARD.encode((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

/// What a client that asked by an upgrade is answered: the protocol, and what its key comes to. None: it sent no key, so
/// it can't be answered.
pub fn handshake(head: &RequestHead, raw: &[u8]) -> Option<(Vec<u8>, String)> {
    let (_, key) = head.fields.find_from(raw, b"sec-websocket-key", 0)?;
    Some((head.protocols.of_bytes(raw).to_vec(), accept(key)))
}

/// RFC 6455 §4.2.2.
fn accept(key: &[u8]) -> String {
    let text = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_answered_as_in_the_rfc() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(key(1, 2).len(), 24);
    }
}
