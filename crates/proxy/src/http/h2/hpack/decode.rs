//! Sections that come.

use super::dynamic::{LARGEST, Table};
use super::fixed::TABLE;
use crate::http::sections::{FIELD_OVERHEAD, Kind};
use crate::http::{huffman, prefixed};

/// Decodes the sections of one connection, in the order in which they come.
#[derive(Debug)]
pub struct Decoder {
    table: Table,
}

/// Why a section can't be read. Nobody knows then what the ones behind it would mean (RFC 9113 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// It breaks the format.
    Format,
    /// It stands for far more than may be sent: few bytes that are meant to become many.
    Bomb,
}

impl Decoder {
    /// For a connection on which nothing came.
    pub fn new() -> Self {
        Self {
            table: Table::new(LARGEST),
        }
    }

    /// Decodes a section and tells its lines in order, until they come to more than `most`, with [`FIELD_OVERHEAD`] for each.
    pub fn decode(
        &mut self,
        section: &[u8],
        most: usize,
        mut line: impl FnMut(Kind, &[u8], &[u8]),
    ) -> Result<(), Broken> {
        let mut rest = section;
        let mut left = most;
        let mut line = |kind: Kind, name: &[u8], value: &[u8]| {
            let size = name.len() + value.len() + FIELD_OVERHEAD;
            left = left.checked_sub(size).ok_or(Broken::Bomb)?;
            line(kind, name, value);
            Ok(())
        };
        let mut started = false;
        while let Some(&first) = rest.first() {
            match first {
                // RFC 7541 §6.1: both are in a table.
                0x80.. => {
                    let (kind, name, value) = self.indexed(index(&mut rest, 7)?)?;
                    line(kind, name, value)?;
                }
                // §6.2.1: to be put into it.
                0x40.. => self.literal(&mut rest, 6, true, &mut line)?,
                // §6.3, before all others.
                0x20.. if started => return Err(Broken::Format),
                0x20.. => {
                    let most = index(&mut rest, 5)?;
                    if most > LARGEST {
                        return Err(Broken::Format);
                    }
                    self.table.resize(most);
                    continue;
                }
                // §6.2.2, §6.2.3.
                _ => self.literal(&mut rest, 4, false, &mut line)?,
            }
            started = true;
        }
        Ok(())
    }

    #[inline]
    fn indexed(&self, index: usize) -> Result<(Kind, &[u8], &[u8]), Broken> {
        let index = index.checked_sub(1).ok_or(Broken::Format)?;
        match TABLE.get(index) {
            Some(&(name, value, kind)) => Ok((kind, name.as_bytes(), value.as_bytes())),
            None => self.table.get(index - TABLE.len()).ok_or(Broken::Format),
        }
    }

    fn literal(
        &mut self,
        rest: &mut &[u8],
        bits: u32,
        remember: bool,
        line: &mut impl FnMut(Kind, &[u8], &[u8]) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let named = index(rest, bits)?;
        let (mut name_room, mut value_room) = (Vec::new(), Vec::new());
        let name = match named.checked_sub(1) {
            None => text(rest, &mut name_room)?,
            Some(at) => match TABLE.get(at) {
                Some((name, ..)) => name.as_bytes(),
                None => {
                    let (_, name, _) = self.table.get(at - TABLE.len()).ok_or(Broken::Format)?;
                    // Putting the line in may take the one away whose name this is.
                    name_room.extend_from_slice(name);
                    &name_room
                }
            },
        };
        let value = text(rest, &mut value_room)?;
        let kind = Kind::of(name, value);
        line(kind, name, value)?;
        if remember {
            self.table.insert(kind, name, value);
        }
        Ok(())
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

fn index(rest: &mut &[u8], bits: u32) -> Result<usize, Broken> {
    prefixed::read(rest, bits)
        .and_then(|index| usize::try_from(index).ok())
        .ok_or(Broken::Format)
}

/// A string (RFC 7541 §5.2).
fn text<'r, 's: 'r>(rest: &mut &'s [u8], room: &'r mut Vec<u8>) -> Result<&'r [u8], Broken> {
    let compressed = rest.first().ok_or(Broken::Format)? & 0x80 != 0;
    let length = index(rest, 7)?;
    let (text, behind) = rest.split_at_checked(length).ok_or(Broken::Format)?;
    *rest = behind;
    if !compressed {
        return Ok(text);
    }
    room.reserve(length + length / 2);
    huffman::decode(text, room).ok_or(Broken::Format)?;
    Ok(room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn read(decoder: &mut Decoder, section: &[u8]) -> Result<String, Broken> {
        let mut text = String::new();
        decoder.decode(section, 1000, |_, name, value| {
            let words = [name, value].map(|word| String::from_utf8_lossy(word).into_owned());
            text.extend([&words[0], "=", &words[1], " "]);
        })?;
        Ok(text)
    }

    /// RFC 7541 C.3 and C.4: the same three requests, without and with Huffman's code.
    #[test]
    fn the_examples_of_the_rfc_are_read() {
        let expected = [
            ":method=GET :scheme=http :path=/ :authority=www.example.com ",
            ":method=GET :scheme=http :path=/ :authority=www.example.com cache-control=no-cache ",
            ":method=GET :scheme=https :path=/index.html :authority=www.example.com custom-key=custom-value ",
        ];
        let plain = [
            "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
            "8286 84be 5808 6e6f 2d63 6163 6865",
            "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
        ];
        let compressed = [
            "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
            "8286 84be 5886 a8eb 1064 9cbf",
            "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
        ];
        for sections in [plain, compressed] {
            let mut decoder = Decoder::new();
            for (section, expected) in sections.iter().zip(expected) {
                assert_eq!(read(&mut decoder, &hex(section)).as_deref(), Ok(expected));
            }
        }
    }

    #[test]
    fn sections_that_break_the_format_are_refused() {
        let table: &[(&str, &[u8])] = &[
            ("index 0", &[0x80]),
            ("beyond both tables", &[0xff, 0x00]),
            ("a name beyond both tables", &[0x7f, 0x00, 0x01, b'a']),
            ("a table larger than allowed", &[0x3f, 0xe2, 0x1f]),
            ("a size behind a line", &[0x82, 0x20]),
            ("a number without end", &[0xff, 0xff, 0xff]),
            ("a string that is cut", &[0x41, 5, b'a']),
            ("no value", &[0x41]),
            ("bad Huffman", &[0x41, 0x81, 0x00]),
        ];
        for (what, section) in table {
            assert_eq!(read(&mut Decoder::new(), section), Err(Broken::Format), "{what}");
        }
        assert_eq!(
            read(&mut Decoder::new(), &[0x20, 0x3f, 0xe1, 0x1f]),
            Ok(String::new())
        );
    }

    #[test]
    fn few_bytes_that_stand_for_many_are_refused() {
        let mut decoder = Decoder::new();
        let large = [&[0x40, 1, b'a', 100][..], &[b'b'; 100]].concat();
        assert!(read(&mut decoder, &large).is_ok());
        assert!(read(&mut decoder, &[0xbe; 7]).is_ok());
        assert_eq!(read(&mut decoder, &[0xbe; 8]), Err(Broken::Bomb));
    }

    #[test]
    fn a_name_that_goes_when_its_line_comes_in_is_kept_for_it() {
        let mut decoder = Decoder::new();
        let line = [&[0x20, 0x3f, 0x09, 0x40, 1, b'a', 1][..], b"b"].concat();
        // Room for 40 bytes: one entry.
        assert_eq!(read(&mut decoder, &line).as_deref(), Ok("a=b "));
        assert_eq!(read(&mut decoder, &[0x7e, 1, b'c']).as_deref(), Ok("a=c "));
        assert_eq!(read(&mut decoder, &[0xbe]).as_deref(), Ok("a=c "));
        assert_eq!(read(&mut decoder, &[0xbf]), Err(Broken::Format));
    }
}
