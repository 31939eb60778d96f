//! HTTP/1.1 (RFC 9112), both directions, without I/O: bytes in, heads and body framing out.
//!
//! Heads are taken apart as they come in (`scan.rs`) and judged strictly: whatever two servers could read differently is
//! refused. A head is offsets into the bytes it was read from; no field has memory of its own.

pub(crate) mod authority;
pub mod body;
pub mod chunked;
pub mod fields;
pub mod head;
pub mod names;
pub mod request;
pub mod response;
pub mod scan;
mod wide;
pub mod write;

pub use body::{BodyReader, BodyWriter};
pub use fields::{Field, Fields, Span};
pub use head::{BodyLength, Version};
pub use names::{Name, NameSet};
pub use request::{RequestHead, Target, parse_request};
pub use response::{ResponseHead, parse_response};
