//! What one unit of translation (a route, an Ingress, a Gateway) may look at, and what it leaves behind.
//!
//! Every look is recorded as a [`Read`], also one that found nothing: the unit is translated again only when it
//! or something it looked at changes. So everything outside the unit must be reached through the scope.

use crate::backends::{BackendObject, BackendPort};
use crate::certificates::{self, Loaded};
use crate::changes::{Read, ReadId, Seen};
use crate::common::Common;
use crate::gateway::Place;
use crate::ingress::{Claim, Claimant, Claims};
use crate::input::{Key, Objects, Resolved, Settings};
use crate::ledger::Ledger;
use crate::output::Named;
use api::backend::{XBackend, XBackendTrafficPolicy};
use api::certificates::ClusterTrustBundle;
use api::core::{ConfigMap, Namespace, Secret, Service};
use api::discovery::EndpointSlice;
use api::extension::CustomResourceDefinition;
use api::gateway::{Gateway, GatewayClass, ReferenceGrant};
use api::listener_set::ListenerSet;
use api::networking::IngressClass;
use api::pod::Pod;
use api::policy::BackendTLSPolicy;
use api::status::RouteStatus;
use api::telemetry::XTelemetryPolicy;
use ir::{Certificate, CertificateId, Diagnostic, Filter, Match, Timeouts, UpstreamId, UpstreamSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The read-only world as one unit sees it, with what the unit leaves behind.
pub struct Scope<'a> {
    world: &'a World<'a>,
    certificates: &'a mut certificates::Store,
    shared: &'a mut Shared,
    left: Left,
}

/// Values that many routes have in common, held once.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub statuses: Common<RouteStatus>,
    /// Listeners.
    pub places: Common<[Place]>,
    /// What rules match.
    pub matches: Common<[Match]>,
    /// What they do besides forwarding.
    pub filters: Common<[Filter]>,
    /// How long that may take.
    pub timeouts: Common<Timeouts>,
}

/// Everything a scope reads from.
pub(crate) struct World<'a> {
    pub objects: &'a Objects,
    pub seen: &'a Seen,
    pub settings: &'a Settings,
    /// `settings.upstream` as it is shared by every upstream without settings of its own.
    pub upstream_settings: &'a Arc<UpstreamSettings>,
    /// `settings.fallback_certificate` as it is shared by every snapshot.
    pub fallback_certificate: Option<&'a Arc<Certificate>>,
    /// Addresses of the pool, by Gateway.
    pub assigned: &'a crate::pool::Assigned,
    /// What Ingresses of ours claim, with those Ingresses.
    pub claims: &'a Claims,
    /// What units have referred to so far.
    pub ledger: &'a Ledger,
}

/// What a unit leaves behind besides its own result.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// What it looked at.
    pub reads: BTreeSet<ReadId>,
    /// Mistakes it found.
    pub diagnostics: Vec<Diagnostic>,
    /// Upstreams it refers to.
    pub upstreams: BTreeMap<UpstreamId, BackendPort>,
    /// Certificates it refers to.
    pub certificates: BTreeMap<CertificateId, Arc<Certificate>>,
    /// Names that must be resolved.
    pub external_names: BTreeSet<String>,
    /// Secrets and ConfigMaps that it refers to, whether they exist or not, and namespaces of Pods.
    pub named: BTreeSet<(Named, Key)>,
}

/// [`Left`] as it is kept: in as little room as will do to take it back.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub reads: Box<[ReadId]>,
    pub upstreams: Box<[UpstreamId]>,
    /// What few units have.
    pub rare: Option<Box<Rare>>,
}

/// What few units leave behind.
#[derive(Debug)]
pub(crate) struct Rare {
    pub diagnostics: Vec<Diagnostic>,
    pub certificates: Vec<CertificateId>,
    pub external_names: Vec<String>,
    pub named: Vec<(Named, Key)>,
}

impl Left {
    /// What has to be remembered of it.
    pub fn keep(self) -> Kept {
        let nothing_rare = self.diagnostics.is_empty()
            && self.certificates.is_empty()
            && self.external_names.is_empty()
            && self.named.is_empty();
        let rare = (!nothing_rare).then(|| {
            Box::new(Rare {
                diagnostics: self.diagnostics,
                certificates: self.certificates.into_keys().collect(),
                external_names: self.external_names.into_iter().collect(),
                named: self.named.into_iter().collect(),
            })
        });
        Kept {
            reads: self.reads.into_iter().collect(),
            upstreams: self.upstreams.into_keys().collect(),
            rare,
        }
    }
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        world: &'a World<'a>,
        certificates: &'a mut certificates::Store,
        shared: &'a mut Shared,
    ) -> Self {
        Self {
            world,
            certificates,
            shared,
            left: Left::default(),
        }
    }

    pub(crate) fn finish(self) -> Left {
        self.left
    }

    fn read(&mut self, read: &Read) {
        self.left.reads.insert(read.id());
    }

    /// Values that routes have in common.
    pub(crate) fn shared(&mut self) -> &mut Shared {
        self.shared
    }

    /// Reports a mistake.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.left.diagnostics.push(diagnostic);
    }

    /// Looks at something whose findings are told elsewhere, if `quiet`.
    pub(crate) fn quietly<T>(&mut self, quiet: bool, look: impl FnOnce(&mut Self) -> T) -> T {
        let told = self.left.diagnostics.len();
        let found = look(self);
        if quiet {
            self.left.diagnostics.truncate(told);
        }
        found
    }

    /// Settings that flags gave. They never change, so reading them needs no record.
    pub fn settings(&self) -> &'a Settings {
        self.world.settings
    }

    /// The one shared allocation of the default upstream settings.
    pub fn upstream_settings(&self) -> &'a Arc<UpstreamSettings> {
        self.world.upstream_settings
    }

    /// The one shared allocation of the certificate that is served where there is no other.
    pub fn fallback_certificate(&self) -> Option<&'a Arc<Certificate>> {
        self.world.fallback_certificate
    }

    /// A Service.
    pub fn service(&mut self, key: &Key) -> Option<&'a Arc<Service>> {
        self.read(&Read::Service(key.clone()));
        self.world.objects.services.get(key)
    }

    /// The EndpointSlices of a Service or an XBackend, in order of their names.
    pub fn slices(
        &mut self,
        owner: &BackendObject,
    ) -> impl Iterator<Item = &'a Arc<EndpointSlice>> + use<'a> {
        self.read(&Read::Slices(owner.clone()));
        let slices = self.world.seen.slices.get(owner);
        slices.into_iter().flatten()
    }

    /// An XBackend.
    pub fn x_backend(&mut self, key: &Key) -> Option<&'a Arc<XBackend>> {
        self.read(&Read::XBackend(key.clone()));
        self.world.objects.x_backends.get(key)
    }

    /// The Pods of a namespace, in order of their names. Asks for them to be watched.
    pub fn pods(&mut self, namespace: &Arc<str>) -> impl Iterator<Item = &'a Arc<Pod>> + use<'a> {
        self.read(&Read::Pods(Arc::clone(namespace)));
        self.left
            .named
            .insert((Named::Pod, Key::new(Arc::clone(namespace), "")));
        let pods = self.world.seen.pods.get(namespace);
        pods.into_iter().flat_map(BTreeMap::values)
    }

    /// A Secret.
    pub fn secret(&mut self, key: &Key) -> Option<&'a Arc<Secret>> {
        self.read(&Read::Secret(key.clone()));
        self.left.named.insert((Named::Secret, key.clone()));
        self.world.objects.secrets.get(key)
    }

    /// A ConfigMap.
    pub fn config_map(&mut self, key: &Key) -> Option<&'a Arc<ConfigMap>> {
        self.read(&Read::ConfigMap(key.clone()));
        self.left.named.insert((Named::ConfigMap, key.clone()));
        self.world.objects.config_maps.get(key)
    }

    /// The BackendTLSPolicies that have a Service for a target, or a part of it; the one that counts first.
    pub fn policies(&mut self, service: &Key) -> Vec<&'a Arc<BackendTLSPolicy>> {
        let service = BackendObject::Service(service.clone());
        let found = self.world.seen.policies.of(&service);
        self.read(&Read::Policies(service));
        found
    }

    /// The XBackendTrafficPolicies for something that this unit has looked at, or will: no other record is kept, as there
    /// may be many thousand routes. The one that counts comes first.
    pub fn traffic_policies(&self, target: &BackendObject) -> Vec<&'a Arc<XBackendTrafficPolicy>> {
        self.world.seen.traffic_policies.of(target)
    }

    /// Looks at a backend, whatever it is.
    pub fn backend(&mut self, object: &BackendObject) {
        self.read(&Read::backend(object));
    }

    /// A ClusterTrustBundle.
    pub fn trust_bundle(&mut self, name: &str) -> Option<&'a Arc<ClusterTrustBundle>> {
        let key = Key::new("", name);
        self.read(&Read::TrustBundle(Arc::clone(&key.name)));
        self.world.objects.cluster_trust_bundles.get(&key)
    }

    /// Whether the API server has a kind, as far as that is known.
    pub fn has_kind(&mut self, kind: &'static str) -> bool {
        self.read(&Read::Kind(kind));
        !self.world.objects.absent.contains(kind)
    }

    /// A Namespace.
    pub fn namespace(&mut self, name: &Arc<str>) -> Option<&'a Arc<Namespace>> {
        self.read(&Read::Namespace(Arc::clone(name)));
        self.world.objects.namespaces.get(&Key::new("", Arc::clone(name)))
    }

    /// The ReferenceGrants of a namespace.
    pub fn grants(
        &mut self,
        namespace: &Arc<str>,
    ) -> impl Iterator<Item = &'a Arc<ReferenceGrant>> + use<'a> {
        self.read(&Read::Grants(Arc::clone(namespace)));
        let grants = self.world.seen.grants.get(namespace);
        grants.into_iter().flat_map(BTreeMap::values)
    }

    /// A GatewayClass.
    pub fn gateway_class(&mut self, name: &str) -> Option<&'a Arc<GatewayClass>> {
        let key = Key::new("", name);
        self.read(&Read::GatewayClass(Arc::clone(&key.name)));
        self.world.objects.gateway_classes.get(&key)
    }

    /// A CRD.
    pub fn definition(&mut self, name: &str) -> Option<&'a CustomResourceDefinition> {
        self.read(&Read::Definitions);
        let found = self.world.objects.definitions.get(&Key::new("", name))?;
        Some(found)
    }

    /// The address of the pool that a Gateway has. It is translated again when that changes.
    pub fn assigned(&self, gateway: &Key) -> Option<std::net::IpAddr> {
        self.world.assigned.get(gateway).copied()
    }

    /// A Gateway.
    pub fn gateway(&mut self, key: &Key) -> Option<&'a Arc<Gateway>> {
        self.read(&Read::Gateway(key.clone()));
        self.world.objects.gateways.get(key)
    }

    /// Gateways for routes that ask for a default one.
    pub fn default_gateways(&mut self) -> &'a BTreeSet<Key> {
        self.read(&Read::DefaultGateways);
        &self.world.seen.default_gateways
    }

    /// Every XTelemetryPolicy; there are few.
    pub fn telemetry_policies(&mut self) -> &'a BTreeMap<Key, Arc<XTelemetryPolicy>> {
        self.read(&Read::TelemetryPolicies);
        &self.world.objects.x_telemetry_policies
    }

    /// A ListenerSet.
    pub fn listener_set(&mut self, key: &Key) -> Option<&'a Arc<ListenerSet>> {
        self.read(&Read::ListenerSet(key.clone()));
        self.world.objects.listener_sets.get(key)
    }

    /// Every IngressClass.
    pub fn ingress_classes(&mut self) -> &'a BTreeMap<Key, Arc<IngressClass>> {
        self.read(&Read::IngressClasses);
        &self.world.objects.ingress_classes
    }

    /// The Ingresses of ours that claim something, oldest first.
    pub fn claimants(&mut self, claim: Claim) -> impl Iterator<Item = &'a Claimant> + use<'a> {
        let claimants = self.world.claims.get(&claim);
        self.read(&Read::IngressClaim(claim));
        claimants.into_iter().flatten()
    }

    /// What an external name resolved to; `None` while that is not known. Asks for it to be resolved.
    pub fn resolved(&mut self, name: &str) -> Option<&'a Resolved> {
        self.read(&Read::ExternalName(name.to_owned()));
        self.left.external_names.insert(name.to_owned());
        self.world.objects.resolved.get(name)
    }

    /// The certificate in a Secret: the last good one if the Secret went bad. Reports what is wrong with it.
    /// The certificate becomes part of the snapshot.
    pub fn certificate(&mut self, key: &Key) -> Loaded {
        let secret = self.secret(key);
        let loaded = self.certificates.load(key, secret);
        if let Some(certificate) = &loaded.certificate {
            self.use_certificate(certificate);
        }
        self.left.diagnostics.extend(loaded.findings.iter().cloned());
        loaded
    }

    /// Makes a certificate part of the snapshot.
    pub fn use_certificate(&mut self, certificate: &Arc<Certificate>) {
        self.left
            .certificates
            .insert(certificate.id.clone(), Arc::clone(certificate));
    }

    /// Makes an upstream part of the snapshot.
    pub fn use_upstream(&mut self, port: BackendPort) -> UpstreamId {
        let id = port.id();
        // Thousands of rules refer to few upstreams: all of them by the same text.
        let id = self.world.ledger.upstream_id(&id).cloned().unwrap_or(id);
        self.left.upstreams.insert(id.clone(), port);
        id
    }

    /// Takes back the upstreams that are not among these: nothing will be sent there after all.
    pub fn keep_upstreams(&mut self, kept: &BTreeSet<UpstreamId>) {
        self.left.upstreams.retain(|id, _| kept.contains(id));
    }
}
