//! HPACK (RFC 7541): field sections as bytes. What comes may use the dynamic table; what we write uses the static one alone, so
//! that no connection has a table for it and no section depends on one before (nginx and HAProxy do the same).

mod decode;
mod dynamic;
mod encode;
mod fixed;

pub use decode::{Broken, Decoder};
pub use encode::{field, indexed, pseudo, resize_to_nothing, status};
