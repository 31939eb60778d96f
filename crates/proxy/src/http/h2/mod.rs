//! HTTP/2 (RFC 9113): what lies between the `h2` crate, which frames, compresses and keeps the windows, and exchanges.
//!
//! An exchange works on heads as offsets into their text ([`crate::http::h1`]) and on bodies as bytes. So a head of
//! HTTP/2 is written down as text once, field by field, and from there on everything is the same for both versions; on
//! the way out a head's text becomes fields again. A body is content without framing; its end and its trailers are told
//! beside it.

mod guard;
mod incoming;
mod outgoing;
mod read;
mod streams;
mod watch;
pub mod websocket;
mod wire;
mod write;

pub use guard::Guard;
pub use incoming::Incoming;
pub use outgoing::Outgoing;
pub use read::{read_request, read_response};
pub use streams::{Came, Failure, Inbound, Outbound};
pub use watch::Watch;
pub use wire::Wire;
pub use write::{allowed_in_trailer, fields_to_map, head_to_request, trailer_to_map, write_trailer};

/// The first bytes on a connection that speaks HTTP/2 from the start (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
