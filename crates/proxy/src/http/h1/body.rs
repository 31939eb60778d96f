//! Bodies on their way from one connection to another: read by one framing, written by another, never held as a
//! whole.

use super::chunked::{ChunkedReader, Piece};
use super::{BodyLength, write};
use crate::http::buffer::Buffer;

/// Where we are in a body that is being read.
#[derive(Debug, Default)]
pub enum BodyReader {
    /// Behind it.
    #[default]
    Ended,
    /// Behind one that had trailer fields, and they are still to be told.
    Trailed(Box<ChunkedReader>),
    /// So many bytes to come.
    Length(u64),
    /// In chunks.
    Chunked(ChunkedReader),
    /// Until the connection closes.
    UntilClose,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BodyWriter {
    /// As it is: the head said how long it is, or it ends with the connection.
    #[default]
    Plain,
    /// In chunks.
    Chunked,
    /// As it is, onto a stream that tells its end and its trailer fields beside it (HTTP/2).
    Stream,
    /// Not at all: read and dropped.
    Discard,
}

/// The body breaks its framing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadBody;

impl BodyReader {
    /// At the start of a body.
    pub fn new(length: BodyLength) -> Self {
        match length {
            BodyLength::Empty => Self::Ended,
            BodyLength::Length(length) => Self::Length(length),
            BodyLength::Chunked => Self::Chunked(ChunkedReader::default()),
            BodyLength::UntilClose | BodyLength::Stream(_) => Self::UntilClose,
        }
    }

    /// Whether it was read to its end.
    #[inline]
    pub fn ended(&self) -> bool {
        matches!(self, Self::Ended | Self::Trailed(_))
    }

    /// The connection closed. Only a body that ends so is complete then.
    pub fn closed(&mut self, writer: BodyWriter, output: &mut Buffer) -> Result<(), BadBody> {
        self.closed_with(writer, output, |_| {})
    }

    /// The same, for a body behind which trailer fields may have come: `trailer` writes their lines.
    pub fn closed_with(
        &mut self,
        writer: BodyWriter,
        output: &mut Buffer,
        trailer: impl FnOnce(&mut Buffer),
    ) -> Result<(), BadBody> {
        match self {
            Self::UntilClose => {
                self.end_with(writer, output, trailer);
                Ok(())
            }
            Self::Ended | Self::Trailed(_) => Ok(()),
            Self::Length(_) | Self::Chunked(_) => Err(BadBody),
        }
    }

    /// Bytes that can be read straight into the writer's buffer, framing being the same. 0: [`Self::transfer`] must
    /// look at them.
    #[inline]
    pub fn direct(&self, writer: BodyWriter) -> u64 {
        match (self, writer) {
            (Self::Length(left), BodyWriter::Plain | BodyWriter::Stream) => *left,
            (Self::UntilClose, BodyWriter::Plain | BodyWriter::Stream) => u64::MAX,
            _ => 0,
        }
    }

    /// So much was read directly.
    #[inline]
    pub fn direct_done(&mut self, count: usize) {
        if let Self::Length(left) = self {
            *left -= count as u64;
            if *left == 0 {
                *self = Self::Ended;
            }
        }
    }

    /// Moves what is there from `input` to `output` until the body ends, the input is used up, or `output` holds about
    /// `room` bytes. Gives the number of content bytes; `seen` is shown them on the way.
    pub fn transfer(
        &mut self,
        writer: BodyWriter,
        input: &mut Buffer,
        output: &mut Buffer,
        room: usize,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<u64, BadBody> {
        let mut moved = 0;
        while !self.ended() && output.len() < room {
            let free = room - output.len();
            let (skip, len) = match self {
                Self::Ended | Self::Trailed(_) => break,
                Self::Length(left) => (0, (*left).min(input.len() as u64) as usize),
                Self::UntilClose => (0, input.len()),
                Self::Chunked(reader) => match reader.next(input.filled()).map_err(|_| BadBody)? {
                    Piece::Content { skip, len } => (skip, len),
                    Piece::More => {
                        input.clear();
                        break;
                    }
                    Piece::End { skip } => {
                        input.consume(skip);
                        self.end(writer, output);
                        break;
                    }
                },
            };
            if len == 0 {
                break;
            }
            let count = len.min(free);
            let content = &input.filled()[skip..skip + count];
            seen(content);
            match writer {
                BodyWriter::Plain | BodyWriter::Stream => output.extend(content),
                BodyWriter::Discard => {}
                BodyWriter::Chunked => {
                    write::chunk_size(output, count);
                    output.extend(content);
                    output.extend(b"\r\n");
                }
            }
            input.consume(skip + count);
            moved += count as u64;
            match self {
                Self::Length(left) => {
                    *left -= count as u64;
                    if *left == 0 {
                        if writer == BodyWriter::Chunked {
                            self.end(writer, output);
                        } else {
                            *self = Self::Ended;
                        }
                    }
                }
                Self::Chunked(reader) => reader.taken(count),
                Self::Ended | Self::Trailed(_) | Self::UntilClose => {}
            }
        }
        Ok(moved)
    }

    fn end(&mut self, writer: BodyWriter, output: &mut Buffer) {
        self.end_with(writer, output, |_| {});
    }

    fn end_with(&mut self, writer: BodyWriter, output: &mut Buffer, trailer: impl FnOnce(&mut Buffer)) {
        if writer == BodyWriter::Chunked {
            output.extend(b"0\r\n");
            if let Self::Chunked(reader) = self {
                reader.write_trailer(output);
            }
            trailer(output);
            output.extend(b"\r\n");
        }
        *self = match self {
            Self::Chunked(reader) if writer == BodyWriter::Stream && reader.has_trailer() => {
                Self::Trailed(Box::new(std::mem::take(reader)))
            }
            _ => Self::Ended,
        };
    }

    /// The lines of trailer fields that [`BodyWriter::Stream`] leaves to be told beside the body, if there were any.
    #[inline]
    pub fn take_trailer(&mut self) -> Option<Buffer> {
        match self {
            Self::Trailed(_) => self.take_trailer_lines(),
            _ => None,
        }
    }

    #[cold]
    fn take_trailer_lines(&mut self) -> Option<Buffer> {
        let Self::Trailed(reader) = self else { return None };
        let mut lines = Buffer::default();
        reader.write_trailer(&mut lines);
        *self = Self::Ended;
        Some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::default();
        buffer.extend(bytes);
        buffer
    }

    #[test]
    fn chunks_become_plain_and_plain_becomes_chunks() {
        let (mut input, mut output) = (buffer(b"5\r\nhello\r\n0\r\n\r\nnext"), Buffer::default());
        let mut reader = BodyReader::new(BodyLength::Chunked);
        assert_eq!(
            reader.transfer(BodyWriter::Plain, &mut input, &mut output, 1000, |_| {}),
            Ok(5)
        );
        assert!(reader.ended());
        assert_eq!((input.filled(), output.filled()), (&b"next"[..], &b"hello"[..]));

        let (mut input, mut output) = (buffer(b"hello"), Buffer::default());
        let mut reader = BodyReader::new(BodyLength::UntilClose);
        assert_eq!(
            reader.transfer(BodyWriter::Chunked, &mut input, &mut output, 1000, |_| {}),
            Ok(5)
        );
        assert_eq!(reader.closed(BodyWriter::Chunked, &mut output), Ok(()));
        assert_eq!(output.filled(), b"5\r\nhello\r\n0\r\n\r\n");
    }

    #[test]
    fn trailers_pass_from_chunks_to_chunks() {
        let (mut input, mut output) = (
            buffer(b"1\r\na\r\n0\r\nSum: 1\r\nHost: b\r\n\r\n"),
            Buffer::default(),
        );
        let mut reader = BodyReader::new(BodyLength::Chunked);
        reader
            .transfer(BodyWriter::Chunked, &mut input, &mut output, 1000, |_| {})
            .expect("valid");
        assert_eq!(output.filled(), b"1\r\na\r\n0\r\nSum: 1\r\n\r\n");
    }

    #[test]
    fn what_comes_behind_the_length_stays() {
        let (mut input, mut output) = (buffer(b"hellonext"), Buffer::default());
        let mut reader = BodyReader::new(BodyLength::Length(5));
        assert_eq!(
            reader.transfer(BodyWriter::Plain, &mut input, &mut output, 3, |_| {}),
            Ok(3)
        );
        assert!(!reader.ended(), "the output was full");
        output.clear();
        assert_eq!(
            reader.transfer(BodyWriter::Plain, &mut input, &mut output, 3, |_| {}),
            Ok(2)
        );
        assert!(reader.ended());
        assert_eq!(input.filled(), b"next");
    }

    #[test]
    fn a_body_cut_short_is_broken() {
        let mut output = Buffer::default();
        assert_eq!(
            BodyReader::Length(1).closed(BodyWriter::Plain, &mut output),
            Err(BadBody)
        );
        let mut chunked = BodyReader::new(BodyLength::Chunked);
        assert_eq!(chunked.closed(BodyWriter::Chunked, &mut output), Err(BadBody));
        assert!(
            output.is_empty(),
            "no last chunk is written for a body without one"
        );
    }
}
