//! The streams on which a connection is spoken about (RFC 9114 §6.2): ours, and the client's.

use crate::http::h3::frame::{self, Piece, Reader};
use crate::http::h3::{Code, Link, poll_chunk, qpack, varint};
use bytes::{Bytes, BytesMut};
use quinn::{Connection, RecvStream, SendStream};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What we say.
pub(super) struct Said {
    stream: SendStream,
    waiting: BytesMut,
}

/// What the client said.
#[derive(Default)]
pub(super) struct Heard {
    control: Cell<bool>,
    encoder: Cell<bool>,
    decoder: Cell<bool>,
    goaway: Cell<Option<u64>>,
    most_push: Cell<u64>,
}

impl Said {
    /// Opens our control stream, and says our settings. QPACK's streams stay unopened: there is nothing to say on them
    /// (RFC 9204 §4.2). None: the connection is gone.
    pub async fn begin(connection: &Connection, most_fields: usize) -> Option<Self> {
        let stream = connection.open_uni().await.ok()?;
        let mut said = Self {
            stream,
            waiting: BytesMut::new(),
        };
        frame::write_control(most_fields, &mut said.waiting);
        said.send();
        Some(said)
    }

    /// Says that nothing from this stream on is served.
    pub fn goaway(&mut self, stream: u64) {
        frame::write_goaway(stream, &mut self.waiting);
        self.send();
    }

    /// Says something that means nothing (RFC 9114 §7.2.8): it is acknowledged, and so both know that the other is there.
    pub fn pulse(&mut self) {
        if self.waiting.is_empty() {
            frame::header(frame::RESERVED, 0, &mut self.waiting);
        }
        self.send();
    }

    /// What the client leaves no room for goes with the next word.
    fn send(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        while !self.waiting.is_empty() {
            match Pin::new(&mut self.stream).poll_write(&mut cx, &self.waiting) {
                Poll::Ready(Ok(count)) => drop(self.waiting.split_to(count)),
                Poll::Ready(Err(_)) | Poll::Pending => return,
            }
        }
    }
}

/// Reads a stream in one direction to its end.
pub(super) async fn read(link: Rc<Link>, heard: Rc<Heard>, mut stream: RecvStream) {
    let mut input = Bytes::new();
    // RFC 9114 §6.2: one that ends before its type is nothing to complain about.
    let Some(kind) = kind(&mut stream, &mut input).await else {
        return;
    };
    let outcome = match kind {
        frame::CONTROL_STREAM => control(&link, &heard, &mut stream, input).await,
        frame::ENCODER_STREAM => {
            qpack_stream(&heard.encoder, &mut stream, input, qpack::encoder_stream).await
        }
        frame::DECODER_STREAM => {
            let mut decoder = qpack::DecoderStream::default();
            qpack_stream(&heard.decoder, &mut stream, input, |bytes| decoder.read(bytes)).await
        }
        // RFC 9114 §6.2.2: pushes are the server's.
        frame::PUSH_STREAM => Err(Code::STREAM_CREATION_ERROR),
        _ => {
            link.spend(1);
            // One that has ended needs no stopping.
            let _ = stream.stop(Code::STREAM_CREATION_ERROR.varint());
            Ok(())
        }
    };
    if let Err(code) = outcome {
        link.fail(code);
    }
}

async fn kind(stream: &mut RecvStream, input: &mut Bytes) -> Option<u64> {
    let mut seen = BytesMut::new();
    loop {
        seen.extend_from_slice(&next(stream).await.ok()?);
        if let Some((kind, length)) = varint::read(&seen) {
            *input = seen.split_off(length).freeze();
            return Some(kind);
        }
    }
}

/// The next bytes of a stream that may not end (RFC 9114 §6.2.1, RFC 9204 §4.2).
async fn next(stream: &mut RecvStream) -> Result<Bytes, Code> {
    match poll_fn(|cx| poll_chunk(stream, cx)).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) | Err(_) => Err(Code::CLOSED_CRITICAL_STREAM),
    }
}

async fn control(link: &Link, heard: &Heard, stream: &mut RecvStream, mut input: Bytes) -> Result<(), Code> {
    if heard.control.replace(true) {
        return Err(Code::STREAM_CREATION_ERROR);
    }
    let mut reader = Reader::control();
    loop {
        while let Some(piece) = reader.next(&mut input)? {
            heard.take(&piece)?;
            if let Piece::Settings(settings) = &piece
                && let Some(most) = settings.most_fields
            {
                link.take_fields(most);
            }
            link.spend(1);
        }
        input = next(stream).await?;
    }
}

async fn qpack_stream(
    opened: &Cell<bool>,
    stream: &mut RecvStream,
    mut input: Bytes,
    mut read: impl FnMut(&[u8]) -> Result<(), Code>,
) -> Result<(), Code> {
    if opened.replace(true) {
        return Err(Code::STREAM_CREATION_ERROR);
    }
    loop {
        read(&input)?;
        input = next(stream).await?;
    }
}

impl Heard {
    fn take(&self, piece: &Piece) -> Result<(), Code> {
        match *piece {
            // RFC 9114 §5.2: it may say less, never more.
            Piece::GoAway(push) if self.goaway.get().is_some_and(|before| push > before) => {
                Err(Code::ID_ERROR)
            }
            Piece::GoAway(push) => {
                self.goaway.set(Some(push));
                Ok(())
            }
            // RFC 9114 §7.2.7: and here the other way round.
            Piece::MaxPushId(most) if most < self.most_push.get() => Err(Code::ID_ERROR),
            Piece::MaxPushId(most) => {
                self.most_push.set(most);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
