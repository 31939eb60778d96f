//! Endpoints behind a name of DNS (an ExternalName Service, an XBackend): what it resolved to, as far as that is allowed.
//!
//! Whoever may create such an object could otherwise make the gateway speak to itself, to its node or to a cloud's
//! metadata service.

use super::service::find_port;
use super::{BackendPort, PortRef};
use crate::scope::Scope;
use api::core::{IntOrString, Service};
use ir::{Code, Diagnostic, Endpoint, Origin};
use std::net::{IpAddr, SocketAddr};

/// Endpoints at the addresses of the Service's external name, which whoever may do I/O has resolved.
pub(super) fn endpoints(
    scope: &mut Scope<'_>,
    service: &Service,
    origin: &Origin,
    port: &BackendPort,
) -> Vec<Endpoint> {
    let name = service.spec.external_name.as_deref().unwrap_or_default();
    let port = target_port(service, port);
    of_name(scope, origin, "spec.externalName", name, port)
}

/// Endpoints at the addresses of a name, which `field` of an object has.
pub(crate) fn of_name(
    scope: &mut Scope<'_>,
    origin: &Origin,
    field: &str,
    name: &str,
    port: u16,
) -> Vec<Endpoint> {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let addresses = match name.parse::<IpAddr>() {
        // Kubernetes would ask DNS for a name made of digits, which never exists. The address is what was meant.
        Ok(ip) => vec![ip],
        Err(_) if name.is_empty() => {
            unresolved(scope, origin, field, format!("{field} is empty"));
            return Vec::new();
        }
        Err(_) => resolved(scope, origin, field, &name),
    };
    let local_allowed = scope.settings().allow_local_external_names;
    let mut endpoints = Vec::new();
    for ip in addresses {
        match refusal(ip.to_canonical(), local_allowed) {
            Some((kind, hint)) => {
                let message = if name == ip.to_string() {
                    format!("{name} is {kind}; it is left out")
                } else {
                    format!("{name} is {ip}, {kind}; it is left out")
                };
                let finding = Diagnostic::new(Code::ExternalNameRefused, origin.clone(), field, message);
                scope.report(match hint {
                    Some(hint) => finding.hint(hint),
                    None => finding,
                });
            }
            None => endpoints.push(Endpoint {
                address: SocketAddr::new(ip.to_canonical(), port),
                weight: 1,
            }),
        }
    }
    endpoints
}

/// A target port by number is the port to connect to; a name has no meaning without Pods.
fn target_port(service: &Service, port: &BackendPort) -> u16 {
    let number = port.port;
    match find_port(service, PortRef::Number(number), port.carrier).and_then(|port| port.target_port.as_ref())
    {
        Some(IntOrString::Int(target)) => match u16::try_from(*target) {
            Ok(target) if target != 0 => target,
            _ => number,
        },
        _ => number,
    }
}

fn resolved(scope: &mut Scope<'_>, origin: &Origin, field: &str, name: &str) -> Vec<IpAddr> {
    // Not asked for yet: the answer brings a new translation, and there is nothing to complain about till then.
    let Some(answer) = scope.resolved(name) else {
        return Vec::new();
    };
    match (&answer.error, answer.addresses.is_empty()) {
        (Some(error), true) => {
            let message = format!("{name} can't be resolved: {error}; requests are answered with 503");
            unresolved(scope, origin, field, message);
        }
        (Some(error), false) => {
            let message =
                format!("{name} can't be resolved again: {error}; the addresses known so far stay in use");
            unresolved(scope, origin, field, message);
        }
        (None, true) => {
            let message = format!("{name} has no address; requests are answered with 503");
            unresolved(scope, origin, field, message);
        }
        (None, false) => {}
    }
    answer.addresses.clone()
}

fn unresolved(scope: &mut Scope<'_>, origin: &Origin, field: &str, message: String) {
    let finding = Diagnostic::new(Code::ExternalNameUnresolved, origin.clone(), field, message);
    scope.report(finding.hint("Check the name, and that this machine's DNS server knows it"));
}

/// Why an address must not be connected to, and what would allow it.
fn refusal(ip: IpAddr, local_allowed: bool) -> Option<(&'static str, Option<&'static str>)> {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    if ip.is_unspecified() || ip == IpAddr::from([255, 255, 255, 255]) {
        Some(("no address of a host", None))
    } else if ip.is_multicast() {
        Some(("a multicast address", None))
    } else if ip.is_loopback() && !local_allowed {
        Some(("an address of this machine itself", Some(HINT)))
    } else if link_local && !local_allowed {
        Some(("a link-local address", Some(HINT)))
    } else {
        None
    }
}

const HINT: &str = "If this is meant, run with --allow-local-external-names";
