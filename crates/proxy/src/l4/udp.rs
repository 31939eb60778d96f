//! UDP: each client's datagrams go to one endpoint, whose answers go back to that client and to nobody else.
//!
//! Every worker has a socket for each address (SO_REUSEPORT); the kernel gives all datagrams of a client to the same one,
//! by a hash of the addresses, as long as their number stays. A flow has a connected socket of its own towards its
//! endpoint, so that the kernel lets through what comes from there alone.
//!
//! A flow keeps its endpoint while that can be chosen, and while it answers; then the next datagram begins a new one.

pub mod flows;
mod sockets;

pub use sockets::open;

use crate::fault::Fault;
use crate::l4::CompiledStream;
use crate::l4::record::Record;
use crate::plan::PlanUdp;
use crate::sys::datagrams::{self, Datagrams};
use crate::time::Instant;
use crate::upstream::{Lease, UpstreamCell};
use crate::worker::WorkerState;
use flows::{FlowId, Flows, Standing};
use router::streams::Chosen;
use sockets::connected;
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// A listening socket of one worker, with its flows.
#[derive(Debug)]
pub struct UdpListening {
    socket: UdpSocket,
    /// Where clients reach it; its address may stand for all.
    local: SocketAddr,
    plan: RefCell<Arc<PlanUdp>>,
    flows: RefCell<Flows<Key, Rc<Flow>>>,
    stopped: Notify,
}

/// Client, and the address of ours that it speaks to where there are several.
type Key = (SocketAddr, Option<IpAddr>);

/// One client's conversation with one endpoint.
#[derive(Debug)]
struct Flow {
    key: Key,
    /// Connected to the endpoint.
    socket: UdpSocket,
    lease: Lease,
    cell: Arc<UpstreamCell>,
    /// Generation of the plan by which it was last found good.
    checked: Cell<u64>,
    /// When the endpoint last answered.
    answered: Cell<Option<Instant>>,
    began: Instant,
    record: RefCell<Record>,
    answers: RefCell<Option<AbortHandle>>,
}

impl UdpListening {
    /// Takes over a socket.
    pub fn new(socket: std::net::UdpSocket, plan: Arc<PlanUdp>, capacity: usize) -> io::Result<Rc<Self>> {
        let socket = UdpSocket::from_std(socket)?;
        Ok(Rc::new(Self {
            local: socket.local_addr()?,
            socket,
            plan: RefCell::new(plan),
            flows: RefCell::new(Flows::new(capacity)),
            stopped: Notify::new(),
        }))
    }

    /// Begins new flows by this plan from now on.
    pub fn follow(&self, plan: &Arc<PlanUdp>) {
        *self.plan.borrow_mut() = Arc::clone(plan);
    }

    /// Ends flows that were silent for too long.
    pub fn expire(&self, worker: &WorkerState, now: Instant) {
        let idle = self.plan.borrow().bind.idle_timeout;
        let gone = self.flows.borrow_mut().expire(now, idle);
        for flow in gone {
            flow.end(worker, None);
        }
    }

    /// Flows of which something was heard a moment ago: what a drain waits for.
    pub fn busy(&self, now: Instant) -> usize {
        let since = now.checked_sub(QUIET).unwrap_or(now);
        self.flows.borrow().heard_since(since)
    }

    /// Stops receiving, and ends every flow.
    pub fn stop(&self, worker: &WorkerState) {
        self.stopped.notify_one();
        let gone = self.flows.borrow_mut().clear();
        for flow in gone {
            flow.end(worker, None);
        }
    }

    /// Passes datagrams on. Those of one client that came together stay together.
    fn take(self: &Rc<Self>, worker: &Rc<WorkerState>, datagrams: &mut Datagrams, count: usize) {
        let key = |datagrams: &Datagrams, at: usize| Some((datagrams.peer(at)?, datagrams.local(at)));
        let mut at = 0;
        while at < count {
            let of = key(datagrams, at);
            let mut end = at + 1;
            while end < count && key(datagrams, end) == of {
                end += 1;
            }
            if let Some(key) = of
                && !is_own(self.local, key)
            {
                self.pass(worker, datagrams, at..end, key);
            }
            at = end;
        }
    }

    fn pass(
        self: &Rc<Self>,
        worker: &Rc<WorkerState>,
        datagrams: &mut Datagrams,
        range: Range<usize>,
        key: Key,
    ) {
        // An endpoint that refuses is told about with the next datagram, which then goes to another one.
        for _ in 0..2 {
            let Some((id, flow)) = self.flow(worker, key) else {
                return;
            };
            match flow.send(datagrams, range.clone()) {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    flow.lease.failed(worker.clock.now());
                    self.remove(worker, id, Some(Fault::Connect));
                }
                // Datagrams may be lost: of those that don't fit, and of those that come too fast.
                _ => return,
            }
        }
    }

    /// The client's flow, a new one if need be. `None`: it is refused.
    fn flow(self: &Rc<Self>, worker: &Rc<WorkerState>, key: Key) -> Option<(FlowId, Rc<Flow>)> {
        let now = worker.clock.now();
        let found = {
            let mut flows = self.flows.borrow_mut();
            let id = flows.find(&key);
            id.and_then(|id| {
                let flow = Rc::clone(flows.get(id)?);
                if flow.answered.get().is_some() && flows.standing(id) == Some(Standing::Stranger) {
                    flows.settle(id);
                }
                flows.touch(id, now);
                Some((id, flow))
            })
        };
        match found {
            Some((id, flow)) if !self.still_good(worker, &flow, now) => {
                self.remove(worker, id, None);
            }
            Some(found) => return Some(found),
            None => {}
        }
        self.begin(worker, key, now)
    }

    /// Whether a flow may go on: its endpoint can still be chosen, or goes on answering while it is on its way out.
    fn still_good(&self, worker: &WorkerState, flow: &Flow, now: Instant) -> bool {
        let generation = worker.plan().generation;
        if flow.checked.get() == generation {
            return true;
        }
        let endpoint = flow.lease.address();
        let current = flow.cell.now();
        let there = !flow.cell.departed()
            && current.endpoints.iter().any(|state| state.address == endpoint)
            && self
                .plan
                .borrow()
                .routes
                .known()
                .any(|known| known.compiled.leads_to(&flow.cell));
        if there {
            flow.checked.set(generation);
            return true;
        }
        let answered = flow.answered.get();
        answered.is_some_and(|at| now.saturating_duration_since(at) < QUIET)
    }

    fn begin(
        self: &Rc<Self>,
        worker: &Rc<WorkerState>,
        key: Key,
        now: Instant,
    ) -> Option<(FlowId, Rc<Flow>)> {
        let plan = Arc::clone(&self.plan.borrow());
        let chosen = plan.routes.first();
        let flow = match self.connect(worker, &plan, chosen, key, now) {
            Ok(flow) => flow,
            Err(fault) => {
                refuse(worker, chosen, fault);
                return None;
            }
        };
        let flow = Rc::new(flow);
        let (id, gone) = self.flows.borrow_mut().insert(key, Rc::clone(&flow), now);
        if let Some(gone) = gone {
            gone.end(worker, Some(Fault::Overloaded));
        }
        let answers = answers(Rc::clone(worker), Rc::clone(self), Rc::clone(&flow), id);
        let task = tokio::task::spawn_local(answers);
        *flow.answers.borrow_mut() = Some(task.abort_handle());
        Some((id, flow))
    }

    fn connect(
        &self,
        worker: &WorkerState,
        plan: &PlanUdp,
        chosen: Option<&Chosen<Arc<CompiledStream>>>,
        key: Key,
        now: Instant,
    ) -> Result<Flow, Fault> {
        let chosen = chosen.ok_or(Fault::NoRoute)?;
        let cell = chosen.compiled.choose(|total| worker.random.below(total))?;
        let local = worker.upstreams.of(&cell, &worker.random);
        let (lease, _) = local
            .pick(&worker.random, &worker.clock, None, &[])
            .map_err(|_| Fault::NoEndpoints)?;
        let socket = connected(lease.address()).or_else(|error| {
            // A flow is a file. With none left, one that is missed least makes room.
            let gone = self.flows.borrow_mut().evict().ok_or(error)?;
            gone.end(worker, Some(Fault::Overloaded));
            drop(gone);
            connected(lease.address())
        });
        let socket = socket.map_err(|error| {
            tracing::debug!(endpoint = %lease.address(), %error, "cannot connect");
            Fault::Connect
        })?;
        let mut record = Record::new(canonical(key.0), self.address(key.1), "UDP");
        record.listener = Some(Arc::clone(&plan.bind.listener));
        record.chosen = Some(chosen.clone());
        record.cell = Some(Arc::clone(&cell));
        record.endpoint = Some(lease.address());
        Ok(Flow {
            key,
            socket,
            lease,
            cell,
            checked: Cell::new(worker.plan().generation),
            answered: Cell::new(None),
            began: now,
            record: RefCell::new(record),
            answers: RefCell::new(None),
        })
    }

    fn address(&self, asked: Option<IpAddr>) -> SocketAddr {
        SocketAddr::new(asked.unwrap_or(self.local.ip()).to_canonical(), self.local.port())
    }

    fn remove(&self, worker: &WorkerState, id: FlowId, fault: Option<Fault>) {
        let gone = self.flows.borrow_mut().remove(id);
        if let Some(flow) = gone {
            flow.end(worker, fault);
        }
    }
}

impl Flow {
    fn send(&self, datagrams: &mut Datagrams, mut range: Range<usize>) -> io::Result<()> {
        let mut record = self.record.borrow_mut();
        while !range.is_empty() {
            // Not through the event loop: it does not know yet whether a new socket can be written to.
            match datagrams.send(&self.socket, range.clone(), None, None) {
                Ok(sent) => {
                    let bytes = range
                        .clone()
                        .take(sent)
                        .map(|at| datagrams.content(at).len() as u64);
                    record.bytes_in += bytes.sum::<u64>();
                    range.start += sent.max(1);
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(error),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(_) => range.start += 1,
            }
        }
        Ok(())
    }

    fn end(&self, worker: &WorkerState, fault: Option<Fault>) {
        if let Some(answers) = self.answers.borrow_mut().take() {
            answers.abort();
        }
        let duration = worker.clock.now().saturating_duration_since(self.began);
        self.record.borrow().finish(worker, duration, fault);
    }
}

/// Whether a datagram claims to come from the socket itself that it came to, or from nowhere: an answer to it would come
/// back here, and the answer to that, without end.
fn is_own(local: SocketAddr, (peer, asked): Key) -> bool {
    let own = asked.unwrap_or(local.ip()).to_canonical();
    peer.port() == 0 || (peer.port() == local.port() && peer.ip().to_canonical() == own)
}

/// IPv4 clients of a dual-stack socket are IPv4 clients.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Receives until told to stop.
pub async fn run(worker: Rc<WorkerState>, listening: Rc<UdpListening>) {
    loop {
        let ready = tokio::select! {
            biased;
            () = listening.stopped.notified() => return,
            ready = listening.socket.readable() => ready,
        };
        if ready.is_err() {
            return;
        }
        DATAGRAMS.with_borrow_mut(|datagrams| {
            let count = receive(&listening.socket, datagrams, datagrams::MOST).unwrap_or(0);
            listening.take(&worker, datagrams, count);
        });
    }
}

/// Sends the endpoint's answers to the client, and nobody else's.
async fn answers(worker: Rc<WorkerState>, listening: Rc<UdpListening>, flow: Rc<Flow>, id: FlowId) {
    while flow.socket.readable().await.is_ok() {
        let received = DATAGRAMS.with_borrow_mut(|datagrams| {
            let count = receive(&flow.socket, datagrams, ANSWERS_AT_ONCE)?;
            let (client, local) = flow.key;
            let mut record = flow.record.borrow_mut();
            let mut range = 0..count;
            while !range.is_empty() {
                match datagrams.send(&listening.socket, range.clone(), Some(client), local) {
                    Ok(sent) => {
                        let bytes = range
                            .clone()
                            .take(sent)
                            .map(|at| datagrams.content(at).len() as u64);
                        record.bytes_out += bytes.sum::<u64>();
                        range.start += sent.max(1);
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => range.start += 1,
                }
            }
            Ok::<_, io::Error>(count)
        });
        match received {
            Ok(0) => {}
            Ok(_) => {
                let now = worker.clock.now();
                flow.answered.set(Some(now));
                listening.flows.borrow_mut().touch(id, now);
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                flow.lease.failed(worker.clock.now());
                listening.remove(&worker, id, Some(Fault::Connect));
                return;
            }
            // Something on the way was unreachable for a moment.
            Err(_) => {}
        }
    }
}

/// A datagram that leads to no flow is dropped, and counted: not logged, as anybody can send any number of them.
fn refuse(worker: &WorkerState, chosen: Option<&Chosen<Arc<CompiledStream>>>, fault: Fault) {
    worker.shard.fault(fault.code());
    if let Some(chosen) = chosen {
        let figures = telemetry::StreamFigures {
            fault: fault.code(),
            duration: Duration::ZERO,
            bytes_in: 0,
            bytes_out: 0,
        };
        chosen.compiled.metrics.record(&worker.shard, &figures);
    }
}

/// Receives what is there. 0: nothing was.
fn receive(socket: &UdpSocket, datagrams: &mut Datagrams, most: usize) -> io::Result<usize> {
    let mut count = 0;
    let outcome = socket.try_io(Interest::READABLE, || {
        count = datagrams.receive(socket, most)?;
        // Fewer than asked for: the queue is empty, and what comes next is told anew. Saves the call that finds that out.
        if count < most {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(())
        }
    });
    match outcome {
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(count),
    }
}

/// Flows of one socket of one worker at most, if there are files for them.
pub const MOST_FLOWS: usize = 16_384;
/// An endpoint that is on its way out has to answer that often; a drain waits for who was heard since.
const QUIET: Duration = Duration::from_secs(5);
/// Answers come in ones and twos, unless it is a download.
const ANSWERS_AT_ONCE: usize = 16;

thread_local! {
    static DATAGRAMS: RefCell<Datagrams> = RefCell::new(Datagrams::new());
}

#[cfg(test)]
mod tests {
    use super::is_own;

    #[test]
    fn a_datagram_that_would_answer_itself_is_known() {
        let address = |text: &str| text.parse().unwrap();
        let one = address("192.0.2.1:53");
        assert!(is_own(one, (one, None)));
        assert!(is_own(one, (address("198.51.100.7:0"), None)));
        assert!(!is_own(one, (address("192.0.2.1:54"), None)));
        assert!(!is_own(one, (address("192.0.2.2:53"), None)));
        // Behind a socket for every address it is the one that was asked.
        let asked = Some("192.0.2.1".parse().unwrap());
        assert!(is_own(
            address("[::]:53"),
            (address("[::ffff:192.0.2.1]:53"), asked)
        ));
        assert!(!is_own(address("[::]:53"), (address("192.0.2.9:53"), asked)));
    }
}
