//! The chunked coding (RFC 9112 §7.1), read strictly: a state machine over bytes that are handed to it.
//!
//! Extensions are checked and dropped; trailer fields are kept aside, checked, and passed on unless they may not
//! stand in a trailer section.

use super::names::forbidden_in_trailer;
use super::write;
use crate::http::buffer::Buffer;

/// Reads one chunked body.
#[derive(Debug, Default)]
pub struct ChunkedReader {
    state: State,
    /// Bytes of extensions of this body.
    extensions: u32,
    trailer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the size, after so many digits.
    Size { size: u64, digits: u8 },
    /// In the extension of a chunk of that size.
    Extension { size: u64, quote: Quote },
    /// Behind the CR of the size line.
    SizeLf { size: u64 },
    /// In a chunk with so much left.
    Data { left: u64 },
    /// Behind a chunk.
    DataCr,
    /// Behind the CR that follows a chunk.
    DataLf,
    /// In the trailer section.
    Trailer,
    /// Behind the body.
    End,
}

/// Where in a chunk extension's value: a quoted one must end on its line (RFC 9112 §7.1.1), for a reader that
/// takes the line end as part of the text would see another body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quote {
    Outside,
    Inside,
    /// Behind a backslash.
    Escaped,
}

impl Quote {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Outside, b'"') | (Self::Escaped, _) => Self::Inside,
            (Self::Inside, b'"') | (Self::Outside, _) => Self::Outside,
            (Self::Inside, b'\\') => Self::Escaped,
            (Self::Inside, _) => Self::Inside,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self::Size { size: 0, digits: 0 }
    }
}

/// What comes next in the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// After `skip` bytes of framing come `len` bytes of content. Tell [`ChunkedReader::taken`] how many were taken.
    Content {
        /// Framing before it.
        skip: usize,
        /// Content at hand.
        len: usize,
    },
    /// All bytes were framing; more are needed.
    More,
    /// After `skip` bytes the body is over.
    End {
        /// Framing.
        skip: usize,
    },
}

/// The framing is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadChunk;

impl ChunkedReader {
    /// Looks at the next bytes. Framing bytes named in the answer are used up and must not be shown again.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Piece, BadChunk> {
        let mut at = 0;
        if let State::Data { left } = self.state {
            if bytes.is_empty() {
                return Ok(Piece::More);
            }
            return Ok(Piece::Content {
                skip: 0,
                len: left.min(bytes.len() as u64) as usize,
            });
        }
        while let Some(&byte) = bytes.get(at) {
            if self.state == State::Trailer {
                at += self.read_trailer(&bytes[at..])?;
                if self.state == State::End {
                    return Ok(Piece::End { skip: at });
                }
                continue;
            }
            at += 1;
            self.state = self.step(byte)?;
            if let State::Data { left } = self.state {
                let len = left.min((bytes.len() - at) as u64) as usize;
                return Ok(if len == 0 {
                    Piece::More
                } else {
                    Piece::Content { skip: at, len }
                });
            }
        }
        Ok(if self.state == State::End {
            Piece::End { skip: 0 }
        } else {
            Piece::More
        })
    }

    /// So much of the content was taken.
    pub fn taken(&mut self, count: usize) {
        if let State::Data { left } = &mut self.state {
            *left -= count as u64;
            if *left == 0 {
                self.state = State::DataCr;
            }
        }
    }

    /// Whether the body was read to its end.
    pub fn ended(&self) -> bool {
        self.state == State::End
    }

    /// Whether trailer fields came, as far as it was read.
    pub fn has_trailer(&self) -> bool {
        self.trailer.len() > 2
    }

    /// Writes the trailer fields that may pass, without the empty line behind them.
    pub fn write_trailer(&self, out: &mut Buffer) {
        let mut headers = [httparse::EMPTY_HEADER; MOST_TRAILERS];
        if self.trailer.len() <= 2 {
            return;
        }
        // It was parsed before, at its end.
        if let Ok(httparse::Status::Complete((_, headers))) =
            httparse::parse_headers(&self.trailer, &mut headers)
        {
            for header in headers {
                if !forbidden_in_trailer(header.name.as_bytes()) {
                    write::field(out, header.name.as_bytes(), header.value);
                }
            }
        }
    }

    fn step(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // 15 digits are more than any body, and far from an overflow.
                if digits == 15 {
                    return Err(BadChunk);
                }
                State::Size {
                    size: size << 4 | u64::from(hex(byte)),
                    digits: digits + 1,
                }
            }
            // No white space before it, although §7.1.1 would have it tolerated: servers differ on it.
            (State::Size { size, digits: 1.. }, b';') => State::Extension {
                size,
                quote: Quote::Outside,
            },
            (
                State::Size { size, digits: 1.. }
                | State::Extension {
                    size,
                    quote: Quote::Outside,
                },
                b'\r',
            ) => State::SizeLf { size },
            (State::Extension { size, quote }, b'\t' | 0x20..=0x7e) => {
                self.extensions += 1;
                if self.extensions > MOST_EXTENSION_BYTES {
                    return Err(BadChunk);
                }
                State::Extension {
                    size,
                    quote: quote.after(byte),
                }
            }
            (State::SizeLf { size: 0 }, b'\n') => State::Trailer,
            (State::SizeLf { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::default(),
            _ => return Err(BadChunk),
        })
    }

    /// Takes bytes up to the next line end.
    fn read_trailer(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        let line = memchr::memchr(b'\n', bytes);
        let count = line.map_or(bytes.len(), |at| at + 1);
        if self.trailer.len() + count > MOST_TRAILER_BYTES {
            return Err(BadChunk);
        }
        self.trailer.extend_from_slice(&bytes[..count]);
        if line.is_none() {
            return Ok(count);
        }
        if !self.trailer.ends_with(b"\r\n") {
            return Err(BadChunk);
        }
        if self.trailer == b"\r\n" || self.trailer.ends_with(b"\r\n\r\n") {
            let mut headers = [httparse::EMPTY_HEADER; MOST_TRAILERS];
            match httparse::parse_headers(&self.trailer, &mut headers) {
                Ok(httparse::Status::Complete((length, _))) if length == self.trailer.len() => {}
                _ => return Err(BadChunk),
            }
            self.state = State::End;
        }
        Ok(count)
    }
}

fn hex(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}

/// Extensions are useless to us and to nearly everyone: what a whole body may spend on them (CVE-2023-39326 was a
/// server that read them without end).
const MOST_EXTENSION_BYTES: u32 = 16 * 1024;
const MOST_TRAILER_BYTES: usize = 8 * 1024;
const MOST_TRAILERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>, usize), BadChunk> {
        let mut reader = ChunkedReader::default();
        let (mut content, mut shown) = (Vec::new(), 0);
        let mut rest: Vec<u8> = Vec::new();
        loop {
            match reader.next(&rest)? {
                Piece::Content { skip, len } => {
                    content.extend_from_slice(&rest[skip..skip + len]);
                    reader.taken(len);
                    rest.drain(..skip + len);
                }
                Piece::End { skip } => {
                    let mut trailer = Buffer::default();
                    reader.write_trailer(&mut trailer);
                    return Ok((content, trailer.filled().to_vec(), shown - (rest.len() - skip)));
                }
                Piece::More => {
                    rest.clear();
                    if shown == bytes.len() {
                        return Ok((content, b"(incomplete)".to_vec(), shown));
                    }
                    let end = (shown + step).min(bytes.len());
                    rest.extend_from_slice(&bytes[shown..end]);
                    shown = end;
                }
            }
        }
    }

    fn both(bytes: &[u8]) -> Result<(Vec<u8>, Vec<u8>, usize), BadChunk> {
        let whole = decode(bytes, bytes.len());
        assert_eq!(whole, decode(bytes, 1), "{:?}", String::from_utf8_lossy(bytes));
        whole
    }

    #[test]
    fn content_extensions_and_trailers_are_told_apart() {
        let body =
            b"5;name=\"v\"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 15\r\nContent-Length: 9\r\n\r\nNEXT";
        let (content, trailer, end) = both(body).expect("valid");
        assert_eq!(content, b"hello0123456789");
        assert_eq!(trailer, b"X-Sum: 15\r\n", "framing fields don't belong there");
        assert_eq!(&body[end..], b"NEXT");
    }

    #[test]
    fn broken_framing_is_refused() {
        for (rule, bad) in [
            ("RFC 9112 §7.1 no digits", &b"\r\nhello"[..]),
            ("not hex", b"g\r\n"),
            ("sign", b"+5\r\nhello\r\n0\r\n\r\n"),
            ("0x", b"0x5\r\nhello\r\n0\r\n\r\n"),
            ("space before", b" 5\r\nhello\r\n0\r\n\r\n"),
            ("space after", b"5 \r\nhello\r\n0\r\n\r\n"),
            ("underscore", b"5_0\r\n"),
            ("too many digits", b"0000000000000005\r\nhello\r\n0\r\n\r\n"),
            ("overflow", b"ffffffffffffffff\r\n"),
            ("bare LF behind the size", b"5\nhello\r\n0\r\n\r\n"),
            ("bare CR behind the size", b"5\rhello\r\n0\r\n\r\n"),
            ("bare LF in an extension", b"5;a\nhello\r\n0\r\n\r\n"),
            (
                "control character in an extension",
                b"5;a\0\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "quoted text of an extension that does not end",
                b"5;a=\"\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "quoted text of an extension that ends in an escaped quote",
                b"5;a=\"\\\"\r\nhello\r\n0\r\n\r\n",
            ),
            ("chunk longer than said", b"5\r\nhello!\r\n0\r\n\r\n"),
            ("bare LF behind a chunk", b"5\r\nhello\n0\r\n\r\n"),
            ("bare LF behind the last chunk", b"0\n\n"),
            ("bare LF in the trailer", b"0\r\nA: b\n\r\n"),
            ("trailer without colon", b"0\r\nAb\r\n\r\n"),
            ("obs-fold in the trailer", b"0\r\nA: b\r\n c\r\n\r\n"),
        ] {
            assert_eq!(both(bad), Err(BadChunk), "{rule}");
        }
    }

    #[test]
    fn endless_extensions_and_trailers_are_refused() {
        let mut extensions = Vec::new();
        for _ in 0..9000 {
            extensions.extend_from_slice(b"1;xx\r\na\r\n");
        }
        assert_eq!(decode(&extensions, 4096), Err(BadChunk));
        let mut trailer = b"0\r\n".to_vec();
        trailer.extend(std::iter::repeat_n(b"A: bbbbbbbbbbbbbbbbbbbb\r\n", 1000).flatten());
        assert_eq!(decode(&trailer, 4096), Err(BadChunk));
    }

    #[test]
    fn an_incomplete_body_is_not_over() {
        assert_eq!(both(b"5\r\nhel").expect("valid").1, b"(incomplete)");
        assert_eq!(both(b"0\r\n").expect("valid").1, b"(incomplete)");
    }
}
