//! Sections that come, made into what they are: a request, a response, a trailer, or nothing that anybody wants.

use super::Reason;
use super::core::{Core, Role};
use super::frame;

use super::hpack::Broken;
use super::receive::Section;
use super::table::{Key, Stream};
use crate::http::h1::Version;
use crate::http::sections::{
    RequestReader, RequestText, ResponseReader, ResponseText, TrailerReader, Unread,
};

/// A request that opened a stream.
#[derive(Debug)]
pub struct Opened {
    pub key: Key,
    pub asked: Box<RequestText>,
    /// Why it can't be served, if it can't.
    pub unread: Option<Unread>,
}

impl Core {
    /// Reads a section. What opens a stream is given back. `key` makes one for a WebSocket (RFC 6455 §4.1).
    pub fn read(
        &mut self,
        section: Section<'_>,
        limits: &ir::Limits,
        key: &dyn Fn() -> String,
    ) -> Result<Option<Opened>, Reason> {
        match self.table.find(section.id) {
            Some(at) => {
                let answer = self.table.get(at).is_some_and(|stream| !stream.answered);
                if answer && self.role == Role::Client {
                    self.response(at, section)?;
                } else {
                    self.trailer(at, section)?;
                }
                Ok(None)
            }
            None if self.opens(section.id)? => self.open(section, limits, key),
            None => {
                // What it puts into the table is referred to by others.
                self.decoder
                    .decode(section.bytes, self.most(), |_, _, _| {})
                    .map_err(broken)?;
                Ok(None)
            }
        }
    }

    /// What a section may stand for. One that is larger than was allowed is answered, up to here.
    fn most(&self) -> usize {
        self.bounds.section as usize * 4
    }

    fn open(
        &mut self,
        section: Section<'_>,
        limits: &ir::Limits,
        key: &dyn Fn() -> String,
    ) -> Result<Option<Opened>, Reason> {
        let most = self.most();
        let mut asked = RequestText::take();
        let mut reader = RequestReader::new(Version::Http2, limits, &mut asked.raw, &mut asked.head);
        let decoded = self.decoder.decode(section.bytes, most, |kind, name, value| {
            reader.take(kind, name, value);
        });
        decoded.map_err(broken)?;
        let length = reader.length();
        let mut outcome = reader.finish(section.ends_stream, key);
        if section.ends_stream && length.is_some_and(|length| length > 0) {
            // RFC 9113 §8.1.1: there is less content than it says.
            outcome = Err(Unread::Malformed);
        }
        if outcome == Err(Unread::Malformed) {
            asked.give_back();
            self.mistake(section.id, Reason::PROTOCOL_ERROR)?;
            return Ok(None);
        }
        if self.table.count() >= self.bounds.streams as usize {
            asked.give_back();
            // §5.1.2: it can be asked again.
            frame::reset(&mut self.out, section.id, Reason::REFUSED_STREAM);
            self.remember(section.id);
            return Ok(None);
        }
        let mut stream = Stream::new(section.id, self.bounds.stream_window, i64::from(self.peer.window));
        stream.got_all = section.ends_stream;
        stream.expected = length;
        Ok(Some(Opened {
            key: self.table.open(stream),
            asked,
            unread: outcome.err(),
        }))
    }

    fn response(&mut self, at: Key, section: Section<'_>) -> Result<(), Reason> {
        let most = self.most();
        let mut answered = ResponseText::take();
        let limit = self.bounds.section as usize;
        let mut reader = ResponseReader::new(&mut answered.raw, &mut answered.head, limit);
        let decoded = self.decoder.decode(section.bytes, most, |kind, name, value| {
            reader.take(kind, name, value);
        });
        decoded.map_err(broken)?;
        let length = reader.length();
        let good = reader.finish(section.ends_stream);
        let Some(stream) = self.table.get(at) else {
            return Ok(());
        };
        let bodiless = stream.to_head || matches!(answered.head.status, 204 | 304);
        let whole = !section.ends_stream || bodiless || length.is_none_or(|length| length == 0);
        if !good || !whole || stream.answers.len() >= MOST_ANSWERS {
            answered.give_back();
            return self.mistake(section.id, Reason::PROTOCOL_ERROR);
        }
        if !answered.head.is_interim() {
            stream.answered = true;
            stream.expected = if bodiless { Some(0) } else { length };
            stream.got_all = section.ends_stream;
        }
        stream.answers.push(answered);
        stream.wake();
        if stream.is_over() {
            self.table.close(section.id);
        }
        Ok(())
    }

    fn trailer(&mut self, at: Key, section: Section<'_>) -> Result<(), Reason> {
        let most = self.most();
        let mut reader = TrailerReader::new(self.bounds.section as usize);
        let decoded = self.decoder.decode(section.bytes, most, |kind, name, value| {
            reader.take(kind, name, value);
        });
        decoded.map_err(broken)?;
        let trailer = reader.finish();
        let Some(stream) = self.table.get(at) else {
            return Ok(());
        };
        if stream.got_all {
            return self.mistake(section.id, Reason::STREAM_CLOSED);
        }
        let whole = stream.expected.is_none_or(|left| left == 0);
        let (Some(trailer), true, true) = (trailer, section.ends_stream, whole) else {
            // §8.1: it ends the message.
            return self.mistake(section.id, Reason::PROTOCOL_ERROR);
        };
        stream.trailer = Some(trailer);
        stream.got_all = true;
        stream.wake();
        if stream.is_over() {
            self.table.close(section.id);
        }
        Ok(())
    }
}

fn broken(why: Broken) -> Reason {
    match why {
        Broken::Format => Reason::COMPRESSION_ERROR,
        Broken::Bomb => Reason::ENHANCE_YOUR_CALM,
    }
}

/// Heads of interim responses that wait for the exchange.
const MOST_ANSWERS: usize = 16;
