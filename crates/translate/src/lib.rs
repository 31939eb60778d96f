//! Kubernetes objects to a snapshot, statuses and diagnostics. Pure: no clock, no I/O, same input, same bytes.
//!
//! The work is cut into units: one per route, Ingress, Gateway, ListenerSet and upstream. Each unit reaches the rest of
//! the world through a [`Scope`], which records what it looked at; [`changes`] tells what is different from the
//! last time, and only units concerned by that are translated again. What comes out equal to before is handed
//! out as the same allocation, so that whoever compiles the snapshot recognises it by pointer.

#[macro_use]
mod unit;

mod attached;
pub mod backends;
mod binds;
pub mod certificates;
pub mod changes;
mod common;
mod conditions;
pub mod gateway;
pub mod grants;
pub mod hosts;
mod http_routes;
pub mod ingress;
mod ingress_listeners;
mod input;
mod ledger;
mod memo;
mod output;
mod own_annotations;
mod policies;
mod pool;
mod ports;
mod reached;
pub mod scope;
pub mod selector;
mod shelf;
mod sockets;
mod stream_listeners;
mod stream_routes;
mod stream_services;
mod targets;
mod tickets;

pub use api::core::ServiceType;
pub use gateway::front::{GIVEN, OWNER_LABEL, label_value, mapped_ports};
pub use input::{GatewayServices, Key, Object, Objects, Resolved, Settings};
pub use output::{GatewayService, MappedPort, Named, ObjectStatus, Protocol, Services, Status, Translation};
pub use scope::Scope;
pub use shelf::Shelf;

use crate::binds::Binds;
use crate::changes::{Changes, Read, Seen};
use crate::gateway::{GatewayUnit, RouteUnit, SetUnit};
use crate::ingress::{Claim, Claimant, Claims, IngressUnit};
use crate::ledger::Ledger;
use crate::memo::Memo;
use crate::output::{insert_status, move_status, remove_status};
use crate::policies::Policies;
use crate::scope::{Left, Shared};
use crate::stream_routes::StreamRoutes;
use ir::{HttpSettings, List, Route, Snapshot, Upstream, UpstreamId, UpstreamSettings, Upstreams};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Translates objects, and remembers what it made of them for the next time.
#[derive(Debug)]
pub struct Translator {
    settings: Settings,
    http: Arc<HttpSettings>,
    upstream_settings: Arc<UpstreamSettings>,
    fallback_certificate: Option<Arc<ir::Certificate>>,
    seen: Seen,
    certificates: certificates::Store,
    ingress_claims: Memo<Key, (Claimant, BTreeSet<Claim>)>,
    claims: Claims,
    ingresses: Memo<Key, IngressResult>,
    routes: Memo<Key, RouteUnit>,
    grpc_routes: Memo<Key, RouteUnit>,
    stream_routes: StreamRoutes,
    assigned: pool::Assigned,
    gateways: Memo<Key, GatewayUnit>,
    listener_sets: Memo<Key, Option<SetUnit>>,
    policies: Policies,
    policy_statuses: Vec<Arc<ObjectStatus>>,
    classes: Memo<Key, Option<Arc<ObjectStatus>>>,
    defaults: Memo<(), Vec<ir::CertificateId>>,
    tickets: Memo<(), Option<Arc<ir::TicketSecret>>>,
    port_services: Memo<backends::Carrier, ()>,
    upstreams: Memo<UpstreamId, Arc<Upstream>>,
    ledger: Ledger,
    binds: Binds,
    shared: Shared,
    /// The snapshot's upstreams and the statuses, as they were handed out last.
    all_upstreams: Upstreams,
    statuses: List<ObjectStatus>,
    gateway_statuses: Vec<Arc<ObjectStatus>>,
    visited: u64,
}

/// An Ingress's unit with its parts as they are shared.
#[derive(Debug)]
pub(crate) struct IngressResult {
    /// `None` if the Ingress is not ours.
    pub unit: Option<IngressUnit>,
    pub created: i64,
    pub routes: Vec<Arc<Route>>,
    pub status: Option<Arc<ObjectStatus>>,
}

impl IngressResult {
    /// Whether the Ingress is ours.
    pub fn ours(&self) -> bool {
        self.unit.is_some()
    }
}

impl Translator {
    /// A translator that has seen nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            http: Arc::new(settings.http.clone()),
            upstream_settings: Arc::new(settings.upstream.clone()),
            fallback_certificate: settings.fallback_certificate.clone().map(Arc::new),
            settings,
            seen: Seen::default(),
            certificates: certificates::Store::default(),
            ingress_claims: Memo::default(),
            claims: Claims::new(),
            ingresses: Memo::default(),
            routes: Memo::default(),
            grpc_routes: Memo::default(),
            stream_routes: StreamRoutes::default(),
            assigned: pool::Assigned::new(),
            gateways: Memo::default(),
            listener_sets: Memo::default(),
            policies: Policies::default(),
            policy_statuses: Vec::new(),
            classes: Memo::default(),
            defaults: Memo::default(),
            tickets: Memo::default(),
            port_services: Memo::default(),
            upstreams: Memo::default(),
            ledger: Ledger::default(),
            binds: Binds::default(),
            shared: Shared::default(),
            all_upstreams: Upstreams::default(),
            statuses: List::default(),
            gateway_statuses: Vec::new(),
            visited: 0,
        }
    }

    /// How many units were translated since the start, those of objects that are gone not counted.
    pub fn visited(&self) -> u64 {
        self.visited
    }

    /// Translates all objects as they are at `now`, in seconds since 1970 (certificates expire).
    pub fn translate(&mut self, objects: &Objects, now: i64) -> Translation {
        let mut changes = self.seen.update(objects);
        for key in &changes.secrets {
            if !objects.secrets.contains_key(key) {
                self.certificates.forget(key);
            }
        }
        if changes.all {
            self.certificates.keep(|key| objects.secrets.contains_key(key));
        }
        self.claims(objects, &mut changes);
        self.ingresses(objects, &changes);
        self.gateway_api(objects, &changes);
        self.http_routes(objects, &changes);
        self.stream_routes(objects, &changes);
        self.policies(objects, &changes);
        self.port_services(objects, &changes);
        self.upstreams(objects, &changes);
        let default_certificates = self.defaults.get(&()).cloned().unwrap_or_default();
        let assembled = self.binds.assemble(
            &self.settings,
            &self.gateways,
            &self.listener_sets,
            &self.ingresses,
            &default_certificates,
        );
        let (binds, udp) = (assembled.binds.clone(), assembled.udp.clone());
        let gateway_statuses = &assembled.gateway_statuses;
        let services = Arc::clone(&assembled.services);
        let mut findings = assembled.diagnostics.clone();
        if !same(&self.gateway_statuses, gateway_statuses) {
            let before = std::mem::replace(&mut self.gateway_statuses, gateway_statuses.clone());
            for status in before {
                remove_status(&mut self.statuses, &status);
            }
            for status in self.gateway_statuses.clone() {
                insert_status(&mut self.statuses, &status);
            }
        }
        let certificates = self.ledger.certificates();
        let in_use = certificates.values();
        findings.extend(in_use.filter_map(|certificate| self.certificates.calendar(certificate, now)));
        let snapshot = Snapshot {
            binds,
            udp,
            upstreams: self.all_upstreams.clone(),
            certificates,
            http: Arc::clone(&self.http),
            tickets: self.tickets.get(&()).cloned().flatten(),
        };
        findings.extend(sockets::without_http3(&snapshot));
        Translation {
            snapshot,
            statuses: self.statuses.clone(),
            diagnostics: self.ledger.diagnostics(findings),
            external_names: self.ledger.external_names(),
            named: self.ledger.named(),
            services,
        }
    }

    /// What each Ingress claims. A claim that is made or dropped concerns other Ingresses too.
    fn claims(&mut self, objects: &Objects, changes: &mut Changes) {
        let dirty = dirty(
            &self.ingress_claims,
            changes,
            &changes.ingresses,
            &objects.ingresses,
        );
        for key in dirty {
            let old = self.ingress_claims.take(&key).map(|unit| unit.value);
            let new = objects.ingresses.get(&key).map(|ingress| {
                let (claims, left) = run!(self, objects, |scope| ingress::claims(scope, ingress));
                // Findings of this first look are left to the second one, which sees the whole Ingress.
                let left = Left {
                    reads: left.reads,
                    ..Left::default()
                };
                ((Claimant::of(ingress), claims), left)
            });
            let pairs = |value: Option<&(Claimant, BTreeSet<Claim>)>| -> BTreeSet<(Claim, Claimant)> {
                let claims = value.into_iter().flat_map(|(claimant, claims)| {
                    claims.iter().map(|claim| (claim.clone(), claimant.clone()))
                });
                claims.collect()
            };
            let (old, now) = (pairs(old.as_ref()), pairs(new.as_ref().map(|(value, _)| value)));
            for (claim, claimant) in old.difference(&now) {
                if let Some(claimants) = self.claims.get_mut(claim) {
                    claimants.remove(claimant);
                    if claimants.is_empty() {
                        self.claims.remove(claim);
                    }
                }
                changes.reads.insert(Read::IngressClaim(claim.clone()).id());
            }
            for (claim, claimant) in now.difference(&old) {
                let claimants = self.claims.entry(claim.clone()).or_default();
                claimants.insert(claimant.clone());
                changes.reads.insert(Read::IngressClaim(claim.clone()).id());
            }
            if let Some((value, left)) = new {
                self.ingress_claims.put(key, value, left.keep());
            }
        }
    }

    fn ingresses(&mut self, objects: &Objects, changes: &Changes) {
        for key in dirty(&self.ingresses, changes, &changes.ingresses, &objects.ingresses) {
            let result = objects.ingresses.get(&key).map(|ingress| {
                let (unit, left) = run!(self, objects, |scope| ingress::translate(scope, ingress));
                let previous = self.ingresses.get(&key);
                (share_ingress(unit, ingress, &key, previous), left)
            });
            let (old, new) = (self.ingresses.get(&key), result.as_ref().map(|(new, _)| new));
            self.binds.ingress_changed(&key, old, new);
            let status = |result: Option<&IngressResult>| result.and_then(|result| result.status.clone());
            move_status(&mut self.statuses, status(old).as_ref(), status(new).as_ref());
            replace(&mut self.ingresses, &mut self.ledger, key, result);
        }
        if changes.all
            || self.defaults.get(&()).is_none()
            || !self.defaults.readers_of(&changes.reads).is_empty()
        {
            let result = run!(self, objects, |scope| ingress::default_certificates(scope));
            replace(&mut self.defaults, &mut self.ledger, (), Some(result));
            self.binds.changed();
        }
        if changes.all
            || self.tickets.get(&()).is_none()
            || !self.tickets.readers_of(&changes.reads).is_empty()
        {
            let result = run!(self, objects, |scope| tickets::secret(scope));
            replace(&mut self.tickets, &mut self.ledger, (), Some(result));
        }
    }

    fn gateway_api(&mut self, objects: &Objects, changes: &Changes) {
        for key in dirty(
            &self.classes,
            changes,
            &changes.gateway_classes,
            &objects.gateway_classes,
        ) {
            let result = objects.gateway_classes.get(&key).map(|class| {
                let previous = self.classes.get(&key).and_then(Option::as_ref);
                run!(self, objects, |scope| gateway::class::translate(
                    scope, class, previous
                ))
            });
            let old = self.classes.get(&key).and_then(Option::as_ref);
            let new = result.as_ref().and_then(|(status, _)| status.as_ref());
            move_status(&mut self.statuses, old, new);
            replace(&mut self.classes, &mut self.ledger, key, result);
        }
        let mut concerned = dirty(&self.gateways, changes, &changes.gateways, &objects.gateways);
        concerned.extend(self.assign(objects, changes));
        if !concerned.is_empty() {
            self.binds.changed();
        }
        for key in concerned {
            let result = objects
                .gateways
                .get(&key)
                .map(|gateway| run!(self, objects, |scope| gateway::gateway::translate(scope, gateway)));
            replace(&mut self.gateways, &mut self.ledger, key, result);
        }
        for key in dirty(
            &self.listener_sets,
            changes,
            &changes.listener_sets,
            &objects.listener_sets,
        ) {
            let result = objects.listener_sets.get(&key).map(|set| {
                run!(self, objects, |scope| gateway::listener_set::translate(
                    scope, set
                ))
            });
            replace(&mut self.listener_sets, &mut self.ledger, key, result);
            self.binds.changed();
        }
    }

    /// Hands out addresses anew. Gateways that get another one.
    fn assign(&mut self, objects: &Objects, changes: &Changes) -> Vec<Key> {
        if !changes.all && changes.gateways.is_empty() && changes.gateway_classes.is_empty() {
            return Vec::new();
        }
        let assigned = pool::assign(objects, &self.settings);
        let before = std::mem::replace(&mut self.assigned, assigned);
        let keys = before.keys().chain(self.assigned.keys());
        let moved = keys.filter(|key| before.get(*key) != self.assigned.get(*key));
        moved
            .filter(|key| objects.gateways.contains_key(*key))
            .cloned()
            .collect()
    }

    fn upstreams(&mut self, objects: &Objects, changes: &Changes) {
        let mut dirty = if changes.all {
            self.upstreams.iter().map(|(id, _)| id.clone()).collect()
        } else {
            self.upstreams.readers_of(&changes.reads)
        };
        dirty.extend(self.ledger.turnover());
        for id in dirty {
            let Some(port) = self.ledger.upstream(&id).cloned() else {
                self.all_upstreams.remove(&id);
                replace(&mut self.upstreams, &mut self.ledger, id, None);
                continue;
            };
            let previous = self.upstreams.get(&id);
            let result = run!(self, objects, |scope| backends::upstream(scope, &port, previous));
            if previous.map(Arc::as_ptr) != Some(Arc::as_ptr(&result.0)) {
                self.all_upstreams.insert(Arc::clone(&result.0));
            }
            replace(&mut self.upstreams, &mut self.ledger, id, Some(result));
        }
    }
}

/// Units that have to be translated again: those of changed objects, and those that read something that changed.
fn dirty<V, T>(
    memo: &Memo<Key, V>,
    changes: &Changes,
    changed: &BTreeSet<Key>,
    objects: &Shelf<T>,
) -> BTreeSet<Key> {
    if changes.all {
        let known = memo.iter().map(|(key, _)| key);
        return known.chain(objects.keys()).cloned().collect();
    }
    let mut dirty = memo.readers_of(&changes.reads);
    dirty.extend(changed.iter().cloned());
    dirty
}

fn same<T>(a: &[Arc<T>], b: &[Arc<T>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// Remembers a unit's new result, or that the unit is gone, in the memo and in the ledger.
fn replace<K: Ord + std::hash::Hash + Clone, V>(
    memo: &mut Memo<K, V>,
    ledger: &mut Ledger,
    key: K,
    result: Option<(V, Left)>,
) {
    let old = match result {
        Some((value, left)) => {
            // In before out: what both versions refer to is never gone in between.
            ledger.add(&left);
            memo.put(key, value, left.keep())
        }
        None => memo.take(&key),
    };
    if let Some(old) = old {
        ledger.take(&old.kept);
    }
}

fn share_ingress(
    mut unit: Option<IngressUnit>,
    ingress: &api::networking::Ingress,
    key: &Key,
    previous: Option<&IngressResult>,
) -> IngressResult {
    // What is shared is not kept a second time.
    let given = unit.as_mut().map(|unit| std::mem::take(&mut unit.routes));
    let routes = given.into_iter().flatten().map(|route| {
        let same = previous.and_then(|previous| previous.routes.iter().find(|old| ***old == route));
        same.map_or_else(|| Arc::new(route), Arc::clone)
    });
    let routes = routes.collect();
    let status = unit.as_mut().and_then(|unit| unit.status.take()).map(|status| {
        let status = ObjectStatus {
            origin: key.origin("Ingress"),
            generation: ingress.metadata.generation,
            status: Status::Ingress(Box::new(status)),
        };
        output::share_with(status, previous.and_then(|previous| previous.status.as_ref()))
    });
    IngressResult {
        unit,
        created: ingress.metadata.created,
        routes,
        status,
    }
}
