//! A worker's own side of each upstream: its balancer and its idle connections, last used first.
//!
//! A worker copies what the cell says when a plan arrives and then works from the copy: choosing an endpoint and taking
//! a connection touch nothing shared but the endpoint's count of exchanges.

use super::cell::{EndpointState, UpstreamCell, UpstreamNow};
use super::connection::{IdleConnection, Lease};
use super::shared::SharedConnections;
use crate::balance::Balancer;
use crate::clock::Clock;
use crate::time::Instant;
use crate::worker::Random;
use rustls::sign::CertifiedKey;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use telemetry::UpstreamMetrics;

/// A worker's table of upstreams, by the slot of their cells.
#[derive(Debug)]
pub struct Upstreams {
    /// Over which the limits of idle connections are divided.
    workers: usize,
    table: RefCell<Vec<Option<Rc<LocalUpstream>>>>,
}

/// One upstream as one worker sees it.
#[derive(Debug)]
pub(crate) struct LocalUpstream {
    cell: Weak<UpstreamCell>,
    /// Nothing is kept at hand for it.
    departed: Cell<bool>,
    current: RefCell<Current>,
}

#[derive(Debug)]
struct Current {
    now: Arc<UpstreamNow>,
    profile: Rc<Profile>,
    balancer: Balancer,
    endpoints: Box<[Rc<LocalEndpoint>]>,
}

/// Settings of an upstream and its metrics, for as long as a connection needs them.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) settings: Arc<ir::UpstreamSettings>,
    pub(crate) metrics: Arc<UpstreamMetrics>,
}

impl Profile {
    /// Whom to be, of what an exchange could be: nobody asks where there is no TLS.
    pub(crate) fn identity<'i>(
        &self,
        wanted: Option<&'i Arc<CertifiedKey>>,
    ) -> Option<&'i Arc<CertifiedKey>> {
        // Who has an identity of its own is nobody else.
        let asks = |tls: &Arc<ir::UpstreamTls>| tls.identity.is_none();
        wanted.filter(|_| self.settings.tls.as_ref().is_some_and(asks))
    }
}

/// One endpoint as one worker sees it.
#[derive(Debug)]
pub(crate) struct LocalEndpoint {
    pub(super) state: Arc<EndpointState>,
    pub(super) idle: RefCell<Vec<IdleConnection>>,
    pub(super) shared: SharedConnections,
    /// Idle connections to keep at most; 0: none, also because the endpoint is gone.
    pub(super) keep: Cell<usize>,
    /// After a failure to connect the endpoint is passed over until then, as long as there are others.
    pub(super) rests_until: Cell<Option<Instant>>,
}

/// Why no endpoint could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is none with a weight.
    NoEndpoints,
    /// All are at their limit.
    Saturated,
}

impl Upstreams {
    /// An empty table for one of so many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            table: RefCell::default(),
        }
    }

    /// This worker's side of an upstream.
    pub(crate) fn of(&self, cell: &Arc<UpstreamCell>, random: &Random) -> Rc<LocalUpstream> {
        let slot = cell.slot as usize;
        let mut table = self.table.borrow_mut();
        if let Some(Some(known)) = table.get(slot)
            && std::ptr::eq(known.cell.as_ptr(), Arc::as_ptr(cell))
        {
            return Rc::clone(known);
        }
        let local = Rc::new(LocalUpstream::new(cell, self.workers, random));
        if table.len() <= slot {
            table.resize_with(slot + 1, || None);
        }
        table[slot] = Some(Rc::clone(&local));
        local
    }

    /// Takes over what cells say now, and lets go of upstreams that are gone. Called when a plan arrives.
    pub fn refresh(&self, random: &Random) {
        for entry in self.table.borrow_mut().iter_mut() {
            let Some(local) = entry else { continue };
            match local.cell.upgrade() {
                Some(cell) => local.refresh(&cell, self.workers, random),
                None => *entry = None,
            }
        }
    }

    /// Closes connections that were idle for too long or that the endpoint closed. Called about once a second.
    pub fn sweep(&self, now: Instant) {
        for local in self.table.borrow().iter().flatten() {
            let current = local.current.borrow();
            let limit = current.profile.settings.keep_alive_timeout;
            for endpoint in &current.endpoints {
                endpoint
                    .idle
                    .borrow_mut()
                    .retain(|idle| now - idle.since < limit && idle.is_quiet());
                endpoint.shared.sweep(now, limit);
            }
        }
    }

    /// Closes every idle connection.
    pub fn close_idle(&self) {
        for local in self.table.borrow().iter().flatten() {
            for endpoint in &local.current.borrow().endpoints {
                endpoint.idle.borrow_mut().clear();
                endpoint.shared.close();
            }
        }
    }

    /// Idle connections of this worker, over all upstreams.
    pub fn idle_connections(&self) -> usize {
        let table = self.table.borrow();
        let of = |local: &Rc<LocalUpstream>| -> usize {
            local
                .current
                .borrow()
                .endpoints
                .iter()
                .map(|endpoint| endpoint.idle.borrow().len() + endpoint.shared.idle())
                .sum()
        };
        table.iter().flatten().map(of).sum()
    }
}

impl LocalUpstream {
    fn new(cell: &Arc<UpstreamCell>, workers: usize, random: &Random) -> Self {
        let now = cell.now();
        let departed = cell.departed();
        let keep = if departed {
            0
        } else {
            kept(&now.upstream.settings, workers)
        };
        let endpoints = now
            .endpoints
            .iter()
            .map(|state| Rc::new(LocalEndpoint::new(state, keep)))
            .collect();
        let current = Current {
            profile: Rc::new(Profile {
                settings: Arc::clone(&now.upstream.settings),
                metrics: Arc::clone(&cell.metrics),
            }),
            balancer: balancer(&now.upstream, random),
            endpoints,
            now,
        };
        Self {
            cell: Arc::downgrade(cell),
            departed: Cell::new(departed),
            current: RefCell::new(current),
        }
    }

    fn refresh(&self, cell: &Arc<UpstreamCell>, workers: usize, random: &Random) {
        let mut current = self.current.borrow_mut();
        if cell.departed() {
            self.departed.set(true);
            for endpoint in &current.endpoints {
                endpoint.set_keep(0);
            }
            return;
        }
        let returned = self.departed.replace(false);
        if cell.is_still(&current.now) && !returned {
            return;
        }
        let now = cell.now();
        let settings = &now.upstream.settings;
        let before = Arc::clone(&current.now.upstream.settings);
        let keep = kept(settings, workers);
        // What was sent at the start of these connections is not what new settings would send.
        let same_start = before.proxy_protocol == settings.proxy_protocol
            && before.protocol == settings.protocol
            && before.tls == settings.tls;
        let known = std::mem::take(&mut current.endpoints);
        let fitting = |state: &Arc<EndpointState>| {
            let same = find(&known, state.address)?;
            (same_start && Arc::ptr_eq(&same.state, state)).then(|| Rc::clone(same))
        };
        let endpoints: Box<[_]> = now
            .endpoints
            .iter()
            .map(|state| fitting(state).unwrap_or_else(|| Rc::new(LocalEndpoint::new(state, keep))))
            .collect();
        for endpoint in &known {
            if !find(&endpoints, endpoint.state.address).is_some_and(|stays| Rc::ptr_eq(stays, endpoint)) {
                endpoint.set_keep(0);
            }
        }
        for endpoint in &endpoints {
            endpoint.set_keep(keep);
        }
        current.endpoints = endpoints;
        current.balancer = balancer(&now.upstream, random);
        if before != *settings {
            current.profile = Rc::new(Profile {
                settings: Arc::clone(settings),
                metrics: Arc::clone(&cell.metrics),
            });
        }
        current.now = now;
    }

    /// Chooses an endpoint: `first`, if it is there, has room and did not just fail; else not one of `avoid`, not one that just failed, unless there are no others. Among those to
    /// avoid, one that can be connected to is the better one.
    pub(crate) fn pick(
        &self,
        random: &Random,
        clock: &Clock,
        first: Option<SocketAddr>,
        avoid: &[SocketAddr],
    ) -> Result<(Lease, Rc<Profile>), Unavailable> {
        let current = &mut *self.current.borrow_mut();
        let Current {
            profile,
            balancer,
            endpoints,
            ..
        } = current;
        let limit = profile.settings.max_requests;
        let load = |index: usize| endpoints[index].state.in_flight.load(Relaxed);
        let has_room = |index: usize| limit == 0 || load(index) < limit;
        let recent = clock.recent();
        let rests = |index: usize| {
            endpoints[index]
                .rests_until
                .get()
                .is_some_and(|until| recent < until)
        };
        let avoided = |index: usize| avoid.contains(&endpoints[index].state.address);
        let first = first
            .and_then(|first| position(endpoints, first))
            .filter(|&index| has_room(index) && !rests(index) && !avoided(index));
        let choice = first
            .or_else(|| {
                balancer.pick(random, load, |index| {
                    has_room(index) && !rests(index) && !avoided(index)
                })
            })
            .or_else(|| balancer.pick(random, load, |index| has_room(index) && !avoided(index)))
            .or_else(|| balancer.pick(random, load, |index| has_room(index) && !rests(index)))
            .or_else(|| balancer.pick(random, load, has_room));
        match choice {
            Some(index) => Ok((Lease::new(&endpoints[index]), Rc::clone(profile))),
            None if balancer.pick(random, load, |_| true).is_some() => Err(Unavailable::Saturated),
            None => Err(Unavailable::NoEndpoints),
        }
    }
}

impl LocalEndpoint {
    fn new(state: &Arc<EndpointState>, keep: usize) -> Self {
        Self {
            state: Arc::clone(state),
            idle: RefCell::default(),
            shared: SharedConnections::default(),
            keep: Cell::new(keep),
            rests_until: Cell::new(None),
        }
    }

    fn set_keep(&self, keep: usize) {
        self.keep.set(keep);
        let mut idle = self.idle.borrow_mut();
        // The oldest stand in front.
        let surplus = idle.len().saturating_sub(keep);
        idle.drain(..surplus);
        if keep == 0 {
            self.shared.close();
        }
    }
}

fn find(endpoints: &[Rc<LocalEndpoint>], address: SocketAddr) -> Option<&Rc<LocalEndpoint>> {
    Some(&endpoints[position(endpoints, address)?])
}

/// Endpoints are sorted by address.
fn position(endpoints: &[Rc<LocalEndpoint>], address: SocketAddr) -> Option<usize> {
    endpoints
        .binary_search_by_key(&address, |endpoint| endpoint.state.address)
        .ok()
}

fn balancer(upstream: &ir::Upstream, random: &Random) -> Balancer {
    let weights: Vec<u32> = upstream
        .endpoints
        .iter()
        .map(|endpoint| endpoint.weight)
        .collect();
    Balancer::new(upstream.settings.balance, &weights, random)
}

/// A worker's part of the connections to keep per endpoint.
fn kept(settings: &ir::UpstreamSettings, workers: usize) -> usize {
    if settings.proxy_protocol.is_some() {
        return 0;
    }
    (settings.keep_alive_connections as usize).div_ceil(workers)
}
