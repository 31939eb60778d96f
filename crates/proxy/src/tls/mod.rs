//! TLS towards clients: which certificate for which name, resumption over all workers and reloads, the handshake.

pub mod accept;
pub mod admission;
pub mod certificates;
pub mod client;
pub mod clients;
pub mod hello;
pub mod settings;
pub mod tickets;

pub use accept::{HandshakeFault, accept};
pub use admission::Admission;
pub use certificates::{BrokenCertificate, Certificates, Keys};
pub use client::TlsClients;
pub use settings::{TlsBind, TlsSettings};
