//! What comes on a request's stream: its head, content, and the trailer.

use super::frame::{Piece, Reader};
use super::head::{self, Bad};
use super::link::CANCELLED;
use super::{Code, Link};
use crate::http::sections::Trailer;
use bytes::{Buf, Bytes};
use quinn::{ReadError, RecvStream};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// The receiving side of a stream, read as bytes. What was not read stays within the stream's window.
#[derive(Debug)]
pub struct Incoming {
    stream: RecvStream,
    link: Rc<Link>,
    reader: Reader,
    /// Bytes of which no frames were made yet.
    input: Bytes,
    content: Bytes,
    /// Content that is to come, if its length was said.
    left: Option<u64>,
    over: bool,
    trailer: Option<Trailer>,
    wrong: Option<Code>,
    reset: bool,
}

/// What stood at the start of a stream.
#[derive(Debug)]
pub enum Start {
    /// A field section.
    Head(Bytes),
    /// One that is too long.
    LongHead,
    /// The stream ended without one, or the connection did.
    Nothing,
}

impl Incoming {
    /// A stream that nothing was read from yet.
    pub fn new(stream: RecvStream, link: Rc<Link>) -> Self {
        Self {
            reader: Reader::message(link.most_fields()),
            stream,
            link,
            input: Bytes::new(),
            content: Bytes::new(),
            left: None,
            over: false,
            trailer: None,
            wrong: None,
            reset: false,
        }
    }

    /// The head's field section.
    pub fn poll_start(&mut self, cx: &mut Context<'_>) -> Poll<Start> {
        loop {
            return Poll::Ready(match ready!(self.poll_piece(cx)) {
                Ok(Some(Piece::Section(section))) => Start::Head(section),
                Ok(Some(Piece::LongSection)) => Start::LongHead,
                Ok(Some(_)) => {
                    self.link.spend(1);
                    continue;
                }
                Ok(None) => {
                    self.over = true;
                    self.wrong = Some(Code::REQUEST_INCOMPLETE);
                    Start::Nothing
                }
                Err(_) => Start::Nothing,
            });
        }
    }

    /// The head said how much content there is. It is held to that (RFC 9114 §4.1.2).
    pub fn set_length(&mut self, length: Option<u64>) {
        self.left = length;
    }

    /// Whether nothing follows the head, as far as that can be told already.
    pub fn is_empty(&mut self, cx: &mut Context<'_>) -> bool {
        // A mistake shows with the next read.
        let _ = self.poll_ready(cx);
        self.over && self.wrong.is_none() && self.content.is_empty() && self.trailer.is_none()
    }

    /// What was wrong with what came, if the stream has to be reset for it.
    pub fn wrong(&self) -> Option<Code> {
        self.wrong
    }

    /// Whether the client has taken its request back.
    pub fn is_reset(&self) -> bool {
        self.reset
    }

    /// What came behind the content. Known once a read has given nothing.
    pub fn take_trailer(&mut self) -> Option<Trailer> {
        self.trailer.take()
    }

    /// Ready when a read gives something: bytes, the end, or an error.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.content.is_empty() && !self.over {
            match ready!(self.poll_piece(cx))? {
                Some(Piece::Data(data)) => {
                    if let Some(left) = &mut self.left {
                        match left.checked_sub(data.len() as u64) {
                            Some(less) => *left = less,
                            None => return Poll::Ready(Err(self.refuse(Code::MESSAGE_ERROR))),
                        }
                    }
                    self.content = data;
                }
                Some(Piece::Section(section)) => {
                    match head::read_trailer(&section, self.link.most_fields()) {
                        Ok(trailer) => self.trailer = Some(trailer),
                        Err(Bad::Section) => {
                            self.link.fail(Code::QPACK_DECOMPRESSION_FAILED);
                            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                        }
                        Err(bad) => return Poll::Ready(Err(self.refuse(bad.code()))),
                    }
                }
                Some(Piece::LongSection) => return Poll::Ready(Err(self.refuse(Code::EXCESSIVE_LOAD))),
                Some(_) => self.link.spend(1),
                None => {
                    if self.left.is_some_and(|left| left > 0) {
                        return Poll::Ready(Err(self.refuse(Code::MESSAGE_ERROR)));
                    }
                    self.over = true;
                }
            }
        }
        match self.wrong {
            Some(_) => Poll::Ready(Err(io::ErrorKind::InvalidData.into())),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Reads. Nothing read: that was all.
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while buf.remaining() > 0 {
            match self.poll_ready(cx) {
                Poll::Ready(Ok(())) if self.content.is_empty() => break,
                Poll::Ready(Ok(())) => {}
                // What was read before comes first.
                _ if !buf.filled().is_empty() => break,
                other => return other,
            }
            let count = self.content.len().min(buf.remaining());
            buf.put_slice(&self.content[..count]);
            self.content.advance(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Wants no more of it, for this reason.
    pub fn stop(&mut self, code: Code) {
        if !self.over {
            self.over = true;
            // One that is over by now needs no stopping.
            let _ = self.stream.stop(code.varint());
        }
    }

    /// The message breaks the protocol, but nothing else on the connection does.
    fn refuse(&mut self, code: Code) -> io::Error {
        self.wrong = Some(code);
        self.stop(code);
        io::ErrorKind::InvalidData.into()
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Piece>>> {
        loop {
            match self.reader.next(&mut self.input) {
                Ok(Some(piece)) => return Poll::Ready(Ok(Some(piece))),
                Ok(None) => {}
                Err(code) => {
                    self.link.fail(code);
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
            match ready!(poll_chunk(&mut self.stream, cx)) {
                Ok(Some(bytes)) => self.input = bytes,
                Ok(None) if self.reader.may_end() => return Poll::Ready(Ok(None)),
                Ok(None) => {
                    self.link.fail(Code::FRAME_ERROR);
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Err(error) => {
                    if matches!(error, ReadError::Reset(_)) && !std::mem::replace(&mut self.reset, true) {
                        self.link.spend(CANCELLED);
                    }
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
            }
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // RFC 9114 §4.1: the answer is there without the rest of the request.
        self.stop(Code::NO_ERROR);
    }
}

/// The next bytes on a stream; none: it ended.
pub fn poll_chunk(stream: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ReadError>> {
    // Holds nothing between polls.
    let reading = pin!(stream.read_chunk(usize::MAX, true));
    reading.poll(cx).map_ok(|chunk| chunk.map(|chunk| chunk.bytes))
}
