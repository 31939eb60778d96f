//! Gets a connection for an exchange: a pooled one, else a new one, else one to the next endpoint.

use super::cell::UpstreamCell;
use super::connection::{Connected, Lease, UpstreamConnection};
use super::local::{LocalUpstream, Profile, Unavailable};
use super::shared::User;
use crate::fault::Fault;
use crate::forwarded::Ends;
use crate::http::proxy_protocol;
use crate::stream::Stream;
use crate::time::timeout;
use crate::tls::client;
use crate::worker::WorkerState;
use ir::UpstreamProtocol;
use rustls::sign::CertifiedKey;
use smallvec::SmallVec;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// What kind of connection an exchange needs.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// A connection that was never used: the exchange met a closed idle one before.
    pub fresh: bool,
    /// The endpoint of the client's session: unless it is among those to avoid, it is the one.
    pub first: Option<SocketAddr>,
    /// Endpoints that this exchange has tried to no avail; avoided while there are others.
    pub avoid: SmallVec<[SocketAddr; 2]>,
    /// One try at connecting, however many the upstream's settings allow: the exchange decides about others.
    pub once: bool,
    /// What it is for.
    pub carries: Carries,
    /// Who we are to endpoints that ask, over TLS.
    pub identity: Option<&'a Arc<CertifiedKey>>,
    /// Client and the address that it spoke to, for an upstream that wants the PROXY protocol.
    pub ends: Option<&'a Ends>,
}

/// What a connection is to carry. Decides about TLS below it, where the upstream has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Carries {
    /// HTTP, in the version of the upstream.
    #[default]
    Http,
    /// Bytes whose meaning nobody looked at.
    Bytes,
    /// TLS that the client speaks with the endpoint: none of ours goes below it.
    Sealed,
}

impl Wanted<'_> {
    /// This endpoint was of no avail.
    pub fn tried(&mut self, endpoint: SocketAddr) {
        if !self.avoid.contains(&endpoint) {
            self.avoid.push(endpoint);
        }
    }
}

/// A connection to one of the upstream's endpoints: pooled if there is one, else new; the next endpoint when one
/// cannot be connected to, as often as the upstream's settings say. On a fault nothing of the request was sent:
/// `NoEndpoints`, `Overloaded`, `Connect` or `ConnectTimeout`. Endpoints that were connected to, or not, are in
/// `wanted.avoid` afterwards.
pub async fn checkout(
    worker: &WorkerState,
    cell: &Arc<UpstreamCell>,
    wanted: &mut Wanted<'_>,
) -> Result<UpstreamConnection, Fault> {
    match begin(worker, cell, wanted)? {
        Checkout::Done(connection) => Ok(connection),
        Checkout::Ahead(ahead) => ahead.connect(worker, wanted).await,
    }
}

/// What [`begin`] came to.
pub enum Checkout {
    /// A connection that was there already.
    Done(UpstreamConnection),
    /// One has to be made.
    Ahead(Ahead),
}

/// A connection that is to be made.
pub struct Ahead {
    local: Rc<LocalUpstream>,
    first: Lease,
    profile: Rc<Profile>,
}

/// The part of [`checkout`] that needs no waiting, which mostly is all of it.
#[inline]
pub fn begin(
    worker: &WorkerState,
    cell: &Arc<UpstreamCell>,
    wanted: &mut Wanted<'_>,
) -> Result<Checkout, Fault> {
    let local = worker.upstreams.of(cell, &worker.random);
    let (lease, profile) = local
        .pick(&worker.random, &worker.clock, wanted.first, &wanted.avoid)
        .map_err(unavailable)?;
    if wanted.once && wanted.avoid.contains(&lease.address()) {
        // All were tried: the next round begins.
        wanted.avoid.clear();
    }
    Ok(match used_before(lease, &profile, wanted) {
        Ok(connection) => Checkout::Done(connection),
        Err(first) => Checkout::Ahead(Ahead {
            local,
            first,
            profile,
        }),
    })
}

impl Ahead {
    /// The rest of [`checkout`].
    pub async fn connect(
        self,
        worker: &WorkerState,
        wanted: &mut Wanted<'_>,
    ) -> Result<UpstreamConnection, Fault> {
        let Self {
            local,
            first,
            profile,
        } = self;
        // Boxed: the rare way must not make every exchange's future as large as itself.
        Box::pin(connect_somewhere(worker, &local, wanted, first, profile)).await
    }
}

async fn connect_somewhere(
    worker: &WorkerState,
    local: &LocalUpstream,
    wanted: &mut Wanted<'_>,
    first: Lease,
    mut profile: Rc<Profile>,
) -> Result<UpstreamConnection, Fault> {
    let settings = &profile.settings;
    let most = if wanted.once { 1 } else { settings.connect_tries };
    let mut lease = first;
    let mut tries = 1;
    loop {
        // Before: the caller may not wait for the end of it.
        wanted.tried(lease.address());
        let endpoint = lease.address();
        let (fault, error) = match connect(worker, lease, &profile, wanted).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => failure,
        };
        profile.metrics.connect_failed(&worker.shard);
        tracing::debug!(%endpoint, %error, "cannot connect");
        if tries >= most {
            return Err(fault);
        }
        tries += 1;
        let Ok((next, newest)) = local.pick(&worker.random, &worker.clock, wanted.first, &wanted.avoid)
        else {
            return Err(fault);
        };
        // Only endpoints that failed are left: what failed a moment ago fails again.
        if wanted.avoid.contains(&next.address()) {
            return Err(fault);
        }
        profile.metrics.retried(&worker.shard);
        // An endpoint and how to speak to it belong together: a new plan may want TLS by now, and a connection made
        // otherwise would be kept for requests that come under it.
        profile = newest;
        // Another try may find an idle connection, unless only a fresh one will do.
        lease = match used_before(next, &profile, wanted) {
            Ok(connection) => return Ok(connection),
            Err(next) => next,
        };
    }
}

/// A connection that is there already.
fn used_before(
    lease: Lease,
    profile: &Rc<Profile>,
    wanted: &Wanted<'_>,
) -> Result<UpstreamConnection, Lease> {
    if wanted.fresh {
        return Err(lease);
    }
    match profile.settings.protocol {
        UpstreamProtocol::Http1 => match lease.take_idle(profile.identity(wanted.identity)) {
            Some(idle) => Ok(UpstreamConnection::new(idle, lease, Rc::clone(profile), None)),
            None => Err(lease),
        },
        UpstreamProtocol::Http2 => match lease.shared().take(profile.identity(wanted.identity)) {
            Some(user) => Ok(UpstreamConnection::shared(user, lease, Rc::clone(profile), None)),
            None => Err(lease),
        },
    }
}

/// A new connection. Where exchanges share them, one is opened at a time: who comes meanwhile waits for it.
async fn connect(
    worker: &WorkerState,
    lease: Lease,
    profile: &Rc<Profile>,
    wanted: &Wanted<'_>,
) -> Result<UpstreamConnection, (Fault, io::Error)> {
    if profile.settings.protocol == UpstreamProtocol::Http1 || wanted.carries != Carries::Http {
        let (connected, took) = open(worker, &lease, profile, wanted).await?;
        return Ok(UpstreamConnection::new(
            connected,
            lease,
            Rc::clone(profile),
            Some(took),
        ));
    }
    let identity = profile.identity(wanted.identity);
    let (user, took) = loop {
        match lease.shared().opening().await {
            Ok(Some(opening)) => {
                let begun = begin_shared(worker, &lease, profile, wanted).await;
                match begun {
                    Ok((user, took)) => break (user, Some(took)),
                    Err((fault, error)) => {
                        opening.failed(fault);
                        return Err((fault, error));
                    }
                }
            }
            Ok(None) => {
                if let Some(user) = lease.shared().take(identity) {
                    break (user, None);
                }
            }
            Err(fault) => return Err((fault, io::ErrorKind::NotConnected.into())),
        }
    };
    Ok(UpstreamConnection::shared(user, lease, Rc::clone(profile), took))
}

/// A place on a new connection that exchanges share.
async fn begin_shared(
    worker: &WorkerState,
    lease: &Lease,
    profile: &Profile,
    wanted: &Wanted<'_>,
) -> Result<(User, Duration), (Fault, io::Error)> {
    let ((stream, identity, open), took) = open(worker, lease, profile, wanted).await?;
    let (keep, now) = (lease.keeps(), worker.clock.recent());
    Ok((lease.shared().begin(stream, identity, open, keep, now), took))
}

async fn open(
    worker: &WorkerState,
    lease: &Lease,
    profile: &Profile,
    wanted: &Wanted<'_>,
) -> Result<(Connected, Duration), (Fault, io::Error)> {
    let Profile { settings, metrics } = profile;
    let identity = profile.identity(wanted.identity);
    let started = worker.clock.now();
    let attempt = async {
        let tcp = open_tcp(lease, settings, wanted.ends)
            .await
            .map_err(|error| (Fault::Connect, error))?;
        let Some(tls) = settings
            .tls
            .as_ref()
            .filter(|_| wanted.carries != Carries::Sealed)
        else {
            return Ok(Stream::Plain(tcp));
        };
        let protocol = (wanted.carries == Carries::Http).then_some(settings.protocol);
        let config = worker
            .tls_clients
            .config(tls, protocol, identity)
            .map_err(|error| (Fault::UpstreamTls, io::Error::other(error)))?;
        let shaken = client::connect(config, tls, protocol, tcp).await;
        let stream = shaken.map_err(|error| (Fault::UpstreamTls, error))?;
        Ok(Stream::TlsClient(stream))
    };
    let outcome = timeout(settings.connect_timeout, attempt).await;
    let now = worker.clock.now();
    match outcome {
        Ok(Ok(stream)) => {
            let took = now - started;
            metrics.connected(&worker.shard, took);
            Ok(((stream, identity.cloned(), lease.connected()), took))
        }
        Ok(Err((fault, error))) => {
            // Our own want of files or ports says nothing about the endpoint.
            if !is_ours(&error) {
                lease.failed(now);
            }
            Err((fault, error))
        }
        Err(_) => {
            lease.failed(now);
            Err((Fault::ConnectTimeout, io::ErrorKind::TimedOut.into()))
        }
    }
}

/// The connection below TLS.
async fn open_tcp(
    lease: &Lease,
    settings: &ir::UpstreamSettings,
    ends: Option<&Ends>,
) -> io::Result<TcpStream> {
    let mut tcp = TcpStream::connect(lease.address()).await?;
    // Requests are written whole; waiting for more to come only delays them.
    tcp.set_nodelay(true)?;
    if settings.protocol == UpstreamProtocol::Http2 {
        keep_alive(&tcp)?;
    }
    if let Some(version) = settings.proxy_protocol {
        let header = proxy_protocol::write(version, ends.map(|ends| (ends.peer, ends.local)));
        tcp.write_all(&header).await?;
    }
    Ok(tcp)
}

/// A connection that many wait on must not be dead for long without anybody noticing.
fn keep_alive(tcp: &TcpStream) -> io::Result<()> {
    let probes = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    SockRef::from(tcp).set_tcp_keepalive(&probes)
}

fn is_ours(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EADDRNOTAVAIL)
    )
}

fn unavailable(why: Unavailable) -> Fault {
    match why {
        Unavailable::NoEndpoints => Fault::NoEndpoints,
        Unavailable::Saturated => Fault::Overloaded,
    }
}
