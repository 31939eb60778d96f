//! One thread of the data plane: its event loop, the plan it serves by, and everything that only it touches.

use crate::clock::Clock;
use crate::connection::{self, Accepted};
use crate::connections::Connections;
use crate::drain::{Drain, DrainOutcome, Step};
use crate::handoff::{self, Peers};
use crate::l4::udp::{self, UdpListening};
use crate::listener::{self, Listening, Stop};
use crate::plan::Plan;
use crate::quic;
use crate::time::{self, Instant};
use crate::tls::TlsClients;
use crate::upstream::Upstreams;
use hashbrown::HashMap;
use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{AccessLog, RouteMetrics, Shard, Telemetry};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A worker's own state. Not shared with other threads, so none of it needs a lock.
#[derive(Debug)]
pub struct WorkerState {
    /// Position among the workers, from 0.
    pub index: usize,
    /// Time.
    pub clock: Clock,
    /// Randomness for weights, shares and choices.
    pub random: Random,
    /// Connections to upstreams.
    pub upstreams: Upstreams,
    /// Connections from clients.
    pub connections: Rc<Connections>,
    /// This worker's cells of the metrics.
    pub shard: Shard,
    /// Metrics of requests that no rule matched.
    pub unrouted: Arc<RouteMetrics>,
    /// Where exchanges are written down, if anywhere.
    pub access_log: Option<AccessLog>,
    /// TLS to endpoints.
    pub(crate) tls_clients: Arc<TlsClients>,
    /// The other workers.
    pub(crate) peers: Arc<Peers>,
    plan: RefCell<PlanPin>,
    /// Set while it drains: when what can be told that we go is told so.
    leaves_at: Cell<Option<Instant>>,
}

/// What a worker is started with.
#[derive(Debug)]
pub(crate) struct Seed {
    pub(crate) index: usize,
    pub(crate) workers: usize,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) random: u64,
    /// Connections if the snapshot does not say.
    pub(crate) default_connections: usize,
    pub(crate) tls_clients: Arc<TlsClients>,
    pub(crate) peers: Arc<Peers>,
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// Serve by this plan from now on.
    Publish {
        plan: Arc<Plan>,
        opened: Opened,
        done: oneshot::Sender<()>,
    },
    /// Serve a connection that another worker accepted.
    Adopt(Accepted<std::net::TcpStream>),
    /// Finish what is under way, then end.
    Drain {
        timeout: Duration,
        done: oneshot::Sender<DrainOutcome>,
    },
    /// End at once.
    Stop,
}

/// Sockets for addresses that are new.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) tcp: Vec<(ir::BindAddress, std::net::TcpListener)>,
    pub(crate) udp: Vec<(ir::BindAddress, std::net::UdpSocket)>,
    pub(crate) quic: Vec<(ir::BindAddress, quic::Opened)>,
}

impl WorkerState {
    pub(crate) fn new(seed: Seed) -> Rc<Self> {
        Rc::new(Self {
            index: seed.index,
            clock: Clock::new(),
            random: Random::new(seed.random),
            upstreams: Upstreams::new(seed.workers),
            connections: Connections::new(seed.default_connections),
            shard: seed.telemetry.shard(seed.index),
            unrouted: seed.telemetry.unrouted(),
            access_log: seed.access_log,
            tls_clients: seed.tls_clients,
            peers: seed.peers,
            plan: RefCell::new(PlanPin::new(Arc::default())),
            leaves_at: Cell::new(None),
        })
    }

    /// The newest plan. Hold it for one exchange, then ask again.
    pub fn plan(&self) -> PlanPin {
        self.plan.borrow().clone()
    }

    /// Tells the other workers how many connections this one has.
    pub(crate) fn tell_open(&self) {
        let open = if self.draining() {
            usize::MAX
        } else {
            self.connections.open()
        };
        self.peers.tell_open(self.index, open);
    }

    /// Whether no new request shall be invited: responses carry `Connection: close`.
    pub fn draining(&self) -> bool {
        self.leaves_at.get().is_some()
    }

    /// When those who are still here then are told that we go, if we do.
    pub fn leaves_at(&self) -> Option<Instant> {
        self.leaves_at.get()
    }
}

/// Runs until stopped or drained. Dropping what it leaves behind closes all connections.
pub(crate) async fn run(
    worker: Rc<WorkerState>,
    default_connections: usize,
    commands: mpsc::UnboundedReceiver<Command>,
) {
    let mut work = Work {
        worker,
        default_connections,
        listening: HashMap::default(),
        udp: HashMap::default(),
        quic: HashMap::default(),
    };
    work.run(commands).await;
}

struct Work {
    worker: Rc<WorkerState>,
    default_connections: usize,
    listening: HashMap<ir::BindAddress, (Rc<Listening>, JoinHandle<()>), foldhash::fast::RandomState>,
    udp: HashMap<ir::BindAddress, Rc<UdpListening>, foldhash::fast::RandomState>,
    quic: HashMap<ir::BindAddress, (Rc<quic::Listening>, JoinHandle<()>), foldhash::fast::RandomState>,
}

impl Work {
    async fn run(&mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        let mut clock = time::ticks(TICK);
        let mut ticks: u32 = 0;
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Publish { plan, opened, done }) => {
                        self.publish(&plan, opened);
                        // Nobody waits any more: nothing to tell.
                        let _ = done.send(());
                    }
                    Some(Command::Adopt(accepted)) => self.adopt(accepted),
                    Some(Command::Drain { timeout, done }) => {
                        if let Some(outcome) = self.drain(timeout, &mut commands).await {
                            let _ = done.send(outcome);
                        }
                        return;
                    }
                    Some(Command::Stop) | None => return,
                },
                now = clock.tick() => {
                    self.worker.connections.expire(now);
                    self.expire_flows(now);
                    ticks = ticks.wrapping_add(1);
                    if ticks.is_multiple_of(TICKS_PER_SWEEP) {
                        self.worker.upstreams.sweep(now);
                    }
                }
            }
        }
    }

    fn expire_flows(&self, now: Instant) {
        for listening in self.udp.values() {
            listening.expire(&self.worker, now);
        }
    }

    /// Flows that go on.
    fn busy_flows(&self) -> usize {
        let now = Instant::now();
        self.udp.values().map(|listening| listening.busy(now)).sum()
    }

    fn publish_udp(&mut self, plan: &Plan, opened: Vec<(ir::BindAddress, std::net::UdpSocket)>) {
        let worker = &self.worker;
        let of = |address: &ir::BindAddress| plan.udp().iter().find(|udp| udp.bind.address == *address);
        self.udp.retain(|address, listening| match of(address) {
            Some(udp) => {
                listening.follow(udp);
                true
            }
            None => {
                listening.stop(worker);
                false
            }
        });
        let capacity = udp::MOST_FLOWS.min(self.default_connections / 2);
        for (address, socket) in opened {
            let Some(udp) = of(&address) else { continue };
            match UdpListening::new(socket, Arc::clone(udp), capacity) {
                Ok(listening) => {
                    tokio::task::spawn_local(udp::run(Rc::clone(worker), Rc::clone(&listening)));
                    if let Some(before) = self.udp.insert(address, listening) {
                        before.stop(worker);
                    }
                }
                Err(error) => tracing::error!(%address, %error, "cannot listen for UDP"),
            }
        }
    }

    fn publish_quic(&mut self, plan: &Plan, opened: Vec<(ir::BindAddress, quic::Opened)>) {
        let of = |address: ir::BindAddress| plan.sockets().find(|socket| socket.bind.address == address);
        self.quic.retain(|address, (listening, task)| {
            let goes_on = of(*address).is_some_and(|socket| listening.follow(socket, plan));
            if !goes_on {
                listening.stop();
                if of(*address).is_some() {
                    // Another listener wants the port.
                    listening.close();
                }
                task.abort();
            }
            goes_on
        });
        for (address, opened) in opened {
            let Some(socket) = of(address).filter(|_| !self.worker.draining()) else {
                continue;
            };
            match quic::Listening::new(opened, socket, plan) {
                Ok(Some(listening)) => {
                    let accepting = quic::run(Rc::clone(&self.worker), Rc::clone(&listening));
                    let task = tokio::task::spawn_local(accepting);
                    if let Some((before, task)) = self.quic.insert(address, (listening, task)) {
                        before.stop();
                        task.abort();
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%address, %error, "cannot listen for HTTP/3"),
            }
        }
    }

    fn publish(&mut self, plan: &Arc<Plan>, opened: Opened) {
        let worker = &self.worker;
        let limit = match plan.http.limits.connections {
            0 => self.default_connections,
            limit => limit as usize,
        };
        *worker.plan.borrow_mut() = PlanPin::new(Arc::clone(plan));
        worker.peers.tell_generation(worker.index, plan.generation);
        worker.connections.set_limit(limit);
        worker.upstreams.refresh(&worker.random);
        worker.connections.close_where(|slot| plan.socket(slot).is_none());
        self.listening.retain(|address, (listening, _)| {
            match plan.sockets().find(|socket| socket.bind.address == *address) {
                Some(socket) => {
                    listening.slot.set(socket.slot);
                    true
                }
                None => {
                    listening.stop(Stop::AtOnce);
                    false
                }
            }
        });
        for (address, listener) in opened.tcp {
            let Some(socket) = plan.sockets().find(|socket| socket.bind.address == address) else {
                continue;
            };
            if worker.draining() {
                continue;
            }
            match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let listening = Listening::new(&listener, socket.slot);
                    let accepting = listener::run(Rc::clone(worker), listener, Rc::clone(&listening));
                    let task = tokio::task::spawn_local(accepting);
                    if let Some((before, _)) = self.listening.insert(address, (listening, task)) {
                        before.stop(Stop::AtOnce);
                    }
                }
                Err(error) => tracing::error!(%address, %error, "cannot listen"),
            }
        }
        self.publish_udp(plan, opened.udp);
        self.publish_quic(plan, opened.quic);
    }

    fn adopt(&self, accepted: Accepted<std::net::TcpStream>) {
        if let Some(accepted) = handoff::adopt(accepted) {
            connection::begin(&self.worker, accepted);
        }
    }

    /// None: told to stop meanwhile.
    async fn drain(
        &mut self,
        timeout: Duration,
        commands: &mut mpsc::UnboundedReceiver<Command>,
    ) -> Option<DrainOutcome> {
        let worker = Rc::clone(&self.worker);
        let connections = &worker.connections;
        let mut drain = Drain::new(Instant::now(), timeout, connections.ended());
        worker.leaves_at.set(Some(drain.leaves_at()));
        worker.tell_open();
        for (_, (listening, task)) in self.listening.drain() {
            listening.stop(Stop::AfterQueue);
            // Its queue is taken in before connections are counted. A panic in there ended it as well.
            let _ = task.await;
        }
        let quic: Vec<_> = self.quic.drain().map(|(_, (listening, _))| listening).collect();
        for listening in &quic {
            listening.stop();
        }
        let mut clock = time::ticks(TICK);
        loop {
            let open = connections.open() + self.busy_flows();
            let until = match drain.step(Instant::now(), open, connections.ended()) {
                Step::Done(outcome) => {
                    // Another worker may have handed one over before it knew.
                    match commands.try_recv() {
                        Ok(Command::Adopt(accepted)) => self.adopt(accepted),
                        Ok(_) => {}
                        Err(_) => {
                            for listening in &quic {
                                listening.settled().await;
                            }
                            return Some(outcome);
                        }
                    }
                    continue;
                }
                Step::CloseIdle => {
                    connections.close_all();
                    worker.upstreams.close_idle();
                    continue;
                }
                Step::Wait(until) => until,
            };
            tokio::select! {
                () = connections.changed() => {}
                () = crate::time::sleep_until(until) => {}
                now = clock.tick() => {
                    connections.expire(now);
                    self.expire_flows(now);
                }
                command = commands.recv() => match command {
                    Some(Command::Publish { plan, opened, done }) => {
                        self.publish(&plan, opened);
                        let _ = done.send(());
                    }
                    Some(Command::Adopt(accepted)) => self.adopt(accepted),
                    Some(Command::Drain { .. }) => {}
                    Some(Command::Stop) | None => return None,
                },
            }
        }
    }
}

/// A plan held for the time of an exchange. Cloning it costs no atomic operation.
#[derive(Debug, Clone)]
#[expect(
    clippy::redundant_allocation,
    reason = "the Arc's count is shared by all workers, the Rc's is not"
)]
pub struct PlanPin(Rc<Arc<Plan>>);

impl PlanPin {
    fn new(plan: Arc<Plan>) -> Self {
        Self(Rc::new(plan))
    }
}

impl Deref for PlanPin {
    type Target = Plan;

    fn deref(&self) -> &Plan {
        &self.0
    }
}

/// Pseudo-random numbers, one generator per worker (wyrand). Not for secrets.
#[derive(Debug)]
pub struct Random(Cell<u64>);

impl Random {
    /// Starts from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// 64 random bits.
    pub fn bits(&self) -> u64 {
        let state = self.0.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.0.set(state);
        let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        ((product >> 64) ^ product) as u64
    }

    /// Evenly from 0 to `bound - 1`; 0 if `bound` is 0.
    pub fn below(&self, bound: u32) -> u32 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u32
    }
}

/// How exactly idle times are kept: a quarter of a second over at most, for time-outs of a minute.
const TICK: Duration = Duration::from_millis(250);
/// Idle connections to upstreams are looked over once a second.
const TICKS_PER_SWEEP: u32 = 4;
