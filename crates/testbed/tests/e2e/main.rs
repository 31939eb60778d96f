//! The gateway end to end: objects in files, requests through real sockets.

// Counters are whole numbers, and exact as floats.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::format_collect)]

mod explain;
mod observe;
mod reload;
mod routing;
mod sessions;
mod streams;
mod tls;
mod x_backends;
