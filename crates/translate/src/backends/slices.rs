//! Endpoints from EndpointSlices.

use super::{BackendPort, Carrier};
use crate::input::Key;
use crate::scope::Scope;
use api::discovery::{AddressType, Conditions, EndpointPort, EndpointSlice};
use ir::{Code, Diagnostic, Endpoint, Origin};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// Endpoints that are ready; if there are none, those that still serve while they terminate (as kube-proxy
/// does), so that a Service whose last endpoint goes answers until it is gone.
///
/// `name` is that of the port, as slices have it; perhaps empty.
pub(super) fn endpoints(
    scope: &mut Scope<'_>,
    origin: &Origin,
    port: &BackendPort,
    name: &str,
) -> Vec<Endpoint> {
    let mut found = Found::default();
    let slices: Vec<_> = scope.slices(&port.object).collect();
    for slice in &slices {
        read_slice(scope, slice, name, port.carrier, &mut found);
    }
    let usable = if found.ready.is_empty() {
        found.terminating
    } else {
        found.ready
    };
    if usable.is_empty() {
        let port = if name.is_empty() {
            port.port.to_string()
        } else {
            format!("{} ({name})", port.port)
        };
        let why = match (slices.is_empty(), found.port_seen, found.not_ready) {
            (true, ..) => "no EndpointSlice names this Service".to_owned(),
            (_, false, _) => format!("no port of its EndpointSlices is named {name:?}"),
            (.., 0) => "its EndpointSlices hold no usable address".to_owned(),
            (.., 1) => "its one endpoint is not ready".to_owned(),
            (.., count) => format!("none of its {count} endpoints is ready"),
        };
        let message = format!("port {port} has no endpoint: {why}; requests for it are answered with 503");
        let finding = Diagnostic::new(Code::NoEndpoints, origin.clone(), "", message);
        scope.report(if slices.is_empty() {
            finding.hint(NO_SLICES)
        } else {
            finding
        });
    }
    usable
        .into_iter()
        .map(|address| Endpoint { address, weight: 1 })
        .collect()
}

/// What the slices of a Service hold for one port.
#[derive(Default)]
struct Found {
    ready: BTreeSet<SocketAddr>,
    terminating: BTreeSet<SocketAddr>,
    not_ready: usize,
    port_seen: bool,
}

fn read_slice(scope: &mut Scope<'_>, slice: &EndpointSlice, name: &str, carrier: Carrier, found: &mut Found) {
    let mut report = |field: String, message: String| {
        let origin = Key::of(&slice.metadata).origin("EndpointSlice");
        scope.report(Diagnostic::new(Code::EndpointInvalid, origin, field, message));
    };
    if !matches!(slice.address_type, AddressType::IPv4 | AddressType::IPv6) {
        let message = format!(
            "addresses of type {} can't be used, only IPv4 and IPv6; its endpoints are left out",
            slice.address_type
        );
        report("addressType".into(), message);
        return;
    }
    let Some((index, port)) = slice_port(slice, name, carrier) else {
        return;
    };
    found.port_seen = true;
    let Some(number) = port.port.filter(|number| *number != 0) else {
        let message = "the port has no number; its endpoints are left out".to_owned();
        report(format!("ports[{index}].port"), message);
        return;
    };
    for (index, endpoint) in slice.endpoints.iter().enumerate() {
        let readiness = readiness(&endpoint.conditions);
        let Some(text) = endpoint.addresses.first() else {
            let message = "an endpoint without an address is left out".to_owned();
            report(format!("endpoints[{index}].addresses"), message);
            continue;
        };
        match address(text) {
            Ok(ip) => {
                let address = SocketAddr::new(ip, number);
                match readiness {
                    Readiness::Ready => found.ready.insert(address),
                    Readiness::Terminating => found.terminating.insert(address),
                    Readiness::No => {
                        found.not_ready += 1;
                        false
                    }
                };
            }
            Err(reason) => {
                let message = format!("{text:?} {reason}; the endpoint is left out");
                report(format!("endpoints[{index}].addresses[0]"), message);
            }
        }
    }
}

/// The slice's port for the Service's port of that name. Every slice has its own numbers.
fn slice_port<'s>(
    slice: &'s EndpointSlice,
    name: &str,
    carrier: Carrier,
) -> Option<(usize, &'s EndpointPort)> {
    let mut ports = slice.ports.iter().enumerate();
    ports.find(|(_, port)| {
        port.name.as_deref().unwrap_or_default() == name && carrier.has(port.protocol.as_deref())
    })
}

pub(super) fn address(text: &str) -> Result<IpAddr, &'static str> {
    let ip: IpAddr = text.parse().map_err(|_| "is not an IP address")?;
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    // The API server refuses these too: 169.254.169.254 is where clouds hand out credentials. It also refuses
    // loopback addresses, which files on a laptop need.
    match ip {
        _ if ip.is_unspecified() => Err("stands for no address at all"),
        _ if ip.is_multicast() => Err("is a multicast address"),
        _ if link_local => Err("is a link-local address"),
        ip => Ok(ip.to_canonical()),
    }
}

enum Readiness {
    Ready,
    Terminating,
    No,
}

fn readiness(conditions: &Conditions) -> Readiness {
    let ready = conditions.ready.unwrap_or(true);
    let terminating = conditions.terminating.unwrap_or(false);
    let serving = conditions.serving.unwrap_or(ready);
    match (ready, serving && terminating) {
        (true, _) => Readiness::Ready,
        (false, true) => Readiness::Terminating,
        (false, false) => Readiness::No,
    }
}

const NO_SLICES: &str = "Check that the Service's selector matches running Pods; in files, add an EndpointSlice, or run with --endpoint or --echo";
