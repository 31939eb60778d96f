//! Frames as bytes (RFC 9113 §4.1, §6).

use super::Reason;
use crate::http::buffer::Buffer;

/// What stands before the payload of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Of the payload.
    pub length: usize,
    /// One of the types below, or an unknown one.
    pub kind: u8,
    /// Of what it means for its type.
    pub flags: u8,
    /// 0: the connection.
    pub stream: u32,
}

impl Header {
    /// Reads one.
    #[inline]
    pub fn read(bytes: &[u8; HEADER]) -> Self {
        let [high, middle, low, kind, flags, a, b, c, d] = *bytes;
        Self {
            length: usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low),
            kind,
            flags,
            // The first bit is reserved and ignored.
            stream: u32::from_be_bytes([a & 0x7f, b, c, d]),
        }
    }

    /// As bytes.
    #[inline]
    pub fn bytes(self) -> [u8; HEADER] {
        let [_, high, middle, low] = (self.length as u32).to_be_bytes();
        let [a, b, c, d] = self.stream.to_be_bytes();
        [high, middle, low, self.kind, self.flags, a, b, c, d]
    }

    /// Whether a flag is set.
    #[inline]
    pub fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Writes a frame.
#[inline]
pub fn write(out: &mut Buffer, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let header = Header {
        length: payload.len(),
        kind,
        flags,
        stream,
    };
    out.reserve(HEADER + payload.len());
    out.extend(&header.bytes());
    out.extend(payload);
}

/// Writes settings: identifiers and values.
pub fn settings(out: &mut Buffer, values: &[(u16, u32)]) {
    let mut payload = Vec::with_capacity(6 * values.len());
    for (id, value) in values {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    }
    write(out, SETTINGS, 0, 0, &payload);
}

/// Opens a window. `stream` 0: of the connection.
pub fn window_update(out: &mut Buffer, stream: u32, by: u32) {
    write(out, WINDOW_UPDATE, 0, stream, &by.to_be_bytes());
}

/// Ends a stream.
pub fn reset(out: &mut Buffer, stream: u32, reason: Reason) {
    write(out, RST_STREAM, 0, stream, &reason.0.to_be_bytes());
}

/// Ends the connection. `last`: the last stream that something was or will be done about.
pub fn goaway(out: &mut Buffer, last: u32, reason: Reason) {
    let mut payload = [0; 8];
    payload[..4].copy_from_slice(&last.to_be_bytes());
    payload[4..].copy_from_slice(&reason.0.to_be_bytes());
    write(out, GOAWAY, 0, 0, &payload);
}

/// The payload without its padding (RFC 9113 §6.1). None: there is more of it than there is payload.
pub fn without_padding(header: Header, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(PADDED) {
        return Some(payload);
    }
    let (&padding, rest) = payload.split_first()?;
    let length = rest.len().checked_sub(usize::from(padding))?;
    rest.get(..length)
}

/// A number of 31 bits at the start of a payload.
pub fn number(payload: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*payload.first_chunk()?) & 0x7fff_ffff)
}

/// Bytes before a payload.
pub const HEADER: usize = 9;
/// What a payload may have where nothing else was agreed on, in both directions.
pub const MOST_PAYLOAD: usize = 16 * 1024;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 0x1;
pub const END_STREAM: u8 = 0x1;
pub const END_HEADERS: u8 = 0x4;
pub const PADDED: u8 = 0x8;
/// HEADERS begin with a priority (RFC 9113 §6.2).
pub const HAS_PRIORITY: u8 = 0x20;

/// Identifiers of settings (RFC 9113 §6.5.2, RFC 8441 §3).
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}
