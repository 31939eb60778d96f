//! Kubernetes objects to a snapshot, statuses and diagnostics. Pure: no clock, no I/O, same input, same bytes.
//!
//! The work is cut into units: one per HTTPRoute, Ingress, Gateway and upstream. Each unit reaches the rest of
//! the world through a [`Scope`], which records what it looked at; [`changes`] tells what is different from the
//! last time, and only units concerned by that are translated again. What comes out equal to before is handed
//! out as the same allocation, so that whoever compiles the snapshot recognises it by pointer.

mod attached;
pub mod backends;
mod binds;
pub mod certificates;
pub mod changes;
mod conditions;
pub mod gateway;
pub mod grants;
pub mod hosts;
pub mod ingress;
mod input;
mod ledger;
mod memo;
mod output;
pub mod scope;

pub use input::{Key, Object, Objects, Resolved, Settings};
pub use output::{ObjectStatus, Status, Translation};
pub use scope::Scope;

use crate::binds::Binds;
use crate::changes::{Changes, Read, Seen};
use crate::gateway::{GatewayUnit, RouteUnit};
use crate::ingress::{Claim, Claimant, Claims, IngressUnit};
use crate::ledger::Ledger;
use crate::memo::Memo;
use crate::scope::{Left, World};
use ir::{HttpSettings, Route, Snapshot, Upstream, UpstreamId, UpstreamSettings};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Runs a unit within a scope and hands back its result with what it left behind.
macro_rules! run {
    ($self:ident, $objects:expr, |$scope:ident| $body:expr) => {{
        let world = World {
            objects: $objects,
            seen: &$self.seen,
            settings: &$self.settings,
            upstream_settings: &$self.upstream_settings,
            fallback_certificate: $self.fallback_certificate.as_ref(),
            claims: &$self.claims,
        };
        let mut scope = Scope::new(&world, &mut $self.certificates);
        let result = {
            let $scope = &mut scope;
            $body
        };
        (result, scope.finish())
    }};
}
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
    gateways: Memo<Key, GatewayUnit>,
    classes: Memo<Key, Option<Arc<ObjectStatus>>>,
    defaults: Memo<(), Vec<ir::CertificateId>>,
    upstreams: Memo<UpstreamId, Arc<Upstream>>,
    ledger: Ledger,
    binds: Binds,
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
            gateways: Memo::default(),
            classes: Memo::default(),
            defaults: Memo::default(),
            upstreams: Memo::default(),
            ledger: Ledger::default(),
            binds: Binds::default(),
        }
    }

    /// Translates all objects as they are at `now`, in seconds since 1970 (certificates expire).
    pub fn translate(&mut self, objects: &Objects, now: i64) -> Translation {
        let mut changes = self.seen.update(objects);
        for read in &changes.reads {
            if let Read::Secret(key) = read
                && !objects.secrets.contains_key(key)
            {
                self.certificates.forget(key);
            }
        }
        self.claims(objects, &mut changes);
        self.ingresses(objects, &changes);
        self.gateway_api(objects, &changes);
        self.upstreams(objects, &changes);
        let default_certificates = self.defaults.get(&()).cloned().unwrap_or_default();
        let assembled = self.binds.assemble(
            &self.settings,
            &self.gateways,
            &self.ingresses,
            &default_certificates,
        );
        let certificates = self.ledger.certificates();
        let mut findings = assembled.diagnostics;
        let in_use = certificates.values();
        findings.extend(in_use.filter_map(|certificate| self.certificates.calendar(certificate, now)));
        Translation {
            snapshot: Snapshot {
                binds: assembled.binds,
                upstreams: self
                    .upstreams
                    .iter()
                    .map(|(id, upstream)| (id.clone(), Arc::clone(upstream)))
                    .collect(),
                certificates,
                http: Arc::clone(&self.http),
            },
            statuses: self.statuses(assembled.gateway_statuses),
            diagnostics: self.ledger.diagnostics(findings),
            external_names: self.ledger.external_names(),
        }
    }

    /// What each Ingress claims. A claim that is made or dropped concerns other Ingresses too.
    fn claims(&mut self, objects: &Objects, changes: &mut Changes) {
        let mut dirty = self.ingress_claims.readers_of(&changes.reads);
        dirty.extend(changes.ingresses.iter().cloned());
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
                changes.reads.insert(Read::IngressClaim(claim.clone()));
            }
            for (claim, claimant) in now.difference(&old) {
                let claimants = self.claims.entry(claim.clone()).or_default();
                claimants.insert(claimant.clone());
                changes.reads.insert(Read::IngressClaim(claim.clone()));
            }
            if let Some((value, left)) = new {
                self.ingress_claims.put(key, value, left);
            }
        }
    }

    fn ingresses(&mut self, objects: &Objects, changes: &Changes) {
        let mut dirty = self.ingresses.readers_of(&changes.reads);
        dirty.extend(changes.ingresses.iter().cloned());
        for key in &dirty {
            let result = objects.ingresses.get(key).map(|ingress| {
                let (unit, left) = run!(self, objects, |scope| ingress::translate(scope, ingress));
                let previous = self.ingresses.get(key);
                (share_ingress(unit, ingress, key, previous), left)
            });
            replace(&mut self.ingresses, &mut self.ledger, key.clone(), result);
        }
        if !dirty.is_empty() {
            self.binds.ingress_changed();
        }
        if self.defaults.get(&()).is_none() || !self.defaults.readers_of(&changes.reads).is_empty() {
            let result = run!(self, objects, |scope| ingress::default_certificates(scope));
            replace(&mut self.defaults, &mut self.ledger, (), Some(result));
            self.binds.changed();
        }
    }

    fn gateway_api(&mut self, objects: &Objects, changes: &Changes) {
        let mut dirty = self.classes.readers_of(&changes.reads);
        dirty.extend(changes.gateway_classes.iter().cloned());
        for key in dirty {
            let result = objects.gateway_classes.get(&key).map(|class| {
                let previous = self.classes.get(&key).and_then(Option::as_ref);
                run!(self, objects, |scope| gateway::class::translate(
                    scope, class, previous
                ))
            });
            replace(&mut self.classes, &mut self.ledger, key, result);
        }
        let mut dirty = self.gateways.readers_of(&changes.reads);
        dirty.extend(changes.gateways.iter().cloned());
        if !dirty.is_empty() {
            self.binds.changed();
        }
        for key in dirty {
            let result = objects
                .gateways
                .get(&key)
                .map(|gateway| run!(self, objects, |scope| gateway::gateway::translate(scope, gateway)));
            replace(&mut self.gateways, &mut self.ledger, key, result);
        }
        let mut dirty = self.routes.readers_of(&changes.reads);
        dirty.extend(changes.http_routes.iter().cloned());
        for key in dirty {
            let previous = self.routes.get(&key);
            let result = objects.http_routes.get(&key).map(|route| {
                run!(self, objects, |scope| gateway::route::translate(
                    scope, route, previous
                ))
            });
            let new = result.as_ref().map(|(unit, _)| unit);
            self.binds.route_changed(&key, previous, new);
            replace(&mut self.routes, &mut self.ledger, key, result);
        }
    }

    fn upstreams(&mut self, objects: &Objects, changes: &Changes) {
        let mut dirty = self.upstreams.readers_of(&changes.reads);
        dirty.extend(self.ledger.turnover());
        for id in dirty {
            let Some(port) = self.ledger.upstream(&id).cloned() else {
                replace(&mut self.upstreams, &mut self.ledger, id, None);
                continue;
            };
            let previous = self.upstreams.get(&id);
            let result = run!(self, objects, |scope| backends::upstream(scope, &port, previous));
            replace(&mut self.upstreams, &mut self.ledger, id, Some(result));
        }
    }

    fn statuses(&self, gateways: Vec<Arc<ObjectStatus>>) -> Vec<Arc<ObjectStatus>> {
        // By kind, then by key: the order of `Origin`.
        let mut statuses = gateways;
        let classes = self.classes.iter();
        statuses.extend(classes.filter_map(|(_, status)| status.clone()));
        statuses.extend(self.routes.iter().filter_map(|(_, unit)| unit.status.clone()));
        let ingresses = self.ingresses.iter();
        statuses.extend(ingresses.filter_map(|(_, result)| result.status.clone()));
        statuses
    }
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
            ledger.replace(None, Some(&left));
            memo.put(key, value, left)
        }
        None => memo.take(&key),
    };
    ledger.replace(old.map(|unit| unit.left).as_ref(), None);
}

fn share_ingress(
    unit: Option<IngressUnit>,
    ingress: &api::networking::Ingress,
    key: &Key,
    previous: Option<&IngressResult>,
) -> IngressResult {
    let routes = unit.iter().flat_map(|unit| &unit.routes).map(|route| {
        let same = previous.and_then(|previous| previous.routes.iter().find(|old| ***old == *route));
        same.map_or_else(|| Arc::new(route.clone()), Arc::clone)
    });
    let routes = routes.collect();
    let status = unit.as_ref().and_then(|unit| unit.status.clone()).map(|status| {
        let status = ObjectStatus {
            origin: key.origin("Ingress"),
            generation: ingress.metadata.generation,
            status: Status::Ingress(status),
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
