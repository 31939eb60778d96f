//! HTTP on the wire. Nothing here knows about routes or upstreams; bytes in, bytes out.

pub mod alarm;
pub mod buffer;
pub mod conduit;
pub mod date;
pub mod grpc;
pub mod grpc_web;
pub mod h1;
pub mod h2;
pub mod h3;
mod huffman;
mod inbound;
mod prefixed;
pub mod proxy_protocol;
pub mod sections;
pub mod tunnel;
pub mod websocket;

pub use inbound::Inbound;
