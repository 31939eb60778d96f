//! The head of a response, written down as text while its section is decoded.

use super::{FIELD_OVERHEAD, Kind, is_trimmed, push};
use crate::http::buffer::Buffer;
use crate::http::h1::{Name, ResponseHead, Span, Version, write};

/// Writes a response's head into a buffer, which is empty, and notes in a head what is where.
#[derive(Debug)]
pub struct ResponseReader<'a> {
    raw: &'a mut Buffer,
    head: &'a mut ResponseHead,
    left: usize,
    good: bool,
}

impl<'a> ResponseReader<'a> {
    /// `limit`: what all fields may come to, with [`FIELD_OVERHEAD`] for each.
    pub fn new(raw: &'a mut Buffer, head: &'a mut ResponseHead, limit: usize) -> Self {
        debug_assert!(raw.is_empty());
        Self {
            raw,
            head,
            left: limit,
            good: true,
        }
    }

    /// Takes a line.
    pub fn take(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + FIELD_OVERHEAD;
        match self.left.checked_sub(size) {
            Some(left) if self.good => self.left = left,
            // What is larger than was allowed is as bad as what is none.
            _ => return self.good = false,
        }
        match (kind, self.head.status) {
            (Kind::Status, 0) => self.good = self.status(value),
            (Kind::Field(known), 1..) if is_trimmed(value) => {
                push(self.raw, &mut self.head.fields, known, name, value);
            }
            // RFC 9113 §8.3: before all others, once, and no other one.
            _ => self.good = false,
        }
    }

    fn status(&mut self, value: &[u8]) -> bool {
        let [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] = *value else {
            return false;
        };
        let digits = [a, b, c].map(|digit| u16::from(digit - b'0'));
        self.head.status = digits[0] * 100 + digits[1] * 10 + digits[2];
        self.head.version = Version::Http2;
        write::status_line(self.raw, self.head.status, b"");
        self.head.line = Span {
            start: 0,
            end: self.raw.len() as u32,
        };
        true
    }

    /// How much content the head says there is. What says it badly is refused when reading is over.
    pub fn length(&self) -> Option<u64> {
        let value = self.head.fields.get(self.raw.filled(), Name::ContentLength)?;
        crate::sys::ascii(value)?.parse().ok()
    }

    /// `ended`: no body follows. False: it is malformed.
    pub fn finish(self, ended: bool) -> bool {
        self.raw.extend(b"\r\n");
        self.good
            && self.head.status > 0
            // RFC 9113 §8.6: nothing is switched to here; and what is interim is not the end.
            && self.head.status != 101
            && !(ended && self.head.is_interim())
            && self.head.settle_stream(self.raw.filled(), ended).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &[(&str, &str)], ended: bool) -> Option<String> {
        let (mut raw, mut head) = (Buffer::default(), ResponseHead::default());
        let mut reader = ResponseReader::new(&mut raw, &mut head, 200);
        for (name, value) in fields {
            let (name, value) = (name.as_bytes(), value.as_bytes());
            reader.take(Kind::of(name, value), name, value);
        }
        reader
            .finish(ended)
            .then(|| String::from_utf8_lossy(raw.filled()).into_owned())
    }

    #[test]
    fn a_response_becomes_text() {
        let text = read(&[(":status", "200"), ("x", "y"), ("set-cookie", "a=1")], false);
        assert_eq!(
            text.unwrap(),
            "HTTP/1.1 200 OK\r\nx: y\r\nset-cookie: a=1\r\n\r\n"
        );
    }

    /// What it is, its fields, whether nothing follows, and whether it is well-formed.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], bool, bool);

    #[test]
    fn malformed_ones_are_told_from_well_formed_ones() {
        let long = "x".repeat(200);
        let table: &[Row<'_>] = &[
            ("whole", &[(":status", "204")], true, true),
            ("early hints", &[(":status", "103")], false, true),
            ("early hints as the end", &[(":status", "103")], true, false),
            ("a switch", &[(":status", "101")], false, false),
            ("no status", &[("x", "y")], false, false),
            (
                "two of them",
                &[(":status", "200"), (":status", "200")],
                false,
                false,
            ),
            ("a short one", &[(":status", "20")], false, false),
            ("one below 100", &[(":status", "099")], false, false),
            ("a request's", &[(":status", "200"), (":path", "/")], false, false),
            (
                "one behind a field",
                &[("x", "y"), (":status", "200")],
                false,
                false,
            ),
            (
                "Connection",
                &[(":status", "200"), ("connection", "close")],
                false,
                false,
            ),
            ("white space", &[(":status", "200"), ("x", "y ")], false, false),
            (
                "no number",
                &[(":status", "200"), ("content-length", "x")],
                false,
                false,
            ),
            ("too large", &[(":status", "200"), ("x", &long)], false, false),
        ];
        for (what, fields, ended, good) in table {
            assert_eq!(read(fields, *ended).is_some(), *good, "{what}");
        }
    }
}
