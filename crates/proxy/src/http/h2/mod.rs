//! HTTP/2 (RFC 9113), on both sides.
//!
//! [`Connection`] moves the bytes of a connection and is run by its task. What it knows is in `core`, which does no I/O and
//! which the streams share with it: they put frames into its queue and find there what came for them. A body is content
//! without framing; its end and its trailers are told beside it. Heads are text from the moment they are decoded
//! ([`crate::http::sections`]).

mod connection;
mod core;
mod frame;
mod guard;
pub mod hpack;
mod reason;
mod receive;
mod sections;
mod send;
mod stream;
mod table;
mod watch;
pub mod websocket;
mod wire;

pub use self::core::Bounds;
pub use connection::{Accepted, Broken, Connection};
pub use guard::Guard;
pub use reason::Reason;
pub use stream::{Inbound, Outbound, Streams};
pub use table::Failure;
pub use watch::Watch;
pub use wire::Wire;

/// The first bytes on a connection that speaks HTTP/2 from the start (RFC 9113 §3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
