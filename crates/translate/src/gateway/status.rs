//! The status of a Gateway and its listeners.

use super::{GatewayUnit, ListenerUnit};
use crate::conditions::{Wrong, check, fails, holds};
use crate::input::{Key, Settings};
use crate::output::{ObjectStatus, Status};
use api::gateway::{AddressType, Gateway, GatewayAddress};
use api::status::{Condition, GatewayStatus, ListenerStatus, LoadBalancerIngress};
use ir::Transport;

/// How a listener came out of the contest with all others.
pub(crate) struct Standing {
    /// Who came before it.
    pub conflict: Option<Wrong>,
    /// Accepted routes attached to it, whether it is served or not.
    pub attached_routes: i32,
    /// Whether it is part of the snapshot.
    pub programmed: bool,
}

/// Status of a Gateway of ours.
pub(crate) fn gateway(
    settings: &Settings,
    key: &Key,
    gateway: &Gateway,
    unit: &GatewayUnit,
    standings: &[Standing],
) -> ObjectStatus {
    let generation = gateway.metadata.generation;
    let listeners = unit.listeners.iter().zip(standings).map(|(listener, standing)| {
        let overlap = overlap(unit, standings, listener, standing);
        ListenerStatus {
            name: listener.name.clone(),
            supported_kinds: listener.kinds.clone(),
            attached_routes: standing.attached_routes,
            conditions: listener_conditions(unit, listener, standing, overlap, generation),
        }
    });
    let status = GatewayStatus {
        addresses: addresses(settings, gateway, unit),
        conditions: gateway_conditions(unit, standings, generation),
        listeners: listeners.collect(),
    };
    ObjectStatus {
        origin: key.origin("Gateway"),
        generation,
        status: Status::Gateway(Box::new(status)),
    }
}

fn gateway_conditions(unit: &GatewayUnit, standings: &[Standing], generation: i64) -> Vec<Condition> {
    let listeners = || unit.listeners.iter().zip(standings);
    let accepted = listeners()
        .filter(|(listener, standing)| listener.refused.is_none() && standing.conflict.is_none())
        .count();
    let flawless = listeners()
        .filter(|(listener, standing)| {
            listener.refused.is_none() && standing.conflict.is_none() && listener.unresolved.is_none()
        })
        .count();
    let flawed: Vec<&str> = listeners()
        .filter(|(listener, standing)| {
            listener.refused.is_some() || standing.conflict.is_some() || listener.unresolved.is_some()
        })
        .map(|(listener, _)| listener.name.as_str())
        .collect();
    let all = unit.listeners.len();
    let programmed = standings.iter().filter(|standing| standing.programmed).count();
    let accepted = match &unit.refused {
        Some(wrong) => fails("Accepted", wrong.reason, wrong.message.clone(), generation),
        None if all == 0 => fails(
            "Accepted",
            "ListenersNotValid",
            "The Gateway has no listeners",
            generation,
        ),
        None if accepted == 0 => fails(
            "Accepted",
            "ListenersNotValid",
            "No listener can be accepted",
            generation,
        ),
        None if flawless < all => holds(
            "Accepted",
            "ListenersNotValid",
            format!("Listeners with a mistake: {}", flawed.join(", ")),
            generation,
        ),
        None => holds("Accepted", "Accepted", "The Gateway is accepted", generation),
    };
    let wrong = match (&unit.refused, &unit.unreachable) {
        (Some(_), _) => Some(Wrong::new("Invalid", "The Gateway is not accepted")),
        (None, Some(wrong)) => Some(wrong.clone()),
        (None, None) if programmed == 0 => Some(Wrong::new("Invalid", "No listener can be served")),
        (None, None) => None,
    };
    vec![
        accepted,
        check("Programmed", "The Gateway is served", wrong.as_ref(), generation),
    ]
}

fn listener_conditions(
    unit: &GatewayUnit,
    listener: &ListenerUnit,
    standing: &Standing,
    overlap: Option<&str>,
    generation: i64,
) -> Vec<Condition> {
    let refused = listener.refused.as_ref().or(standing.conflict.as_ref());
    let not_programmed = if standing.programmed {
        None
    } else if let Some(conflict) = &standing.conflict {
        Some(conflict.clone())
    } else if unit.refused.is_some() {
        Some(Wrong::new("Invalid", "The Gateway is not accepted"))
    } else if let Some(wrong) = refused.or(listener.unresolved.as_ref()) {
        Some(Wrong::new("Invalid", wrong.message.clone()))
    } else {
        Some(Wrong::new("Invalid", "The Gateway has no usable address"))
    };
    let conflicted = match &standing.conflict {
        Some(conflict) => holds(
            "Conflicted",
            conflict.reason,
            conflict.message.clone(),
            generation,
        ),
        None => fails(
            "Conflicted",
            "NoConflicts",
            "No other listener is in the way",
            generation,
        ),
    };
    let mut conditions = vec![
        check("Accepted", "The listener is accepted", refused, generation),
        check(
            "Programmed",
            "The listener is served",
            not_programmed.as_ref(),
            generation,
        ),
        check(
            "ResolvedRefs",
            "Every reference is good",
            listener.unresolved.as_ref(),
            generation,
        ),
        conflicted,
    ];
    if let Some(other) = overlap {
        conditions.push(holds(
            "OverlappingTLSConfig",
            "OverlappingHostnames",
            format!("The hostname overlaps with that of listener {other} on the same port"),
            generation,
        ));
    }
    conditions
}

/// Another HTTPS listener of the Gateway on the same port whose hostname covers some of the same hosts: a client
/// that reuses a connection for both would reach one with the TLS settings of the other.
fn overlap<'a>(
    unit: &'a GatewayUnit,
    standings: &[Standing],
    listener: &ListenerUnit,
    standing: &Standing,
) -> Option<&'a str> {
    if !standing.programmed || listener.transport != Some(Transport::Https) {
        return None;
    }
    let others = unit.listeners.iter().zip(standings);
    others
        .filter(|(other, standing)| {
            standing.programmed
                && !std::ptr::eq(*other, listener)
                && other.transport == Some(Transport::Https)
                && other.port == listener.port
                && other.hostname.intersects(&listener.hostname)
        })
        .map(|(other, _)| other.name.as_str())
        .next()
}

/// Where the Gateway can be reached: the addresses it asks for, else those that we are told to show.
fn addresses(settings: &Settings, gateway: &Gateway, unit: &GatewayUnit) -> Vec<GatewayAddress> {
    let address = |ip: &std::net::IpAddr| GatewayAddress {
        kind: AddressType::IPAddress,
        value: ip.to_string(),
    };
    if unit.refused.is_some() {
        return Vec::new();
    }
    let asked_for = gateway.spec.addresses.iter().any(|asked| !asked.value.is_empty());
    if asked_for || unit.reached.is_empty() || !settings.address_pool.is_empty() {
        return unit
            .addresses
            .iter()
            .flatten()
            .filter(|ip| !ip.is_unspecified())
            .map(address)
            .collect();
    }
    let given = unit.reached.iter().filter_map(|address| match address {
        LoadBalancerIngress { ip: Some(ip), .. } => Some((AddressType::IPAddress, ip)),
        LoadBalancerIngress { hostname, .. } => hostname.as_ref().map(|name| (AddressType::Hostname, name)),
    });
    let given = given.map(|(kind, value)| GatewayAddress {
        kind,
        value: value.clone(),
    });
    given.collect()
}
