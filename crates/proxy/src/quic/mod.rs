//! QUIC (RFC 9000) on the UDP ports beside those of HTTPS: `quinn`, with a socket and an endpoint for each worker.
//!
//! The kernel gives all datagrams of a client to the same socket, by a hash of the addresses. A client whose address has
//! changed meets another worker than the one that has its connection; the id in its packets says which one that is
//! (`cid`), and the datagram is handed over (`socket`). No packet is looked at twice by anybody else.

mod cid;
mod listening;
mod runtime;
mod settings;
mod socket;

pub use cid::Signs;
pub(crate) use listening::{Arrived, Listening, run};
pub use settings::Secrets;
pub use socket::{Opened, open};
