//! TCPRoute, UDPRoute and TLSRoute: where they attach, their one rule and their status.

use super::RouteUnit;
use super::attach::{Attaching, attach};
use super::backend::{self, MAX_WEIGHT, Referring};
use super::route::{hostnames, parent_status};
use crate::backends::{Carrier, Usage};
use crate::conditions::Wrong;
use crate::input::Key;
use crate::output::{ObjectStatus, Status, share_with};
use crate::scope::Scope;
use crate::selector::serves;
use api::gateway::{
    DefaultScope, ParentRef, StreamRouteRule, TCPRoute, TLSRoute, UDPRoute, WeightedBackendRef,
};
use api::status::RouteStatus;
use api::{Meta, Resource};
use ir::{Code, Diagnostic, HostPattern, Origin, StreamBackend, StreamRoute, StreamTarget, UpstreamId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A route of one of the three kinds, as far as they have things in common.
pub(crate) struct Given<'r> {
    kind: &'static str,
    carrier: Carrier,
    metadata: &'r Meta,
    parents: &'r [ParentRef],
    defaults: Option<&'r DefaultScope>,
    hostnames: &'r [Box<str>],
    rules: &'r [StreamRouteRule],
}

impl<'r> From<&'r TCPRoute> for Given<'r> {
    fn from(route: &'r TCPRoute) -> Self {
        Self {
            kind: TCPRoute::KIND,
            carrier: Carrier::Tcp,
            metadata: &route.metadata,
            parents: &route.spec.parent_refs,
            defaults: route.spec.use_default_gateways.as_ref(),
            hostnames: &[],
            rules: &route.spec.rules,
        }
    }
}

impl<'r> From<&'r UDPRoute> for Given<'r> {
    fn from(route: &'r UDPRoute) -> Self {
        Self {
            kind: UDPRoute::KIND,
            carrier: Carrier::Udp,
            metadata: &route.metadata,
            parents: &route.spec.parent_refs,
            defaults: route.spec.use_default_gateways.as_ref(),
            hostnames: &[],
            rules: &route.spec.rules,
        }
    }
}

impl<'r> From<&'r TLSRoute> for Given<'r> {
    fn from(route: &'r TLSRoute) -> Self {
        Self {
            kind: TLSRoute::KIND,
            carrier: Carrier::Tcp,
            metadata: &route.metadata,
            parents: &route.spec.parent_refs,
            defaults: route.spec.use_default_gateways.as_ref(),
            hostnames: &route.spec.hostnames,
            rules: &route.spec.rules,
        }
    }
}

/// Translates one route.
pub(crate) fn translate(
    scope: &mut Scope<'_>,
    given: &Given<'_>,
    previous: Option<&RouteUnit<StreamRoute>>,
) -> RouteUnit<StreamRoute> {
    let origin = Key::of(given.metadata).origin(given.kind);
    if !serves(scope, &given.metadata.namespace) {
        return RouteUnit::foreign();
    }
    let hostnames = hostnames(scope, given.hostnames, &origin);
    let attaching = Attaching {
        kind: given.kind,
        origin: &origin,
        metadata: given.metadata,
        parents: given.parents,
        defaults: given.defaults,
        hostnames: hostnames.as_deref().unwrap_or(&[HostPattern::Any]),
    };
    let attachments = attach(scope, attaching);
    if attachments.is_empty() {
        // No parent of ours: not our business, and no word about its rules.
        return RouteUnit::foreign();
    }
    let mut places: Vec<_> = attachments
        .iter()
        .flat_map(|attachment| attachment.listeners.iter().map(|at| attachment.holder.place(*at)))
        .collect();
    places.sort();
    places.dedup();
    let mut look = Look {
        scope,
        given,
        origin: &origin,
        unresolved: None,
    };
    let (rule, backends) = look.rule();
    let unresolved = look.unresolved;
    let (hostnames, refused) = match hostnames {
        Ok(hostnames) => (Some(hostnames), None),
        Err(wrong) => (None, Some(wrong)),
    };
    let route = hostnames
        .filter(|_| !places.is_empty())
        .map(|hostnames| StreamRoute {
            origin: origin.clone(),
            rule,
            created: given.metadata.created,
            proxy_protocol: None,
            hostnames,
            backends,
        });
    scope.keep_upstreams(&route.as_ref().map(upstreams).unwrap_or_default());
    let controller = &scope.settings().gateway_controller;
    let generation = given.metadata.generation;
    let parents = attachments.into_iter().map(|attachment| {
        parent_status(
            controller.clone(),
            generation,
            attachment,
            refused.as_ref(),
            None,
            unresolved.as_ref(),
        )
    });
    let status = RouteStatus {
        parents: parents.collect(),
    };
    let shared = scope.shared();
    let status = ObjectStatus {
        origin,
        generation,
        status: Status::StreamRoute(shared.statuses.get(status)),
    };
    let attached = route.as_ref().map(|_| places).unwrap_or_default();
    RouteUnit {
        accepted: shared.places.get(attached.clone()),
        attached: shared.places.get(attached),
        route: route.map(|route| share_with(route, previous.and_then(|previous| previous.route.as_ref()))),
        status: Some(share_with(
            status,
            previous.and_then(|previous| previous.status.as_ref()),
        )),
    }
}

fn upstreams(route: &StreamRoute) -> BTreeSet<UpstreamId> {
    let targets = route.backends.iter().filter_map(|backend| match &backend.target {
        StreamTarget::Upstream(id) => Some(id.clone()),
        StreamTarget::Broken { .. } => None,
    });
    targets.collect()
}

/// A rule being looked at.
struct Look<'s, 'a> {
    scope: &'s mut Scope<'a>,
    given: &'s Given<'s>,
    origin: &'s Origin,
    unresolved: Option<Wrong>,
}

impl Look<'_, '_> {
    /// The first rule: there can be but one, as nothing tells the streams of one from those of another.
    fn rule(&mut self) -> (Arc<str>, Vec<StreamBackend>) {
        let given = self.given;
        let Some(rule) = given.rules.first() else {
            self.find(
                Code::StreamRouteWithoutBackend,
                "spec.rules",
                "the route has no rule, so everything that comes is refused",
                "Add a rule with a backend",
            );
            return (FIRST.into(), Vec::new());
        };
        if given.rules.len() > 1 {
            self.find(
                Code::StreamRuleIgnored,
                "spec.rules[1]",
                "a route of this kind has one rule; those after the first have no effect",
                "Put the backends into one rule, by weight",
            );
        }
        let name = rule.name.as_deref().filter(|name| !name.is_empty());
        let backends: Vec<StreamBackend> = rule
            .backend_refs
            .iter()
            .enumerate()
            .map(|(index, backend)| self.backend(backend, &format!("backendRefs[{index}]")))
            .collect();
        if backends.iter().all(|backend| backend.weight == 0) {
            self.find(
                Code::StreamRouteWithoutBackend,
                "spec.rules[0].backendRefs",
                "no backend has a weight above 0, so everything that comes is refused",
                "Add a backend, or give one a weight above 0",
            );
        }
        (name.unwrap_or(FIRST).into(), backends)
    }

    fn backend(&mut self, given: &WeightedBackendRef, field: &str) -> StreamBackend {
        let weight = given.weight.unwrap_or(1);
        let weight = match u32::try_from(weight) {
            Ok(weight) if weight <= MAX_WEIGHT => weight,
            _ => {
                let message =
                    format!("weight {weight} is not between 0 and {MAX_WEIGHT}; the backend gets nothing");
                let hint = "Give a share relative to the other backends";
                self.report(Code::WeightInvalid, &format!("{field}.weight"), &message, hint);
                0
            }
        };
        let target = match backend::reference(self, &given.backend, field) {
            Ok((upstream, _)) => StreamTarget::Upstream(upstream),
            Err(reason) => StreamTarget::Broken { reason },
        };
        StreamBackend { weight, target }
    }

    fn find(&mut self, code: Code, field: &str, message: &str, hint: &str) {
        let diagnostic = Diagnostic::new(code, self.origin.clone(), field, message);
        self.scope.report(diagnostic.hint(hint));
    }
}

impl<'a> Referring<'a> for Look<'_, 'a> {
    fn scope(&mut self) -> &mut Scope<'a> {
        self.scope
    }

    fn kind(&self) -> &'static str {
        self.given.kind
    }

    fn namespace(&self) -> &Arc<str> {
        &self.given.metadata.namespace
    }

    fn usage(&self) -> Usage {
        Usage::Stream(self.given.carrier)
    }

    fn report(&mut self, code: Code, field: &str, message: &str, hint: &str) {
        self.find(code, &format!("spec.rules[0].{field}"), message, hint);
    }

    fn unresolve(&mut self, reason: &'static str, message: String) {
        self.unresolved.get_or_insert(Wrong::new(reason, message));
    }
}

const FIRST: &str = "rules[0]";
