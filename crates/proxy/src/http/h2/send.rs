//! Frames that go.

use super::core::{Core, LAST_STREAM, signed};
use super::frame::{self, END_HEADERS, END_STREAM, HEADER, Header, MOST_PAYLOAD};
use super::hpack;
use super::table::{Failure, Key, Stream};
use crate::http::buffer::Buffer;
use crate::http::h1::{Fields, Name};
use crate::http::sections::{HeadLines, Line};
use smallvec::SmallVec;
use std::io;
use std::task::{Context, Poll};

impl Core {
    /// Writes the head of a response. `over`: nothing follows.
    pub fn respond(
        &mut self,
        key: Key,
        status: u16,
        fields: &Fields,
        raw: &[u8],
        over: bool,
    ) -> io::Result<()> {
        let stream = sendable(self.table.get(key))?;
        let id = stream.id;
        if status >= 200 {
            stream.begun = true;
            stream.sent_all = over;
        }
        self.section(id, over, |out| {
            hpack::status(out, status);
            for field in fields.iter() {
                hpack::field(
                    out,
                    field.known,
                    fields.name(raw, field),
                    fields.value(raw, field),
                );
            }
        });
        if over {
            self.sent_all(key);
        }
        Ok(())
    }

    /// Opens a stream with the request whose head is at the start of `text`. Gives its key, and the length of the head.
    pub fn request(&mut self, text: &[u8], secured: bool, over: bool) -> Result<(Key, usize), Failure> {
        if !self.takes_streams() {
            return Err(Failure::Untouched);
        }
        let id = self.next;
        self.next += 2;
        let mut stream = Stream::new(id, self.bounds.stream_window, i64::from(self.peer.window));
        stream.begun = true;
        stream.sent_all = over;
        stream.to_head = text.starts_with(b"HEAD ");
        let key = self.table.open(stream);
        let mut length = 0;
        self.section(id, over, |out| length = request_section(out, text, secured));
        Ok((key, length))
    }

    /// Tells trailer fields or the end alone, if that was not done.
    pub fn finish(&mut self, key: Key) -> io::Result<()> {
        if self.table.get(key).is_some_and(|stream| stream.sent_all) {
            return Ok(());
        }
        let stream = sendable(self.table.get(key))?;
        stream.sent_all = true;
        let (id, trailer) = (stream.id, stream.last.take());
        match trailer {
            Some(trailer) => self.section(id, true, |out| {
                for (name, value) in trailer.iter() {
                    hpack::field(out, Name::of(name), name, value);
                }
            }),
            None => frame::write(&mut self.out, frame::DATA, END_STREAM, id, &[]),
        }
        self.sent_all(key);
        Ok(())
    }

    /// Sends some of `content`, as much as the windows allow, and gives its length. `end`: it is all that there is.
    pub fn poll_data(
        &mut self,
        key: Key,
        cx: &Context<'_>,
        content: &[u8],
        end: bool,
    ) -> Poll<io::Result<usize>> {
        if content.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let most = self
            .room
            .min(signed(self.bounds.unsent.saturating_sub(self.out.len())));
        let waiting = !self.queue.is_empty();
        let stream = sendable(self.table.get(key))?;
        let called = std::mem::take(&mut stream.called);
        if !stream.begun || stream.sent_all {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if stream.room <= 0 {
            stream.watch(cx);
            if called {
                // Its turn is another's.
                self.call_next();
            }
            return Poll::Pending;
        }
        // Those that came before go first.
        if most <= 0 || waiting && !called {
            stream.watch(cx);
            if !std::mem::replace(&mut stream.queued, true) {
                self.queue.push_back(key);
            }
            if most > 0 {
                self.call_next();
            }
            return Poll::Pending;
        }
        let count = content
            .len()
            .min(MOST_PAYLOAD)
            .min(most.min(stream.room) as usize);
        let last = end && count == content.len() && stream.last.is_none();
        stream.room -= signed(count);
        stream.sent_all = last;
        let flags = if last { END_STREAM } else { 0 };
        frame::write(&mut self.out, frame::DATA, flags, stream.id, &content[..count]);
        self.room -= signed(count);
        if last {
            self.sent_all(key);
        }
        self.call();
        Poll::Ready(Ok(count))
    }

    /// Nothing more goes out on it.
    fn sent_all(&mut self, key: Key) {
        if let Some(stream) = self.table.get(key)
            && stream.is_over()
        {
            let id = stream.id;
            self.table.close(id);
        }
        self.call();
    }

    /// Writes a section, in as many frames as it needs.
    fn section(&mut self, id: u32, ends_stream: bool, lines: impl FnOnce(&mut Buffer)) {
        let out = &mut self.out;
        let start = out.len();
        out.extend(&[0; HEADER]);
        if std::mem::take(&mut self.resize) {
            hpack::resize_to_nothing(out);
        }
        lines(out);
        let length = out.len() - start - HEADER;
        let flags = if ends_stream { END_STREAM } else { 0 };
        let header = |length, kind, flags| Header {
            length,
            kind,
            flags,
            stream: id,
        };
        if length <= MOST_PAYLOAD {
            out.overwrite(
                start,
                &header(length, frame::HEADERS, flags | END_HEADERS).bytes(),
            );
        } else {
            let section = out.filled()[start + HEADER..].to_vec();
            out.truncate(start);
            let pieces = section.chunks(MOST_PAYLOAD);
            let last = pieces.len() - 1;
            for (at, piece) in pieces.enumerate() {
                let kind = if at == 0 {
                    frame::HEADERS
                } else {
                    frame::CONTINUATION
                };
                let first = if at == 0 { flags } else { 0 };
                let ends = if at == last { END_HEADERS } else { 0 };
                out.extend(&header(piece.len(), kind, first | ends).bytes());
                out.extend(piece);
            }
        }
        self.call();
    }
}

/// A stream on which something can be sent still.
fn sendable(stream: Option<&mut Stream>) -> io::Result<&mut Stream> {
    let stream = stream.ok_or(io::ErrorKind::NotConnected)?;
    match stream.failed {
        Some(failure) => Err(failure.into()),
        None => Ok(stream),
    }
}

/// A request out of the text of one of HTTP/1.1 that we wrote ourselves. An upgrade becomes an extended CONNECT
/// (RFC 8441 §5), and the key that goes with it has no meaning there. Gives the length of the text.
fn request_section(out: &mut Buffer, text: &[u8], secured: bool) -> usize {
    let (first, mut lines) = HeadLines::of(text);
    let (mut host, mut protocol) = (None, None);
    let mut fields: SmallVec<[Line<'_>; 24]> = SmallVec::new();
    for line in lines.by_ref() {
        match line.known {
            Name::Host => host = Some(line.value),
            Name::Upgrade => protocol = Some(line.value),
            // RFC 9113 §8.2.2.
            Name::Connection | Name::TransferEncoding | Name::KeepAlive | Name::ProxyConnection => {}
            _ => fields.push(line),
        }
    }
    let mut words = first.splitn(3, |&byte| byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    match method {
        _ if protocol.is_some() => hpack::pseudo(out, METHOD, b"CONNECT"),
        b"GET" => hpack::indexed(out, METHOD),
        b"POST" => hpack::indexed(out, POST),
        other => hpack::pseudo(out, METHOD, other),
    }
    hpack::indexed(out, if secured { HTTPS } else { HTTP });
    match target {
        b"/" => hpack::indexed(out, PATH),
        target => hpack::pseudo(out, PATH, target),
    }
    if let Some(host) = host {
        hpack::pseudo(out, AUTHORITY, host);
    }
    if let Some(protocol) = protocol {
        hpack::field(out, Name::Other, b":protocol", protocol);
    }
    for line in fields {
        let key = protocol.is_some() && line.name.eq_ignore_ascii_case(b"sec-websocket-key");
        if !key {
            hpack::field(out, line.known, line.name, line.value);
        }
    }
    lines.length()
}

// Rows of the static table of HPACK.
const AUTHORITY: u8 = 1;
const METHOD: u8 = 2;
const POST: u8 = 3;
const PATH: u8 = 4;
const HTTP: u8 = 6;
const HTTPS: u8 = 7;

const _: () = assert!(LAST_STREAM % 2 == 1);
