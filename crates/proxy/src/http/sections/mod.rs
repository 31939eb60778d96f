//! Field sections, which is what heads and trailers are in HTTP/2 and HTTP/3: lists of names and values.
//!
//! An exchange works on heads as offsets into their text ([`crate::http::h1`]). So a section is written down as text while it
//! is decoded, line by line, and from there on everything is the same for all versions; on the way out a head's text
//! becomes a section again.

mod kind;
mod lines;
mod request;
mod response;
mod text;
mod trailer;

pub use kind::Kind;
pub use lines::{HeadLines, Line};
pub use request::{RequestReader, Unread, request_size};
pub use response::ResponseReader;
pub use text::{RequestText, ResponseText};
pub use trailer::{Trailer, TrailerReader};

use crate::http::buffer::Buffer;
use crate::http::h1::{Fields, Name, Span, write};

/// What is added to the size of each field line (RFC 9113 §6.5.2, RFC 9114 §4.2.2).
pub const FIELD_OVERHEAD: usize = 32;

/// Writes a line and notes it. Gives where its value is.
fn push(raw: &mut Buffer, fields: &mut Fields, known: Name, name: &[u8], value: &[u8]) -> Span {
    let start = raw.len() as u32;
    write::field(raw, name, value);
    let colon = start + name.len() as u32;
    let value = Span {
        start: colon + 2,
        end: raw.len() as u32 - 2,
    };
    fields.push_written(Span { start, end: colon }, value, known);
    value
}

/// RFC 9113 §8.2.1: no white space around a value.
#[inline]
fn is_trimmed(value: &[u8]) -> bool {
    !matches!(value, [b' ' | b'\t', ..] | [.., b' ' | b'\t'])
}
