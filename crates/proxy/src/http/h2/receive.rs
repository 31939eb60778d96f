//! Frames that come (RFC 9113 §6). An `Err` ends the connection, for that reason.

use super::Reason;
use super::core::{
    ALIVE, Core, DEFAULT_TABLE, GOING, LARGEST_WINDOW, LAST_STREAM, Leaving, Part, Role, signed,
};
use super::frame::{self, ACK, END_HEADERS, END_STREAM, HAS_PRIORITY, Header, setting};
use super::table::{Failure, Key};

/// A section that is complete.
#[derive(Debug, Clone, Copy)]
pub struct Section<'a> {
    pub id: u32,
    pub ends_stream: bool,
    pub bytes: &'a [u8],
}

impl Core {
    /// Takes a frame. What is a section, or the last piece of one, is given back to be read: by [`Self::section`] at once,
    /// as the sections behind it build on it.
    pub fn frame<'a>(&mut self, header: Header, payload: &'a [u8]) -> Result<Option<Took<'a>>, Reason> {
        if self.part.is_some() && header.kind != frame::CONTINUATION {
            return Err(Reason::PROTOCOL_ERROR);
        }
        if !self.peer.known && (header.kind != frame::SETTINGS || header.has(ACK)) {
            // RFC 9113 §3.4.
            return Err(Reason::PROTOCOL_ERROR);
        }
        match header.kind {
            frame::DATA => self.data(header, payload)?,
            frame::HEADERS => return self.headers(header, payload),
            frame::CONTINUATION => return self.continuation(header, payload),
            frame::RST_STREAM => self.reset(header, payload)?,
            frame::SETTINGS => self.settings(header, payload)?,
            frame::PING => self.pinged(header, payload)?,
            frame::GOAWAY => self.goaway(header, payload)?,
            frame::WINDOW_UPDATE => self.window_update(header, payload)?,
            frame::PRIORITY => self.priority(header, payload)?,
            // We allow none (§8.4), and clients have none.
            frame::PUSH_PROMISE => return Err(Reason::PROTOCOL_ERROR),
            // §5.5.
            _ => {}
        }
        Ok(None)
    }

    fn data(&mut self, header: Header, payload: &[u8]) -> Result<(), Reason> {
        if header.stream == 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let content = frame::without_padding(header, payload).ok_or(Reason::PROTOCOL_ERROR)?;
        // Padding counts, too (§6.1).
        self.window -= signed(header.length);
        if self.window < 0 {
            return Err(Reason::FLOW_CONTROL_ERROR);
        }
        let padding = (header.length - content.len()) as u32;
        let Some(key) = self.table.find(header.stream) else {
            self.returned(header.length as u32);
            return self.unexpected(header.stream);
        };
        let Some(stream) = self.table.get(key) else {
            return Ok(());
        };
        stream.window -= signed(header.length);
        stream.owed += padding;
        let whole = match &mut stream.expected {
            Some(left) => match left.checked_sub(content.len() as u64) {
                Some(less) => {
                    *left = less;
                    !header.has(END_STREAM) || less == 0
                }
                None => false,
            },
            None => true,
        };
        let wrong = if stream.got_all {
            Some(Reason::STREAM_CLOSED)
        } else if stream.window < 0 {
            Some(Reason::FLOW_CONTROL_ERROR)
        } else if !whole || self.role == Role::Client && !stream.answered {
            // §8.1.1.
            Some(Reason::PROTOCOL_ERROR)
        } else {
            None
        };
        if let Some(reason) = wrong {
            self.returned(header.length as u32);
            return self.mistake(header.stream, reason);
        }
        stream.content.extend(content);
        if header.has(END_STREAM) {
            stream.got_all = true;
        }
        let over = stream.is_over();
        stream.wake();
        if over {
            self.table.close(header.stream);
        }
        if padding > 0 {
            self.returned(padding);
        }
        Ok(())
    }

    fn headers<'a>(&mut self, header: Header, payload: &'a [u8]) -> Result<Option<Took<'a>>, Reason> {
        if header.stream == 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let mut section = frame::without_padding(header, payload).ok_or(Reason::PROTOCOL_ERROR)?;
        let mut depends_on_itself = false;
        if header.has(HAS_PRIORITY) {
            let (priority, rest) = section.split_at_checked(5).ok_or(Reason::FRAME_SIZE_ERROR)?;
            depends_on_itself = frame::number(priority) == Some(header.stream);
            section = rest;
        }
        if depends_on_itself {
            // RFC 7540 §5.3.1. The section has to be read all the same; nothing else can stop it from being served.
            return Err(Reason::PROTOCOL_ERROR);
        }
        let ends_stream = header.has(END_STREAM);
        if header.has(END_HEADERS) {
            return Ok(Some(Took::Section(Section {
                id: header.stream,
                ends_stream,
                bytes: section,
            })));
        }
        self.part = Some(Box::new(Part {
            id: header.stream,
            ends_stream,
            bytes: section.to_vec(),
            pieces: 1,
        }));
        Ok(None)
    }

    fn continuation<'a>(&mut self, header: Header, payload: &[u8]) -> Result<Option<Took<'a>>, Reason> {
        let part = self.part.as_mut().ok_or(Reason::PROTOCOL_ERROR)?;
        if part.id != header.stream {
            return Err(Reason::PROTOCOL_ERROR);
        }
        part.pieces += 1;
        // CVE-2024-27316 and its kin: a section of no use has as many pieces as its sender likes.
        let most = self.bounds.section as usize;
        if part.bytes.len() + payload.len() > most || part.pieces > LEAST_PIECES + most / frame::MOST_PAYLOAD
        {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        part.bytes.extend_from_slice(payload);
        if !header.has(END_HEADERS) {
            return Ok(None);
        }
        Ok(self.part.take().map(Took::Part))
    }

    fn reset(&mut self, header: Header, payload: &[u8]) -> Result<(), Reason> {
        if header.stream == 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let code: [u8; 4] = payload.try_into().map_err(|_| Reason::FRAME_SIZE_ERROR)?;
        let reason = Reason(u32::from_be_bytes(code));
        let Some(key) = self.table.find(header.stream) else {
            return self.not_idle(header.stream);
        };
        self.table.close(header.stream);
        let Some(stream) = self.table.get(key) else {
            return Ok(());
        };
        if self.role == Role::Client && stream.got_all {
            // §8.1: the response is whole, and no more of the request is wanted.
            stream.sent_all = true;
            stream.wake();
        } else {
            stream.fail(match reason {
                Reason::REFUSED_STREAM => Failure::Untouched,
                _ => Failure::Broken,
            });
        }
        Ok(())
    }

    fn settings(&mut self, header: Header, payload: &[u8]) -> Result<(), Reason> {
        if header.stream != 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        if header.has(ACK) {
            return if payload.is_empty() {
                Ok(())
            } else {
                Err(Reason::FRAME_SIZE_ERROR)
            };
        }
        if !payload.len().is_multiple_of(6) {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        self.peer.known = true;
        for item in payload.chunks_exact(6) {
            if let [a, b, c, d, e, f] = *item {
                self.setting(u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]))?;
            }
        }
        frame::write(&mut self.out, frame::SETTINGS, ACK, 0, &[]);
        Ok(())
    }

    fn setting(&mut self, id: u16, value: u32) -> Result<(), Reason> {
        match id {
            setting::HEADER_TABLE_SIZE => {
                // Ours is empty anyway, but whoever asks for less wants to hear so.
                self.resize |= value < self.peer.table.min(DEFAULT_TABLE);
                self.peer.table = value;
            }
            setting::ENABLE_PUSH if value > 1 || value == 1 && self.role == Role::Client => {
                return Err(Reason::PROTOCOL_ERROR);
            }
            setting::ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Reason::PROTOCOL_ERROR),
            setting::ENABLE_CONNECT_PROTOCOL => self.peer.extended_connect = value == 1,
            setting::MAX_CONCURRENT_STREAMS => self.peer.streams = value,
            setting::INITIAL_WINDOW_SIZE => {
                if i64::from(value) > LARGEST_WINDOW {
                    return Err(Reason::FLOW_CONTROL_ERROR);
                }
                let by = i64::from(value) - i64::from(self.peer.window);
                self.peer.window = value;
                for stream in self.table.all() {
                    stream.room += by;
                    if stream.room > LARGEST_WINDOW {
                        return Err(Reason::FLOW_CONTROL_ERROR);
                    }
                    if by > 0 {
                        stream.wake();
                    }
                }
            }
            // We send none that are larger than what everybody takes.
            setting::MAX_FRAME_SIZE if !(16_384..=16_777_215).contains(&value) => {
                return Err(Reason::PROTOCOL_ERROR);
            }
            _ => {}
        }
        Ok(())
    }

    fn pinged(&mut self, header: Header, payload: &[u8]) -> Result<(), Reason> {
        let payload: &[u8; 8] = payload.try_into().map_err(|_| Reason::FRAME_SIZE_ERROR)?;
        if header.stream != 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        if !header.has(ACK) {
            frame::write(&mut self.out, frame::PING, ACK, 0, payload);
        } else if *payload == ALIVE {
            self.pong = true;
        } else if *payload == GOING && self.leaving == Leaving::Announced {
            self.leaving = Leaving::Decided(self.highest);
            frame::goaway(&mut self.out, self.highest, Reason::NO_ERROR);
        }
        Ok(())
    }

    fn goaway(&mut self, header: Header, payload: &[u8]) -> Result<(), Reason> {
        if header.stream != 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let last = frame::number(payload).filter(|_| payload.len() >= 8);
        let last = last.ok_or(Reason::FRAME_SIZE_ERROR)?;
        self.going = true;
        if self.role == Role::Client {
            for key in self.table.above(last) {
                if let Some(stream) = self.table.get(key) {
                    let id = stream.id;
                    stream.fail(Failure::Untouched);
                    self.table.close(id);
                }
            }
        }
        Ok(())
    }

    fn window_update(&mut self, header: Header, payload: &[u8]) -> Result<(), Reason> {
        if payload.len() != 4 {
            return Err(Reason::FRAME_SIZE_ERROR);
        }
        let by = i64::from(frame::number(payload).unwrap_or_default());
        if header.stream == 0 {
            if by == 0 {
                return Err(Reason::PROTOCOL_ERROR);
            }
            self.room += by;
            if self.room > LARGEST_WINDOW {
                return Err(Reason::FLOW_CONTROL_ERROR);
            }
            self.call_next();
            return Ok(());
        }
        let Some(key) = self.table.find(header.stream) else {
            return self.not_idle(header.stream);
        };
        let Some(stream) = self.table.get(key) else {
            return Ok(());
        };
        stream.room += by;
        let wrong = if by == 0 {
            Reason::PROTOCOL_ERROR
        } else if stream.room > LARGEST_WINDOW {
            Reason::FLOW_CONTROL_ERROR
        } else {
            if !stream.sent_all {
                stream.wake();
            }
            return Ok(());
        };
        self.mistake(header.stream, wrong)
    }

    /// Deprecated (RFC 9113 §5.3.2): only its form matters.
    fn priority(&mut self, header: Header, payload: &[u8]) -> Result<(), Reason> {
        if header.stream == 0 {
            return Err(Reason::PROTOCOL_ERROR);
        }
        let wrong = if payload.len() != 5 {
            Reason::FRAME_SIZE_ERROR
        } else if frame::number(payload) == Some(header.stream) {
            Reason::PROTOCOL_ERROR
        } else {
            return Ok(());
        };
        self.mistake(header.stream, wrong)
    }

    /// What came on a stream broke the protocol, and nothing else on the connection did.
    pub fn mistake(&mut self, id: u32, reason: Reason) -> Result<(), Reason> {
        self.mistakes += 1;
        if self.mistakes > self.bounds.mistakes {
            return Err(Reason::ENHANCE_YOUR_CALM);
        }
        self.cut(id, reason, Failure::Malformed);
        Ok(())
    }

    /// Content or a head on a stream that is not open.
    pub fn unexpected(&mut self, id: u32) -> Result<(), Reason> {
        self.not_idle(id)?;
        if self.cut.contains(&id) || matches!(self.leaving, Leaving::Decided(last) if id > last) {
            // It was on its way.
            return Ok(());
        }
        self.mistake(id, Reason::STREAM_CLOSED)
    }

    /// §5.1: nothing of the kind comes on a stream that nobody opened.
    pub fn not_idle(&self, id: u32) -> Result<(), Reason> {
        let ours = (id % 2 == 1) == (self.role == Role::Client);
        let opened = if ours { id < self.next } else { id <= self.highest };
        let refused = matches!(self.leaving, Leaving::Decided(last) if !ours && id > last);
        if opened && id > 0 || refused {
            Ok(())
        } else {
            Err(Reason::PROTOCOL_ERROR)
        }
    }

    /// A section came on a stream that was not open: whether it opens one. Its numbers go up (§5.1.1).
    pub fn opens(&mut self, id: u32) -> Result<bool, Reason> {
        if self.role == Role::Client || id.is_multiple_of(2) || id > LAST_STREAM {
            self.not_idle(id)?;
            self.unexpected(id)?;
            return Ok(false);
        }
        if matches!(self.leaving, Leaving::Decided(_)) {
            // §6.8: it was on its way, and can be asked elsewhere.
            return Ok(false);
        }
        if id > self.highest {
            self.skipped = (self.highest + 1, id);
            self.highest = id;
            return Ok(true);
        }
        if self.cut.contains(&id) {
            return Ok(false);
        }
        let (from, to) = self.skipped;
        Err(if (from..to).contains(&id) {
            Reason::PROTOCOL_ERROR
        } else {
            Reason::STREAM_CLOSED
        })
    }

    /// A stream that is open, by number.
    pub fn key(&self, id: u32) -> Option<Key> {
        self.table.find(id)
    }
}

/// A section in one piece, or in several that were put together.
#[derive(Debug)]
pub enum Took<'a> {
    Section(Section<'a>),
    Part(Box<Part>),
}

impl Took<'_> {
    /// The section.
    pub fn section(&self) -> Section<'_> {
        match self {
            Self::Section(section) => *section,
            Self::Part(part) => Section {
                id: part.id,
                ends_stream: part.ends_stream,
                bytes: &part.bytes,
            },
        }
    }
}

/// Pieces of a section beyond those that it needs at the least.
const LEAST_PIECES: usize = 8;
