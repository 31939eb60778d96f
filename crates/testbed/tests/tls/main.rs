//! TLS on both sides, end to end: what the gateway believes of its backends, what it shows them, whom it lets in, and what
//! it tells of them.

#![allow(clippy::unwrap_used)]

mod backends;
mod changes;
mod clients;
mod forwarded;
mod scene;
mod settings;
