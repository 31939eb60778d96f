//! HTTP/3 (RFC 9114) on the streams of `quinn`: framing and field compression of our own, without the dynamic table
//! (decision 14). What an exchange sees is what it sees of HTTP/2.
//!
//! `frame`, `qpack`, `huffman`, `varint` and `head` know bytes only; `incoming`, `outgoing` and `inbound` are a stream, and
//! `link` is what the streams of a connection have in common.

pub mod code;
pub mod frame;
pub mod head;
pub mod inbound;
mod incoming;
mod link;
mod outgoing;
pub mod qpack;
mod table;
pub mod varint;

pub use code::Code;
pub use inbound::Inbound;
pub use incoming::{Incoming, Start, poll_chunk};
pub use link::Link;
pub use outgoing::Outgoing;

/// What a client and a server agree to in the handshake (RFC 9114 §3.1).
pub const ALPN: &[u8] = b"h3";
