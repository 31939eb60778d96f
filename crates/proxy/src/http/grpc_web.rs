//! gRPC-Web, made into gRPC and back: what browsers send, as they can't see trailer fields and, some of them, no bytes.
//!
//! Source: grpc/doc/PROTOCOL-WEB.md. The messages are the same; trailer fields come as a last frame, and the text form is all of
//! it in base64, in pieces with padding of their own.

use super::buffer::Buffer;
use super::grpc;
use super::h1::body::BadBody;
use super::h1::{BodyReader, BodyWriter, Fields, Name, NameSet, ResponseHead, write};
use super::sections::Trailer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// How a client speaks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// In base64.
    text: bool,
    /// The media type says that messages are protocol buffers.
    proto: bool,
}

/// A call that is translated.
#[derive(Debug)]
pub struct Web {
    kind: Kind,
    decoder: Decoder,
    /// How the response is written, once its head is out and something follows.
    writer: Option<BodyWriter>,
}

impl Kind {
    /// By what a request has as its `content-type`.
    pub fn of_media_type(kind: &[u8]) -> Option<Self> {
        let end = kind.iter().position(|byte| matches!(byte, b';' | b' '));
        let media = &kind[..end.unwrap_or(kind.len())];
        KINDS
            .into_iter()
            .find(|kind| kind.media_type().as_bytes() == media)
    }

    /// The same of a request's fields.
    pub fn of(fields: &Fields, raw: &[u8]) -> Option<Self> {
        Self::of_media_type(fields.get(raw, Name::ContentType)?)
    }

    /// As the client wants it to be called.
    pub fn media_type(self) -> &'static str {
        match (self.text, self.proto) {
            (false, false) => "application/grpc-web",
            (false, true) => "application/grpc-web+proto",
            (true, false) => "application/grpc-web-text",
            (true, true) => "application/grpc-web-text+proto",
        }
    }

    /// As endpoints call it.
    fn native(self) -> &'static str {
        if self.proto {
            "application/grpc+proto"
        } else {
            grpc::MEDIA_TYPE
        }
    }

    /// Whether contents have other lengths than messages.
    pub fn is_text(self) -> bool {
        self.text
    }
}

impl Web {
    /// Makes the fields of a request those of a call of gRPC.
    pub fn of_request(kind: Kind, fields: &mut Fields, raw: &[u8]) -> Self {
        fields.set(raw, b"Content-Type", kind.native().as_bytes());
        if kind.text {
            fields.take_out(NameSet::of(&[Name::ContentLength]));
        }
        Self {
            kind,
            decoder: Decoder::default(),
            writer: None,
        }
    }

    /// Whether the request has to be read by [`Self::take`].
    pub fn decodes(&self) -> bool {
        self.kind.text
    }

    /// As [`BodyReader::transfer`], for a request in base64.
    pub fn take(
        &mut self,
        body: &mut BodyReader,
        writer: BodyWriter,
        (input, output): (&mut Buffer, &mut Buffer),
        room: usize,
        mut seen: impl FnMut(&[u8]),
    ) -> Result<u64, BadBody> {
        let mut taken = 0;
        // What the text stands for is shorter, so there is room for more than was asked for at first.
        while !body.ended() && !input.is_empty() && output.len() < room {
            let (mut coded, mut content) = (Buffer::take(), Buffer::take());
            body.transfer(BodyWriter::Plain, input, &mut coded, room - output.len(), |_| {})?;
            self.decoder.decode(coded.filled(), &mut content)?;
            seen(content.filled());
            put(content.filled(), writer, output);
            taken += content.len() as u64;
            coded.give_back();
            content.give_back();
        }
        if body.ended() {
            self.finish()?;
            if writer == BodyWriter::Chunked {
                output.extend(LAST_CHUNK);
            }
        }
        Ok(taken)
    }

    /// The request's content is over.
    pub fn finish(&self) -> Result<(), BadBody> {
        if self.decoder.held == 0 {
            Ok(())
        } else {
            Err(BadBody)
        }
    }

    /// Makes the head of a response to a call of gRPC what the client understands. Tells whether its content has to be written
    /// anew: not if there is none, or the endpoint speaks of something else.
    pub fn begins(&self, head: &mut ResponseHead, raw: &[u8], to_head: bool) -> bool {
        if !grpc::is_grpc(&head.fields, raw) {
            return false;
        }
        head.fields
            .set(raw, b"Content-Type", self.kind.media_type().as_bytes());
        let follows = head.body(to_head) != super::h1::BodyLength::Empty;
        if follows {
            head.fields.take_out(NameSet::of(&[Name::ContentLength]));
        }
        follows
    }

    /// So it is to be written.
    pub fn write_by(&mut self, writer: BodyWriter) {
        self.writer = Some(writer);
    }

    /// Whether a response is being written.
    pub fn writes(&self) -> bool {
        self.writer.is_some()
    }

    /// Writes some of its content.
    pub fn write(&self, content: &[u8], out: &mut Buffer) {
        let writer = self.writer.unwrap_or_default();
        if content.is_empty() {
            return;
        }
        if self.kind.text {
            put(STANDARD.encode(content).as_bytes(), writer, out);
        } else {
            put(content, writer, out);
        }
    }

    /// Writes its end: the trailer fields, if there are any, as a frame.
    pub fn end(&mut self, trailer: Option<&Trailer>, out: &mut Buffer) {
        if let Some(lines) = trailer.map(Trailer::lines) {
            let mut frame = vec![TRAILER];
            frame.extend(u32::try_from(lines.len()).unwrap_or(u32::MAX).to_be_bytes());
            frame.extend(lines);
            self.write(&frame, out);
        }
        if self.writer.take() == Some(BodyWriter::Chunked) {
            out.extend(LAST_CHUNK);
        }
    }
}

/// Reads base64 piece by piece. Each group of four may have padding, not the last one alone.
#[derive(Debug, Default)]
pub struct Decoder {
    group: [u8; 4],
    held: usize,
}

impl Decoder {
    /// Reads some more.
    pub fn decode(&mut self, mut text: &[u8], out: &mut Buffer) -> Result<(), BadBody> {
        while let Some((&byte, rest)) = text.split_first() {
            text = rest;
            self.group[self.held] = byte;
            self.held += 1;
            if self.held < self.group.len() {
                continue;
            }
            self.held = 0;
            let mut bytes = [0; 3];
            let count = STANDARD
                .decode_slice(self.group, &mut bytes)
                .map_err(|_| BadBody)?;
            out.extend(&bytes[..count]);
        }
        Ok(())
    }

    /// Whether there is nothing of a group that has not ended.
    pub fn is_between(&self) -> bool {
        self.held == 0
    }
}

fn put(content: &[u8], writer: BodyWriter, out: &mut Buffer) {
    match writer {
        _ if content.is_empty() => {}
        BodyWriter::Chunked => {
            write::chunk_size(out, content.len());
            out.extend(content);
            out.extend(b"\r\n");
        }
        BodyWriter::Plain | BodyWriter::Stream => out.extend(content),
        BodyWriter::Discard => {}
    }
}

const KINDS: [Kind; 4] = [
    Kind {
        text: false,
        proto: false,
    },
    Kind {
        text: false,
        proto: true,
    },
    Kind {
        text: true,
        proto: false,
    },
    Kind {
        text: true,
        proto: true,
    },
];
/// First byte of the frame with trailer fields.
const TRAILER: u8 = 0x80;
const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::h1::BodyLength;

    fn web(kind: &str) -> Web {
        Web {
            kind: Kind::of_media_type(kind.as_bytes()).expect("known"),
            decoder: Decoder::default(),
            writer: Some(BodyWriter::Stream),
        }
    }

    #[test]
    fn four_media_types_are_translated_and_no_others() {
        for kind in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpc-web-text+proto",
        ] {
            let found = Kind::of_media_type(kind.as_bytes()).expect(kind);
            assert_eq!(found.media_type(), kind);
            assert_eq!(found.is_text(), kind.contains("text"));
            assert_eq!(found.native().contains("+proto"), kind.contains("+proto"));
            assert!(Kind::of_media_type(format!("{kind}; charset=utf-8").as_bytes()).is_some());
        }
        for other in [
            "application/grpc",
            "application/grpc-web+thrift",
            "application/grpc-websocket",
            "",
        ] {
            assert_eq!(Kind::of_media_type(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_text_is_read_however_it_is_cut_and_with_padding_in_it() {
        let text = [
            STANDARD.encode(b"a"),
            STANDARD.encode(b"message"),
            STANDARD.encode(b"!!"),
        ]
        .concat();
        for size in 1..text.len() {
            let (mut web, mut output) = (web("application/grpc-web-text"), Buffer::default());
            let mut body = BodyReader::new(BodyLength::Length(text.len() as u64));
            let mut seen = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                let mut input = Buffer::default();
                input.extend(piece);
                web.take(
                    &mut body,
                    BodyWriter::Plain,
                    (&mut input, &mut output),
                    1000,
                    |content| {
                        seen.extend_from_slice(content);
                    },
                )
                .expect("valid");
            }
            assert!(body.ended());
            assert_eq!(
                (output.filled(), &*seen),
                (&b"amessage!!"[..], &b"amessage!!"[..])
            );
        }
    }

    #[test]
    fn a_text_is_taken_as_far_as_there_is_room() {
        let (mut web, mut output) = (web("application/grpc-web-text"), Buffer::default());
        let mut input = Buffer::default();
        input.extend(STANDARD.encode([b'x'; 1000]).as_bytes());
        let mut body = BodyReader::UntilClose;
        let taken = web.take(
            &mut body,
            BodyWriter::Plain,
            (&mut input, &mut output),
            700,
            |_| {},
        );
        assert!(taken == Ok(output.len() as u64) && (700..=702).contains(&output.len()));
        output.clear();
        let taken = web.take(
            &mut body,
            BodyWriter::Plain,
            (&mut input, &mut output),
            700,
            |_| {},
        );
        assert!(taken.is_ok_and(|taken| (298..=300).contains(&taken)) && input.is_empty());
    }

    #[test]
    fn a_text_that_is_none_or_ends_too_early_is_refused() {
        for text in ["AAA", "AAAAA", "A===", "====", "AA=A", "AA\r\n", "AA-_", "ä"] {
            let (mut web, mut output) = (web("application/grpc-web-text"), Buffer::default());
            let mut body = BodyReader::new(BodyLength::Length(text.len() as u64));
            let mut input = Buffer::default();
            input.extend(text.as_bytes());
            let read = web.take(
                &mut body,
                BodyWriter::Plain,
                (&mut input, &mut output),
                1000,
                |_| {},
            );
            assert!(read.is_err(), "{text}");
        }
    }

    #[test]
    fn the_trailer_is_a_frame_in_either_form() {
        let mut trailer = Trailer::default();
        trailer.push(b"grpc-status", b"0");
        let frame = b"\x80\0\0\0\x10grpc-status: 0\r\n";
        let (mut plain, mut out) = (web("application/grpc-web"), Buffer::default());
        plain.end(Some(&trailer), &mut out);
        assert_eq!(out.filled(), frame);
        assert!(!plain.writes());

        let (mut text, mut out) = (web("application/grpc-web-text"), Buffer::default());
        text.write_by(BodyWriter::Chunked);
        text.end(Some(&trailer), &mut out);
        assert_eq!(
            out.filled(),
            format!("1c\r\n{}\r\n0\r\n\r\n", STANDARD.encode(frame)).as_bytes()
        );
    }
}
