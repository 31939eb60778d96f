//! What all workers share about an upstream: its settings and endpoints of the moment, and what its endpoints are busy
//! with. Rules refer to the cell, never to an endpoint, so a rolling deployment rebuilds no rule.

use super::budget::Budget;
use crate::clock::Clock;
use crate::time::Instant;
use arc_swap::ArcSwap;
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use telemetry::{Telemetry, UpstreamMetrics};

/// One upstream, for as long as anything refers to it. There is one cell per id.
#[derive(Debug)]
pub struct UpstreamCell {
    /// Its name in snapshots.
    pub id: ir::UpstreamId,
    /// Its metrics.
    pub metrics: Arc<UpstreamMetrics>,
    /// Position in each worker's table. May be given to another cell after this one is gone.
    pub(crate) slot: u32,
    now: ArcSwap<UpstreamNow>,
    /// It is in no snapshot any more. Exchanges of an old plan are served to their end, but nothing is kept for others.
    departed: AtomicBool,
    /// Whether there is a budget: looked at for every request.
    limits_retries: AtomicBool,
}

/// The upstream as the newest snapshot has it.
#[derive(Debug)]
pub struct UpstreamNow {
    /// Settings and addresses.
    pub upstream: Arc<ir::Upstream>,
    /// State of the endpoints, in the order of `upstream.endpoints`.
    pub endpoints: Box<[Arc<EndpointState>]>,
    /// How much may be sent again, if that is limited.
    pub(super) budget: Option<Arc<Budget>>,
}

/// What is known about one endpoint over all workers. Survives changes of the other endpoints and of the settings.
#[derive(Debug)]
pub struct EndpointState {
    /// Where it is.
    pub address: SocketAddr,
    pub(crate) in_flight: AtomicU32,
    pub(crate) connections: AtomicU32,
    pub(crate) connect_failures: AtomicU64,
}

/// An upstream as the admin API shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UpstreamState {
    /// Its name in snapshots.
    pub id: ir::UpstreamId,
    /// `Service ns/name#port`.
    pub origin: ir::Origin,
    /// How an endpoint is chosen.
    pub balance: ir::Balance,
    /// Its endpoints.
    pub endpoints: Vec<EndpointFigures>,
}

/// An endpoint as the admin API shows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EndpointFigures {
    /// Where it is.
    pub address: SocketAddr,
    /// Share relative to the others.
    pub weight: u32,
    /// Exchanges at this moment.
    pub in_flight: u32,
    /// Open connections, idle ones included.
    pub connections: u32,
    /// Failed attempts to connect since the endpoint appeared.
    pub connect_failures: u64,
}

impl UpstreamCell {
    /// Settings and endpoints of the moment.
    pub fn now(&self) -> Arc<UpstreamNow> {
        self.now.load_full()
    }

    pub(crate) fn is_still(&self, seen: &Arc<UpstreamNow>) -> bool {
        Arc::ptr_eq(&self.now.load(), seen)
    }

    /// Whether this is one of its endpoints at the moment.
    pub(crate) fn has(&self, endpoint: SocketAddr) -> bool {
        let now = self.now.load();
        // Sorted by address.
        now.endpoints
            .binary_search_by_key(&endpoint, |state| state.address)
            .is_ok()
    }

    /// Counts a request that is to be sent for the first time, where retries are limited.
    #[inline]
    pub(crate) fn sent(&self, clock: &Clock) {
        if self.limits_retries.load(Relaxed) {
            self.count(clock.recent());
        }
    }

    #[cold]
    fn count(&self, now: Instant) {
        if let Some(budget) = &self.now.load().budget {
            budget.sent(now);
        }
    }

    /// Whether a request may be sent again by now; it is counted as such.
    pub(crate) fn may_retry(&self, now: Instant) -> bool {
        let current = self.now.load();
        current.budget.as_ref().is_none_or(|budget| budget.retry(now))
    }

    /// For the admin API.
    pub fn state(&self) -> UpstreamState {
        let now = self.now.load();
        let figures = |(endpoint, state): (&ir::Endpoint, &Arc<EndpointState>)| EndpointFigures {
            address: endpoint.address,
            weight: endpoint.weight,
            in_flight: state.in_flight.load(Relaxed),
            connections: state.connections.load(Relaxed),
            connect_failures: state.connect_failures.load(Relaxed),
        };
        UpstreamState {
            id: self.id.clone(),
            origin: now.upstream.origin.clone(),
            balance: now.upstream.settings.balance,
            endpoints: now
                .upstream
                .endpoints
                .iter()
                .zip(&now.endpoints)
                .map(figures)
                .collect(),
        }
    }

    /// Whether only exchanges of an old plan can still need it.
    pub(crate) fn departed(&self) -> bool {
        self.departed.load(Relaxed)
    }

    fn lose_endpoints(&self) {
        let last = self.now();
        self.replace(&Arc::new(ir::Upstream {
            endpoints: Arc::default(),
            ..(*last.upstream).clone()
        }));
    }

    /// Takes over a newer version of the upstream. Endpoints that stay keep their state.
    fn replace(&self, upstream: &Arc<ir::Upstream>) {
        let before = self.now.load();
        // Pointers first, as whole upstreams are long to compare.
        if Arc::ptr_eq(&before.upstream, upstream) || before.upstream == *upstream {
            return;
        }
        let state = |endpoint: &ir::Endpoint| {
            // Both lists are sorted by address.
            match before
                .endpoints
                .binary_search_by_key(&endpoint.address, |state| state.address)
            {
                Ok(index) => Arc::clone(&before.endpoints[index]),
                Err(_) => Arc::new(EndpointState::new(endpoint.address)),
            }
        };
        let endpoints = upstream.endpoints.iter().map(state).collect();
        self.now.store(Arc::new(UpstreamNow {
            upstream: Arc::clone(upstream),
            endpoints,
            budget: budget(upstream, before.budget.as_ref()),
        }));
        self.limits_retries
            .store(upstream.settings.retry_budget.is_some(), Relaxed);
    }
}

/// The one that there was, if it is of the same settings.
fn budget(upstream: &ir::Upstream, before: Option<&Arc<Budget>>) -> Option<Arc<Budget>> {
    let settings = upstream.settings.retry_budget?;
    let before = before.filter(|before| before.is_for(&settings)).cloned();
    Some(before.unwrap_or_else(|| Arc::new(Budget::new(settings, Instant::now()))))
}

impl EndpointState {
    fn new(address: SocketAddr) -> Self {
        Self {
            address,
            in_flight: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            connect_failures: AtomicU64::new(0),
        }
    }
}

/// All cells. Belongs to whoever builds plans.
#[derive(Debug, Default)]
pub struct Cells {
    /// The upstreams of the last snapshot.
    last: ir::Upstreams,
    /// Their cells, in order of id.
    current: ir::List<UpstreamCell>,
    /// These and those that only something old refers to any more.
    known: HashMap<ir::UpstreamId, Known, foldhash::fast::RandomState>,
    /// Those that are in no snapshot, and so may be gone.
    leaving: BTreeSet<ir::UpstreamId>,
    free: Vec<u32>,
    slots: u32,
}

#[derive(Debug)]
struct Known {
    slot: u32,
    cell: Weak<UpstreamCell>,
}

impl Cells {
    /// Brings every cell to the state that a snapshot says, and returns those of the snapshot's upstreams. A cell that
    /// only something old refers to any more is marked as departed. Upstreams that are what they were are not looked at.
    pub fn update(&mut self, upstreams: &ir::Upstreams, telemetry: &Telemetry) -> ir::List<UpstreamCell> {
        let last = std::mem::replace(&mut self.last, upstreams.clone());
        let difference = upstreams.list().since(last.list());
        for gone in difference.gone {
            let id = &gone.id;
            if upstreams.get(id).is_some() {
                continue;
            }
            if let Some(cell) = self.current.find(|cell| cell.id.cmp(id)) {
                // Not its endpoints: workers take over the new plan one after the other, and until then they need them.
                cell.departed.store(true, Relaxed);
            }
            self.current.remove(|cell| cell.id.cmp(id));
            self.leaving.insert(id.clone());
        }
        for upstream in difference.new {
            let cell = self.cell(&upstream.id, Some(upstream), telemetry);
            if self.current.find(|other| other.id.cmp(&cell.id)).is_none() {
                self.leaving.remove(&cell.id);
                self.current
                    .insert(|other| other.id.cmp(&cell.id), Arc::clone(&cell));
            }
        }
        self.current.clone()
    }

    /// The cell of an upstream that a rule names. One without endpoints if the snapshot has no such upstream.
    pub fn get(&mut self, id: &ir::UpstreamId, telemetry: &Telemetry) -> Arc<UpstreamCell> {
        self.cell(id, None, telemetry)
    }

    /// Forgets cells that are gone, so that their slots can be used again.
    pub fn prune(&mut self) {
        let Self {
            known, leaving, free, ..
        } = self;
        leaving.retain(|id| {
            let gone = known.get(id).is_none_or(|known| known.cell.strong_count() == 0);
            if gone && let Some(known) = known.remove(id) {
                free.push(known.slot);
            }
            !gone
        });
    }

    fn cell(
        &mut self,
        id: &ir::UpstreamId,
        upstream: Option<&Arc<ir::Upstream>>,
        telemetry: &Telemetry,
    ) -> Arc<UpstreamCell> {
        let known = self.known.get(id);
        if let Some(cell) = known.and_then(|known| known.cell.upgrade()) {
            if let Some(upstream) = upstream {
                cell.replace(upstream);
                cell.departed.store(false, Relaxed);
            } else if cell.departed() {
                cell.lose_endpoints();
            }
            return cell;
        }
        let unknown = || {
            Arc::new(ir::Upstream {
                id: id.clone(),
                origin: ir::Origin::new("Narthex", "", id.0.clone()),
                settings: Arc::default(),
                endpoints: Arc::default(),
            })
        };
        // One that is dead and not yet forgotten leaves its slot to the new one.
        let slot = known.map(|known| known.slot).or_else(|| self.free.pop());
        let slot = slot.unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        if upstream.is_none() {
            self.leaving.insert(id.clone());
        }
        let upstream = upstream.map_or_else(unknown, Arc::clone);
        let endpoints = upstream
            .endpoints
            .iter()
            .map(|endpoint| Arc::new(EndpointState::new(endpoint.address)))
            .collect();
        let limits_retries = AtomicBool::new(upstream.settings.retry_budget.is_some());
        let cell = Arc::new(UpstreamCell {
            id: id.clone(),
            metrics: telemetry.upstream(&id.0),
            slot,
            now: ArcSwap::from_pointee(UpstreamNow {
                budget: budget(&upstream, None),
                upstream,
                endpoints,
            }),
            departed: AtomicBool::new(false),
            limits_retries,
        });
        let known = Known {
            slot,
            cell: Arc::downgrade(&cell),
        };
        self.known.insert(id.clone(), known);
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(name: &str, ports: &[u16]) -> Arc<ir::Upstream> {
        let id = ir::UpstreamId(name.into());
        let endpoints = ports
            .iter()
            .map(|port| ir::Endpoint {
                address: ([127, 0, 0, 1], *port).into(),
                weight: 1,
            })
            .collect();
        let upstream = ir::Upstream {
            id,
            origin: ir::Origin::new("Service", "ns", name),
            settings: Arc::default(),
            endpoints,
        };
        Arc::new(upstream)
    }

    fn update(
        cells: &mut Cells,
        upstreams: &[Arc<ir::Upstream>],
        telemetry: &Telemetry,
    ) -> Vec<Arc<UpstreamCell>> {
        let upstreams = upstreams.iter().cloned().collect();
        let cells = cells.update(&upstreams, telemetry);
        cells.iter().cloned().collect()
    }

    #[test]
    fn a_change_of_endpoints_keeps_the_cell_and_the_state_of_those_that_stay() {
        let telemetry = Telemetry::new(1);
        let mut cells = Cells::default();
        let first = update(&mut cells, &[upstream("a", &[1, 2])], &telemetry);
        let stays = Arc::clone(&first[0].now().endpoints[1]);
        stays.in_flight.store(3, Relaxed);
        let second = update(&mut cells, &[upstream("a", &[2, 3])], &telemetry);
        assert!(Arc::ptr_eq(&first[0], &second[0]));
        assert!(Arc::ptr_eq(&second[0].now().endpoints[0], &stays));
        assert_eq!(second[0].state().endpoints[0].in_flight, 3);
        assert_eq!(second[0].state().endpoints[1].in_flight, 0);
    }

    #[test]
    fn nothing_moves_when_nothing_changed() {
        let telemetry = Telemetry::new(1);
        let mut cells = Cells::default();
        let first = update(&mut cells, &[upstream("a", &[1, 2])], &telemetry);
        let seen = first[0].now();
        update(&mut cells, &[upstream("a", &[1, 2])], &telemetry);
        assert!(first[0].is_still(&seen));
    }

    #[test]
    fn an_upstream_that_left_the_snapshot_serves_old_plans_and_comes_back_as_the_same() {
        let telemetry = Telemetry::new(1);
        let mut cells = Cells::default();
        let held = update(&mut cells, &[upstream("a", &[1])], &telemetry);
        update(&mut cells, &[upstream("b", &[1])], &telemetry);
        // A worker that has not yet taken over the plan without it still sends requests there.
        assert!(held[0].departed() && held[0].now().endpoints.len() == 1);
        let again = update(&mut cells, &[upstream("a", &[1])], &telemetry);
        assert!(Arc::ptr_eq(&held[0], &again[0]) && !held[0].departed());
        update(&mut cells, &[upstream("b", &[1])], &telemetry);
        let named = cells.get(&ir::UpstreamId("a".into()), &telemetry);
        assert!(
            named.now().endpoints.is_empty(),
            "a rule names what its snapshot lacks"
        );
    }

    #[test]
    fn the_slot_of_a_cell_that_is_gone_is_used_again() {
        let telemetry = Telemetry::new(1);
        let mut cells = Cells::default();
        let a = update(
            &mut cells,
            &[upstream("a", &[1]), upstream("b", &[1])],
            &telemetry,
        );
        assert_ne!(a[0].slot, a[1].slot);
        let gone = a[0].slot;
        let keep = Arc::clone(&a[1]);
        drop(a);
        update(&mut cells, &[upstream("b", &[1])], &telemetry);
        cells.prune();
        let c = cells.get(&ir::UpstreamId("c".into()), &telemetry);
        assert_eq!(c.slot, gone);
        assert_ne!(keep.slot, gone);
    }
}
