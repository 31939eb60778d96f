//! The rustls configuration of a bind, and the parts of it that all binds share.

use super::certificates::Certificates;
use super::clients;
use super::tickets::SharedTickets;
use crate::http::h3;
use aws_lc_rs::digest::{self, SHA256};
use ir::{ClientValidation, HostPattern, Layer, TicketSecret, TlsPolicy};
use quinn::crypto::rustls::QuicServerConfig;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{self as provider, Ticketer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};
use rustls::version::{TLS12, TLS13};
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
    /// Where keys come from instead that all replicas have.
    secret: Option<Arc<TicketSecret>>,
}

/// TLS on one bind.
pub struct TlsBind {
    /// Where nothing else is asked for.
    plain: Arc<Door>,
    /// Of listeners for HTTP.
    https: Doors,
    /// Of those for streams.
    by_stream: Doors,
    secret: Option<Arc<TicketSecret>>,
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

/// By the names that listeners are for, the most specific first. Empty where all are plain.
type Doors = Box<[(HostPattern, Arc<Door>)]>;

/// How one gets in, and the configurations for that.
#[derive(Debug)]
struct Door {
    clients: Option<Arc<ClientValidation>>,
    policy: TlsPolicy,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    config: Arc<ServerConfig>,
    /// The same for streams: whatever protocol the client offers inside is between it and the endpoint.
    streams: Arc<ServerConfig>,
}

/// What a listener asks for: the names that it is for, who is let in, and how.
type Asked<'b> = (HostPattern, Option<&'b Arc<ClientValidation>>, TlsPolicy);

impl TlsBind {
    /// The configuration for a client that asks for this name (lower-case).
    pub fn config(&self, sni: Option<&str>) -> &Arc<ServerConfig> {
        &self.door(&self.https, sni).config
    }

    /// The same for streams.
    pub fn streams(&self, sni: Option<&str>) -> &Arc<ServerConfig> {
        &self.door(&self.by_stream, sni).streams
    }

    /// How clients of HTTP are checked that ask for this name, and by whom.
    pub(super) fn rule(
        &self,
        sni: Option<&str>,
    ) -> Option<(&Arc<ClientValidation>, &Arc<dyn ClientCertVerifier>)> {
        let door = self.door(&self.https, sni);
        door.clients.as_ref().zip(door.verifier.as_ref())
    }

    /// The door of the listener that the name selects, as the router selects it ([`router::Socket::listener_of_sni`]): what is
    /// checked here must be what is checked for the requests that are let through there. Who names nobody is for the listener
    /// that is for every host; who selects none is checked if anybody is.
    fn door<'d>(&'d self, doors: &'d Doors, sni: Option<&str>) -> &'d Door {
        let name = sni.unwrap_or_default();
        let selected = doors.iter().find(|(pattern, _)| pattern.matches(name));
        let strictest = || {
            doors
                .iter()
                .max_by_key(|(_, door)| (door.clients.is_some(), door.policy))
        };
        selected.or_else(strictest).map_or(&self.plain, |(_, door)| door)
    }

    fn asks_as(&self, bind: &ir::Bind) -> bool {
        let same = |asked: &[Asked<'_>], here: &Doors| {
            (here.is_empty() && asked.iter().all(is_plain))
                || asked.len() == here.len()
                    && asked
                        .iter()
                        .zip(here)
                        .all(|((name, clients, policy), (known, door))| {
                            name == known && door.is_for(*clients, *policy)
                        })
        };
        same(&of_https(bind), &self.https) && same(&of_streams(bind), &self.by_stream)
    }
}

impl Door {
    fn is_for(&self, clients: Option<&Arc<ClientValidation>>, policy: TlsPolicy) -> bool {
        self.policy == policy && self.clients.as_ref() == clients
    }
}

/// Of listeners for HTTP, the most specific first. That of Ingress comes last: it has what no Gateway's listener is for.
fn of_https(bind: &ir::Bind) -> Vec<Asked<'_>> {
    let of = |layer| {
        let listeners = bind
            .listeners
            .iter()
            .filter(move |listener| listener.layer == layer);
        listeners.map(|listener| {
            (
                listener.hostname.clone(),
                listener.clients.as_ref(),
                listener.tls_policy,
            )
        })
    };
    let mut all: Vec<_> = of(Layer::Gateway).collect();
    all.sort_by(|(a, ..), (b, ..)| a.specificity(b));
    all.extend(of(Layer::Ingress));
    all
}

/// Of listeners for streams.
fn of_streams(bind: &ir::Bind) -> Vec<Asked<'_>> {
    let streams = bind.streams.iter();
    let mut all: Vec<_> = streams
        .map(|stream| {
            (
                stream.hostname.clone(),
                stream.clients.as_ref(),
                stream.tls_policy,
            )
        })
        .collect();
    all.sort_by(|(a, ..), (b, ..)| a.specificity(b));
    all
}

fn is_plain((_, clients, policy): &Asked<'_>) -> bool {
    clients.is_none() && policy.is_default()
}

impl TlsSettings {
    /// Settings with ticket keys of their own.
    pub fn new() -> Self {
        Self {
            // With the feature `prefer-post-quantum`, X25519MLKEM768 stands first in the provider's list. Its ciphers for
            // TLS 1.2 all have forward secrecy and authentication, so the policies differ by version alone.
            provider: Arc::new(provider::default_provider()),
            tickets: OnceLock::new(),
            early: OnceLock::new(),
            secret: None,
        }
    }

    /// Takes over what a snapshot says about tickets.
    pub fn share_tickets(&mut self, secret: Option<&Arc<TicketSecret>>) {
        self.secret = secret.cloned();
    }

    /// Whether a bind needs nothing else than what `before` has.
    pub fn is_still(&self, before: &TlsBind, bind: &ir::Bind) -> bool {
        before.secret == self.secret && before.asks_as(bind)
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
        let previous = previous.filter(|previous| {
            Arc::ptr_eq(&previous.certificates, &certificates) && previous.secret == self.secret
        });
        let mut known: Vec<Arc<Door>> = Vec::new();
        if let Some(previous) = previous {
            let doors = previous.https.iter().chain(&previous.by_stream);
            known.push(Arc::clone(&previous.plain));
            known.extend(doors.map(|(_, door)| Arc::clone(door)));
        }
        let mut find = |clients: Option<&Arc<ClientValidation>>, policy: TlsPolicy| {
            if let Some(known) = known.iter().find(|known| known.is_for(clients, policy)) {
                return Ok(Arc::clone(known));
            }
            let made = Arc::new(self.make(&certificates, clients, policy)?);
            known.push(Arc::clone(&made));
            Ok::<_, rustls::Error>(made)
        };
        let plain = find(None, TlsPolicy::default())?;
        let mut doors = |asked: Vec<Asked<'_>>| {
            if asked.iter().all(is_plain) {
                return Ok(Doors::default());
            }
            let doors = asked.into_iter();
            let doors = doors.map(|(name, clients, policy)| Ok((name, find(clients, policy)?)));
            doors.collect::<Result<Doors, rustls::Error>>()
        };
        let (https, by_stream) = (doors(of_https(bind))?, doors(of_streams(bind))?);
        // QUIC has one configuration for all names, so a bind where clients are checked has none ([`ir::Snapshot::serves_http3`]).
        let http3 = http3.filter(|_| https.iter().all(|(_, door)| door.clients.is_none()));
        Ok(TlsBind {
            plain,
            https,
            by_stream,
            secret: self.secret.clone(),
            serial: SERIALS.fetch_add(1, Relaxed),
            quic: http3.map(|http3| self.quic(&certificates, http3)).transpose()?,
            certificates,
            http3: http3.cloned(),
        })
    }

    fn make(
        &self,
        certificates: &Arc<Certificates>,
        clients: Option<&Arc<ClientValidation>>,
        policy: TlsPolicy,
    ) -> Result<Door, rustls::Error> {
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions(policy))?;
        let verifier = clients.map(|clients| clients::verifier(clients, &self.provider));
        let verifier = verifier.transpose()?;
        let builder = match &verifier {
            Some(verifier) => builder.with_client_cert_verifier(Arc::clone(verifier)),
            None => builder.with_no_client_auth(),
        };
        let resolver: Arc<Certificates> = Arc::clone(certificates);
        let mut config = builder.with_cert_resolver(resolver);
        config.ticketer = self.tickets(clients)?;
        // Tickets carry the session, so nothing is stored here, whichever worker the client meets next.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let streams = Arc::new(config.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Door {
            clients: clients.cloned(),
            policy,
            verifier,
            config: Arc::new(config),
            streams,
        })
    }

    fn unchecked(&self, certificates: &Arc<Certificates>) -> Result<ServerConfig, rustls::Error> {
        let resolver: Arc<Certificates> = Arc::clone(certificates);
        Ok(ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
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
            config.ticketer = self.tickets(None)?;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        match QuicServerConfig::try_from(config) {
            Ok(quic) => Ok(Arc::new(quic)),
            Err(error) => Err(rustls::Error::General(error.to_string())),
        }
    }

    /// Keys that change every six hours, the last ones still read. TLS 1.2 and 1.3 both use them.
    ///
    /// rustls resumes only for the same SNI, and where nobody is checked a ticket opens no door that is not open. Those of
    /// clients that are checked have keys of their own for each rule: one that was given under another is worth nothing.
    fn tickets(
        &self,
        clients: Option<&Arc<ClientValidation>>,
    ) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        if let Some(secret) = &self.secret {
            return Ok(Arc::new(SharedTickets::new(secret, &purpose(clients))));
        }
        if clients.is_some() {
            return Ticketer::new();
        }
        if let Some(tickets) = self.tickets.get() {
            return Ok(Arc::clone(tickets));
        }
        let fresh = Ticketer::new()?;
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

/// What a ticket opens, the same for every replica that asks for the same.
fn purpose(clients: Option<&Arc<ClientValidation>>) -> Vec<u8> {
    let Some(clients) = clients else {
        return b"open".to_vec();
    };
    let mut context = digest::Context::new(&SHA256);
    context.update(&[u8::from(clients.insecure_fallback)]);
    for list in [&clients.roots, &clients.revoked] {
        context.update(&(list.len() as u64).to_be_bytes());
        for der in list.iter() {
            context.update(&(der.len() as u64).to_be_bytes());
            context.update(der);
        }
    }
    [b"checked".as_slice(), context.finish().as_ref()].concat()
}

fn versions(policy: TlsPolicy) -> &'static [&'static rustls::SupportedProtocolVersion] {
    match policy {
        TlsPolicy::Intermediate => BOTH,
        TlsPolicy::Modern => NEWEST,
    }
}

static BOTH: &[&rustls::SupportedProtocolVersion] = &[&TLS13, &TLS12];
static NEWEST: &[&rustls::SupportedProtocolVersion] = &[&TLS13];
static SERIALS: AtomicU64 = AtomicU64::new(1);
