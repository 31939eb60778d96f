//! ClientHellos.

use crate::bytes::cut;
use proxy::tls::hello::{HelloReader, Progress};

/// A ClientHello: never a panic; the same answer however it arrives; what comes behind it changes nothing; a name is one
/// that can be looked up.
pub fn client_hello(bytes: &[u8]) {
    let (at, bytes) = cut(bytes);
    let whole = read(&[bytes]);
    assert_eq!(
        whole,
        read(&[&bytes[..at], &bytes[at..]]),
        "in two parts, cut at {at}"
    );
    let single: Vec<&[u8]> = bytes.chunks(1).take(4096).collect();
    if single.len() == bytes.len() {
        assert_eq!(whole, read(&single), "byte by byte");
    }
    let Progress::Complete(hello) = whole else { return };
    let longer = [bytes, b"\x17\x03\x03\x00\x01x"].concat();
    assert_eq!(
        read(&[&longer]),
        Progress::Complete(hello.clone()),
        "bytes behind it change it"
    );
    if let Some(name) = hello.sni {
        assert!(!name.is_empty() && name.len() <= 253);
        assert!(
            name.bytes()
                .all(|byte| !byte.is_ascii_uppercase() && byte.is_ascii_graphic())
        );
    }
}

fn read(parts: &[&[u8]]) -> Progress {
    let mut reader = HelloReader::default();
    for part in parts {
        match reader.read(part) {
            Progress::Partial => {}
            known => return known,
        }
    }
    Progress::Partial
}
