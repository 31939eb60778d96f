//! Addresses of ExternalName Services.

use std::net::SocketAddr;

/// Whom to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsOptions {
    /// Resolvers; empty: those of the system.
    pub servers: Vec<SocketAddr>,
}
