//! What there is of what we make, and what it is made from: told by the watches.

use super::plan::{self, Plan};
use api::Resource as _;
use api::core::Service;
use api::discovery::{EndpointSlice, SERVICE_NAME_LABEL};
use api::gateway::Gateway;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use translate::{Key, OWNER_LABEL, Services, label_value};

/// Shared by the watches, which see, and the writer, which compares.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    /// Value of the label by which our Services and EndpointSlices are known.
    owner: Arc<str>,
    /// The Service whose endpoints are our own Pods.
    front: Key,
    there: Arc<Mutex<There>>,
    notify: Arc<Notify>,
}

/// Objects as they came.
#[derive(Debug, Default)]
pub(super) struct There {
    /// Services that are ours.
    pub services: BTreeMap<Key, Value>,
    /// EndpointSlices that are ours.
    pub slices: BTreeMap<Key, Value>,
    /// EndpointSlices with our own Pods.
    pub pods: BTreeMap<Key, Value>,
    /// `metadata.uid` of every Gateway.
    pub gateways: BTreeMap<Key, String>,
}

impl Made {
    /// Nothing was seen yet. `front` is the Service that leads to our own Pods.
    pub fn new(controller: &str, front: Key) -> Self {
        Self {
            owner: label_value(controller).into(),
            front,
            there: Arc::default(),
            notify: Arc::default(),
        }
    }

    /// An object came by.
    pub fn see(&self, kind: &str, key: &Key, object: &Value) {
        let label = |name: &str| object["metadata"]["labels"][name].as_str();
        let mut there = self.there();
        let there = &mut *there;
        let changed = match kind {
            Service::KIND => {
                let ours = label(OWNER_LABEL) == Some(&*self.owner);
                put(&mut there.services, key, object, ours)
            }
            EndpointSlice::KIND => {
                let ours = label(plan::SLICE_OWNER_LABEL) == Some(&*self.owner);
                let service = label(SERVICE_NAME_LABEL).unwrap_or_default();
                let of_pods = *self.front.name == *service && self.front.namespace == key.namespace;
                put(&mut there.slices, key, object, ours) | put(&mut there.pods, key, object, of_pods)
            }
            // Nothing more is made for one that is about to go.
            Gateway::KIND if object["metadata"]["deletionTimestamp"].is_string() => {
                there.gateways.remove(key).is_some()
            }
            Gateway::KIND => match object["metadata"]["uid"].as_str() {
                Some(uid) if there.gateways.get(key).is_none_or(|known| known != uid) => {
                    there.gateways.insert(key.clone(), uid.to_owned());
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if changed {
            self.notify.notify_one();
        }
    }

    /// An object is gone.
    pub fn forget(&self, kind: &str, key: &Key) {
        self.retain(kind, |other| other != key);
    }

    /// Everything of a kind was told, everywhere or in one namespace: what was not is gone.
    pub fn keep(&self, kind: &str, namespace: Option<&str>, told: &HashSet<Key>) {
        self.retain(kind, |key| {
            namespace.is_some_and(|namespace| *namespace != *key.namespace) || told.contains(key)
        });
    }

    /// Waits until something has to be compared.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    /// What has to be done.
    pub(super) fn plan(&self, services: &Services) -> Plan {
        plan::plan(&self.owner, services, &self.there())
    }

    /// An object as it was seen, or nothing.
    #[cfg(test)]
    pub(super) fn object(&self, kind: &str, key: &Key) -> Value {
        let there = self.there();
        let objects = match kind {
            Service::KIND => &there.services,
            EndpointSlice::KIND => &there.slices,
            _ => &there.pods,
        };
        objects.get(key).cloned().unwrap_or_default()
    }

    fn retain(&self, kind: &str, stays: impl Fn(&Key) -> bool) {
        let mut there = self.there();
        let count = |there: &There| there.services.len() + there.slices.len() + there.pods.len();
        let before = count(&there);
        match kind {
            Service::KIND => there.services.retain(|key, _| stays(key)),
            EndpointSlice::KIND => {
                there.slices.retain(|key, _| stays(key));
                there.pods.retain(|key, _| stays(key));
            }
            Gateway::KIND => there.gateways.retain(|key, _| stays(key)),
            _ => {}
        }
        if count(&there) != before {
            self.notify.notify_one();
        }
    }

    fn there(&self) -> MutexGuard<'_, There> {
        self.there
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Takes an object in, or out if it does not belong there (any more). Whether that changed anything.
fn put(objects: &mut BTreeMap<Key, Value>, key: &Key, object: &Value, belongs: bool) -> bool {
    if !belongs {
        return objects.remove(key).is_some();
    }
    if objects.get(key) == Some(object) {
        return false;
    }
    objects.insert(key.clone(), object.clone());
    true
}
