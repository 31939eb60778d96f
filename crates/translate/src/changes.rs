//! What changed since the last translation, found by comparing pointers.
//!
//! Two maps are walked side by side; as long as both hold the same `Arc`, nothing is read but the pointer.
//! A change is told as a [`Read`]: whoever looked at that before has to look again.

use crate::ingress::Claim;
use crate::input::{Key, Objects};
use api::Resource;
use api::discovery::{EndpointSlice, SERVICE_NAME_LABEL};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// Something that a unit of translation looked at, present or absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Read {
    /// A Service.
    Service(Key),
    /// The EndpointSlices of a Service.
    Slices(Key),
    /// A Secret.
    Secret(Key),
    /// A ConfigMap.
    ConfigMap(Key),
    /// A Namespace, by name.
    Namespace(Arc<str>),
    /// The ReferenceGrants of a namespace.
    Grants(Arc<str>),
    /// A GatewayClass, by name.
    GatewayClass(Arc<str>),
    /// A Gateway.
    Gateway(Key),
    /// All IngressClasses.
    IngressClasses,
    /// Which Ingresses of ours claim something.
    IngressClaim(Claim),
    /// The answer for an external name.
    ExternalName(String),
}

/// Slices by the Service they belong to.
pub(crate) type SlicesByService = BTreeMap<Key, BTreeMap<Key, Arc<EndpointSlice>>>;

/// The objects of the last translation, and what follows from them alone.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    objects: Objects,
    /// Slices by Service.
    pub slices: SlicesByService,
    /// ReferenceGrants by their namespace.
    pub grants: BTreeMap<Arc<str>, BTreeMap<Key, Arc<api::gateway::ReferenceGrant>>>,
}

/// What is different from the last translation.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Everything that a unit may have looked at and that is different now.
    pub reads: HashSet<Read>,
    /// HTTPRoutes that were added, changed or removed.
    pub http_routes: BTreeSet<Key>,
    /// Gateways likewise.
    pub gateways: BTreeSet<Key>,
    /// GatewayClasses likewise.
    pub gateway_classes: BTreeSet<Key>,
    /// Ingresses likewise.
    pub ingresses: BTreeSet<Key>,
}

impl Seen {
    /// Compares with the last objects and remembers these.
    pub fn update(&mut self, new: &Objects) -> Changes {
        let mut changes = Changes::default();
        let old = &mut self.objects;
        let reads = &mut changes.reads;
        for key in replace(&mut old.services, &new.services) {
            reads.insert(Read::Service(key.key));
        }
        for key in replace(&mut old.secrets, &new.secrets) {
            reads.insert(Read::Secret(key.key));
        }
        for key in replace(&mut old.config_maps, &new.config_maps) {
            reads.insert(Read::ConfigMap(key.key));
        }
        for key in replace(&mut old.namespaces, &new.namespaces) {
            reads.insert(Read::Namespace(key.key.name));
        }
        for change in replace(&mut old.endpoint_slices, &new.endpoint_slices) {
            for (slice, present) in change.versions() {
                let Some(service) = service_of(slice) else {
                    continue;
                };
                let slices = self.slices.entry(service.clone()).or_default();
                if present {
                    slices.insert(change.key.clone(), Arc::clone(slice));
                } else {
                    slices.remove(&change.key);
                }
                if slices.is_empty() {
                    self.slices.remove(&service);
                }
                reads.insert(Read::Slices(service));
            }
        }
        for change in replace(&mut old.reference_grants, &new.reference_grants) {
            let grants = self.grants.entry(Arc::clone(&change.key.namespace)).or_default();
            match &change.new {
                Some(grant) => grants.insert(change.key.clone(), Arc::clone(grant)),
                None => grants.remove(&change.key),
            };
            reads.insert(Read::Grants(change.key.namespace));
        }
        if !replace(&mut old.ingress_classes, &new.ingress_classes).is_empty() {
            reads.insert(Read::IngressClasses);
        }
        for change in replace(&mut old.gateway_classes, &new.gateway_classes) {
            reads.insert(Read::GatewayClass(Arc::clone(&change.key.name)));
            changes.gateway_classes.insert(change.key);
        }
        for change in replace(&mut old.gateways, &new.gateways) {
            reads.insert(Read::Gateway(change.key.clone()));
            changes.gateways.insert(change.key);
        }
        changes.http_routes = keys(replace(&mut old.http_routes, &new.http_routes));
        changes.ingresses = keys(replace(&mut old.ingresses, &new.ingresses));
        if old.resolved != new.resolved {
            for name in old.resolved.keys().chain(new.resolved.keys()) {
                if old.resolved.get(name) != new.resolved.get(name) {
                    reads.insert(Read::ExternalName(name.clone()));
                }
            }
            old.resolved.clone_from(&new.resolved);
        }
        changes
    }
}

/// One object that is not what it was.
#[derive(Debug)]
struct Change<T> {
    key: Key,
    old: Option<Arc<T>>,
    new: Option<Arc<T>>,
}

impl<T> Change<T> {
    /// What it was (gone) and then what it is (present).
    fn versions(&self) -> impl Iterator<Item = (&Arc<T>, bool)> {
        let old = self.old.iter().map(|object| (object, false));
        old.chain(self.new.iter().map(|object| (object, true)))
    }
}

fn keys<T>(changes: Vec<Change<T>>) -> BTreeSet<Key> {
    changes.into_iter().map(|change| change.key).collect()
}

/// Makes `old` equal to `new` and tells what was different. An object that was read again and says the same (its
/// status was written, or the file around it changed) is no difference.
fn replace<T: Resource + PartialEq>(
    old: &mut BTreeMap<Key, Arc<T>>,
    new: &BTreeMap<Key, Arc<T>>,
) -> Vec<Change<T>> {
    let mut changes = Vec::new();
    let mut read_again = Vec::new();
    let mut before = old.iter().peekable();
    let mut after = new.iter().peekable();
    loop {
        let (order, pair) = match (before.peek(), after.peek()) {
            (None, None) => break,
            (Some(_), None) => (Ordering::Less, None),
            (None, Some(_)) => (Ordering::Greater, None),
            (Some((_, a)), Some((_, b))) if Arc::ptr_eq(a, b) => (Ordering::Equal, None),
            (Some((key_a, a)), Some((key_b, b))) => (key_a.cmp(key_b), Some((*a, *b))),
        };
        match order {
            Ordering::Less => {
                if let Some((key, object)) = before.next() {
                    changes.push(Change {
                        key: key.clone(),
                        old: Some(Arc::clone(object)),
                        new: None,
                    });
                }
            }
            Ordering::Greater => {
                if let Some((key, object)) = after.next() {
                    changes.push(Change {
                        key: key.clone(),
                        old: None,
                        new: Some(Arc::clone(object)),
                    });
                }
            }
            Ordering::Equal => {
                before.next();
                match (after.next(), pair) {
                    (Some((key, _)), Some((was, is))) if was == is => {
                        read_again.push((key.clone(), Arc::clone(is)));
                    }
                    (Some((key, _)), Some((was, is))) => changes.push(Change {
                        key: key.clone(),
                        old: Some(Arc::clone(was)),
                        new: Some(Arc::clone(is)),
                    }),
                    _ => {}
                }
            }
        }
    }
    old.extend(read_again);
    for change in &changes {
        match &change.new {
            Some(object) => old.insert(change.key.clone(), Arc::clone(object)),
            None => old.remove(&change.key),
        };
    }
    changes
}

fn service_of(slice: &EndpointSlice) -> Option<Key> {
    let name = slice.metadata.labels.get(SERVICE_NAME_LABEL)?;
    Some(Key::new(Arc::clone(&slice.metadata.namespace), name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::{Read, Seen};
    use crate::input::{Key, Object, Objects};
    use serde_json::json;

    fn service(name: &str, port: u16) -> Object {
        let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"port": port}]}});
        Object::from_value(&value).unwrap().unwrap()
    }

    #[test]
    fn what_came_changed_or_went_is_told_and_nothing_else() {
        let (mut seen, mut objects) = (Seen::default(), Objects::default());
        for name in ["a", "b", "c"] {
            objects.insert(service(name, 80));
        }
        assert_eq!(seen.update(&objects).reads.len(), 3);
        assert!(seen.update(&objects).reads.is_empty());
        objects.insert(service("b", 81));
        objects.remove("Service", &Key::new("default", "a"));
        objects.insert(service("d", 80));
        let mut told: Vec<_> = seen.update(&objects).reads.into_iter().collect();
        told.sort();
        let expected = ["a", "b", "d"].map(|name| Read::Service(Key::new("default", name)));
        assert_eq!(told, expected);
    }

    #[test]
    fn an_object_read_again_that_says_the_same_is_no_change() {
        let (mut seen, mut objects) = (Seen::default(), Objects::default());
        objects.insert(service("a", 80));
        seen.update(&objects);
        objects.insert(service("a", 80));
        assert!(seen.update(&objects).reads.is_empty());
    }
}
