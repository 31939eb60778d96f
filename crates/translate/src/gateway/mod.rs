//! Gateway API: GatewayClass, Gateway, ListenerSet and routes.

mod addresses;
mod admission;
mod attach;
mod backend;
pub(crate) mod backend_tls;
pub(crate) mod class;
mod cors;
pub(crate) mod durations;
mod filters;
pub mod front;
#[allow(clippy::module_inception)] // the Gateway object, as the other files here are named after theirs
pub(crate) mod gateway;
pub(crate) mod grpc_route;
mod headers;
mod holder;
mod listener;
pub(crate) mod listener_set;
mod matches;
pub(crate) mod overlap;
mod owners;
mod retry;
pub(crate) mod route;
mod rule;
mod session;
pub(crate) mod set_status;
pub(crate) mod status;
pub(crate) mod stream_route;
pub(crate) mod telemetry;
mod tls;
pub(crate) mod traffic_policy;
mod trust;
pub(crate) mod x_backend;

use crate::conditions::Wrong;
use crate::input::Key;
use crate::output::{ObjectStatus, Protocol};
use crate::scope::Scope;
use crate::selector;
use api::gateway::{Gateway, GatewayAddress, RouteGroupKind};
use api::listener_set::ListenerSet;
use ir::{CertificateId, ClientValidation, HostPattern, Origin, Route, Transport};
use std::net::IpAddr;
use std::sync::Arc;

use addresses::FrontAddresses;
use front::Front;
pub(crate) use holder::{Holder, Place};

/// What one Gateway asks for, as far as it can be said without looking at other Gateways.
#[derive(Debug)]
pub(crate) struct GatewayUnit {
    /// The object; `None` if its class is not ours.
    pub gateway: Option<Arc<Gateway>>,
    /// Addresses to listen on; `None` stands for all.
    pub addresses: Vec<Option<IpAddr>>,
    /// Why the whole Gateway can't be accepted.
    pub refused: Option<Wrong>,
    /// Why it is accepted and yet can't be reached.
    pub unreachable: Option<Wrong>,
    /// Where it can be reached.
    pub shown: Vec<GatewayAddress>,
    /// Whether it has every address that it asks for, where its status tells.
    pub assigned: Option<Result<(), Wrong>>,
    /// What it wants of the Service in front of it.
    pub service: FrontAddresses,
    /// The Service in front of it, if Gateways have one.
    pub front: Option<Front>,
    /// Whether it is not ours because another controller serves it.
    pub elsewhere: bool,
    /// Its listeners, in the order of the spec.
    pub listeners: Vec<ListenerUnit>,
    /// Whether some clients are let in although nobody vouches for them.
    pub insecure: bool,
    /// Whether it wants to show a certificate to backends, and why it can't.
    pub backend: Option<Result<(), Wrong>>,
}

impl GatewayUnit {
    /// A Gateway that is not ours.
    pub fn foreign() -> Self {
        Self {
            gateway: None,
            addresses: Vec::new(),
            refused: None,
            unreachable: None,
            shown: Vec::new(),
            assigned: None,
            service: FrontAddresses::default(),
            front: None,
            elsewhere: false,
            listeners: Vec::new(),
            insecure: false,
            backend: None,
        }
    }
}

/// What a ListenerSet whose Gateway is ours asks for, as far as it can be said without looking at other listeners.
#[derive(Debug)]
pub(crate) struct SetUnit {
    /// The object.
    pub set: Arc<ListenerSet>,
    /// The Gateway that it wants to join.
    pub gateway: Key,
    /// Why it may not.
    pub refused: Option<Wrong>,
    /// Its listeners, in the order of the spec; none if it may not join.
    pub listeners: Vec<ListenerUnit>,
}

/// One listener of a Gateway or ListenerSet.
#[derive(Debug)]
pub(crate) struct ListenerUnit {
    /// `Gateway ns/name#listener`
    pub origin: Origin,
    /// Name within the object.
    pub name: String,
    /// Port.
    pub port: u16,
    /// What it speaks; `None` if that is not served.
    pub speaks: Option<Speaks>,
    /// Hosts it is for.
    pub hostname: HostPattern,
    /// Usable certificates, in the order of the spec.
    pub certificates: Vec<CertificateId>,
    /// Which clients are let in; unset: all.
    pub clients: Option<Arc<ClientValidation>>,
    /// Versions of TLS that they may use.
    pub tls_policy: ir::TlsPolicy,
    /// What is shown to backends that ask who we are.
    pub identity: Option<CertificateId>,
    /// Kinds of routes it serves.
    pub kinds: Vec<RouteGroupKind>,
    /// Why it can't be accepted.
    pub refused: Option<Wrong>,
    /// Which of its references is broken.
    pub unresolved: Option<Wrong>,
}

impl ListenerUnit {
    /// What its port carries.
    pub fn protocol(&self) -> Protocol {
        match self.speaks {
            Some(Speaks::Udp) => Protocol::Udp,
            _ => Protocol::Tcp,
        }
    }

    /// Whether there is everything that it takes to serve it: some kind of route, and a certificate where TLS ends here.
    pub fn can_serve(&self) -> bool {
        let secured = match self.speaks {
            Some(Speaks::Http | Speaks::Tcp | Speaks::Udp | Speaks::TlsPassthrough) => true,
            Some(Speaks::Https | Speaks::TlsTerminate) => !self.certificates.is_empty(),
            None => false,
        };
        secured && !self.kinds.is_empty()
    }
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Https,
    TlsPassthrough,
    TlsTerminate,
    Tcp,
    Udp,
}

impl Speaks {
    /// What its TCP socket speaks; `None` for UDP.
    pub fn transport(self) -> Option<Transport> {
        match self {
            Self::Http => Some(Transport::Http),
            Self::Https | Self::TlsPassthrough | Self::TlsTerminate => Some(Transport::Https),
            Self::Tcp => Some(Transport::Tcp),
            Self::Udp => None,
        }
    }
}

/// What one route gives.
#[derive(Debug)]
pub(crate) struct RouteUnit<R = Route> {
    /// Its rules; `None` if it is attached nowhere, or no rule is left.
    pub route: Option<Arc<R>>,
    /// Listeners it is attached to. Sorted, distinct.
    pub attached: Arc<[Place]>,
    /// Those of them whose count of attached routes it belongs to: all, unless the route is not accepted.
    pub accepted: Arc<[Place]>,
    /// Its status, if one of its parents is ours.
    pub status: Option<Arc<ObjectStatus>>,
}

impl<R> RouteUnit<R> {
    /// A route that is not ours.
    pub fn foreign() -> Self {
        Self {
            route: None,
            attached: Arc::default(),
            accepted: Arc::default(),
            status: None,
        }
    }
}

/// The Gateway of this key, if its class is ours.
pub(crate) fn our_gateway<'a>(scope: &mut Scope<'a>, key: &Key) -> Option<&'a Arc<Gateway>> {
    let gateway = scope.gateway(key)?;
    is_ours(scope, gateway).then_some(gateway)
}

/// Whether a Gateway's class names our controller, and its namespace is served.
pub(crate) fn is_ours(scope: &mut Scope<'_>, gateway: &Gateway) -> bool {
    let class = scope.gateway_class(&gateway.spec.gateway_class_name);
    class.is_some_and(|class| class.spec.controller_name == scope.settings().gateway_controller)
        && selector::serves(scope, &gateway.metadata.namespace)
}

/// Whether a Gateway's class exists and names another controller.
pub(crate) fn class_is_elsewhere(scope: &mut Scope<'_>, gateway: &Gateway) -> bool {
    let class = scope.gateway_class(&gateway.spec.gateway_class_name);
    class.is_some_and(|class| class.spec.controller_name != scope.settings().gateway_controller)
}
