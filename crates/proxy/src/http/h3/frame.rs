//! Frames (RFC 9114 §7) out of the bytes of a stream. Sans-I/O: knows what may come where, and says which error it is
//! if something else does.

use super::code::Code;
use super::varint;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Reads the frames of one stream.
#[derive(Debug)]
pub struct Reader {
    at: At,
    turn: Turn,
    /// Bytes of a frame that has to be there as a whole.
    most: usize,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A field section: the head, or on a request's stream with content before it, the trailer.
    Section(Bytes),
    /// A field section that is longer than the limit. It is passed over.
    LongSection,
    /// Some content.
    Data(Bytes),
    /// The peer's settings.
    Settings(Settings),
    /// It will ask nothing beyond this.
    GoAway(u64),
    /// Pushes up to this are welcome.
    MaxPushId(u64),
    /// A frame that means nothing to us (RFC 9114 §9).
    Unknown,
}

/// What of the peer's settings is of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Settings {
    /// It takes field sections of this size at most (RFC 9114 §7.2.4.1).
    pub most_fields: Option<u64>,
    /// RFC 9220 §3.
    pub extended_connect: bool,
}

/// Where in the bytes we are.
#[derive(Debug)]
enum At {
    /// In a frame's type and length, of which so much came.
    Header([u8; 16], usize),
    /// In content.
    Data(u64),
    /// In a frame that has to be there as a whole.
    Whole { kind: u64, length: usize, got: BytesMut },
    /// In a frame of no interest.
    Skip(u64),
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// A request's or a response's head.
    Head,
    /// Content, or the trailer.
    Content,
    /// Nothing but what is unknown.
    Nothing,
    /// The first frame of a control stream.
    Settings,
    /// The rest of them.
    Control,
}

impl Reader {
    /// On a stream with a message. `most`: bytes of a field section before it is decoded.
    pub fn message(most: usize) -> Self {
        Self {
            at: At::Header([0; 16], 0),
            turn: Turn::Head,
            most,
        }
    }

    /// On a control stream.
    pub fn control() -> Self {
        Self {
            at: At::Header([0; 16], 0),
            turn: Turn::Settings,
            most: MOST_SETTINGS,
        }
    }

    /// One more head may follow: what came was an interim response.
    pub fn expect_head(&mut self) {
        self.turn = Turn::Head;
    }

    /// Takes the next piece out of `input`. None: all of `input` was taken, and more is needed.
    pub fn next(&mut self, input: &mut Bytes) -> Result<Option<Piece>, Code> {
        loop {
            match &mut self.at {
                At::Header(header, have) => {
                    let Some((kind, length)) = take_header(header, have, input) else {
                        return Ok(None);
                    };
                    self.at = self.begin(kind, length)?;
                    if matches!(self.at, At::Skip(_)) {
                        return Ok(Some(if kind == HEADERS {
                            Piece::LongSection
                        } else {
                            Piece::Unknown
                        }));
                    }
                }
                At::Data(0) | At::Skip(0) => self.at = At::Header([0; 16], 0),
                At::Data(_) | At::Skip(_) if input.is_empty() => return Ok(None),
                At::Data(left) => {
                    let count = shorter(input.len(), *left);
                    *left -= count as u64;
                    return Ok(Some(Piece::Data(input.split_to(count))));
                }
                At::Skip(left) => {
                    let count = shorter(input.len(), *left);
                    *left -= count as u64;
                    input.advance(count);
                }
                At::Whole { kind, length, got } => {
                    let missing = *length - got.len();
                    let whole = if got.is_empty() && input.len() >= missing {
                        input.split_to(missing)
                    } else {
                        got.put(input.split_to(input.len().min(missing)));
                        if got.len() < *length {
                            return Ok(None);
                        }
                        std::mem::take(got).freeze()
                    };
                    let kind = *kind;
                    self.at = At::Header([0; 16], 0);
                    return read_whole(kind, &whole).map(Some);
                }
            }
        }
    }

    /// Whether a stream may end here: not within a frame (RFC 9114 §7.1).
    pub fn may_end(&self) -> bool {
        matches!(self.at, At::Header(_, 0) | At::Data(0) | At::Skip(0))
    }

    /// Whether the head is still to come.
    pub fn wants_head(&self) -> bool {
        self.turn == Turn::Head
    }

    /// Whether content or a trailer may be to come.
    pub fn wants_content(&self) -> bool {
        self.turn == Turn::Content
    }

    /// A frame begins.
    fn begin(&mut self, kind: u64, length: u64) -> Result<At, Code> {
        match (self.turn, kind) {
            // RFC 9114 §7.2.8: types of HTTP/2 that mean nothing here.
            (_, 0x02 | 0x06 | 0x08 | 0x09) => Err(Code::FRAME_UNEXPECTED),
            // RFC 9114 §6.2.1.
            (Turn::Settings, kind) if kind != SETTINGS => Err(Code::MISSING_SETTINGS),
            (Turn::Content, DATA) => Ok(At::Data(length)),
            (Turn::Head | Turn::Content, HEADERS) => {
                self.turn = match self.turn {
                    Turn::Head => Turn::Content,
                    _ => Turn::Nothing,
                };
                Ok(match usize::try_from(length) {
                    Ok(length) if length <= self.most => whole(kind, length),
                    _ => At::Skip(length),
                })
            }
            (Turn::Settings, _) => {
                self.turn = Turn::Control;
                match usize::try_from(length) {
                    Ok(length) if length <= self.most => Ok(whole(kind, length)),
                    _ => Err(Code::EXCESSIVE_LOAD),
                }
            }
            (Turn::Control, CANCEL_PUSH | GOAWAY | MAX_PUSH_ID) => match length {
                1..=8 => Ok(whole(kind, length as usize)),
                _ => Err(Code::FRAME_ERROR),
            },
            (_, DATA | HEADERS | CANCEL_PUSH | SETTINGS | PUSH_PROMISE | GOAWAY | MAX_PUSH_ID) => {
                Err(Code::FRAME_UNEXPECTED)
            }
            _ => Ok(At::Skip(length)),
        }
    }
}

/// A frame that is there as a whole.
fn read_whole(kind: u64, payload: &Bytes) -> Result<Piece, Code> {
    let number = || match varint::read(payload) {
        Some((number, length)) if length == payload.len() => Ok(number),
        _ => Err(Code::FRAME_ERROR),
    };
    match kind {
        HEADERS => Ok(Piece::Section(payload.clone())),
        SETTINGS => read_settings(payload).map(Piece::Settings),
        GOAWAY => number().map(Piece::GoAway),
        MAX_PUSH_ID => number().map(Piece::MaxPushId),
        // RFC 9114 §7.2.3: there is no push that could be cancelled.
        _ => number().and(Err(Code::ID_ERROR)),
    }
}

/// Writes a frame's type and length.
pub fn header(kind: u64, length: usize, out: &mut BytesMut) {
    varint::write(kind, out);
    varint::write(length as u64, out);
}

/// Writes the start of our control stream: its type, and our settings.
pub fn write_control(most_fields: usize, out: &mut BytesMut) {
    let mut settings = BytesMut::new();
    for (name, value) in [(MOST_FIELDS, most_fields as u64), (EXTENDED_CONNECT, 1)] {
        varint::write(name, &mut settings);
        varint::write(value, &mut settings);
    }
    varint::write(CONTROL_STREAM, out);
    header(SETTINGS, settings.len(), out);
    out.put(settings);
}

/// Writes that nothing from this stream on is served.
pub fn write_goaway(stream: u64, out: &mut BytesMut) {
    let mut payload = BytesMut::new();
    varint::write(stream, &mut payload);
    header(GOAWAY, payload.len(), out);
    out.put(payload);
}

fn whole(kind: u64, length: usize) -> At {
    At::Whole {
        kind,
        length,
        got: BytesMut::new(),
    }
}

/// RFC 9114 §7.2.4.
fn read_settings(mut payload: &[u8]) -> Result<Settings, Code> {
    let (mut settings, mut seen) = (Settings::default(), Vec::new());
    while !payload.is_empty() {
        let (name, length) = varint::read(payload).ok_or(Code::FRAME_ERROR)?;
        let (value, more) = varint::read(&payload[length..]).ok_or(Code::FRAME_ERROR)?;
        payload = &payload[length + more..];
        if seen.contains(&name) {
            return Err(Code::SETTINGS_ERROR);
        }
        seen.push(name);
        if seen.len() > MOST_SETTINGS_KINDS {
            return Err(Code::EXCESSIVE_LOAD);
        }
        match (name, value) {
            // §7.2.4.1: settings of HTTP/2.
            (0x00 | 0x02..=0x05, _) => return Err(Code::SETTINGS_ERROR),
            (MOST_FIELDS, most) => settings.most_fields = Some(most),
            (EXTENDED_CONNECT, 0 | 1) => settings.extended_connect = value == 1,
            (EXTENDED_CONNECT, _) => return Err(Code::SETTINGS_ERROR),
            _ => {}
        }
    }
    Ok(settings)
}

/// Takes a frame's type and length out of `input`.
fn take_header(header: &mut [u8; 16], have: &mut usize, input: &mut Bytes) -> Option<(u64, u64)> {
    while !input.is_empty() {
        header[*have] = input.get_u8();
        *have += 1;
        let bytes = &header[..*have];
        if let Some((kind, length)) = varint::read(bytes)
            && let Some((payload, _)) = varint::read(&bytes[length..])
        {
            return Some((kind, payload));
        }
    }
    None
}

fn shorter(there: usize, left: u64) -> usize {
    usize::try_from(left).map_or(there, |left| left.min(there))
}

/// Types of frames (RFC 9114 §7.2).
pub const DATA: u64 = 0x00;
/// A head or a trailer.
pub const HEADERS: u64 = 0x01;
const CANCEL_PUSH: u64 = 0x03;
/// Sent once.
pub const SETTINGS: u64 = 0x04;
const PUSH_PROMISE: u64 = 0x05;
/// Sent by who goes.
pub const GOAWAY: u64 = 0x07;
const MAX_PUSH_ID: u64 = 0x0d;
/// Of those that mean nothing (RFC 9114 §7.2.8).
pub const RESERVED: u64 = 0x21;
/// Types of streams in one direction (RFC 9114 §6.2, RFC 9204 §4.2).
pub const CONTROL_STREAM: u64 = 0x00;
/// Of a server only.
pub const PUSH_STREAM: u64 = 0x01;
/// About the dynamic table.
pub const ENCODER_STREAM: u64 = 0x02;
/// About its use.
pub const DECODER_STREAM: u64 = 0x03;
/// Settings.
const MOST_FIELDS: u64 = 0x06;
const EXTENDED_CONNECT: u64 = 0x08;
/// Bytes of all settings; there are less than a dozen known ones.
const MOST_SETTINGS: usize = 1024;
const MOST_SETTINGS_KINDS: usize = 64;

#[cfg(test)]
mod tests;
