//! The rustls configuration of a bind, and the parts of it that all binds share.

use super::certificates::Certificates;
use super::clients;
use crate::http::h3;
use ir::{ClientValidation, HostPattern, Layer};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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
    /// Where clients of HTTP are checked.
    https: Rules,
    /// Where those of streams are.
    by_stream: Rules,
    /// No two that differ have the same.
    pub(super) serial: u64,
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

/// By the names that listeners are for, the most specific first. Empty where nobody is checked.
type Rules = Box<[(HostPattern, Option<Arc<CheckedConfig>>)]>;

/// Configurations for clients that are checked.
#[derive(Debug)]
pub struct CheckedConfig {
    clients: Arc<ClientValidation>,
    verifier: Arc<dyn ClientCertVerifier>,
    config: Arc<ServerConfig>,
    streams: Arc<ServerConfig>,
}

impl TlsBind {
    /// The configuration for a client that asks for this name (lower-case).
    pub fn config(&self, sni: Option<&str>) -> &Arc<ServerConfig> {
        checked_by(&self.https, sni).map_or(&self.config, |checked| &checked.config)
    }

    /// The same for streams.
    pub fn streams(&self, sni: Option<&str>) -> &Arc<ServerConfig> {
        checked_by(&self.by_stream, sni).map_or(&self.streams, |checked| &checked.streams)
    }

    /// How clients of HTTP are checked that ask for this name, and by whom.
    pub(super) fn rule(
        &self,
        sni: Option<&str>,
    ) -> Option<(&Arc<ClientValidation>, &Arc<dyn ClientCertVerifier>)> {
        checked_by(&self.https, sni).map(|checked| (&checked.clients, &checked.verifier))
    }

    /// Whether clients of a bind are checked as they are here.
    pub fn checks_as(&self, bind: &ir::Bind) -> bool {
        let same = |asked: Vec<Asked<'_>>, here: &Rules| {
            let none = asked.iter().all(|(_, clients)| clients.is_none());
            (none && here.is_empty())
                || asked.len() == here.len()
                    && asked.iter().zip(here).all(|((a, asked), (b, here))| {
                        a == b && *asked == here.as_ref().map(|here| &here.clients)
                    })
        };
        same(of_https(bind), &self.https) && same(of_streams(bind), &self.by_stream)
    }

    fn checked(&self) -> impl Iterator<Item = &Arc<CheckedConfig>> {
        let all = self.https.iter().chain(&self.by_stream);
        all.filter_map(|(_, checked)| checked.as_ref())
    }
}

/// The rule of the listener that the name selects, as the router selects it ([`router::Socket::listener_of_sni`]): what is
/// checked here must be what is checked for the requests that are let through there. Who names nobody is for the listener
/// that is for every host; who selects none is checked if anybody is.
fn checked_by<'r>(rules: &'r Rules, sni: Option<&str>) -> Option<&'r CheckedConfig> {
    let name = sni.unwrap_or_default();
    match rules.iter().find(|(pattern, _)| pattern.matches(name)) {
        Some((_, checked)) => checked.as_deref(),
        None => rules.iter().find_map(|(_, checked)| checked.as_deref()),
    }
}

/// A name that a listener is for, and who is let in there.
type Asked<'b> = (HostPattern, Option<&'b Arc<ClientValidation>>);

/// Of listeners for HTTP, the most specific first. That of Ingress comes last: it has what no Gateway's listener is for.
fn of_https(bind: &ir::Bind) -> Vec<Asked<'_>> {
    let of = |layer| {
        let listeners = bind
            .listeners
            .iter()
            .filter(move |listener| listener.layer == layer);
        listeners.map(|listener| (listener.hostname.clone(), listener.clients.as_ref()))
    };
    let mut all: Vec<_> = of(Layer::Gateway).collect();
    all.sort_by(|(a, _), (b, _)| a.specificity(b));
    all.extend(of(Layer::Ingress));
    all
}

/// Of listeners for streams.
fn of_streams(bind: &ir::Bind) -> Vec<Asked<'_>> {
    let streams = bind.streams.iter();
    let mut all: Vec<_> = streams
        .map(|stream| (stream.hostname.clone(), stream.clients.as_ref()))
        .collect();
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

static SERIALS: AtomicU64 = AtomicU64::new(1);
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
        let mut known: Vec<Arc<CheckedConfig>> = previous
            .iter()
            .flat_map(|previous| previous.checked().cloned())
            .collect();
        let https = self.rules(of_https(bind), &certificates, &mut known)?;
        let by_stream = self.rules(of_streams(bind), &certificates, &mut known)?;
        let (config, streams) = match previous {
            Some(previous) => (Arc::clone(&previous.config), Arc::clone(&previous.streams)),
            None => self.open(&certificates)?,
        };
        // QUIC has one configuration for all names, so a bind where clients are checked has none ([`ir::Snapshot::serves_http3`]).
        let http3 = http3.filter(|_| https.is_empty());
        Ok(TlsBind {
            config,
            streams,
            https,
            by_stream,
            serial: SERIALS.fetch_add(1, Relaxed),
            quic: http3.map(|http3| self.quic(&certificates, http3)).transpose()?,
            certificates,
            http3: http3.cloned(),
        })
    }

    fn rules(
        &self,
        asked: Vec<Asked<'_>>,
        certificates: &Arc<Certificates>,
        known: &mut Vec<Arc<CheckedConfig>>,
    ) -> Result<Rules, rustls::Error> {
        if asked.iter().all(|(_, clients)| clients.is_none()) {
            return Ok(Rules::default());
        }
        let mut rules = Vec::with_capacity(asked.len());
        for (hostname, clients) in asked {
            let Some(clients) = clients else {
                rules.push((hostname, None));
                continue;
            };
            let config = match known.iter().find(|known| known.clients == *clients) {
                Some(known) => Arc::clone(known),
                None => {
                    let made = Arc::new(self.checked(certificates, clients)?);
                    known.push(Arc::clone(&made));
                    made
                }
            };
            rules.push((hostname, Some(config)));
        }
        Ok(rules.into())
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
        let verifier = clients::verifier(clients, &self.provider)?;
        let resolver: Arc<Certificates> = Arc::clone(certificates);
        let config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(Arc::clone(&verifier))
            .with_cert_resolver(resolver);
        let (config, streams) = for_both(config, aws_lc_rs::Ticketer::new()?);
        Ok(CheckedConfig {
            clients: Arc::clone(clients),
            verifier,
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
