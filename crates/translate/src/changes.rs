//! What changed since the last translation: the shelves of [`Objects`] tell, so that nobody has to look for it.
//!
//! A change is told as a [`Read`]: whoever looked at that before has to look again.

use crate::backends::BackendObject;
use crate::ingress::Claim;
use crate::input::{Key, Objects, Resolved};
use crate::shelf::{Mark, Shelf};
use crate::targets::ByTarget;
use api::backend::XBackendTrafficPolicy;
use api::discovery::{EndpointSlice, SERVICE_NAME_LABEL, XBACKEND_NAME_LABEL};
use api::pod::Pod;
use api::policy::BackendTLSPolicy;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Something that a unit of translation looked at, present or absent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Read {
    /// A Service, and the XBackendTrafficPolicies for it: whoever is concerned by these has looked at it.
    Service(Key),
    /// An XBackend, likewise.
    XBackend(Key),
    /// The EndpointSlices of a Service or an XBackend.
    Slices(BackendObject),
    /// The Pods of a namespace.
    Pods(Arc<str>),
    /// A Secret.
    Secret(Key),
    /// A ConfigMap.
    ConfigMap(Key),
    /// A Namespace, by name.
    Namespace(Arc<str>),
    /// The ReferenceGrants of a namespace.
    Grants(Arc<str>),
    /// The BackendTLSPolicies of a Service.
    Policies(BackendObject),
    /// A ClusterTrustBundle, by name.
    TrustBundle(Arc<str>),
    /// Whether the API server has a kind.
    Kind(&'static str),
    /// Which release of Gateway API the CRDs are of.
    Definitions,
    /// A GatewayClass, by name.
    GatewayClass(Arc<str>),
    /// A Gateway.
    Gateway(Key),
    /// A ListenerSet.
    ListenerSet(Key),
    /// Which Gateways are default Gateways.
    DefaultGateways,
    /// All XTelemetryPolicies.
    TelemetryPolicies,
    /// All IngressClasses.
    IngressClasses,
    /// Which Ingresses of ours claim something.
    IngressClaim(Claim),
    /// The answer for an external name.
    ExternalName(String),
}

/// A [`Read`] by its hash, as it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReadId(u64);

impl Read {
    /// A backend itself.
    pub fn backend(object: &BackendObject) -> Self {
        match object {
            BackendObject::Service(key) => Self::Service(key.clone()),
            BackendObject::XBackend(key) => Self::XBackend(key.clone()),
        }
    }

    /// The same for equal reads, on every run.
    pub fn id(&self) -> ReadId {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        ReadId(hasher.finish())
    }
}

/// Slices by what they belong to, in order of their names; most owners have one.
pub(crate) type SlicesByOwner = BTreeMap<BackendObject, Vec<Arc<EndpointSlice>>>;

/// What was seen of the objects until the last translation, and what follows from them alone.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    marks: Marks,
    resolved: BTreeMap<String, Resolved>,
    absent: BTreeSet<&'static str>,
    /// Slices by what they belong to.
    pub slices: SlicesByOwner,
    /// What each slice belongs to.
    owners: BTreeMap<Key, BackendObject>,
    /// Pods by their namespace.
    pub pods: BTreeMap<Arc<str>, BTreeMap<Key, Arc<Pod>>>,
    /// ReferenceGrants by their namespace.
    pub grants: BTreeMap<Arc<str>, BTreeMap<Key, Arc<api::gateway::ReferenceGrant>>>,
    /// BackendTLSPolicies by what they are for.
    pub policies: ByTarget<BackendTLSPolicy>,
    /// XBackendTrafficPolicies likewise.
    pub traffic_policies: ByTarget<XBackendTrafficPolicy>,
    /// Gateways for routes that name none, whosesoever they are.
    pub default_gateways: BTreeSet<Key>,
}

/// What is different from the last translation.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Everything may be different.
    pub all: bool,
    /// Everything that a unit may have looked at and that is different now.
    pub reads: HashSet<ReadId>,
    /// HTTPRoutes that were added, changed or removed.
    pub http_routes: BTreeSet<Key>,
    /// TCPRoutes likewise.
    pub tcp_routes: BTreeSet<Key>,
    /// UDPRoutes likewise.
    pub udp_routes: BTreeSet<Key>,
    /// TLSRoutes likewise.
    pub tls_routes: BTreeSet<Key>,
    /// GRPCRoutes likewise.
    pub grpc_routes: BTreeSet<Key>,
    /// Gateways likewise.
    pub gateways: BTreeSet<Key>,
    /// ListenerSets likewise.
    pub listener_sets: BTreeSet<Key>,
    /// GatewayClasses likewise.
    pub gateway_classes: BTreeSet<Key>,
    /// Ingresses likewise.
    pub ingresses: BTreeSet<Key>,
    /// Secrets likewise.
    pub secrets: BTreeSet<Key>,
    /// BackendTLSPolicies likewise.
    pub backend_tls_policies: BTreeSet<Key>,
    /// XBackends likewise.
    pub x_backends: BTreeSet<Key>,
    /// XBackendTrafficPolicies likewise.
    pub x_backend_traffic_policies: BTreeSet<Key>,
    /// XTelemetryPolicies likewise.
    pub x_telemetry_policies: BTreeSet<Key>,
}

/// Declares [`Marks`] and how they are moved, with one row per kind.
macro_rules! marks {
    ($($field:ident,)*) => {
        /// Up to where each shelf was seen.
        #[derive(Debug, Default)]
        struct Marks { $($field: Option<Mark>,)* }

        /// Keys of what changed, by kind.
        struct Changed { $($field: BTreeSet<Key>,)* }

        impl Marks {
            /// What changed since the last time; `None`: of some kind that is not known.
            fn step(&mut self, objects: &Objects) -> Option<Changed> {
                // Every mark has to move, also behind one that says nothing.
                $(let $field = keys(&objects.$field, &mut self.$field);)*
                Some(Changed { $($field: $field?,)* })
            }
        }
    };
}

marks! {
    services, endpoint_slices, secrets, config_maps, namespaces, ingresses, ingress_classes, gateway_classes, gateways,
    listener_sets, http_routes, grpc_routes, tcp_routes, udp_routes, tls_routes, reference_grants, backend_tls_policies,
    definitions, x_backends, x_backend_traffic_policies, x_telemetry_policies, pods, cluster_trust_bundles,
}

fn keys<T>(shelf: &Shelf<T>, mark: &mut Option<Mark>) -> Option<BTreeSet<Key>> {
    Some(shelf.since(mark)?.cloned().collect())
}

impl Seen {
    /// Compares with the last objects and remembers these.
    pub fn update(&mut self, new: &Objects) -> Changes {
        let mut changes = Changes::default();
        if let Some(changed) = self.marks.step(new) {
            self.apply(new, changed, &mut changes);
        } else {
            changes.all = true;
            self.slices.clear();
            self.owners.clear();
            self.pods.clear();
            self.grants.clear();
            self.policies = ByTarget::default();
            self.traffic_policies = ByTarget::default();
            let defaults = new.gateways.iter().filter(|(_, gateway)| gateway.is_default());
            self.default_gateways = defaults.map(|(key, _)| key.clone()).collect();
            for (key, policy) in &new.backend_tls_policies {
                self.policies.put(key, Some(policy), &policy.spec.target_refs);
            }
            for (key, policy) in &new.x_backend_traffic_policies {
                self.traffic_policies
                    .put(key, Some(policy), &policy.spec.target_refs);
            }
            for key in new.pods.keys() {
                self.pod(new, key);
            }
            for key in new.endpoint_slices.keys() {
                self.slice(new, key);
            }
            for key in new.reference_grants.keys() {
                self.grant(new, key);
            }
        }
        if self.resolved != new.resolved {
            for name in self.resolved.keys().chain(new.resolved.keys()) {
                if self.resolved.get(name) != new.resolved.get(name) {
                    changes.reads.insert(Read::ExternalName(name.clone()).id());
                }
            }
            self.resolved.clone_from(&new.resolved);
        }
        for kind in self.absent.symmetric_difference(&new.absent) {
            changes.reads.insert(Read::Kind(kind).id());
        }
        self.absent.clone_from(&new.absent);
        changes
    }

    fn apply(&mut self, new: &Objects, changed: Changed, changes: &mut Changes) {
        let mut read = |read: Read| changes.reads.insert(read.id());
        for key in changed.services {
            read(Read::Service(key));
        }
        for key in &changed.secrets {
            read(Read::Secret(key.clone()));
        }
        for key in changed.config_maps {
            read(Read::ConfigMap(key));
        }
        for key in changed.namespaces {
            read(Read::Namespace(key.name));
        }
        for key in changed.endpoint_slices {
            for owner in self.slice(new, &key) {
                read(Read::Slices(owner));
            }
        }
        for key in changed.reference_grants {
            self.grant(new, &key);
            read(Read::Grants(key.namespace));
        }
        for key in &changed.backend_tls_policies {
            let policy = new.backend_tls_policies.get(key);
            let targets = policy.map_or(&[][..], |policy| &policy.spec.target_refs);
            for target in self.policies.put(key, policy, targets) {
                read(Read::Policies(target));
            }
        }
        for key in &changed.x_backend_traffic_policies {
            let policy = new.x_backend_traffic_policies.get(key);
            let targets = policy.map_or(&[][..], |policy| &policy.spec.target_refs);
            for target in self.traffic_policies.put(key, policy, targets) {
                read(Read::backend(&target));
            }
        }
        for key in &changed.x_backends {
            read(Read::XBackend(key.clone()));
        }
        for key in changed.pods {
            self.pod(new, &key);
            read(Read::Pods(key.namespace));
        }
        for key in changed.cluster_trust_bundles {
            read(Read::TrustBundle(key.name));
        }
        if !changed.ingress_classes.is_empty() {
            read(Read::IngressClasses);
        }
        for key in &changed.gateway_classes {
            read(Read::GatewayClass(Arc::clone(&key.name)));
        }
        for key in &changed.gateways {
            read(Read::Gateway(key.clone()));
            let differs = match new.gateways.get(key) {
                Some(gateway) if gateway.is_default() => self.default_gateways.insert(key.clone()),
                _ => self.default_gateways.remove(key),
            };
            if differs {
                read(Read::DefaultGateways);
            }
        }
        for key in &changed.listener_sets {
            read(Read::ListenerSet(key.clone()));
        }
        if !changed.x_telemetry_policies.is_empty() {
            read(Read::TelemetryPolicies);
        }
        if !changed.definitions.is_empty() {
            read(Read::Definitions);
        }
        changes.gateway_classes = changed.gateway_classes;
        changes.gateways = changed.gateways;
        changes.listener_sets = changed.listener_sets;
        changes.http_routes = changed.http_routes;
        changes.grpc_routes = changed.grpc_routes;
        changes.tcp_routes = changed.tcp_routes;
        changes.udp_routes = changed.udp_routes;
        changes.tls_routes = changed.tls_routes;
        changes.ingresses = changed.ingresses;
        changes.secrets = changed.secrets;
        changes.backend_tls_policies = changed.backend_tls_policies;
        changes.x_backends = changed.x_backends;
        changes.x_backend_traffic_policies = changed.x_backend_traffic_policies;
        changes.x_telemetry_policies = changed.x_telemetry_policies;
    }

    /// Files a slice under its owner as it is now. Whom it belonged and belongs to.
    fn slice(&mut self, objects: &Objects, key: &Key) -> BTreeSet<BackendObject> {
        let mut owners = BTreeSet::new();
        if let Some(owner) = self.owners.remove(key) {
            if let Some(slices) = self.slices.get_mut(&owner) {
                slices.retain(|slice| slice.metadata.name != key.name);
                if slices.is_empty() {
                    self.slices.remove(&owner);
                }
            }
            owners.insert(owner);
        }
        if let Some(slice) = objects.endpoint_slices.get(key)
            && let Some(owner) = owner_of(slice)
        {
            let slices = self.slices.entry(owner.clone()).or_default();
            let at = slices.partition_point(|other| other.metadata.name < key.name);
            slices.insert(at, Arc::clone(slice));
            slices.shrink_to_fit();
            self.owners.insert(key.clone(), owner.clone());
            owners.insert(owner);
        }
        owners
    }

    fn pod(&mut self, objects: &Objects, key: &Key) {
        let pods = self.pods.entry(Arc::clone(&key.namespace)).or_default();
        match objects.pods.get(key) {
            Some(pod) => pods.insert(key.clone(), Arc::clone(pod)),
            None => pods.remove(key),
        };
        if pods.is_empty() {
            self.pods.remove(&key.namespace);
        }
    }

    fn grant(&mut self, objects: &Objects, key: &Key) {
        let grants = self.grants.entry(Arc::clone(&key.namespace)).or_default();
        match objects.reference_grants.get(key) {
            Some(grant) => grants.insert(key.clone(), Arc::clone(grant)),
            None => grants.remove(key),
        };
        if grants.is_empty() {
            self.grants.remove(&key.namespace);
        }
    }
}

fn owner_of(slice: &EndpointSlice) -> Option<BackendObject> {
    let labels = &slice.metadata.labels;
    let key = |name: &str| Key::new(Arc::clone(&slice.metadata.namespace), name);
    match (labels.get(SERVICE_NAME_LABEL), labels.get(XBACKEND_NAME_LABEL)) {
        (Some(name), _) => Some(BackendObject::Service(key(name))),
        (None, Some(name)) => Some(BackendObject::XBackend(key(name))),
        (None, None) => None,
    }
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
        assert!(seen.update(&objects).all);
        let none = seen.update(&objects);
        assert!(!none.all && none.reads.is_empty());
        objects.insert(service("b", 81));
        objects.remove("Service", &Key::new("default", "a"));
        objects.insert(service("d", 80));
        let told = seen.update(&objects).reads;
        let expected = ["a", "b", "d"].map(|name| Read::Service(Key::new("default", name)).id());
        assert_eq!(told, expected.into());
    }

    #[test]
    fn an_object_read_again_that_says_the_same_is_no_change() {
        let (mut seen, mut objects) = (Seen::default(), Objects::default());
        objects.insert(service("a", 80));
        seen.update(&objects);
        objects.insert(service("a", 80));
        assert!(seen.update(&objects).reads.is_empty());
    }

    #[test]
    fn other_objects_than_the_last_time_may_be_different_in_everything() {
        let (mut seen, mut objects) = (Seen::default(), Objects::default());
        objects.insert(service("a", 80));
        seen.update(&objects);
        assert!(seen.update(&objects.clone()).all);
    }
}
