//! Reads one response, and holds its status and length against what the origin sent.

use super::connection::Stream;
use std::io;
use tokio::io::AsyncReadExt as _;

/// Reads it all. `buffer` is scratch.
pub async fn read(stream: &mut dyn Stream, buffer: &mut [u8], expected: u64) -> io::Result<()> {
    let mut filled = 0;
    let (head, framing) = loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "closed without an answer",
            ));
        }
        filled += read;
        if let Some(found) = head(&buffer[..filled])? {
            break found;
        }
    };
    let mut body = Body::new(framing);
    body.feed(&buffer[head..filled])?;
    while !body.whole() {
        let read = stream.read(buffer).await?;
        if read == 0 {
            return Err(io::Error::other("closed in mid-answer"));
        }
        body.feed(&buffer[..read])?;
    }
    if body.seen == expected {
        Ok(())
    } else {
        Err(io::Error::other(format!(
            "{} bytes of body instead of {expected}",
            body.seen
        )))
    }
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length(u64),
    Chunked,
}

/// Length of the head and framing of the body, once the head is whole.
fn head(bytes: &[u8]) -> io::Result<Option<(usize, Framing)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = response.parse(bytes).map_err(io::Error::other)? else {
        return Ok(None);
    };
    if response.code != Some(200) {
        return Err(io::Error::other(format!("status {:?}", response.code)));
    }
    let field = |name: &str| {
        let field = response
            .headers
            .iter()
            .find(|field| field.name.eq_ignore_ascii_case(name));
        field.and_then(|field| std::str::from_utf8(field.value).ok())
    };
    let framing = match field("content-length").map(str::parse) {
        Some(Ok(length)) => Framing::Length(length),
        _ if field("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) => {
            Framing::Chunked
        }
        _ => return Err(io::Error::other("an answer without a length")),
    };
    Ok(Some((length, framing)))
}

/// A body while it comes in.
struct Body {
    /// Bytes of content so far.
    seen: u64,
    state: State,
}

#[derive(Debug, PartialEq)]
enum State {
    /// So many bytes to come, then nothing.
    Length(u64),
    /// In a line with a chunk's size: the size so far, and whether its digits are over.
    Size(u64, bool),
    /// In a chunk: so many bytes to come, with the line end behind them.
    Chunk(u64),
    /// In the last line (no trailers are sent by the origin): bytes to come.
    Last(u64),
    Whole,
}

impl Body {
    fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Whole,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size(0, false),
        };
        Self { seen: 0, state }
    }

    fn whole(&self) -> bool {
        self.state == State::Whole
    }

    fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(&first) = bytes.first() {
            let mut used = 1;
            self.state = match self.state {
                State::Whole => return Err(io::Error::other("bytes behind the answer")),
                State::Length(left) => {
                    used = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    self.seen += used as u64;
                    match left - used as u64 {
                        0 => State::Whole,
                        left => State::Length(left),
                    }
                }
                State::Chunk(left) => {
                    used = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    // Two of them are the line end.
                    let content = left.saturating_sub(2).min(used as u64);
                    self.seen += content;
                    match left - used as u64 {
                        0 => State::Size(0, false),
                        left => State::Chunk(left),
                    }
                }
                State::Last(left) => match left - 1 {
                    0 => State::Whole,
                    left => State::Last(left),
                },
                State::Size(size, over) => match (first, char::from(first).to_digit(16)) {
                    (b'\n', _) if size == 0 => State::Last(2),
                    (b'\n', _) => State::Chunk(size + 2),
                    (_, Some(digit)) if !over => State::Size(size * 16 + u64::from(digit), false),
                    _ => State::Size(size, true),
                },
            };
            bytes = &bytes[used..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(parts: &[&str]) -> (u64, bool) {
        let mut body = Body::new(Framing::Chunked);
        for part in parts {
            body.feed(part.as_bytes()).expect("well formed");
        }
        (body.seen, body.whole())
    }

    #[test]
    fn chunks_are_counted_wherever_reads_cut_them() {
        let text = "3\r\nabc\r\na;x=1\r\n0123456789\r\n0\r\n\r\n";
        for cut in 0..text.len() {
            assert_eq!(chunked(&[&text[..cut], &text[cut..]]), (13, true), "cut at {cut}");
        }
    }

    #[test]
    fn a_body_is_not_whole_before_its_last_chunk() {
        assert_eq!(chunked(&["3\r\nabc\r\n"]), (3, false));
    }

    #[test]
    fn bytes_behind_the_answer_are_an_error() {
        let mut body = Body::new(Framing::Length(2));
        assert!(body.feed(b"abc").is_err());
    }

    #[test]
    fn a_status_other_than_200_is_an_error() {
        assert!(head(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n").is_err());
    }

    #[test]
    fn a_head_says_where_it_ends_and_how_long_the_body_is() {
        let found = head(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").expect("well formed");
        assert_eq!(found, Some((38, Framing::Length(3))));
        assert_eq!(
            head(b"HTTP/1.1 200 OK\r\nconte").expect("so far well formed"),
            None
        );
    }
}
