//! Field sections (RFC 9204) without the dynamic table: we offer no room for one (`SETTINGS_QPACK_MAX_TABLE_CAPACITY` 0)
//! and use none of the peer's, so that no section ever waits for another stream.

use super::code::Code;
use super::table::TABLE;
use crate::http::sections::{FIELD_OVERHEAD, Kind};
use crate::http::{huffman, prefixed};
use bytes::{BufMut, BytesMut};
use hashbrown::HashMap;
use std::sync::LazyLock;

/// Why a section can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// It breaks the format, or refers to what is not there: the connection can't go on (RFC 9204 §2.2.3).
    Format,
    /// Decoded, it is larger than the limit.
    TooLarge,
}

/// Reads a section and tells its fields in order. `limit`: what all of them may come to, with 32 bytes for each
/// (RFC 9114 §4.2.2).
pub fn decode(
    section: &[u8],
    limit: usize,
    mut field: impl FnMut(Kind, &[u8], &[u8]),
) -> Result<(), Unreadable> {
    let mut input = Input { rest: section };
    // RFC 9204 §4.5.1: without a dynamic table both are 0, the sign may be anything.
    let insert_count = input.integer(8).ok_or(Unreadable::Format)?;
    let base = input.integer(7).ok_or(Unreadable::Format)?;
    if insert_count != 0 || base != 0 {
        return Err(Unreadable::Format);
    }
    let mut left = limit;
    let (mut name_room, mut value_room) = (Vec::new(), Vec::new());
    while let Some(&first) = input.rest.first() {
        let line = input.line(first, &mut name_room, &mut value_room);
        let (name, value) = line.ok_or(Unreadable::Format)?;
        left = left
            .checked_sub(name.len() + value.len() + FIELD_OVERHEAD)
            .ok_or(Unreadable::TooLarge)?;
        field(Kind::of(name, value), name, value);
    }
    Ok(())
}

/// The start of every section that we write (RFC 9204 §4.5.1).
pub fn begin(out: &mut BytesMut) {
    out.put_slice(&[0, 0]);
}

/// Writes a field line.
pub fn encode(name: &[u8], value: &[u8], out: &mut BytesMut) {
    match INDEX.get(name) {
        Some(known) => {
            let same = |&&index: &&u8| TABLE[usize::from(index)].1.as_bytes() == value;
            if let Some(&index) = known.iter().find(same) {
                // RFC 9204 §4.5.2.
                return integer(0xc0, 6, usize::from(index), out);
            }
            // RFC 9204 §4.5.4. Values of these shall not be put into any table on the way.
            let never = matches!(name, b"authorization" | b"cookie" | b"set-cookie");
            integer(if never { 0x70 } else { 0x50 }, 4, usize::from(known[0]), out);
        }
        None => {
            // RFC 9204 §4.5.6.
            integer(0x20, 3, name.len(), out);
            out.put_slice(name);
        }
    }
    integer(0, 7, value.len(), out);
    out.put_slice(value);
}

/// What the peer says on its encoder stream (RFC 9204 §4.3): without a table, only that it has none.
pub fn encoder_stream(bytes: &[u8]) -> Result<(), Code> {
    let no_table = |&byte: &u8| byte == SET_CAPACITY_0;
    if bytes.iter().all(no_table) {
        Ok(())
    } else {
        Err(Code::QPACK_ENCODER_STREAM_ERROR)
    }
}

/// What the peer says on its decoder stream (RFC 9204 §4.4): that it gave up reading a stream, which is nothing to who
/// has no table.
#[derive(Debug, Default)]
pub struct DecoderStream {
    /// Bytes so far of a number that goes on; 0: none does.
    within: u8,
}

impl DecoderStream {
    /// Reads on.
    pub fn read(&mut self, bytes: &[u8]) -> Result<(), Code> {
        for &byte in bytes {
            let more = match self.within {
                0 if byte & 0xc0 != CANCELLATION => return Err(Code::QPACK_DECODER_STREAM_ERROR),
                0 => byte & 0x3f == 0x3f,
                MOST_INTEGER => return Err(Code::QPACK_DECODER_STREAM_ERROR),
                _ => byte & 0x80 != 0,
            };
            self.within = if more { self.within + 1 } else { 0 };
        }
        Ok(())
    }
}

/// What is left of a section.
struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    /// A field line that begins with `first`.
    fn line<'r>(
        &mut self,
        first: u8,
        name_room: &'r mut Vec<u8>,
        value_room: &'r mut Vec<u8>,
    ) -> Option<(&'r [u8], &'r [u8])>
    where
        'a: 'r,
    {
        match first {
            // RFC 9204 §4.5.2: 1 T index. T: in the static table.
            0xc0.. => {
                let (name, value) = TABLE.get(usize::try_from(self.integer(6)?).ok()?)?;
                Some((name.as_bytes(), value.as_bytes()))
            }
            // §4.5.4: 01 N T index.
            0x50..=0x5f | 0x70..=0x7f => {
                let (name, _) = TABLE.get(usize::try_from(self.integer(4)?).ok()?)?;
                Some((name.as_bytes(), self.text(7, value_room)?))
            }
            // §4.5.6: 001 N H length.
            0x20..=0x3f => {
                let name = self.text(3, name_room)?;
                Some((name, self.text(7, value_room)?))
            }
            // What refers to the dynamic table.
            _ => None,
        }
    }

    /// A string behind a length of so many bits (RFC 9204 §4.1.2). The bit above says whether it is compressed.
    fn text<'r>(&mut self, bits: u32, room: &'r mut Vec<u8>) -> Option<&'r [u8]>
    where
        'a: 'r,
    {
        let compressed = self.rest.first()? >> bits & 1 == 1;
        let length = usize::try_from(self.integer(bits)?).ok()?;
        let text = self.rest.get(..length)?;
        self.rest = &self.rest[length..];
        if !compressed {
            return Some(text);
        }
        room.clear();
        huffman::decode(text, room)?;
        Some(room)
    }

    /// An integer in the last `bits` bits of a byte, and in those behind it if it is large (RFC 7541 §5.1).
    fn integer(&mut self, bits: u32) -> Option<u64> {
        prefixed::read(&mut self.rest, bits)
    }
}

fn integer(pattern: u8, bits: u32, value: usize, out: &mut BytesMut) {
    prefixed::write(pattern, bits, value, |byte| out.put_u8(byte));
}

/// Where a name stands in the static table.
static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let mut index = Index::default();
    for (at, (name, _)) in (0..).zip(&TABLE) {
        index.entry(name.as_bytes()).or_default().push(at);
    }
    index
});

type Index = HashMap<&'static [u8], Vec<u8>, foldhash::fast::RandomState>;

const SET_CAPACITY_0: u8 = 0x20;
const CANCELLATION: u8 = 0x40;
/// Bytes of an integer with 62 bits at most.
const MOST_INTEGER: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    type Lines = Vec<(String, String)>;

    fn read(section: &[u8]) -> Result<Lines, Unreadable> {
        let mut lines = Vec::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decode(section, 1000, |_, name, value| {
            lines.push((text(name), text(value)));
        })?;
        Ok(lines)
    }

    #[test]
    fn what_is_written_is_read_again() {
        let long = "x".repeat(300);
        let fields = [
            (":status", "200"),
            (":status", "418"),
            ("content-type", "text/html; charset=utf-8"),
            ("content-type", "a/b"),
            ("x-own", ""),
            ("a-name-that-is-longer-than-what-fits", "v"),
            ("cookie", "a=1"),
            ("access-control-allow-headers", "*"),
            ("etag", &long),
        ];
        let mut out = BytesMut::new();
        begin(&mut out);
        for (name, value) in fields {
            encode(name.as_bytes(), value.as_bytes(), &mut out);
        }
        let expected: Lines = fields
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        assert_eq!(read(&out), Ok(expected));
        assert_eq!(out[2..4], [0xc0 | 0x19, 0x5f], "a known field, and a known name");
    }

    #[test]
    fn sections_that_break_the_format_are_told_from_those_that_are_too_large() {
        let table: &[(&str, &[u8], Result<usize, Unreadable>)] = &[
            ("nothing in it", &[0, 0], Ok(0)),
            ("B.1 of the RFC", b"\x00\x00\x51\x0b/index.html", Ok(1)),
            ("a compressed value", &[0, 0, 0x50, 0x82, 0x64, 0x02], Ok(1)),
            ("no prefix", &[], Err(Unreadable::Format)),
            ("half a prefix", &[0], Err(Unreadable::Format)),
            ("an insert count", &[1, 0], Err(Unreadable::Format)),
            ("a base", &[0, 1], Err(Unreadable::Format)),
            (
                "an indexed line of the dynamic table",
                &[0, 0, 0x80],
                Err(Unreadable::Format),
            ),
            ("one behind the base", &[0, 0, 0x10], Err(Unreadable::Format)),
            (
                "a name of the dynamic table",
                &[0, 0, 0x40, 0],
                Err(Unreadable::Format),
            ),
            (
                "a name of it behind the base",
                &[0, 0, 0x00, 0],
                Err(Unreadable::Format),
            ),
            (
                "beyond the static table",
                &[0, 0, 0xff, 36],
                Err(Unreadable::Format),
            ),
            ("the last of the static table", &[0, 0, 0xff, 35], Ok(1)),
            (
                "a number without end",
                &[0, 0, 0xff, 0x80, 0x80],
                Err(Unreadable::Format),
            ),
            (
                "a number beyond 62 bits",
                &[
                    0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
                ],
                Err(Unreadable::Format),
            ),
            (
                "a string that is cut",
                &[0, 0, 0x51, 5, b'/'],
                Err(Unreadable::Format),
            ),
            ("bad Huffman", &[0, 0, 0x51, 0x81, 0xff], Err(Unreadable::Format)),
            ("no value", &[0, 0, 0x21, b'a'], Err(Unreadable::Format)),
        ];
        for (what, section, expected) in table {
            assert_eq!(read(section).map(|lines| lines.len()), *expected, "{what}");
        }
        let many = [&[0, 0][..], &[0xc0 | 0x11; 30]].concat();
        assert_eq!(read(&many), Err(Unreadable::TooLarge));
    }

    #[test]
    fn the_peers_own_streams_have_little_to_say() {
        assert_eq!(encoder_stream(&[0x20, 0x20]), Ok(()));
        for bad in [0x21, 0x3f, 0x00, 0x80, 0xc0, 0x40] {
            assert_eq!(
                encoder_stream(&[bad]),
                Err(Code::QPACK_ENCODER_STREAM_ERROR),
                "{bad:x}"
            );
        }
        let mut stream = DecoderStream::default();
        assert_eq!(stream.read(&[0x40, 0x44, 0x7f]), Ok(()));
        assert_eq!(stream.read(&[0x80, 0x01, 0x7e]), Ok(()));
        for bad in [0x00, 0x01, 0x80, 0x84] {
            assert_eq!(
                DecoderStream::default().read(&[bad]),
                Err(Code::QPACK_DECODER_STREAM_ERROR),
                "{bad:x}"
            );
        }
        let endless = [&[0x7f][..], &[0xff; 12]].concat();
        assert_eq!(
            DecoderStream::default().read(&endless),
            Err(Code::QPACK_DECODER_STREAM_ERROR)
        );
    }
}
