//! The routes of one listener, compiled: by host, then by what [`HostRules`] does.

use crate::Head;
use crate::conditions::Request;
use crate::host_rules::HostRules;
use crate::hosts::Hosts;
use crate::rank::{self, HostRank, PathRank, Rank};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use ir::{HostPattern, Layer, List, Listener, Origin, Route};
use serde::Serialize;
use std::sync::Arc;

/// The routes of one listener, compiled for lookup. `R` is whatever the caller wants back with an answer
/// (the proxy's compiled route; `()` where nothing is needed), one per route.
pub struct Table<R> {
    layer: Layer,
    hostname: HostPattern,
    /// By the routes' own hostnames.
    hosts: Hosts<Arc<HostRules<R>>>,
    /// What it was made from, to tell what is different the next time.
    routes: List<Route>,
}

/// A route with the caller's part of it.
type Part<R> = (Arc<Route>, R);

/// Makes the caller's part of a route. Called for each new route.
pub type Compile<'c, R> = dyn FnMut(&Arc<Route>) -> R + 'c;

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
    /// kept, and only hosts of routes that came or went are looked at: the cost follows the size of the change.
    pub fn build(listener: &Listener, previous: Option<&Self>, compile: &mut Compile<'_, R>) -> Self {
        let (none, empty) = (List::default(), Hosts::new());
        let (routes, before) = match previous {
            Some(previous) => (&previous.routes, &previous.hosts),
            None => (&none, &empty),
        };
        let difference = listener.routes.since(routes);
        let mut by_host: HashMap<&HostPattern, Vec<Part<R>>, RandomState> = HashMap::default();
        for route in &difference.new {
            let part = compile(route);
            for pattern in &route.hostnames {
                let new = (Arc::clone(route), part.clone());
                by_host.entry(pattern).or_default().push(new);
            }
        }
        let gone: HashSet<usize, RandomState> = difference.gone.iter().map(|route| address(route)).collect();
        let of_gone = difference.gone.iter().flat_map(|route| &route.hostnames);
        let patterns = by_host.keys().copied().chain(of_gone);
        // The rules for many labels are among those for one label.
        let touched: HashSet<HostPattern, RandomState> = patterns
            .flat_map(|pattern| [Some(pattern.clone()), narrow(pattern)])
            .flatten()
            .collect();
        // Routes that have a pattern of their own, as they are now.
        let own = |pattern: &HostPattern| -> Vec<Part<R>> {
            let kept = before.get(pattern).into_iter().flat_map(|rules| &rules.routes);
            let kept = kept.filter(|(route, _)| {
                !gone.contains(&address(route)) && route.hostnames.iter().any(|host| host == pattern)
            });
            let new = by_host.get(pattern).into_iter().flatten();
            kept.chain(new).cloned().collect()
        };
        let mut hosts = before.clone();
        for pattern in &touched {
            let mut routes = own(pattern);
            if let (
                HostPattern::Wildcard {
                    suffix,
                    one_label: true,
                },
                false,
            ) = (pattern, routes.is_empty())
            {
                // Wildcards of one suffix are equally specific, whatever their star stands for: where both kinds
                // cover a host, their rules compete as those of one pattern.
                routes.extend(own(&HostPattern::Wildcard {
                    suffix: suffix.clone(),
                    one_label: false,
                }));
            }
            hosts.remove(pattern);
            if routes.is_empty() {
                continue;
            }
            routes.sort_by(|(a, _), (b, _)| rank::by_age(a, b).then_with(|| address(a).cmp(&address(b))));
            routes.dedup_by(|(a, _), (b, _)| Arc::ptr_eq(a, b));
            let rules = HostRules::compile(pattern.clone(), routes.into());
            hosts.insert(pattern, Arc::new(rules));
        }
        Self {
            layer: listener.layer,
            hostname: listener.hostname.clone(),
            hosts,
            routes: listener.routes.clone(),
        }
    }
}

impl<R> Table<R> {
    /// The best match for a request. Allocates nothing.
    pub fn find<'t>(&'t self, head: &Head<'_>) -> Option<Found<'t, R>> {
        self.find_request(&Request::new(head))
    }

    /// Matches that can't be used.
    pub fn unusable(&self) -> impl Iterator<Item = &Unusable> {
        self.hosts.values().flat_map(|rules| rules.unusable())
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

/// The pattern for one label of a pattern for many.
fn narrow(pattern: &HostPattern) -> Option<HostPattern> {
    match pattern {
        HostPattern::Wildcard {
            suffix,
            one_label: false,
        } => Some(HostPattern::Wildcard {
            suffix: suffix.clone(),
            one_label: true,
        }),
        _ => None,
    }
}

/// Tells routes apart: same allocation, same route.
fn address(route: &Arc<Route>) -> usize {
    Arc::as_ptr(route).addr()
}
