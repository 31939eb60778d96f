//! The gateway end to end: objects in files, requests through real sockets.

#![allow(clippy::unwrap_used)]

mod explain;
mod observe;
mod reload;
mod routing;
mod tls;
