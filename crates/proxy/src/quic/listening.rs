//! One worker's endpoint for one bind: lets connections in, and shakes hands.

use super::socket::Opened;
use crate::connection::{self, Alpn, Control, Guard, Occupation, SocketSlot, TlsFacts, Wait};
use crate::exchange;
use crate::http::h3;
use crate::plan::{Plan, PlanSocket};
use crate::time::timeout;
use crate::tls::{Admission, TlsBind};
use crate::worker::WorkerState;
use quinn::crypto::rustls::HandshakeData;
use quinn::{Connecting, Connection, Endpoint, Incoming, Runtime as _, ZeroRttAccepted};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Handshake, TlsVersion};

/// A worker's endpoint.
#[derive(Debug)]
pub(crate) struct Listening {
    endpoint: Endpoint,
    local: SocketAddr,
    secrets: Arc<super::Secrets>,
    slot: Cell<SocketSlot>,
    /// What connections are accepted by.
    by: RefCell<(Arc<TlsBind>, Arc<ir::HttpSettings>)>,
    /// Handshakes under way.
    shaking: Cell<u32>,
}

/// A connection whose handshake is over, or far enough for early data.
pub(crate) struct Arrived {
    pub connection: Connection,
    /// The handshake is not over: what comes may have been sent by anybody (RFC 8470 §3).
    pub early: Rc<Cell<bool>>,
    pub slot: SocketSlot,
    pub tls: Rc<TlsFacts>,
    pub control: Rc<Control>,
    /// Where the client reaches us.
    pub local: SocketAddr,
}

impl Listening {
    /// Takes over a socket. None: the bind serves no HTTP/3.
    pub fn new(opened: Opened, socket: &PlanSocket, plan: &Plan) -> io::Result<Option<Rc<Self>>> {
        let Some(by) = by(socket, plan) else {
            return Ok(None);
        };
        let secrets = Arc::clone(&opened.secrets);
        let local = opened.socket.local_addr()?;
        let (place, runtime) = (opened.place, Arc::new(super::runtime::OnWorker));
        let steered = opened.steer(|socket| runtime.wrap_udp_socket(socket))?;
        let endpoint = Endpoint::new_with_abstract_socket(secrets.endpoint(place), None, steered, runtime)?;
        let listening = Rc::new(Self {
            endpoint,
            local,
            secrets,
            slot: Cell::new(socket.slot),
            by: RefCell::new(by),
            shaking: Cell::new(0),
        });
        listening.configure();
        Ok(Some(listening))
    }

    /// Accepts by this plan from now on. Connections stay as they are. False: there is no HTTP/3 any more.
    pub fn follow(&self, socket: &PlanSocket, plan: &Plan) -> bool {
        let Some(new) = by(socket, plan) else { return false };
        self.slot.set(socket.slot);
        let changed = {
            let old = self.by.borrow();
            !Arc::ptr_eq(&old.0, &new.0) || !Arc::ptr_eq(&old.1, &new.1)
        };
        if changed {
            *self.by.borrow_mut() = new;
            self.configure();
        }
        true
    }

    /// Lets nobody in any more.
    pub fn stop(&self) {
        self.endpoint.set_server_config(None);
    }

    /// Ends all connections.
    pub fn close(&self) {
        self.endpoint.close(h3::Code::NO_ERROR.varint(), b"");
    }

    /// Returns when everybody was told what there was to tell, or soon.
    pub async fn settled(&self) {
        self.close();
        // However it ends, the process does next.
        let _ = timeout(LAST_WORDS, self.endpoint.wait_idle()).await;
    }

    fn configure(&self) {
        let by = self.by.borrow();
        let config =
            by.0.quic
                .as_ref()
                .map(|quic| self.secrets.server(Arc::clone(quic), &by.1));
        self.endpoint.set_server_config(config);
    }

    /// Whether an address has to be proven before more is done for it.
    fn is_under_load(&self) -> bool {
        let by = self.by.borrow();
        by.1.http3
            .as_ref()
            .is_some_and(|http3| self.shaking.get() >= http3.retry_above)
    }

    fn take(self: &Rc<Self>, worker: &Rc<WorkerState>, incoming: Incoming) {
        if self.is_under_load() && !incoming.remote_address_validated() && incoming.may_retry() {
            // It can, as was just asked.
            let _ = incoming.retry();
            return;
        }
        if !worker.connections.has_room() && worker.connections.make_room() == 0 || worker.draining() {
            worker.shard.connection_refused();
            return incoming.refuse();
        }
        let connecting = match incoming.accept() {
            Ok(connecting) => connecting,
            Err(error) => return tracing::debug!(%error, "no QUIC"),
        };
        let control = Rc::<Control>::default();
        let guard = connection::open(worker, Rc::clone(&control), self.slot.get());
        let shaking = Shaking::begin(self);
        let (worker, listening) = (Rc::clone(worker), Rc::clone(self));
        tokio::task::spawn_local(async move {
            listening.serve(&worker, connecting, control, shaking).await;
            drop::<Guard>(guard);
        });
    }

    async fn serve(
        &self,
        worker: &Rc<WorkerState>,
        connecting: Connecting,
        control: Rc<Control>,
        shaking: Shaking,
    ) {
        let plan = worker.plan();
        let within = plan.http.timeouts.handshake;
        let early = plan.http.http3.as_ref().is_some_and(|http3| http3.early_data);
        drop(plan);
        let since = worker.clock.now();
        control.set(Occupation::Idle {
            since,
            until: since + LONGEST_HANDSHAKE,
            wait: Wait::Long,
        });
        let peer = connecting.remote_address();
        let shaken = tokio::select! {
            biased;
            // Who has not even shaken hands makes room for others.
            _ = poll_fn(|cx| control.poll_told(cx)) => return,
            shaken = timeout(within, shake(connecting, early)) => shaken,
        };
        control.set(Occupation::Busy);
        let (connection, shaken, sni) = match shaken {
            Ok(Ok(shaken)) => shaken,
            failure => {
                worker.shard.tls_handshake(Handshake::Failed);
                match failure {
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "handshake failed"),
                    _ => worker.shard.fault(SLOW_HANDSHAKE),
                }
                return;
            }
        };
        let slot = self.slot.get();
        let Some(bind) = worker.plan().socket(slot).map(|socket| Arc::clone(&socket.bind)) else {
            return;
        };
        let early = Rc::new(Cell::new(shaken.is_some()));
        match shaken {
            Some(shaken) => {
                let finishing = finish(connection.clone(), shaken, within, shaking, Rc::clone(&early));
                tokio::task::spawn_local(finishing);
            }
            None => drop(shaking),
        }
        // QUIC does not tell whether a session was resumed.
        worker.shard.tls_handshake(Handshake::Full(TlsVersion::Tls13));
        let ip = connection.local_ip().unwrap_or(self.local.ip()).to_canonical();
        let arrived = Arrived {
            connection,
            early,
            slot,
            tls: Rc::new(TlsFacts {
                sni,
                version: rustls::ProtocolVersion::TLSv1_3,
                alpn: Some(Alpn::Http3),
                resumed: false,
                admission: Admission::default(),
            }),
            control,
            local: bind.seen(SocketAddr::new(ip, self.local.port())),
        };
        exchange::serve_quic(worker, arrived).await;
    }
}

/// Accepts until there is no endpoint any more.
pub(crate) async fn run(worker: Rc<WorkerState>, listening: Rc<Listening>) {
    while let Some(incoming) = listening.endpoint.accept().await {
        listening.take(&worker, incoming);
    }
}

/// The rest of a handshake that requests did not wait for.
async fn finish(
    connection: Connection,
    shaken: ZeroRttAccepted,
    within: Duration,
    shaking: Shaking,
    early: Rc<Cell<bool>>,
) {
    if timeout(within, shaken).await.is_err() {
        connection.close(h3::Code::NO_ERROR.varint(), b"");
    }
    // Where it failed, the connection did.
    early.set(false);
    drop(shaking);
}

type Shaken = (Connection, Option<ZeroRttAccepted>, Option<Box<str>>);

/// Shakes hands. `early`: only as far as a request may come.
async fn shake(mut connecting: Connecting, early: bool) -> Result<Shaken, quinn::ConnectionError> {
    let facts = connecting.handshake_data().await?;
    let facts = facts.downcast::<HandshakeData>().ok();
    let sni = facts.and_then(|facts| Some(facts.server_name?.to_ascii_lowercase().into()));
    if !early {
        return Ok((connecting.await?, None, sni));
    }
    match connecting.into_0rtt() {
        Ok((connection, shaken)) => Ok((connection, Some(shaken), sni)),
        Err(connecting) => Ok((connecting.await?, None, sni)),
    }
}

/// What connections to a bind are accepted by.
fn by(socket: &PlanSocket, plan: &Plan) -> Option<(Arc<TlsBind>, Arc<ir::HttpSettings>)> {
    let tls = socket.tls.as_ref().filter(|tls| tls.quic.is_some())?;
    Some((Arc::clone(tls), Arc::clone(&plan.http)))
}

/// Counts a handshake while it is under way.
struct Shaking(Rc<Listening>);

impl Shaking {
    fn begin(listening: &Rc<Listening>) -> Self {
        listening.shaking.set(listening.shaking.get() + 1);
        Self(Rc::clone(listening))
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        self.0.shaking.set(self.0.shaking.get() - 1);
    }
}

/// The handshake has a time-out of its own.
const LONGEST_HANDSHAKE: Duration = Duration::from_secs(3600);
/// For the end of the last connections to be told.
const LAST_WORDS: Duration = Duration::from_millis(50);
const SLOW_HANDSHAKE: &str = "slow-handshake";
