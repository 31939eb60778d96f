//! HTTPRoute, and GRPCRoute as one: where it attaches, its rules and its status.

use super::attach::{Attaching, Attachment, attach};
use super::{Place, RouteUnit, owners, rule};
use crate::conditions::{Wrong, check, holds};
use crate::hosts::{self, Star};
use crate::input::Key;
use crate::output::{self, ObjectStatus, Status};
use crate::own_annotations::OwnAnnotations;
use crate::scope::Scope;
use crate::selector::serves;
use api::gateway::{HTTPRoute, HttpRouteRule};
use api::status::{Condition, RouteParentStatus, RouteStatus};
use ir::{Action, Code, Diagnostic, Filter, HostPattern, Origin, Route, Rule, Target, UpstreamId};
use std::collections::BTreeSet;

/// Translates one HTTPRoute, or what another kind comes to as one.
pub(crate) fn translate(
    scope: &mut Scope<'_>,
    (kind, route): (&'static str, &HTTPRoute),
    previous: Option<&RouteUnit>,
) -> RouteUnit {
    let origin = Key::of(&route.metadata).origin(kind);
    if !serves(scope, &route.metadata.namespace) {
        return RouteUnit::foreign();
    }
    let hostnames = hostnames(scope, &route.spec.hostnames, &origin);
    let attaching = Attaching {
        kind,
        origin: &origin,
        metadata: &route.metadata,
        parents: &route.spec.parent_refs,
        defaults: route.spec.use_default_gateways.as_deref(),
        hostnames: hostnames.as_deref().unwrap_or(&[HostPattern::Any]),
    };
    let attachments = attach(scope, attaching);
    if attachments.is_empty() {
        // No parent of ours: not our business, and no word about its rules.
        return RouteUnit::foreign();
    }
    let read = rules(scope, (kind, route), &origin);
    let refused = match &hostnames {
        Err(wrong) => Some(wrong.clone()),
        Ok(_) => read.refused.clone(),
    };
    let (mut attached, mut accepted) = (Vec::new(), Vec::new());
    for attachment in &attachments {
        for &listener in &attachment.listeners {
            attached.push(attachment.holder.place(listener));
        }
    }
    attached.sort();
    attached.dedup();
    if refused.is_none() {
        accepted.clone_from(&attached);
    }
    let ir = match hostnames {
        Ok(hostnames) if !attached.is_empty() && !read.kept.is_empty() => Some(Route {
            origin: origin.clone(),
            created: route.metadata.created,
            hostnames: hostnames.into(),
            rules: read.kept.into(),
        }),
        _ => None,
    };
    if let Some(ir) = &ir {
        let hostnames = beside_ingress(scope, ir, &attached);
        owners::report(scope, ir, &hostnames);
    }
    let kept = ir.as_ref().map(upstreams).unwrap_or_default();
    scope.keep_upstreams(&kept);
    if ir.is_none() {
        attached.clear();
    }
    let parents = attachments.into_iter().map(|attachment| {
        parent_status(
            scope.settings().gateway_controller.clone(),
            route.metadata.generation,
            attachment,
            refused.as_ref(),
            read.dropped.as_ref(),
            read.unresolved.as_ref(),
        )
    });
    let status = RouteStatus {
        parents: parents.collect(),
    };
    let shared = scope.shared();
    let status = ObjectStatus {
        origin,
        generation: route.metadata.generation,
        status: Status::HttpRoute(shared.statuses.get(status)),
    };
    RouteUnit {
        route: ir.map(|ir| output::share_with(ir, previous.and_then(|previous| previous.route.as_ref()))),
        attached: shared.places.get(attached),
        accepted: shared.places.get(accepted),
        status: Some(output::share_with(
            status,
            previous.and_then(|previous| previous.status.as_ref()),
        )),
    }
}

/// Upstreams that something is sent to: not those of rules that answer 500.
fn upstreams(route: &Route) -> BTreeSet<UpstreamId> {
    let mirrored = |filters: &[Filter]| {
        let mirrors = filters.iter().filter_map(|filter| match filter {
            Filter::Mirror(mirror) => Some(mirror.upstream.clone()),
            _ => None,
        });
        mirrors.collect::<Vec<_>>()
    };
    let mut all = BTreeSet::new();
    for rule in &route.rules {
        all.extend(mirrored(&rule.filters));
        let Action::Forward(backends) = &rule.action else {
            continue;
        };
        for backend in backends {
            all.extend(mirrored(&backend.filters));
            if let Target::Upstream(id) = &backend.target {
                all.insert(id.clone());
            }
        }
    }
    all
}

/// Hostnames under which a route is served on the ports of the Ingress listener: its own, or the listener's.
fn beside_ingress(scope: &mut Scope<'_>, route: &Route, attached: &[Place]) -> BTreeSet<String> {
    let ports = [scope.settings().http_port, scope.settings().https_port];
    let mut hostnames = BTreeSet::new();
    for place in attached {
        let listener = place.listener(scope);
        let Some(listener) = listener.filter(|listener| ports.contains(&listener.port)) else {
            continue;
        };
        let limit = listener.hostname.as_deref().unwrap_or_default();
        let limit = hosts::parse(limit, Star::Labels).unwrap_or_default();
        for own in &route.hostnames {
            // The narrower of the two; what does not intersect is not served there.
            if own.intersects(&limit) {
                let narrower = if own.specificity(&limit).is_le() {
                    own
                } else {
                    &limit
                };
                hostnames.insert(owners::spelled(narrower));
            }
        }
    }
    hostnames
}

/// The route's own hostnames; [`HostPattern::Any`] stands for none given. An error if some were given and none
/// of them can be used: the route must not serve every host then.
pub(super) fn hostnames(
    scope: &mut Scope<'_>,
    given: &[Box<str>],
    origin: &Origin,
) -> Result<Vec<HostPattern>, Wrong> {
    if given.is_empty() {
        return Ok(vec![HostPattern::Any]);
    }
    let mut patterns = Vec::with_capacity(given.len());
    let mut wrong = None;
    for (index, text) in given.iter().enumerate() {
        match hosts::parse(text, Star::Labels) {
            Ok(pattern) => {
                if !patterns.contains(&pattern) {
                    patterns.push(pattern);
                }
            }
            Err(error) => {
                let message = format!("hostname \"{text}\" {error}");
                scope.report(
                    Diagnostic::new(
                        Code::RouteHostnameInvalid,
                        origin.clone(),
                        format!("spec.hostnames[{index}]"),
                        message.as_str(),
                    )
                    .hint("Write a name such as shop.example.com or *.example.com"),
                );
                wrong.get_or_insert(Wrong::new("UnsupportedValue", message));
            }
        }
    }
    match wrong {
        Some(wrong) if patterns.is_empty() => Err(wrong),
        _ => Ok(patterns),
    }
}

/// All rules of a route, and what its status has to say about them.
#[derive(Default)]
struct Rules {
    kept: Vec<Rule>,
    /// Why no rule works.
    refused: Option<Wrong>,
    /// Why some rules don't work while others do.
    dropped: Option<Wrong>,
    unresolved: Option<Wrong>,
}

fn rules(scope: &mut Scope<'_>, (kind, route): (&'static str, &HTTPRoute), origin: &Origin) -> Rules {
    let default = [HttpRouteRule::default()];
    let given: &[HttpRouteRule] = if route.spec.rules.is_empty() {
        &default
    } else {
        &route.spec.rules
    };
    let mut all = Rules {
        kept: Vec::with_capacity(given.len()),
        ..Rules::default()
    };
    let own = OwnAnnotations::read(scope, kind, &route.metadata);
    let mut wrong: Vec<(usize, Wrong)> = Vec::new();
    for (index, rule) in given.iter().enumerate() {
        let translated = rule::translate(scope, (kind, origin, route), index, rule, own.tunnel_idle);
        all.kept.extend(translated.rule);
        wrong.extend(translated.refused.map(|wrong| (index, wrong)));
        if all.unresolved.is_none() {
            all.unresolved = translated.unresolved;
        }
    }
    if let Some((_, first)) = wrong.first() {
        // "Dropped Rule" is the prefix that the specification asks for (PartiallyInvalid).
        let each = wrong
            .iter()
            .map(|(index, wrong)| format!("rules[{index}]: {}", wrong.message));
        let message = format!("Dropped Rule {}", each.collect::<Vec<_>>().join("; "));
        let reason = Wrong::new(first.reason, message);
        if wrong.len() == given.len() {
            all.refused = Some(first.clone());
        } else {
            all.dropped = Some(reason);
        }
    }
    all
}

/// What the status says about one parent.
pub(super) fn parent_status(
    controller_name: String,
    generation: i64,
    attachment: Attachment,
    refused: Option<&Wrong>,
    dropped: Option<&Wrong>,
    unresolved: Option<&Wrong>,
) -> RouteParentStatus {
    let accepted = attachment.refused.as_ref().or(refused);
    let mut conditions: Vec<Condition> = vec![
        check("Accepted", "The route is attached", accepted, generation),
        check("ResolvedRefs", "Every reference is good", unresolved, generation),
    ];
    if let (Some(dropped), None) = (dropped, accepted) {
        conditions.push(holds(
            "PartiallyInvalid",
            dropped.reason,
            dropped.message.clone(),
            generation,
        ));
    }
    RouteParentStatus {
        parent_ref: attachment.parent,
        controller_name,
        conditions,
    }
}
