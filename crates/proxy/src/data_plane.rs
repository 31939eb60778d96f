//! The data plane from outside: start it, publish snapshots to it, look at it, drain it.

mod start;

use crate::drain::DrainOutcome;
use crate::handoff::Peers;
use crate::l4::udp;
use crate::listener;
use crate::plan::{Builder, Plan};
use crate::quic;
use crate::sys;
use crate::time::{Instant, timeout_at};
use crate::tls::{BrokenCertificate, TlsClients};
use crate::upstream::UpstreamState;
use crate::worker::{Command, Opened, Seed};
use start::{default_connections, start_worker};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use telemetry::{AccessLog, Telemetry, UpstreamGauges};
use tokio::sync::{mpsc, oneshot};

/// How a data plane is started.
#[derive(Debug)]
pub struct Options {
    /// Threads; 0: as many as CPUs may be used.
    pub workers: usize,
    /// Where workers count. Made for at least as many workers.
    pub telemetry: Arc<Telemetry>,
    /// Where exchanges are written down.
    pub access_log: Option<AccessLog>,
    /// How long exchanges may go on after [`DataPlane::drain`].
    pub drain_timeout: Duration,
}

/// The workers and what they serve by.
#[derive(Debug)]
pub struct DataPlane {
    workers: Vec<mpsc::UnboundedSender<Command>>,
    peers: Arc<Peers>,
    publisher: Arc<Mutex<Publisher>>,
    drain_timeout: Duration,
}

/// What came of publishing a snapshot.
#[derive(Debug)]
pub struct Applied {
    /// The generation that was published.
    pub generation: u64,
    /// Addresses that could not be listened on. All others work; these are tried again with the next snapshot.
    pub failed: Vec<BindFailure>,
    /// Certificates that can't be used. All others work.
    pub broken: Vec<BrokenCertificate>,
    /// Workers that did not answer in time, and may do so later. Empty: the snapshot is live everywhere.
    pub stragglers: Vec<usize>,
}

/// An address that could not be listened on.
#[derive(Debug)]
pub struct BindFailure {
    /// Which.
    pub address: ir::BindAddress,
    /// For UDP, not TCP.
    pub udp: bool,
    /// Why, such as `PermissionDenied` on port 80 or `AddrInUse`.
    pub error: io::Error,
}

/// What only one thread at a time may do: build plans and open sockets.
#[derive(Debug)]
struct Publisher {
    builder: Builder,
    plan: Arc<Plan>,
    /// Plans that some exchange may still hold. Kept here so that the last to let go is never a worker, which would
    /// have to free all of it between two requests.
    retired: Vec<Arc<Plan>>,
    listening: BTreeMap<ir::BindAddress, SocketAddr>,
    listening_udp: BTreeMap<ir::BindAddress, SocketAddr>,
    /// For HTTP/3, by the address of the bind that it is beside.
    listening_quic: BTreeMap<ir::BindAddress, SocketAddr>,
    secrets: Arc<quic::Secrets>,
}

impl DataPlane {
    /// Starts the workers. They serve nothing before the first [`DataPlane::publish`].
    pub fn start(options: Options) -> io::Result<Self> {
        let Options {
            workers,
            telemetry,
            access_log,
            drain_timeout,
        } = options;
        let count = if workers == 0 { sys::usable_cpus() } else { workers };
        let default_connections = default_connections(sys::raise_file_limit()?, count);
        let builder = Builder::new(Arc::clone(&telemetry));
        let (workers, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel()).unzip();
        let peers = Peers::new(&workers);
        let tls_clients = Arc::<TlsClients>::default();
        for (index, commands) in inboxes.into_iter().enumerate() {
            let seed = Seed {
                index,
                workers: count,
                telemetry: Arc::clone(&telemetry),
                access_log: access_log.clone(),
                random: RandomState::new().hash_one(index),
                default_connections,
                tls_clients: Arc::clone(&tls_clients),
                peers: Arc::clone(&peers),
            };
            // If one can't be started, those before it end with their channels.
            start_worker(seed, commands)?;
        }
        let publisher = Publisher {
            builder,
            plan: Arc::default(),
            retired: Vec::new(),
            listening: BTreeMap::new(),
            listening_udp: BTreeMap::new(),
            listening_quic: BTreeMap::new(),
            secrets: Arc::default(),
        };
        let publisher = Arc::new(Mutex::new(publisher));
        report_upstreams(&telemetry, &publisher);
        Ok(Self {
            workers,
            peers,
            publisher,
            drain_timeout,
        })
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Open connections of each worker, as they were a moment ago.
    pub fn connections(&self) -> Vec<usize> {
        self.peers.open()
    }

    /// Makes a snapshot the one to serve by. Compiles it and opens its sockets before it returns; what it returns is
    /// ready when every worker serves by it, or has not answered for [`STRAGGLER`].
    ///
    /// Connections stay open. Requests that come after this are answered by the new snapshot, also on old connections.
    pub fn publish(
        &self,
        snapshot: &ir::Snapshot,
        generation: u64,
    ) -> impl Future<Output = Applied> + Send + use<> {
        let mut publisher = lock(&self.publisher);
        let (broken, failed, mut opened) = publisher.publish(snapshot, generation, self.workers.len());
        let mut waiting = Vec::with_capacity(self.workers.len());
        for (index, worker) in self.workers.iter().enumerate() {
            let (done, acknowledged) = oneshot::channel();
            let opened = opened.pop().unwrap_or_default();
            let plan = Arc::clone(&publisher.plan);
            // A worker that has ended serves nothing, so there is nothing to wait for: `acknowledged` fails.
            let _ = worker.send(Command::Publish { plan, opened, done });
            waiting.push((index, acknowledged));
        }
        drop(publisher);
        let publisher = Arc::clone(&self.publisher);
        async move {
            let deadline = Instant::now() + STRAGGLER;
            let mut stragglers = Vec::new();
            for (index, acknowledged) in waiting {
                if timeout_at(deadline, acknowledged).await.is_err() {
                    stragglers.push(index);
                }
            }
            lock(&publisher).forget();
            Applied {
                generation,
                failed,
                broken,
                stragglers,
            }
        }
    }

    /// What is listened on, and where (the port may have been chosen by the kernel).
    pub fn local_addresses(&self) -> Vec<(ir::BindAddress, SocketAddr)> {
        lock(&self.publisher)
            .listening
            .iter()
            .map(|(bind, local)| (*bind, *local))
            .collect()
    }

    /// The same for UDP.
    pub fn local_udp_addresses(&self) -> Vec<(ir::BindAddress, SocketAddr)> {
        let publisher = lock(&self.publisher);
        let listening = publisher.listening_udp.iter();
        listening.map(|(bind, local)| (*bind, *local)).collect()
    }

    /// Binds that are served over HTTP/3 too, and where.
    pub fn local_http3_addresses(&self) -> Vec<(ir::BindAddress, SocketAddr)> {
        let publisher = lock(&self.publisher);
        let listening = publisher.listening_quic.iter();
        listening.map(|(bind, local)| (*bind, *local)).collect()
    }

    /// The newest plan.
    pub fn plan(&self) -> Arc<Plan> {
        Arc::clone(&lock(&self.publisher).plan)
    }

    /// All upstreams with their endpoints, as they are now.
    pub fn upstreams(&self) -> Vec<UpstreamState> {
        self.plan().upstreams().iter().map(|cell| cell.state()).collect()
    }

    /// Stops accepting, lets exchanges finish for as long as the options say, then closes what is left. The data plane
    /// has ended when this is ready.
    pub fn drain(&self) -> impl Future<Output = DrainOutcome> + Send + use<> {
        let mut waiting = Vec::with_capacity(self.workers.len());
        for worker in &self.workers {
            let (done, outcome) = oneshot::channel();
            let _ = worker.send(Command::Drain {
                timeout: self.drain_timeout,
                done,
            });
            waiting.push(outcome);
        }
        let mut publisher = lock(&self.publisher);
        publisher.listening.clear();
        publisher.listening_udp.clear();
        publisher.listening_quic.clear();
        drop(publisher);
        async move {
            let mut total = DrainOutcome::default();
            for outcome in waiting {
                // A worker that was stopped meanwhile has no outcome.
                total += outcome.await.unwrap_or_default();
            }
            total
        }
    }

    /// Closes everything at once.
    pub fn stop_now(&self) {
        for worker in &self.workers {
            // One that has ended need not be told.
            let _ = worker.send(Command::Stop);
        }
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        self.stop_now();
    }
}

impl Publisher {
    /// What could not be compiled, what could not be opened, and what each worker has to take over.
    fn publish(
        &mut self,
        snapshot: &ir::Snapshot,
        generation: u64,
        workers: usize,
    ) -> (Vec<BrokenCertificate>, Vec<BindFailure>, Vec<Opened>) {
        let built = self.builder.build(snapshot, generation, &self.plan);
        self.retired.push(std::mem::replace(&mut self.plan, built.plan));
        let mut opened: Vec<Opened> = (0..workers).map(|_| Opened::default()).collect();
        let mut failed = Vec::new();
        let tcp: Vec<_> = snapshot.binds.iter().map(|bind| bind.address).collect();
        let unopened = open_new(&tcp, &mut self.listening, |address, alone| {
            let listeners = listener::open(address, workers, alone)?;
            let local = listeners[0].local_addr()?;
            for (opened, listener) in opened.iter_mut().zip(listeners) {
                opened.tcp.push((address, listener));
            }
            Ok(local)
        });
        failed.extend(unopened.into_iter().map(|(address, error)| BindFailure {
            address,
            udp: false,
            error,
        }));
        let udp: Vec<_> = snapshot.udp.iter().map(|bind| bind.address).collect();
        let unopened = open_new(&udp, &mut self.listening_udp, |address, alone| {
            let sockets = udp::open(address, workers, alone)?;
            let local = sockets[0].local_addr()?;
            for (opened, socket) in opened.iter_mut().zip(sockets) {
                opened.udp.push((address, socket));
            }
            Ok(local)
        });
        failed.extend(unopened.into_iter().map(|(address, error)| BindFailure {
            address,
            udp: true,
            error,
        }));
        failed.extend(self.open_quic(snapshot, workers, &mut opened));
        (built.broken, failed, opened)
    }

    /// Opens a UDP port beside each TCP port on which HTTPS is served, where HTTP/3 is.
    fn open_quic(
        &mut self,
        snapshot: &ir::Snapshot,
        workers: usize,
        opened: &mut [Opened],
    ) -> Vec<BindFailure> {
        let binds = snapshot.binds.iter();
        let quic: Vec<_> = { binds.filter(|bind| snapshot.serves_http3(bind)) }
            .map(|bind| bind.address)
            .filter(|address| self.listening.contains_key(address))
            .collect();
        let (listening, secrets) = (&self.listening, &self.secrets);
        let unopened = open_new(&quic, &mut self.listening_quic, |address, alone| {
            // The same number, also where the kernel chose it.
            let port = listening.get(&address).map_or(address.port, SocketAddr::port);
            let sockets = quic::open(ir::BindAddress { port, ..address }, workers, alone, secrets)?;
            let local = sockets[0].socket.local_addr()?;
            for (opened, socket) in opened.iter_mut().zip(sockets) {
                opened.quic.push((address, socket));
            }
            Ok(local)
        });
        let failure = |(address, error)| BindFailure {
            address,
            udp: true,
            error,
        };
        unopened.into_iter().map(failure).collect()
    }

    /// Frees plans that nobody holds any more.
    fn forget(&mut self) {
        self.retired.retain(|plan| Arc::strong_count(plan) > 1);
        self.builder.prune();
    }
}

impl fmt::Display for BindFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name(), self.error)
    }
}

impl BindFailure {
    /// `*:80`, or `*:53/udp`.
    pub fn name(&self) -> String {
        let udp = if self.udp { "/udp" } else { "" };
        format!("{}{udp}", self.address)
    }
}

/// Opens the addresses that are not listened on yet, and forgets those that are gone. `alone`: no other of them has the
/// port. What could not be opened.
fn open_new(
    addresses: &[ir::BindAddress],
    listening: &mut BTreeMap<ir::BindAddress, SocketAddr>,
    mut open: impl FnMut(ir::BindAddress, bool) -> io::Result<SocketAddr>,
) -> Vec<(ir::BindAddress, io::Error)> {
    listening.retain(|address, _| addresses.contains(address));
    let mut failed = Vec::new();
    for address in addresses {
        if listening.contains_key(address) {
            continue;
        }
        let mut others = addresses.iter().filter(|other| *other != address);
        let alone = !others.any(|other| other.port == address.port);
        match open(*address, alone) {
            Ok(local) => drop(listening.insert(*address, local)),
            Err(error) => failed.push((*address, error)),
        }
    }
    failed
}

/// A panic while it was held left at worst an old plan in place.
fn lock(publisher: &Mutex<Publisher>) -> MutexGuard<'_, Publisher> {
    publisher.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets a scrape of the metrics see the state of the newest plan's upstreams.
fn report_upstreams(telemetry: &Telemetry, publisher: &Arc<Mutex<Publisher>>) {
    let publisher = Arc::downgrade(publisher);
    telemetry.read_upstreams_from(move |each| {
        let Some(publisher) = publisher.upgrade() else {
            return;
        };
        let plan = Arc::clone(&lock(&publisher).plan);
        for cell in plan.upstreams() {
            let state = cell.state();
            each(UpstreamGauges {
                upstream: &state.id.0,
                endpoints: state.endpoints.len() as u64,
                in_flight: state
                    .endpoints
                    .iter()
                    .map(|endpoint| u64::from(endpoint.in_flight))
                    .sum(),
            });
        }
    });
}

/// A worker turns its event loop many thousand times a second. One that does not answer for this long is stuck.
const STRAGGLER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
