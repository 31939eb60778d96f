//! What the API server has, as far as it matters for what we write: a digest of our part of each status.

use super::Id;
use super::merge::{self, Owner};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;
use translate::Key;

/// Shared by the watches, which see, and the writer, which compares.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    owner: Owner,
    inner: Arc<Mutex<Inner>>,
    notify: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Inner {
    statuses: HashMap<Id, Entry>,
    /// What has to be compared: it is different from the last time, or could not be written then.
    due: HashSet<Id>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// Of our part, as it is there.
    digest: u64,
    /// Digest of what we wanted when we last wrote, and of what the server made of that.
    wrote: Option<(u64, u64)>,
    /// Whether anything in it is ours.
    ours: bool,
    /// Since when nobody desires what is ours in it.
    unwanted: Option<Instant>,
}

/// What is desired otherwise than the last time.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Changed {
    /// Nobody knows.
    Everything,
    /// These and no others.
    These(HashSet<Id>),
}

impl Changed {
    /// One more.
    pub fn add(&mut self, id: Id) {
        if let Self::These(ids) = self {
            ids.insert(id);
        }
    }
}

impl Seen {
    /// Nothing was seen yet.
    pub fn new(controller: &str) -> Self {
        Self {
            owner: Owner::new(controller),
            inner: Arc::default(),
            notify: Arc::default(),
        }
    }

    /// Who we are in statuses.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// An object came by.
    pub fn see(&self, kind: &'static str, key: &Key, object: &Value) {
        if written_kind(kind).is_none() {
            return;
        }
        let part = merge::ours(&self.owner, kind, object.get("status").unwrap_or(&Value::Null));
        let digest = merge::digest(&part);
        let id = (kind, key.clone());
        let mut inner = self.inner();
        let entry = inner.statuses.entry(id.clone());
        let mut new = false;
        let entry = entry.or_insert_with(|| {
            new = true;
            Entry {
                digest,
                wrote: None,
                ours: false,
                unwanted: None,
            }
        });
        entry.ours = !merge::is_empty(&part);
        if new || entry.digest != digest {
            entry.digest = digest;
            inner.due.insert(id);
            self.notify.notify_one();
        }
    }

    /// An object is gone.
    pub fn forget(&self, kind: &'static str, key: &Key) {
        self.inner().statuses.remove(&(kind, key.clone()));
    }

    /// Everything of a kind was told, everywhere or in one namespace: what was not is gone.
    pub fn keep(&self, kind: &'static str, namespace: Option<&str>, told: &HashSet<Key>) {
        let elsewhere = |key: &Key| namespace.is_some_and(|namespace| *namespace != *key.namespace);
        self.inner()
            .statuses
            .retain(|(other, key), _| *other != kind || elsewhere(key) || told.contains(key));
    }

    /// A status was written, and this is what the server made of it.
    pub fn wrote(&self, id: &Id, status: &Value, desired: u64) {
        let part = merge::ours(&self.owner, id.0, status);
        let digest = merge::digest(&part);
        if let Some(entry) = self.inner().statuses.get_mut(id) {
            entry.digest = digest;
            entry.wrote = Some((desired, digest));
            entry.ours = !merge::is_empty(&part);
        }
    }

    /// Has a status compared again, some time later.
    pub fn retry(&self, id: &Id) {
        self.inner().due.insert(id.clone());
        self.wake();
    }

    fn wake(&self) {
        let notify = Arc::clone(&self.notify);
        tokio::spawn(async move {
            tokio::time::sleep(LATER).await;
            notify.notify_one();
        });
    }

    /// Waits until something has to be compared.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Whose status is not as desired, among those that are different on either side: `changed` says on the other one.
    /// What we had a part in and nobody desires any more is cleared, but only for routes, and for ListenerSets that we
    /// wrote, whose Gateway is gone or somebody else's by now: everything else says so in its own words, or belongs to
    /// somebody else itself. And only after a while: an object that another replica wrote to may be seen before it is
    /// translated here.
    pub(super) fn differing(&self, changed: Changed, desired: impl Fn(&Id) -> Option<u64>) -> Vec<Id> {
        let nothing = merge::desired_digest(&self.owner, LISTENER_SET, None);
        let left_over = |kind: &str, entry: &Entry| {
            let wrote = entry.wrote.is_some_and(|(wanted, _)| wanted != nothing);
            entry.ours && (merge::is_shared(kind) || (kind == LISTENER_SET && wrote))
        };
        let mut inner = self.inner();
        let inner = &mut *inner;
        let mut due = std::mem::take(&mut inner.due);
        match changed {
            Changed::Everything => due = inner.statuses.keys().cloned().collect(),
            Changed::These(ids) => due.extend(ids),
        }
        let mut differing = Vec::new();
        for id in due {
            let Some(entry) = inner.statuses.get_mut(&id) else {
                continue;
            };
            match desired(&id) {
                Some(digest) => {
                    entry.unwanted = None;
                    let same = entry.digest == digest || entry.wrote == Some((digest, entry.digest));
                    if !same {
                        differing.push(id);
                    }
                }
                None if left_over(id.0, entry) => {
                    if entry.unwanted.get_or_insert_with(Instant::now).elapsed() >= LATER {
                        differing.push(id);
                    } else {
                        inner.due.insert(id);
                    }
                }
                None => {}
            }
        }
        if !inner.due.is_empty() {
            self.wake();
        }
        // Gateways before routes, so that whoever waits for both sees them in that order.
        differing.sort();
        differing
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The kind, if we write its status.
pub(super) fn written_kind(kind: &str) -> Option<&'static str> {
    WRITTEN.iter().find(|known| **known == kind).copied()
}

const WRITTEN: &[&str] = &[
    "BackendTLSPolicy",
    "GRPCRoute",
    "Gateway",
    "GatewayClass",
    "HTTPRoute",
    "TCPRoute",
    "TLSRoute",
    "UDPRoute",
    "XBackend",
    "XBackendTrafficPolicy",
    "XTelemetryPolicy",
    "Ingress",
    LISTENER_SET,
];
const LISTENER_SET: &str = "ListenerSet";
const LATER: std::time::Duration = std::time::Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn the_status_of_a_listener_set_without_a_gateway_is_taken_back_once_and_only_if_it_is_ours() {
        let seen = Seen::new("narthex.dev/gateway-controller");
        let status = json!({"conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted",
            "message": "", "observedGeneration": 1}]});
        let ids = ["ours", "theirs"].map(|name| (LISTENER_SET, Key::new("n", name)));
        for (kind, key) in &ids {
            seen.see(kind, key, &json!({ "status": status }));
        }
        let wanted = merge::digest(&merge::ours(seen.owner(), LISTENER_SET, &status));
        seen.wrote(&ids[0], &status, wanted);
        let long_ago = Instant::now().checked_sub(LATER);
        for entry in seen.inner().statuses.values_mut() {
            entry.unwanted = long_ago;
        }
        assert_eq!(seen.differing(Changed::Everything, |_| None), [ids[0].clone()]);
        // What the CRD says by default is there again.
        let nothing = merge::desired_digest(seen.owner(), LISTENER_SET, None);
        seen.wrote(&ids[0], &status, nothing);
        assert_eq!(seen.differing(Changed::Everything, |_| None), []);
    }

    #[tokio::test]
    async fn what_is_not_translated_yet_is_not_cleared_and_what_nobody_desires_is_after_a_while() {
        let seen = Seen::new("narthex.dev/gateway-controller");
        let parent = json!({"controllerName": "narthex.dev/gateway-controller", "parentRef": {"name": "g"}});
        let key = Key::new("ns", "route");
        seen.see("HTTPRoute", &key, &json!({"status": {"parents": [parent]}}));
        let nothing = || Changed::These(HashSet::new());
        assert!(seen.differing(nothing(), |_| None).is_empty());
        let long_ago = Instant::now().checked_sub(LATER).unwrap();
        seen.inner()
            .statuses
            .get_mut(&("HTTPRoute", key))
            .unwrap()
            .unwanted = Some(long_ago);
        assert_eq!(seen.differing(nothing(), |_| None).len(), 1);
    }

    #[tokio::test]
    async fn only_what_changed_on_either_side_or_failed_is_compared() {
        let seen = Seen::new("narthex.dev/gateway-controller");
        let ids = ["a", "b", "c"].map(|name| ("Gateway", Key::new("n", name)));
        for (kind, key) in &ids {
            seen.see(kind, key, &json!({}));
        }
        let compared = |changed: &[&Id]| {
            let compared = std::cell::RefCell::new(Vec::new());
            let changed = changed.iter().map(|id| (*id).clone()).collect();
            seen.differing(Changed::These(changed), |id| {
                compared.borrow_mut().push(id.clone());
                None
            });
            compared.into_inner()
        };
        assert_eq!(compared(&[]).len(), 3);
        assert!(compared(&[]).is_empty());
        assert_eq!(compared(&[&ids[1]]), [ids[1].clone()]);
        seen.see(
            ids[0].0,
            &ids[0].1,
            &json!({"status": {"addresses": [{"value": "192.0.2.1"}]}}),
        );
        assert_eq!(compared(&[]), [ids[0].clone()]);
        seen.retry(&ids[2]);
        assert_eq!(compared(&[]), [ids[2].clone()]);
        seen.keep("Gateway", None, &HashSet::from([ids[0].1.clone()]));
        assert!(compared(&[&ids[1]]).is_empty());
    }
}
