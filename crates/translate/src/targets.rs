//! Policies by what they are for.

use crate::backends::BackendObject;
use crate::input::Key;
use api::Resource;
use api::backend::{EXPERIMENTAL_GROUP, XBackend};
use api::policy::PolicyTarget;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Policies of a kind by their targets.
#[derive(Debug)]
pub(crate) struct ByTarget<T> {
    policies: BTreeMap<BackendObject, BTreeMap<Key, Arc<T>>>,
    /// The targets of each policy.
    targets: BTreeMap<Key, BTreeSet<BackendObject>>,
}

impl<T> Default for ByTarget<T> {
    fn default() -> Self {
        Self {
            policies: BTreeMap::new(),
            targets: BTreeMap::new(),
        }
    }
}

impl<T: Resource> ByTarget<T> {
    /// Files a policy under its targets as they are now, or forgets it. What was and what is a target of it.
    pub fn put(
        &mut self,
        key: &Key,
        policy: Option<&Arc<T>>,
        targets: &[PolicyTarget],
    ) -> BTreeSet<BackendObject> {
        let before = self.targets.remove(key).unwrap_or_default();
        for target in &before {
            if let Some(policies) = self.policies.get_mut(target) {
                policies.remove(key);
                if policies.is_empty() {
                    self.policies.remove(target);
                }
            }
        }
        let Some(policy) = policy else {
            return before;
        };
        let now: BTreeSet<_> = targets
            .iter()
            .filter_map(|target| object(target, &key.namespace))
            .collect();
        for target in &now {
            let policies = self.policies.entry(target.clone()).or_default();
            policies.insert(key.clone(), Arc::clone(policy));
        }
        let touched = before.union(&now).cloned().collect();
        self.targets.insert(key.clone(), now);
        touched
    }

    /// The policies for something, the one that counts first: the oldest, then the first by name.
    pub fn of(&self, target: &BackendObject) -> Vec<&Arc<T>> {
        let policies = self.policies.get(target);
        let mut policies: Vec<_> = policies.into_iter().flat_map(BTreeMap::values).collect();
        policies.sort_by_key(|policy| (policy.meta().created, Key::of(policy.meta())));
        policies
    }
}

/// What a target names, in the policy's namespace, if it is a kind of backend.
pub(crate) fn object(target: &PolicyTarget, namespace: &Arc<str>) -> Option<BackendObject> {
    let key = || Key::new(Arc::clone(namespace), target.name.as_str());
    match (target.group.as_str(), target.kind.as_str()) {
        ("", "Service") => Some(BackendObject::Service(key())),
        (EXPERIMENTAL_GROUP, XBackend::KIND) => Some(BackendObject::XBackend(key())),
        _ => None,
    }
}
