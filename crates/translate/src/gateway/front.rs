//! The Service in front of a Gateway: what the one in the cluster shows, and what it should be like. The names are those
//! of GEP-1762.

use super::{GatewayUnit, class_is_elsewhere};
use crate::input::{Key, Settings};
use crate::output::{GatewayService, MappedPort, Protocol};
use crate::ports::hash;
use crate::reached;
use crate::scope::Scope;
use api::core::{IntOrString, Service, ServiceType};
use api::gateway::{AddressType, Gateway, GatewayAddress};
use api::status::LoadBalancerIngress;
use ir::{Code, Diagnostic, Origin};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The Service in front of a Gateway of ours.
#[derive(Debug)]
pub(crate) struct Front {
    /// Its namespace and name.
    pub service: Key,
    /// Ports that it has; `None`: there is no such Service, or it is not ours.
    pub shown: Option<Vec<MappedPort>>,
    /// Whether somebody else's Service has its name.
    pub foreign: bool,
    /// Where it can be reached.
    pub addresses: Vec<GatewayAddress>,
    /// Its addresses inside the cluster.
    pub cluster_ips: Vec<IpAddr>,
    /// Labels and annotations that it should have.
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
}

impl Front {
    /// What is known about the Service of a Gateway; `None` if Gateways have none.
    pub fn look(scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin) -> Option<Self> {
        scope.settings().gateway_services.as_ref()?;
        let name = name(&gateway.metadata.name, &gateway.spec.gateway_class_name);
        let service = Key::new(gateway.metadata.namespace.clone(), name);
        let (labels, annotations) = metadata(scope, gateway, origin);
        let found = scope.service(&service);
        let ours = found.filter(|found| is_ours(scope.settings(), found, gateway));
        let foreign = found.is_some() && ours.is_none();
        if foreign {
            let message = format!("Service {service} is not ours, so the Gateway can't have it");
            let finding = Diagnostic::new(
                Code::GatewayServiceForeign,
                origin.clone(),
                "metadata.name",
                message,
            );
            scope.report(finding.hint("Rename the Service or the Gateway"));
        }
        Some(Self {
            shown: ours.map(|found| mapped_ports(found)),
            foreign,
            addresses: ours.map(|found| addresses(found)).unwrap_or_default(),
            cluster_ips: ours.map(|found| cluster_ips(found)).unwrap_or_default(),
            service,
            labels,
            annotations,
        })
    }
}

/// The Service that a Gateway should have; `None`: what there is stays as it is.
pub(crate) fn wanted(
    settings: &Settings,
    gateway: &Key,
    unit: &GatewayUnit,
    ports: Vec<MappedPort>,
) -> Option<GatewayService> {
    let kind = &settings.gateway_services.as_ref()?.kind;
    let front = unit.front.as_ref().filter(|front| !front.foreign)?;
    if unit.refused.is_some() || ports.is_empty() {
        return None;
    }
    let with_pool = !settings.address_pool.is_empty();
    Some(GatewayService {
        origin: front.service.origin("Service"),
        gateway: gateway.origin("Gateway"),
        kind: if unit.service.internal {
            ServiceType::ClusterIP
        } else {
            kind.clone()
        },
        labels: front.labels.clone(),
        annotations: front.annotations.clone(),
        ports,
        address: { unit.service.external }.filter(|_| *kind == ServiceType::LoadBalancer),
        cluster_ip: unit.service.cluster,
        endpoints: unit
            .addresses
            .iter()
            .copied()
            .flatten()
            .filter(|_| with_pool)
            .collect(),
        before: front.shown.clone(),
    })
}

/// Whether another controller serves a Gateway: then a Service that we made for it has to go. A class that is missing may
/// come back.
pub(crate) fn is_elsewhere(scope: &mut Scope<'_>, gateway: &Gateway) -> bool {
    scope.settings().gateway_services.is_some() && class_is_elsewhere(scope, gateway)
}

/// The label by which Services of ours are known, with the controller's name.
pub const OWNER_LABEL: &str = "app.kubernetes.io/managed-by";
/// The label with the name of the Gateway.
pub const GATEWAY_LABEL: &str = "gateway.networking.k8s.io/gateway-name";
const CLASS_LABEL: &str = "gateway.networking.k8s.io/gateway-class-name";

fn is_ours(settings: &Settings, service: &Service, gateway: &Gateway) -> bool {
    let has = |label: &str, value: &str| {
        let labels = &service.metadata.labels;
        labels.get(label).is_some_and(|is| is == label_value(value))
    };
    has(OWNER_LABEL, &settings.gateway_controller) && has(GATEWAY_LABEL, &gateway.metadata.name)
}

/// Labels and annotations of the Service, with those that the Gateway gives it.
fn metadata(
    scope: &mut Scope<'_>,
    gateway: &Gateway,
    origin: &Origin,
) -> (BTreeMap<String, String>, BTreeMap<String, String>) {
    let given = gateway.spec.infrastructure.as_ref();
    let mut labels = given.map_or_else(BTreeMap::new, |given| given.labels.clone());
    let mut annotations = given.map_or_else(BTreeMap::new, |given| given.annotations.clone());
    let controller = label_value(&scope.settings().gateway_controller);
    let mut own = |field: &str, key: &str, given: bool| {
        if given {
            let field = format!("spec.infrastructure.{field}[{key}]");
            let message = format!("{key} says whose the Service is, and Narthex sets it itself");
            let finding = Diagnostic::new(Code::InfrastructureInvalid, origin.clone(), field, message);
            scope.report(finding.hint("Use another key"));
        }
    };
    own("annotations", GIVEN, annotations.remove(GIVEN).is_some());
    for (label, value) in [
        (OWNER_LABEL, controller),
        (GATEWAY_LABEL, label_value(&gateway.metadata.name)),
        (CLASS_LABEL, label_value(&gateway.spec.gateway_class_name)),
    ] {
        let before = labels.insert(label.to_owned(), value);
        own("labels", label, before.is_some());
    }
    (labels, annotations)
}

/// The ports of a Service by number, sorted: those that we can lead to.
pub fn mapped_ports(service: &Service) -> Vec<MappedPort> {
    let mapped = service.spec.ports.iter().filter_map(|port| {
        let protocol = match port.protocol.as_deref() {
            None | Some("TCP") => Protocol::Tcp,
            Some("UDP") => Protocol::Udp,
            Some(_) => return None,
        };
        let target = match port.target_port {
            Some(IntOrString::Int(target)) => u16::try_from(target).ok()?,
            Some(IntOrString::String(_)) => return None,
            None => port.port,
        };
        Some(MappedPort {
            protocol,
            port: port.port,
            target,
        })
    });
    let mut mapped: Vec<_> = mapped.collect();
    mapped.sort_unstable();
    mapped
}

fn addresses(service: &Service) -> Vec<GatewayAddress> {
    let given = reached::of(service).into_iter();
    let addresses = given.filter_map(|address| match address {
        LoadBalancerIngress { ip: Some(ip), .. } => Some((AddressType::IPAddress, ip)),
        LoadBalancerIngress { hostname, .. } => Some((AddressType::Hostname, hostname?)),
    });
    addresses
        .map(|(kind, value)| GatewayAddress {
            kind,
            value,
            routability: None,
        })
        .collect()
}

fn cluster_ips(service: &Service) -> Vec<IpAddr> {
    let first = service.spec.cluster_ip.iter();
    let mut all: Vec<_> = first
        .chain(&service.spec.cluster_ips)
        .filter_map(|ip| ip.parse().ok())
        .collect();
    all.dedup();
    all
}

/// `GATEWAY-CLASS`, or something like it that can be the name of a Service (RFC 1035: no dots, no digit in front).
fn name(gateway: &str, class: &str) -> String {
    let plain = format!("{gateway}-{class}");
    let fits = plain.len() <= LONGEST
        && plain.starts_with(|first: char| first.is_ascii_lowercase())
        && !plain.contains('.');
    if fits {
        return plain;
    }
    shortened(&format!("gateway-{plain}").replace('.', "-"), &plain)
}

/// A text as the value of a label: others would be refused by the API server.
pub fn label_value(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let plain: String = text.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    if plain.len() <= LONGEST {
        return plain;
    }
    shortened(&plain, text)
}

/// The beginning of a text and a number that stands for all of it.
fn shortened(text: &str, all: &str) -> String {
    let begin: String = text.chars().take(LONGEST - 9).collect();
    let begin = begin.trim_end_matches(['-', '_', '.']);
    format!("{begin}-{:08x}", hash(all) & 0xffff_ffff)
}

/// The annotation in which the writer keeps what was given to the Service.
pub const GIVEN: &str = "narthex.dev/given";
const LONGEST: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_after_gateway_and_class_as_far_as_a_service_can_be() {
        assert_eq!(name("front", "narthex"), "front-narthex");
        for odd in ["1st", "a.b", &"x".repeat(253)] {
            let name = name(odd, "narthex");
            assert!(
                name.len() <= 63 && name.starts_with("gateway-") && !name.contains('.'),
                "{name}"
            );
        }
        assert_ne!(name("a.b", "c"), name("a-b", "c"));
    }

    #[test]
    fn a_label_holds_any_name() {
        assert_eq!(
            label_value("narthex.dev/gateway-controller"),
            "narthex.dev_gateway-controller"
        );
        let long = label_value(&"x".repeat(253));
        assert_eq!(long.len(), 63);
        assert_ne!(long, label_value(&"x".repeat(252)));
    }
}
