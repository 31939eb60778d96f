//! The Ingress listener, from all Ingresses together, kept from one translation to the next: a changed Ingress moves
//! its own routes and no others.

use crate::IngressResult;
use crate::input::Key;
use crate::memo::Memo;
use ir::{HostPattern, Layer, List, Listener, Origin, Route, TlsHost, TlsPolicy};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// What Ingresses of ours give.
#[derive(Debug, Default)]
pub(crate) struct Ingresses {
    /// How many there are.
    pub ours: usize,
    /// The oldest Ingress first, then by key; those of one Ingress in its order.
    routes: List<Route>,
    /// Of the last listeners, unless some Ingress that has any changed.
    tls: Option<Vec<TlsHost>>,
    listeners: Option<IngressListeners>,
}

/// The Ingress listener, plain and with TLS: the same routes.
#[derive(Debug)]
pub(crate) struct IngressListeners {
    pub http: Arc<Listener>,
    pub https: Arc<Listener>,
}

impl Ingresses {
    /// Replaces what an Ingress gave before by what it gives now.
    pub fn replace(&mut self, key: &Key, old: Option<&IngressResult>, new: Option<&IngressResult>) {
        let (before, now) = (old.filter(|old| old.ours()), new.filter(|new| new.ours()));
        self.ours = self.ours + usize::from(now.is_some()) - usize::from(before.is_some());
        let routes = |result: Option<&IngressResult>| {
            let routes = result.map_or(&[][..], |result| &result.routes).iter();
            routes.map(Arc::as_ptr).collect::<Vec<_>>()
        };
        let moved = before.map(|old| old.created) != now.map(|new| new.created);
        if moved || routes(before) != routes(now) {
            self.listeners = None;
            if let Some(result) = before {
                for route in &result.routes {
                    self.routes.remove(|other| {
                        order(other, result.created, key).then_with(|| position(result, other, route))
                    });
                }
            }
            if let Some(result) = now {
                for route in &result.routes {
                    // Behind those of this Ingress that are there already.
                    let place = |other: &Route| order(other, result.created, key).then(Ordering::Less);
                    self.routes.insert(place, Arc::clone(route));
                }
            }
        }
        let tls = |result: Option<&IngressResult>| {
            let unit = result.and_then(|result| result.unit.as_ref());
            unit.map_or_else(Vec::new, |unit| unit.tls.clone())
        };
        if tls(before) != tls(now) || (moved && !tls(now).is_empty()) {
            self.tls = None;
            self.listeners = None;
        }
    }

    /// The listeners as they are now.
    pub fn listeners(
        &mut self,
        ingresses: &Memo<Key, IngressResult>,
        tls_policy: TlsPolicy,
    ) -> &IngressListeners {
        let Self { routes, tls, .. } = self;
        let tls = tls.get_or_insert_with(|| tls_hosts(ingresses));
        self.listeners.get_or_insert_with(|| {
            let listener = |tls: &[TlsHost]| {
                Arc::new(Listener {
                    clients: None,
                    identity: None,
                    tls_policy,
                    origin: Origin::new("Narthex", "", "ingress"),
                    layer: Layer::Ingress,
                    hostname: HostPattern::Any,
                    tls: tls.to_vec(),
                    routes: routes.clone(),
                })
            };
            IngressListeners {
                http: listener(&[]),
                https: listener(tls),
            }
        })
    }
}

/// Order of a route and an Ingress.
fn order(route: &Route, created: i64, key: &Key) -> Ordering {
    let origin = &route.origin;
    route
        .created
        .cmp(&created)
        .then_with(|| origin.namespace.cmp(&key.namespace))
        .then_with(|| origin.name.cmp(&key.name))
}

/// Order of two routes of one Ingress.
fn position(result: &IngressResult, a: &Route, b: &Arc<Route>) -> Ordering {
    let position = |route: *const Route| result.routes.iter().position(|other| Arc::as_ptr(other) == route);
    position(std::ptr::from_ref(a)).cmp(&position(Arc::as_ptr(b)))
}

/// Certificates by host; where several Ingresses name a host, those of the oldest come first.
fn tls_hosts(ingresses: &Memo<Key, IngressResult>) -> Vec<TlsHost> {
    let mut results: Vec<_> = ingresses.iter().filter(|(_, result)| result.ours()).collect();
    results.sort_by_key(|(key, result)| (result.created, *key));
    let mut tls: Vec<TlsHost> = Vec::new();
    let mut positions: HashMap<HostPattern, usize> = HashMap::new();
    for host in results
        .into_iter()
        .filter_map(|(_, result)| result.unit.as_ref())
        .flat_map(|unit| &unit.tls)
    {
        match positions.get(&host.hostname) {
            Some(&position) => {
                let known = &mut tls[position].certificates;
                let new = host.certificates.iter().filter(|id| !known.contains(id)).cloned();
                let new: Vec<_> = new.collect();
                known.extend(new);
            }
            None => {
                positions.insert(host.hostname.clone(), tls.len());
                tls.push(host.clone());
            }
        }
    }
    tls
}
