//! The rustls configuration of a bind, and the parts of it that all binds share.

use super::certificates::Certificates;
use super::clients;
use crate::http::h3;
use ir::{ClientValidation, HostPattern};
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
    /// For clients that are not checked.
    config: Arc<ServerConfig>,
    /// The same for streams: whatever protocol the client offers inside is between it and the endpoint.
    streams: Arc<ServerConfig>,
    /// Where clients are checked: by the names that listeners are for, the most specific first. Empty where none is.
    by_name: Box<[(HostPattern, Option<Arc<CheckedConfig>>)]>,
    /// For QUIC, if HTTP/3 is served: then nobody is checked.
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

/// Configurations for clients that are checked.
#[derive(Debug)]
pub struct CheckedConfig {
    clients: Arc<ClientValidation>,
    config: Arc<ServerConfig>,
    streams: Arc<ServerConfig>,
}

impl TlsBind {
    /// The configuration for a client that asks for this name (lower-case).
    pub fn config(&self, sni: Option<&str>) -> &Arc<ServerConfig> {
        self.checked_by(sni)
            .map_or(&self.config, |checked| &checked.config)
    }

    /// The same for streams.
    pub fn streams(&self, sni: Option<&str>) -> &Arc<ServerConfig> {
        self.checked_by(sni)
            .map_or(&self.streams, |checked| &checked.streams)
    }

    /// Whether every client that shows a certificate there has one that somebody vouches for.
    pub fn vouches(&self, sni: Option<&str>) -> bool {
        self.checked_by(sni)
            .is_some_and(|checked| !checked.clients.insecure_fallback)
    }

    /// Whether clients of a bind are checked as they are here.
    pub fn checks_as(&self, bind: &ir::Bind) -> bool {
        let asked: Vec<_> = clients(bind);
        let none = asked.iter().all(|(_, clients)| clients.is_none());
        (none && self.by_name.is_empty())
            || asked.len() == self.by_name.len()
                && asked.iter().zip(&self.by_name).all(|((a, asked), (b, here))| {
                    a == b && *asked == here.as_ref().map(|here| &here.clients)
                })
    }

    fn checked(&self) -> impl Iterator<Item = &Arc<CheckedConfig>> {
        self.by_name.iter().filter_map(|(_, checked)| checked.as_ref())
    }

    /// Who names nobody, or somebody whom no listener is for, is checked if anybody is.
    fn checked_by(&self, sni: Option<&str>) -> Option<&CheckedConfig> {
        if self.by_name.is_empty() {
            return None;
        }
        let found = sni.and_then(|name| self.by_name.iter().find(|(pattern, _)| pattern.matches(name)));
        match found {
            Some((_, checked)) => checked.as_deref(),
            None => self.checked().next().map(|checked| &**checked),
        }
    }
}

/// Names that listeners are for, the most specific first, and who is let in there.
fn clients(bind: &ir::Bind) -> Vec<(HostPattern, Option<&Arc<ClientValidation>>)> {
    let listeners = bind.listeners.iter();
    let listeners = listeners.map(|listener| (listener.hostname.clone(), listener.clients.as_ref()));
    let streams = bind.streams.iter();
    let streams = streams.map(|stream| (stream.hostname.clone(), stream.clients.as_ref()));
    let mut all: Vec<_> = listeners.chain(streams).collect();
    all.sort_by(|(a, _), (b, _)| a.specificity(b));
    all
}

/// For HTTP and for streams.
fn for_both(
    mut config: ServerConfig,
    tickets: Arc<dyn ProducesTickets>,
) -> (Arc<ServerConfig>, Arc<ServerConfig>) {
    config.ticketer = tickets;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    let streams = Arc::new(config.clone());
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(config), streams)
}

static VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

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

    /// The configurations for a bind with these certificates. What `previous` has for the same clients is kept: sessions of
    /// theirs can be resumed. `http3`: over QUIC too. An error may mean that there is no randomness to be had.
    pub fn bind(
        &self,
        bind: &ir::Bind,
        certificates: Arc<Certificates>,
        http3: Option<&ir::Http3>,
        previous: Option<&TlsBind>,
    ) -> Result<TlsBind, rustls::Error> {
        let previous = previous.filter(|previous| Arc::ptr_eq(&previous.certificates, &certificates));
        let mut checked: Vec<Arc<CheckedConfig>> = Vec::new();
        let mut by_name = Vec::new();
        for (hostname, clients) in clients(bind) {
            let Some(clients) = clients else {
                by_name.push((hostname, None));
                continue;
            };
            let known = checked
                .iter()
                .chain(previous.iter().flat_map(|previous| previous.checked()))
                .find(|known| known.clients == *clients);
            let config = match known {
                Some(known) => Arc::clone(known),
                None => Arc::new(self.checked(&certificates, clients)?),
            };
            checked.push(Arc::clone(&config));
            by_name.push((hostname, Some(config)));
        }
        if checked.is_empty() {
            by_name.clear();
        }
        let (config, streams) = match previous {
            Some(previous) => (Arc::clone(&previous.config), Arc::clone(&previous.streams)),
            None => self.open(&certificates)?,
        };
        // QUIC has one configuration for all names, so a bind where clients are checked has none ([`ir::Snapshot::serves_http3`]).
        let http3 = http3.filter(|_| by_name.is_empty());
        Ok(TlsBind {
            config,
            streams,
            by_name: by_name.into(),
            quic: http3.map(|http3| self.quic(&certificates, http3)).transpose()?,
            certificates,
            http3: http3.cloned(),
        })
    }

    /// For everybody.
    fn open(
        &self,
        certificates: &Arc<Certificates>,
    ) -> Result<(Arc<ServerConfig>, Arc<ServerConfig>), rustls::Error> {
        let config = self.unchecked(certificates)?;
        // Tickets carry the session, so nothing is stored here, whichever worker the client meets next. rustls resumes
        // only for the same SNI, and nobody is checked here, so a ticket opens no door that is not open.
        Ok(for_both(config, self.tickets()?))
    }

    /// For clients that are checked. Their tickets have keys of their own: one that was given to somebody who was not
    /// checked is worth nothing here.
    fn checked(
        &self,
        certificates: &Arc<Certificates>,
        clients: &Arc<ClientValidation>,
    ) -> Result<CheckedConfig, rustls::Error> {
        let resolver: Arc<Certificates> = Arc::clone(certificates);
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(clients::verifier(clients, &self.provider)?)
            .with_cert_resolver(resolver);
        let (config, streams) = for_both(config, aws_lc_rs::Ticketer::new()?);
        Ok(CheckedConfig {
            clients: Arc::clone(clients),
            config,
            streams,
        })
    }

    fn unchecked(&self, certificates: &Arc<Certificates>) -> Result<ServerConfig, rustls::Error> {
        let resolver: Arc<Certificates> = Arc::clone(certificates);
        Ok(ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(VERSIONS)?
            .with_no_client_auth()
            .with_cert_resolver(resolver))
    }

    /// For everybody who comes over QUIC.
    fn quic(
        &self,
        certificates: &Arc<Certificates>,
        http3: &ir::Http3,
    ) -> Result<Arc<QuicServerConfig>, rustls::Error> {
        let mut config = self.unchecked(certificates)?;
        config.alpn_protocols = vec![h3::ALPN.to_vec()];
        if http3.early_data {
            // Sessions are kept here instead of in tickets, so that each is good for one time only: whoever sends a first packet
            // again, here or to another replica, finds that its session is gone (RFC 8446 §8.1).
            let sessions = self
                .early
                .get_or_init(|| ServerSessionMemoryCache::new(EARLY_SESSIONS));
            config.session_storage = Arc::clone(sessions);
            // RFC 9001 §4.6.1: over QUIC it is this or nothing.
            config.max_early_data_size = u32::MAX;
        } else {
            config.ticketer = self.tickets()?;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        match QuicServerConfig::try_from(config) {
            Ok(quic) => Ok(Arc::new(quic)),
            Err(error) => Err(rustls::Error::General(error.to_string())),
        }
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
