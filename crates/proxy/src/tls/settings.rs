//! The rustls configuration of a bind, and the parts of it that all binds share.

use super::certificates::Certificates;
use crate::http::h3;
use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// What every TLS bind of a data plane has in common. Lives as long as the data plane, so that a ticket from one worker
/// or plan is good for the others.
#[derive(Debug)]
pub struct TlsSettings {
    provider: Arc<CryptoProvider>,
    /// Made with the first bind: gathering randomness for keys takes longer than all else that a start does.
    tickets: OnceLock<Arc<dyn ProducesTickets>>,
    /// Sessions that may be resumed with early data, once each (RFC 8446 §8.1).
    early: OnceLock<Arc<dyn StoresServerSessions>>,
}

/// TLS on one bind.
pub struct TlsBind {
    /// For the handshake.
    pub config: Arc<ServerConfig>,
    /// The same for streams: whatever protocol the client offers inside is between it and the endpoint.
    pub streams: Arc<ServerConfig>,
    /// The same for QUIC, if HTTP/3 is served.
    pub quic: Option<Arc<QuicServerConfig>>,
    /// What is presented to whom.
    pub certificates: Arc<Certificates>,
    /// What `quic` was made for.
    pub http3: Option<ir::Http3>,
}

impl fmt::Debug for TlsBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBind")
            .field("certificates", &self.certificates)
            .field("http3", &self.http3)
            .finish_non_exhaustive()
    }
}

impl TlsSettings {
    /// Settings with ticket keys of their own.
    pub fn new() -> Self {
        Self {
            // With the feature `prefer-post-quantum`, X25519MLKEM768 stands first in the provider's list.
            provider: Arc::new(aws_lc_rs::default_provider()),
            tickets: OnceLock::new(),
            early: OnceLock::new(),
        }
    }

    /// The configuration for a bind with these certificates. An error may mean that there is no randomness to be had.
    /// `http3`: over QUIC too.
    pub fn bind(
        &self,
        certificates: Arc<Certificates>,
        http3: Option<&ir::Http3>,
    ) -> Result<TlsBind, rustls::Error> {
        let resolver: Arc<Certificates> = Arc::clone(&certificates);
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(resolver);
        let stateful = config.clone();
        // Tickets carry the session, so nothing is stored here, whichever worker the client meets next. rustls resumes
        // only for the same SNI, and no bind checks client certificates, so a ticket opens no door that is not open.
        config.ticketer = self.tickets()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let streams = Arc::new(config.clone());
        let quic = match http3 {
            Some(http3) if http3.early_data => Some(self.quic(self.early_data(stateful))?),
            Some(_) => Some(self.quic(ServerConfig::clone(&config))?),
            None => None,
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsBind {
            config: Arc::new(config),
            streams,
            quic,
            certificates,
            http3: http3.cloned(),
        })
    }

    /// The same towards clients of HTTP/3.
    fn quic(&self, mut config: ServerConfig) -> Result<Arc<QuicServerConfig>, rustls::Error> {
        config.alpn_protocols = vec![h3::ALPN.to_vec()];
        match QuicServerConfig::try_from(config) {
            Ok(quic) => Ok(Arc::new(quic)),
            Err(error) => Err(rustls::Error::General(error.to_string())),
        }
    }

    /// Lets clients send with their first packet. Sessions are kept here instead of in tickets, so that each is good for one
    /// time only: whoever sends that packet again, here or to another replica, finds that it is gone (RFC 8446 §8.1).
    fn early_data(&self, mut config: ServerConfig) -> ServerConfig {
        let sessions = self
            .early
            .get_or_init(|| ServerSessionMemoryCache::new(EARLY_SESSIONS));
        config.session_storage = Arc::clone(sessions);
        // RFC 9001 §4.6.1: over QUIC it is this or nothing.
        config.max_early_data_size = u32::MAX;
        config
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

/// Sessions kept for early data. Clients of those that were dropped shake hands as if they were new.
const EARLY_SESSIONS: usize = 16 * 1024;

impl Default for TlsSettings {
    fn default() -> Self {
        Self::new()
    }
}
