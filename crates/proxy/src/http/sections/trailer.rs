//! Trailer fields, between versions of HTTP that tell them in different ways.

use super::{FIELD_OVERHEAD, Kind, is_trimmed};
use crate::http::h1::names::forbidden_in_trailer;

/// Trailer fields, as lines of HTTP/1.1. Those that must not come in a trailer (RFC 9110 §6.5.1) never get in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailer {
    lines: Vec<u8>,
}

impl Trailer {
    /// Those of a trailer section of HTTP/1.1.
    pub fn of_lines(lines: &[u8]) -> Self {
        let mut trailer = Self::default();
        for (name, value) in fields(lines) {
            trailer.push(name, value);
        }
        trailer
    }

    /// Adds one, unless it must not come here. The caller vouches for name and value being valid.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        if !forbidden_in_trailer(name) {
            for part in [name, b": ", value, b"\r\n"] {
                self.lines.extend_from_slice(part);
            }
        }
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        fields(&self.lines)
    }

    /// As HTTP/1.1 writes them, each with its line end.
    pub fn lines(&self) -> &[u8] {
        &self.lines
    }
}

/// The fields in lines that end in CR LF.
fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = lines;
    std::iter::from_fn(move || {
        loop {
            let end = memchr::memchr(b'\r', rest)?;
            let (line, behind) = (&rest[..end], &rest[(end + 2).min(rest.len())..]);
            rest = behind;
            if let Some(colon) = memchr::memchr(b':', line) {
                return Some((&line[..colon], line[colon + 1..].trim_ascii()));
            }
        }
    })
}

/// Makes a trailer of a section.
#[derive(Debug)]
pub struct TrailerReader {
    trailer: Trailer,
    left: usize,
    good: bool,
}

impl TrailerReader {
    /// `limit`: what all fields may come to, with [`FIELD_OVERHEAD`] for each.
    pub fn new(limit: usize) -> Self {
        Self {
            trailer: Trailer::default(),
            left: limit,
            good: true,
        }
    }

    /// Takes a line.
    pub fn take(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + FIELD_OVERHEAD;
        match (kind, self.left.checked_sub(size)) {
            (Kind::Field(_), Some(left)) if self.good && is_trimmed(value) => {
                self.left = left;
                self.trailer.push(name, value);
            }
            // RFC 9113 §8.1: no pseudo-header fields in there.
            _ => self.good = false,
        }
    }

    /// The trailer. None: it is malformed, or too large.
    pub fn finish(self) -> Option<Trailer> {
        self.good.then_some(self.trailer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_fields_and_what_must_not_come_is_left_out() {
        let trailer = Trailer::of_lines(b"grpc-status: 0\r\nContent-Length: 3\r\nx:y \r\nnone\r\n");
        let fields: Vec<_> = trailer.iter().collect();
        assert_eq!(fields, [(&b"grpc-status"[..], &b"0"[..]), (b"x", b"y")]);
        assert_eq!(trailer.lines(), b"grpc-status: 0\r\nx: y\r\n");
    }

    #[test]
    fn a_section_with_what_no_trailer_has_is_refused() {
        let read = |name: &[u8], value: &[u8]| {
            let mut reader = TrailerReader::new(60);
            reader.take(Kind::of(name, value), name, value);
            reader.finish()
        };
        assert!(read(b"a", b"b").is_some());
        for (name, value) in [
            (&b":path"[..], &b"/"[..]),
            (b"A", b"b"),
            (b"a", b" b"),
            (b"a", &[b'x'; 30]),
        ] {
            assert_eq!(read(name, value), None);
        }
    }
}
