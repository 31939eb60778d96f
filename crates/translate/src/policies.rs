//! Objects whose status tells each Gateway that they concern: policies and XBackends.

use crate::changes::{Changes, ReadId};
use crate::conditions::{Wrong, check};
use crate::gateway::backend_tls::{self, PolicyUnit, Told};
use crate::gateway::{Holder, Place, telemetry, traffic_policy, x_backend};
use crate::input::{Key, Objects};
use crate::memo::Memo;
use crate::output::{ObjectStatus, Status, insert_status, remove_status, share_with};
use crate::{Translator, dirty, replace};
use api::Resource;
use api::backend::{XBackend, XBackendTrafficPolicy};
use api::gateway::{GROUP, ParentRef};
use api::policy::BackendTLSPolicy;
use api::status::{PolicyAncestorStatus, PolicyStatus};
use api::telemetry::XTelemetryPolicy;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Units of these objects, by kind.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    backend_tls: Memo<Key, PolicyUnit>,
    backends: Memo<Key, PolicyUnit>,
    traffic: Memo<Key, PolicyUnit>,
    telemetry: Memo<Key, PolicyUnit>,
}

impl Policies {
    /// Each with its kind, and how many Gateways its status has room for.
    fn all(&self) -> impl Iterator<Item = (&'static str, usize, &Key, &PolicyUnit)> {
        let kinds = [
            (BackendTLSPolicy::KIND, MOST_OF_A_POLICY, &self.backend_tls),
            (XBackend::KIND, MOST_OF_A_BACKEND, &self.backends),
            (XBackendTrafficPolicy::KIND, MOST_OF_A_POLICY, &self.traffic),
            (XTelemetryPolicy::KIND, MOST_OF_A_POLICY, &self.telemetry),
        ];
        kinds.into_iter().flat_map(|(kind, most, units)| {
            let units = units.iter();
            units.map(move |(key, unit)| (kind, most, key, unit))
        })
    }
}

/// Translates the objects of one kind that a change concerns.
macro_rules! translate {
    ($self:ident, $objects:ident, $changes:ident, $memo:ident, $field:ident, $translate:path) => {
        for key in dirty(
            &$self.policies.$memo,
            $changes,
            &$changes.$field,
            &$objects.$field,
        ) {
            let object = $objects.$field.get(&key);
            let result = object.map(|object| run!($self, $objects, |scope| $translate(scope, object)));
            replace(&mut $self.policies.$memo, &mut $self.ledger, key, result);
        }
    };
}

impl Translator {
    pub(crate) fn policies(&mut self, objects: &Objects, changes: &Changes) {
        translate!(
            self,
            objects,
            changes,
            backend_tls,
            backend_tls_policies,
            backend_tls::translate
        );
        translate!(self, objects, changes, backends, x_backends, x_backend::translate);
        translate!(
            self,
            objects,
            changes,
            traffic,
            x_backend_traffic_policies,
            traffic_policy::translate
        );
        translate!(
            self,
            objects,
            changes,
            telemetry,
            x_telemetry_policies,
            telemetry::translate
        );
        // There are few of them.
        let mut statuses: Vec<Arc<ObjectStatus>> = Vec::new();
        for (kind, most, key, unit) in self.policies.all() {
            let gateways = match &unit.told {
                Told::Before(targets) => self.gateways_before(targets),
                Told::Each(gateways) => gateways.clone(),
            };
            if gateways.is_empty() {
                continue;
            }
            let status = self.policy_status((kind, key), unit, gateways.into_iter().take(most));
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

    /// The Gateways through which one of these can be reached.
    fn gateways_before(&self, targets: &[ReadId]) -> BTreeMap<Key, Option<Wrong>> {
        let ids: HashSet<ReadId> = targets.iter().copied().collect();
        let routes = [&self.routes, &self.grpc_routes].into_iter().flat_map(|memo| {
            let keys = memo.readers_of(&ids).into_iter();
            keys.filter_map(|key| memo.get(&key))
        });
        let streams = self.stream_routes.readers_of(&ids);
        routes
            .flat_map(|route| route.attached.iter())
            .chain(streams)
            .filter_map(|place| Some((self.gateway_of(place)?, None)))
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

    fn policy_status(
        &self,
        (kind, key): (&'static str, &Key),
        unit: &PolicyUnit,
        gateways: impl Iterator<Item = (Key, Option<Wrong>)>,
    ) -> ObjectStatus {
        let generation = unit.generation;
        let resolved = unit.resolved.as_ref().map(|resolved| {
            let wrong = resolved.as_ref().err();
            check("ResolvedRefs", "Every reference is good", wrong, generation)
        });
        let ancestors = gateways.map(|(gateway, wrong)| PolicyAncestorStatus {
            ancestor_ref: ParentRef {
                group: Some(GROUP.into()),
                kind: Some("Gateway".into()),
                namespace: Some((&*gateway.namespace).into()),
                name: (&*gateway.name).into(),
                ..ParentRef::default()
            },
            controller_name: self.settings.gateway_controller.clone(),
            conditions: {
                let wrong = wrong.as_ref().or(unit.refused.as_ref());
                let accepted = check("Accepted", "It is in force", wrong, generation);
                std::iter::once(accepted).chain(resolved.clone()).collect()
            },
        });
        ObjectStatus {
            origin: key.origin(kind),
            generation,
            status: Status::Policy(Box::new(PolicyStatus {
                ancestors: ancestors.collect(),
            })),
        }
    }
}

/// `PolicyStatus.ancestors`, maxItems.
const MOST_OF_A_POLICY: usize = 16;
/// `BackendStatus.ancestors`, maxItems.
const MOST_OF_A_BACKEND: usize = 32;
