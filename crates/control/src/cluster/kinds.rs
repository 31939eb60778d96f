//! The kinds that are watched.

use super::Watched;
use api::Resource;
use api::backend::{XBackend, XBackendTrafficPolicy};
use api::certificates::ClusterTrustBundle;
use api::core::{Namespace, Service};
use api::discovery::EndpointSlice;
use api::extension::{CustomResourceDefinition, GATEWAY_CLASSES};
use api::gateway::{
    GRPCRoute, Gateway, GatewayClass, HTTPRoute, ReferenceGrant, TCPRoute, TLSRoute, UDPRoute,
};
use api::listener_set::ListenerSet;
use api::networking::{Ingress, IngressClass};
use api::policy::BackendTLSPolicy;
use api::telemetry::XTelemetryPolicy;
use kube::discovery::ApiResource;

/// One kind, as the API server has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// `HTTPRoute`
    pub name: &'static str,
    /// `gateway.networking.k8s.io`, empty for the core group.
    pub group: &'static str,
    /// `httproutes`
    pub plural: &'static str,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
}

macro_rules! kinds {
    ($($type:ident = $plural:literal,)*) => {
        &[$(Kind {
            name: $type::KIND,
            group: $type::GROUP,
            plural: $plural,
            namespaced: $type::NAMESPACED,
        },)*]
    };
}

/// All of them. Secrets and ConfigMaps are not among them, as they are read one by one, nor Pods, which few want.
pub(super) const KINDS: &[Kind] = kinds! {
    GatewayClass = "gatewayclasses",
    IngressClass = "ingressclasses",
    Namespace = "namespaces",
    Gateway = "gateways",
    ListenerSet = "listenersets",
    HTTPRoute = "httproutes",
    GRPCRoute = "grpcroutes",
    TLSRoute = "tlsroutes",
    TCPRoute = "tcproutes",
    UDPRoute = "udproutes",
    ReferenceGrant = "referencegrants",
    BackendTLSPolicy = "backendtlspolicies",
    XBackend = "xbackends",
    XBackendTrafficPolicy = "xbackendtrafficpolicies",
    XTelemetryPolicy = "xtelemetrypolicies",
    ClusterTrustBundle = "clustertrustbundles",
    Ingress = "ingresses",
    Service = "services",
    EndpointSlice = "endpointslices",
    CustomResourceDefinition = "customresourcedefinitions",
};

impl Kind {
    /// The kind of this name.
    pub fn named(kind: &str) -> Option<&'static Self> {
        KINDS.iter().find(|known| known.name == kind)
    }

    /// As the client wants it, in a version.
    pub fn in_version(&self, version: &str) -> ApiResource {
        ApiResource {
            group: self.group.into(),
            version: version.into(),
            api_version: if self.group.is_empty() {
                version.into()
            } else {
                format!("{}/{version}", self.group)
            },
            kind: self.name.into(),
            plural: self.plural.into(),
        }
    }

    /// The only object of the kind that anything asks for, if there is but one.
    pub fn only(&self) -> Option<&'static str> {
        (self.name == CustomResourceDefinition::KIND).then_some(GATEWAY_CLASSES)
    }

    /// Versions to try, the best first: ReferenceGrant was `v1beta1` alone up to Gateway API 1.4, TLSRoute alpha up to 1.4,
    /// TCPRoute and UDPRoute up to 1.5.
    pub fn versions(&self) -> &'static [&'static str] {
        match self.name {
            "ReferenceGrant" => &["v1", "v1beta1"],
            "BackendTLSPolicy" => &["v1", "v1alpha3"],
            "TLSRoute" => &["v1", "v1alpha3", "v1alpha2"],
            "TCPRoute" | "UDPRoute" => &["v1", "v1alpha2"],
            "XBackend" | "XBackendTrafficPolicy" | "XTelemetryPolicy" => &["v1alpha1"],
            "ClusterTrustBundle" => &["v1", "v1beta1", "v1alpha1"],
            _ => &["v1"],
        }
    }
}

/// Every watch that has to be kept, given the number of namespaces to serve (0: all of them).
pub(super) fn watched(namespaces: usize) -> Vec<Watched> {
    let of = |kind: &Kind| {
        let each: Vec<Option<u16>> = if kind.namespaced && namespaces > 0 {
            (0..u16::try_from(namespaces).unwrap_or(u16::MAX))
                .map(Some)
                .collect()
        } else {
            vec![None]
        };
        let kind = kind.name;
        each.into_iter().map(move |namespace| Watched { kind, namespace })
    };
    KINDS.iter().flat_map(of).collect()
}
