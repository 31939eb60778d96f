//! HTTP on the wire. Nothing here knows about routes or upstreams; bytes in, bytes out.

pub mod buffer;
pub mod h1;
pub mod proxy_protocol;
