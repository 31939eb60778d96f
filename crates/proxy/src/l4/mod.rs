//! Streams: TCP connections, TLS connections by SNI, and UDP flows, forwarded without a look at what they carry.
//!
//! [`route`] is a route's rule, compiled. [`sni`] finds out who takes a TLS connection, [`tcp`] forwards one connection,
//! [`relay`] moves its bytes, [`udp`] does the same for datagrams; [`record`] writes down what became of a stream.

pub mod record;
pub mod relay;
pub mod route;
pub mod sni;
pub mod tcp;
pub mod udp;

pub use route::CompiledStream;

/// The compiled stream listeners of a socket.
pub type Streams = router::Streams<std::sync::Arc<CompiledStream>>;
