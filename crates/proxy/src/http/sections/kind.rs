//! What a field line is, found out once for each: for most of them when it enters a table of HPACK or QPACK.

use crate::http::h1::Name;
use crate::http::h1::fields::is_token;

/// What a field line of a section means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `:method`.
    Method,
    /// `:scheme`.
    Scheme,
    /// `:authority`.
    Authority,
    /// `:path`.
    Path,
    /// `:protocol` (RFC 8441 §4).
    Protocol,
    /// `:status`.
    Status,
    /// A field of that name.
    Field(Name),
    /// None that may stand anywhere: the message is malformed (RFC 9113 §8.2, RFC 9114 §4.2).
    Malformed,
}

impl Kind {
    /// Looks at a line.
    pub fn of(name: &[u8], value: &[u8]) -> Self {
        // RFC 9110 §5.5. White space around a value is for the reader of the section to judge.
        if !value.iter().all(|&byte| is_value(byte)) {
            return Self::Malformed;
        }
        match name {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b":protocol" => Self::Protocol,
            b":status" => Self::Status,
            // Of the letters only small ones; the colon is no part of a token.
            [_, ..]
                if name
                    .iter()
                    .all(|&byte| is_token(byte) && !byte.is_ascii_uppercase()) =>
            {
                Self::field(Name::of(name), value)
            }
            _ => Self::Malformed,
        }
    }

    /// RFC 9113 §8.2.2: what concerns one connection of HTTP/1.1 only.
    fn field(name: Name, value: &[u8]) -> Self {
        match name {
            Name::Connection
            | Name::KeepAlive
            | Name::ProxyConnection
            | Name::TransferEncoding
            | Name::Upgrade => Self::Malformed,
            Name::Te if value != b"trailers" => Self::Malformed,
            name => Self::Field(name),
        }
    }
}

#[inline]
fn is_value(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7f || byte == b'\t'
}
