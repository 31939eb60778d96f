//! A connection to an endpoint while an exchange has it, and what counts it there.

use super::cell::EndpointState;
use super::local::{LocalEndpoint, Profile};
use super::shared::{SharedConnections, User};
use crate::stream::Stream;
use crate::sys::socket;
use crate::time::Instant;
use crate::tls::client::same_identity;
use crate::worker::WorkerState;
use rustls::sign::CertifiedKey;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use telemetry::UpstreamMetrics;

/// One that waits to be used again.
#[derive(Debug)]
pub(crate) struct IdleConnection {
    stream: Stream,
    /// Who the endpoint takes us for.
    identity: Option<Arc<CertifiedKey>>,
    open: Open,
    pub(super) since: Instant,
}

/// A connection to an endpoint, for one exchange. Dropping it closes it.
#[derive(Debug)]
pub struct UpstreamConnection {
    /// Its bytes, or those of the exchange's own stream on it.
    pub stream: Stream,
    hold: Hold,
    lease: Lease,
    profile: Rc<Profile>,
    /// Unset: taken from the pool.
    connected_in: Option<Duration>,
}

/// A connection that is good for an exchange: its bytes, who the endpoint takes us for, its count.
pub(crate) type Connected = (Stream, Option<Arc<CertifiedKey>>, Open);

/// What an exchange has of its connection.
#[derive(Debug)]
enum Hold {
    /// All of it. Who the endpoint takes us for goes with it.
    Whole(Option<Arc<CertifiedKey>>, Open),
    /// A stream. Counts there while it lives.
    Shared(User),
}

/// Counts an exchange at its endpoint while it lives.
#[derive(Debug)]
pub(crate) struct Lease(Rc<LocalEndpoint>);

/// Counts a connection at its endpoint while it lives.
#[derive(Debug)]
pub(crate) struct Open(Arc<EndpointState>);

impl IdleConnection {
    /// Whether nothing has come on it: neither its end nor bytes that nobody asked for. Costs a system call only if the
    /// event loop has seen something come.
    pub(super) fn is_quiet(&self) -> bool {
        let Some(tcp) = self.stream.tcp() else {
            return false;
        };
        tcp.try_read(&mut [0]).is_err_and(socket::would_block)
    }
}

impl Lease {
    pub(super) fn new(endpoint: &Rc<LocalEndpoint>) -> Self {
        endpoint.state.in_flight.fetch_add(1, Relaxed);
        Self(Rc::clone(endpoint))
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.state.address
    }

    /// An idle connection that the endpoint has not closed, as far as this side knows.
    pub(crate) fn take_idle(&self, identity: Option<&Arc<CertifiedKey>>) -> Option<Connected> {
        let mut idle = self.0.idle.borrow_mut();
        let fits = |connection: &IdleConnection| same_identity(connection.identity.as_ref(), identity);
        loop {
            // Nearly always the last one: only Gateways that show a certificate of their own have connections of their own.
            let connection = match idle.last() {
                Some(last) if fits(last) => idle.pop()?,
                _ => {
                    let index = idle.iter().rposition(fits)?;
                    idle.remove(index)
                }
            };
            if connection.is_quiet() {
                return Some((connection.stream, connection.identity, connection.open));
            }
        }
    }

    /// The connections to it that exchanges share.
    pub(crate) fn shared(&self) -> &SharedConnections {
        &self.0.shared
    }

    /// Whether connections to it are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.0.keep.get() > 0
    }

    /// Notes that the endpoint could not be connected to.
    pub(crate) fn failed(&self, now: Instant) {
        self.0.state.connect_failures.fetch_add(1, Relaxed);
        self.0.rests_until.set(Some(now + REST_AFTER_FAILURE));
    }

    /// Notes that the endpoint could be connected to.
    pub(crate) fn connected(&self) -> Open {
        self.0.rests_until.set(None);
        self.0.state.connections.fetch_add(1, Relaxed);
        Open(Arc::clone(&self.0.state))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.state.in_flight.fetch_sub(1, Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

impl UpstreamConnection {
    pub(crate) fn new(
        (stream, identity, open): Connected,
        lease: Lease,
        profile: Rc<Profile>,
        connected_in: Option<Duration>,
    ) -> Self {
        Self {
            stream,
            hold: Hold::Whole(identity, open),
            lease,
            profile,
            connected_in,
        }
    }

    /// A stream on a connection that others use too.
    pub(crate) fn shared(
        user: User,
        lease: Lease,
        profile: Rc<Profile>,
        connected_in: Option<Duration>,
    ) -> Self {
        Self {
            stream: user.stream(),
            hold: Hold::Shared(user),
            lease,
            profile,
            connected_in,
        }
    }

    /// Waits until it is known what the endpoint can be asked for.
    pub(crate) async fn settled(&self) {
        if let Hold::Shared(user) = &self.hold {
            user.settled().await;
        }
    }

    /// Whether it served an exchange before, so that the endpoint may just have closed it.
    pub fn reused(&self) -> bool {
        self.connected_in.is_none()
    }

    /// Whether other exchanges share it.
    pub fn is_multiplexed(&self) -> bool {
        self.stream.is_multiplexed()
    }

    /// How long connecting took; unset when it was taken from the pool.
    pub fn connected_in(&self) -> Option<Duration> {
        self.connected_in
    }

    /// The other end.
    pub fn endpoint(&self) -> SocketAddr {
        self.lease.address()
    }

    /// Settings of its upstream.
    pub fn settings(&self) -> &ir::UpstreamSettings {
        &self.profile.settings
    }

    /// Its bytes, and the settings of its upstream.
    pub fn parts(&mut self) -> (&mut Stream, &ir::UpstreamSettings) {
        (&mut self.stream, &self.profile.settings)
    }

    /// Metrics of its upstream.
    pub fn metrics(&self) -> &UpstreamMetrics {
        &self.profile.metrics
    }

    /// Returns it to the pool: the exchange is over and both sides may go on. Nothing may be left unread. A connection
    /// that began with a PROXY header speaks for one client and is closed instead.
    pub fn give_back(self, worker: &WorkerState) {
        let Self {
            stream,
            hold,
            lease,
            profile,
            ..
        } = self;
        let Hold::Whole(identity, open) = hold else { return };
        if profile.settings.proxy_protocol.is_some() {
            return;
        }
        let mut idle = lease.0.idle.borrow_mut();
        if idle.len() < lease.0.keep.get() {
            idle.push(IdleConnection {
                stream,
                identity,
                open,
                since: worker.clock.recent(),
            });
        }
    }
}

/// Long enough not to meet a dead endpoint with every request, short enough not to miss its return.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(1);
