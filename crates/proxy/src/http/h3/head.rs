//! Field sections made into heads (RFC 9114 §4.2, §4.3), and heads into field sections.

use super::qpack::{self, Unreadable};
use super::{Code, frame};
use crate::http::h1::Fields;
use crate::http::sections::{FIELD_OVERHEAD, RequestReader, Trailer, TrailerReader};
use bytes::{BufMut, BytesMut};

/// Why there is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// The stream is reset (RFC 9114 §4.1.2).
    Message,
    /// The connection is closed.
    Section,
    /// It is answered with 431.
    TooLarge,
}

/// Tells a reader the lines of a request's head.
pub fn read_request(section: &[u8], limit: usize, reader: &mut RequestReader<'_>) -> Result<(), Bad> {
    let read = qpack::decode(section, limit, |kind, name, value| reader.take(kind, name, value));
    read.map_err(Bad::from)
}

/// Trailer fields.
pub fn read_trailer(section: &[u8], limit: usize) -> Result<Trailer, Bad> {
    let mut reader = TrailerReader::new(limit);
    qpack::decode(section, limit, |kind, name, value| reader.take(kind, name, value))?;
    reader.finish().ok_or(Bad::Message)
}

/// Writes a response's head, whose text is `raw`.
pub fn write_response(status: u16, fields: &Fields, raw: &[u8], out: &mut BytesMut) {
    let digits = [status / 100 % 10, status / 10 % 10, status % 10].map(|digit| b'0' + digit as u8);
    let own = fields
        .iter()
        .map(|field| (fields.name(raw, field), fields.value(raw, field)));
    write(std::iter::once((&b":status"[..], &digits[..])).chain(own), out);
}

/// Writes trailer fields.
pub fn write_trailer(trailer: &Trailer, out: &mut BytesMut) {
    write(trailer.iter(), out);
}

fn write<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>, out: &mut BytesMut) {
    let mut section = BytesMut::with_capacity(256);
    qpack::begin(&mut section);
    for (name, value) in fields {
        // RFC 9114 §4.2: small letters only.
        if name.iter().any(u8::is_ascii_uppercase) {
            qpack::encode(&name.to_ascii_lowercase(), value, &mut section);
        } else {
            qpack::encode(name, value, &mut section);
        }
    }
    frame::header(frame::HEADERS, section.len(), out);
    out.put(section);
}

/// What the field section of a response comes to, as RFC 9114 §4.2.2 counts.
pub fn response_size(fields: &Fields, raw: &[u8]) -> usize {
    let sizes = fields
        .iter()
        .map(|field| fields.name(raw, field).len() + fields.value(raw, field).len() + FIELD_OVERHEAD);
    sizes.sum::<usize>() + ":status".len() + "200".len() + FIELD_OVERHEAD
}

impl From<Unreadable> for Bad {
    fn from(why: Unreadable) -> Self {
        match why {
            Unreadable::Format => Self::Section,
            Unreadable::TooLarge => Self::TooLarge,
        }
    }
}

impl Bad {
    /// The code that goes with it.
    pub fn code(self) -> Code {
        match self {
            Self::Message => Code::MESSAGE_ERROR,
            Self::Section => Code::QPACK_DECOMPRESSION_FAILED,
            Self::TooLarge => Code::EXCESSIVE_LOAD,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::buffer::Buffer;
    use crate::http::h1::{RequestHead, Version};

    fn section(fields: &[(&str, &str)]) -> BytesMut {
        let mut out = BytesMut::new();
        qpack::begin(&mut out);
        for (name, value) in fields {
            qpack::encode(name.as_bytes(), value.as_bytes(), &mut out);
        }
        out
    }

    fn read(section: &[u8], limit: usize) -> Result<String, Bad> {
        let (mut raw, mut head) = (Buffer::default(), RequestHead::default());
        let limits = ir::Limits::default();
        let mut reader = RequestReader::new(Version::Http3, &limits, &mut raw, &mut head);
        read_request(section, limit, &mut reader)?;
        reader.finish(true, String::new).map_err(|_| Bad::Message)?;
        Ok(String::from_utf8_lossy(raw.filled()).into_owned())
    }

    const GET: [(&str, &str); 5] = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "a.example"),
        (":path", "/x?y"),
        ("accept", "*/*"),
    ];

    #[test]
    fn requests_and_trailers_are_read() {
        let text = read(&section(&GET), 1000).unwrap();
        assert_eq!(text, "GET /x?y HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\n");
        assert_eq!(read(&section(&GET), 100), Err(Bad::TooLarge));
        assert_eq!(read(&[0, 0, 0x80], 100), Err(Bad::Section));
        assert_eq!(read(&section(&GET[1..]), 1000), Err(Bad::Message));
        assert_eq!(read_trailer(&section(&GET), 1000), Err(Bad::Message));
        assert_eq!(
            read_trailer(&section(&[("a", "b")]), 1000).unwrap().lines(),
            b"a: b\r\n"
        );
    }

    #[test]
    fn names_go_out_in_small_letters() {
        let mut fields = Fields::default();
        fields.push(b"X-Own", b"Value");
        let mut out = BytesMut::new();
        write_response(200, &fields, b"", &mut out);
        assert!(out.ends_with(b"x-own\x05Value"));
    }
}
