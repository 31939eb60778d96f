//! The rustls configuration of a bind, and the parts of it that all binds share.

use super::certificates::Certificates;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use std::sync::{Arc, OnceLock};

/// What every TLS bind of a data plane has in common. Lives as long as the data plane, so that a ticket from one worker
/// or plan is good for the others.
#[derive(Debug)]
pub struct TlsSettings {
    provider: Arc<CryptoProvider>,
    /// Made with the first bind: gathering randomness for keys takes longer than all else that a start does.
    tickets: OnceLock<Arc<dyn ProducesTickets>>,
}

/// TLS on one bind.
#[derive(Debug)]
pub struct TlsBind {
    /// For the handshake.
    pub config: Arc<ServerConfig>,
    /// The same for streams: whatever protocol the client offers inside is between it and the endpoint.
    pub streams: Arc<ServerConfig>,
    /// What is presented to whom.
    pub certificates: Arc<Certificates>,
}

impl TlsSettings {
    /// Settings with ticket keys of their own.
    pub fn new() -> Self {
        Self {
            // With the feature `prefer-post-quantum`, X25519MLKEM768 stands first in the provider's list.
            provider: Arc::new(aws_lc_rs::default_provider()),
            tickets: OnceLock::new(),
        }
    }

    /// The configuration for a bind with these certificates. An error may mean that there is no randomness to be had.
    pub fn bind(&self, certificates: Arc<Certificates>) -> Result<TlsBind, rustls::Error> {
        let resolver: Arc<Certificates> = Arc::clone(&certificates);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        // Tickets carry the session, so nothing is stored here, whichever worker the client meets next. rustls resumes
        // only for the same SNI, and no bind checks client certificates, so a ticket opens no door that is not open.
        config.ticketer = self.tickets()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let streams = Arc::new(config.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsBind {
            config: Arc::new(config),
            streams,
            certificates,
        })
    }

    /// Keys that change every six hours, the last ones still read. TLS 1.2 and 1.3 both use them.
    fn tickets(&self) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        if let Some(tickets) = self.tickets.get() {
            return Ok(Arc::clone(tickets));
        }
        let fresh = aws_lc_rs::Ticketer::new()?;
        Ok(Arc::clone(self.tickets.get_or_init(|| fresh)))
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self::new()
    }
}
