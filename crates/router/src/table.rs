//! The routes of one listener, compiled: by host, then by what [`HostRules`] does.

use crate::Head;
use crate::conditions::Request;
use crate::host_rules::HostRules;
use crate::hosts::Hosts;
use crate::rank::{self, HostRank, PathRank, Rank};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use ir::{HostPattern, Layer, Listener, Origin, Route};
use serde::Serialize;
use std::sync::Arc;

/// The routes of one listener, compiled for lookup. `R` is whatever the caller wants back with an answer
/// (the proxy's compiled route; `()` where nothing is needed), one per route.
pub struct Table<R> {
    layer: Layer,
    hostname: HostPattern,
    /// By the routes' own hostnames.
    hosts: Hosts<Arc<HostRules<R>>>,
    /// The caller's part of each route, by address of the route, which is kept alive beside it.
    compiled: Parts<R>,
}

type Parts<R> = HashMap<usize, (Arc<Route>, R), RandomState>;

/// Makes the caller's part of a route. Any `FnMut(&Arc<Route>) -> R` will do where compiled parts never go stale.
pub trait Compile<R> {
    /// Called for each new route, and for one that is no longer fresh.
    fn compile(&mut self, route: &Arc<Route>) -> R;

    /// Whether what was compiled from this same route before still holds. Called for each route that is kept.
    fn is_fresh(&self, route: &Arc<Route>, compiled: &R) -> bool {
        let _ = (route, compiled);
        true
    }
}

impl<R, F: FnMut(&Arc<Route>) -> R> Compile<R> for F {
    fn compile(&mut self, route: &Arc<Route>) -> R {
        self(route)
    }
}

/// The answer to a lookup.
#[derive(Debug)]
pub struct Found<'t, R> {
    /// The route.
    pub route: &'t Arc<Route>,
    /// What the caller made of it.
    pub compiled: &'t R,
    /// Index into `route.rules`.
    pub rule: u32,
    /// Index into the rule's `matches`.
    pub matched: u32,
    /// The route's own hostname under which it was found.
    pub host: &'t HostPattern,
    /// The listener's hostname.
    listener: &'t HostPattern,
}

impl<R> Found<'_, R> {
    /// The rule.
    pub fn rule(&self) -> &ir::Rule {
        &self.route.rules[self.rule as usize]
    }

    /// How specific the answer is.
    pub fn rank(&self) -> Rank {
        Rank {
            // A route without hostnames on a listener that has one is for the listener's hostname.
            host: HostRank::of(self.host).max(HostRank::of(self.listener)),
            path: PathRank::of(&self.matched().path),
        }
    }

    /// The conditions that held.
    pub fn matched(&self) -> &ir::Match {
        &self.rule().matches[self.matched as usize]
    }
}

impl<R> Clone for Found<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Found<'_, R> {}

/// A match that can never hold because the router can't use it. `translate` checks what it writes, so there is
/// one only if the two disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unusable {
    /// The rule.
    pub origin: Origin,
    /// Index into the rule's `matches`.
    pub matched: u32,
    /// Why, for a log line.
    pub reason: String,
}

impl<R: Clone> Table<R> {
    /// Compiles the routes of a listener. What `previous` compiled from the same routes (the same allocations) is
    /// kept, so the cost follows the size of the change.
    pub fn build(listener: &Listener, previous: Option<&Self>, compile: &mut dyn Compile<R>) -> Self {
        let mut changed: Vec<&Route> = Vec::new();
        let mut compiled = Parts::with_capacity_and_hasher(listener.routes.len(), RandomState::default());
        for route in &listener.routes {
            let kept = previous.and_then(|previous| previous.compiled.get(&address(route)));
            let part = match kept {
                Some((_, part)) if compile.is_fresh(route, part) => part.clone(),
                _ => {
                    changed.push(route);
                    compile.compile(route)
                }
            };
            compiled.insert(address(route), (Arc::clone(route), part));
        }
        let mut hosts;
        let by_host = match previous {
            None => {
                hosts = Hosts::new();
                by_host(&listener.routes, |_| true)
            }
            Some(previous) => {
                let gone = previous.compiled.values().map(|(route, _)| route);
                changed.extend(
                    gone.filter(|route| !compiled.contains_key(&address(route)))
                        .map(|route| &**route),
                );
                let touched = touched(&changed);
                hosts = previous.hosts.clone();
                for pattern in &touched {
                    hosts.remove(pattern);
                }
                by_host(&listener.routes, |pattern| touched.contains(pattern))
            }
        };
        for (pattern, routes) in by_host {
            let with_part = |route: &&Arc<Route>| compiled[&address(route)].clone();
            let routes = routes.iter().map(with_part).collect();
            hosts.insert(pattern, Arc::new(HostRules::compile(pattern.clone(), routes)));
        }
        Self {
            layer: listener.layer,
            hostname: listener.hostname.clone(),
            hosts,
            compiled,
        }
    }
}

impl<R> Table<R> {
    /// Whether the caller's part of every route still holds.
    pub(crate) fn is_fresh(&self, compile: &dyn Compile<R>) -> bool {
        self.compiled
            .values()
            .all(|(route, part)| compile.is_fresh(route, part))
    }

    /// The best match for a request. Allocates nothing.
    pub fn find<'t>(&'t self, head: &Head<'_>) -> Option<Found<'t, R>> {
        self.find_request(&Request::new(head))
    }

    /// Matches that can't be used.
    pub fn unusable(&self) -> impl Iterator<Item = &Unusable> {
        self.hosts.values().flat_map(|rules| &rules.unusable)
    }

    pub(crate) fn find_request<'t>(&'t self, request: &Request<'_>) -> Option<Found<'t, R>> {
        let ask = |rules: &'t Arc<HostRules<R>>| Some(self.found(rules, rules.find(request)?));
        match self.layer {
            // Gateway API: a request that no rule of a more specific hostname matches falls through.
            Layer::Gateway => self.hosts.find(request.head.host, ask),
            // Ingress: the most specific host hides the others, as in ingress-nginx.
            Layer::Ingress => self.hosts.first(request.head.host).and_then(ask),
        }
    }

    /// All host patterns that cover `host`, most specific first, tried or not.
    pub(crate) fn covering<'t>(&'t self, host: &str) -> Vec<&'t Arc<HostRules<R>>> {
        self.hosts.covering(host)
    }

    pub(crate) fn all_hosts(&self) -> impl Iterator<Item = &Arc<HostRules<R>>> {
        self.hosts.values()
    }

    pub(crate) fn layer(&self) -> Layer {
        self.layer
    }

    pub(crate) fn hostname(&self) -> &HostPattern {
        &self.hostname
    }

    pub(crate) fn found<'t>(&'t self, rules: &'t HostRules<R>, entry: u32) -> Found<'t, R> {
        let entry = &rules.entries[entry as usize];
        let (route, compiled) = &rules.routes[entry.route as usize];
        Found {
            route,
            compiled,
            rule: entry.rule,
            matched: entry.matched,
            host: &rules.pattern,
            listener: &self.hostname,
        }
    }
}

/// The patterns whose rules change with these routes.
fn touched(routes: &[&Route]) -> HashSet<HostPattern, RandomState> {
    let mut patterns = HashSet::default();
    for pattern in routes.iter().flat_map(|route| &route.hostnames) {
        // The rules for many labels are among those for one label, see `by_host`.
        if let HostPattern::Wildcard { suffix, one_label } = pattern {
            patterns.insert(HostPattern::Wildcard {
                suffix: suffix.clone(),
                one_label: !one_label,
            });
        }
        patterns.insert(pattern.clone());
    }
    patterns
}

/// Routes by host pattern, the oldest first in each, for the patterns that are wanted.
fn by_host(
    routes: &[Arc<Route>],
    wanted: impl Fn(&HostPattern) -> bool,
) -> HashMap<&HostPattern, Vec<&Arc<Route>>, RandomState> {
    let mut by_host: HashMap<&HostPattern, Vec<&Arc<Route>>, RandomState> = HashMap::default();
    for route in routes {
        for pattern in route.hostnames.iter().filter(|pattern| wanted(pattern)) {
            by_host.entry(pattern).or_default().push(route);
        }
    }
    // Wildcards of one suffix are equally specific, whatever their star stands for: where both kinds cover a host,
    // their rules compete as those of one pattern.
    let many_labels: Vec<_> = by_host
        .iter()
        .filter(|(pattern, _)| matches!(pattern, HostPattern::Wildcard { one_label: false, .. }))
        .map(|(pattern, routes)| (*pattern, routes.clone()))
        .collect();
    for (pattern, wider) in many_labels {
        if let HostPattern::Wildcard { suffix, .. } = pattern {
            let narrow = HostPattern::Wildcard {
                suffix: suffix.clone(),
                one_label: true,
            };
            if let Some(routes) = by_host.get_mut(&narrow) {
                routes.extend(wider);
            }
        }
    }
    for routes in by_host.values_mut() {
        routes.sort_by(|a, b| rank::by_age(a, b).then_with(|| address(a).cmp(&address(b))));
        routes.dedup_by(|a, b| Arc::ptr_eq(a, b));
    }
    by_host
}

/// Tells routes apart: same allocation, same route.
fn address(route: &Arc<Route>) -> usize {
    Arc::as_ptr(route).addr()
}
