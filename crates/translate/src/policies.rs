//! Policies and their statuses: a policy is told to every Gateway through which something it is for can be reached.

use crate::changes::{Changes, Read};
use crate::conditions::check;
use crate::gateway::backend_tls::{self, PolicyUnit};
use crate::gateway::{Holder, Place};
use crate::input::{Key, Objects};
use crate::output::{ObjectStatus, Status, insert_status, remove_status, share_with};
use crate::{Translator, dirty, replace};
use api::gateway::{GROUP, ParentRef};
use api::status::{PolicyAncestorStatus, PolicyStatus};
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

impl Translator {
    pub(crate) fn policies(&mut self, objects: &Objects, changes: &Changes) {
        for key in dirty(
            &self.policies,
            changes,
            &changes.backend_tls_policies,
            &objects.backend_tls_policies,
        ) {
            let policy = objects.backend_tls_policies.get(&key);
            let result =
                policy.map(|policy| run!(self, objects, |scope| backend_tls::translate(scope, policy)));
            replace(&mut self.policies, &mut self.ledger, key, result);
        }
        // Few have policies, and then few of them.
        let mut statuses: Vec<Arc<ObjectStatus>> = Vec::new();
        for (key, unit) in self.policies.iter() {
            let gateways = self.gateways_before(unit);
            if gateways.is_empty() {
                continue;
            }
            let status = self.policy_status(key, unit, &gateways);
            let known = self.policy_statuses.iter();
            let previous = known.into_iter().find(|known| known.origin == status.origin);
            statuses.push(share_with(status, previous));
        }
        for gone in &self.policy_statuses {
            if !statuses.iter().any(|status| status.origin == gone.origin) {
                remove_status(&mut self.statuses, gone);
            }
        }
        for status in &statuses {
            insert_status(&mut self.statuses, status);
        }
        self.policy_statuses = statuses;
    }

    /// The Gateways through which a policy's Services can be reached.
    fn gateways_before(&self, unit: &PolicyUnit) -> BTreeSet<Key> {
        let ids: HashSet<_> = unit
            .services
            .iter()
            .map(|service| Read::Service(service.clone()).id())
            .collect();
        let routes = [&self.routes, &self.grpc_routes].into_iter().flat_map(|memo| {
            let keys = memo.readers_of(&ids).into_iter();
            keys.filter_map(|key| memo.get(&key))
        });
        let streams = self.stream_routes.readers_of(&ids);
        routes
            .flat_map(|route| route.attached.iter())
            .chain(streams)
            .filter_map(|place| self.gateway_of(place))
            .collect()
    }

    fn gateway_of(&self, place: &Place) -> Option<Key> {
        match &place.holder {
            Holder::Gateway(key) => Some(key.clone()),
            Holder::ListenerSet(key) => {
                let set = self.listener_sets.get(key)?.as_ref()?;
                Some(set.gateway.clone())
            }
        }
    }

    fn policy_status(&self, key: &Key, unit: &PolicyUnit, gateways: &BTreeSet<Key>) -> ObjectStatus {
        let generation = unit.policy.metadata.generation;
        let ancestors = gateways
            .iter()
            .take(MOST_ANCESTORS)
            .map(|gateway| PolicyAncestorStatus {
                ancestor_ref: ParentRef {
                    group: Some(GROUP.into()),
                    kind: Some("Gateway".into()),
                    namespace: Some((&*gateway.namespace).into()),
                    name: (&*gateway.name).into(),
                    ..ParentRef::default()
                },
                controller_name: self.settings.gateway_controller.clone(),
                conditions: vec![
                    check(
                        "Accepted",
                        "The policy is in force",
                        unit.refused.as_ref(),
                        generation,
                    ),
                    check(
                        "ResolvedRefs",
                        "Every reference is good",
                        unit.unresolved.as_ref(),
                        generation,
                    ),
                ],
            });
        ObjectStatus {
            origin: key.origin("BackendTLSPolicy"),
            generation,
            status: Status::Policy(Box::new(PolicyStatus {
                ancestors: ancestors.collect(),
            })),
        }
    }
}

/// `PolicyStatus.ancestors`, maxItems.
const MOST_ANCESTORS: usize = 16;
