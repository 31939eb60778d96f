//! The status of a Gateway and its listeners.

use super::overlap::Overlaps;
use super::{GatewayUnit, ListenerUnit};
use crate::conditions::{Wrong, check, fails, holds};
use crate::input::Key;
use crate::output::{ObjectStatus, Status};
use api::gateway::Gateway;
use api::status::{Condition, GatewayStatus, ListenerStatus};
use ir::Origin;

/// How a listener came out of the contest with all others.
pub(crate) struct Standing {
    /// Who came before it.
    pub conflict: Option<Wrong>,
    /// Accepted routes attached to it, whether it is served or not.
    pub attached_routes: i32,
    /// Whether it is part of the snapshot.
    pub programmed: bool,
    /// What it still waits for.
    pub waits: Option<Wrong>,
}

/// Status of a Gateway of ours. `attached_sets` is the number of ListenerSets that joined it.
pub(crate) fn gateway(
    key: &Key,
    gateway: &Gateway,
    unit: &GatewayUnit,
    standings: &[Standing],
    overlaps: &Overlaps<'_>,
    attached_sets: i32,
) -> ObjectStatus {
    let generation = gateway.metadata.generation;
    let accepted = unit.refused.is_none();
    let status = GatewayStatus {
        addresses: if accepted { unit.shown.clone() } else { Vec::new() },
        conditions: gateway_conditions(unit, standings, generation),
        listeners: listeners(&unit.listeners, standings, accepted, overlaps, generation),
        attached_listener_sets: gateway.spec.allowed_listeners.as_ref().map(|_| attached_sets),
    };
    ObjectStatus {
        origin: key.origin("Gateway"),
        generation,
        status: Status::Gateway(Box::new(status)),
    }
}

/// Status of each listener of a Gateway or ListenerSet. `accepted` is whether the Gateway is.
pub(super) fn listeners(
    units: &[ListenerUnit],
    standings: &[Standing],
    accepted: bool,
    overlaps: &Overlaps<'_>,
    generation: i64,
) -> Vec<ListenerStatus> {
    let all = units.iter().zip(standings);
    let each = all.map(|(listener, standing)| {
        let overlap = overlaps.of(listener).filter(|_| standing.programmed);
        ListenerStatus {
            name: listener.name.clone(),
            supported_kinds: listener.kinds.clone(),
            attached_routes: standing.attached_routes,
            conditions: listener_conditions(listener, standing, accepted, overlap, generation),
        }
    });
    each.collect()
}

/// Whether the status of a Gateway says that it is accepted.
pub(crate) fn is_accepted(unit: &GatewayUnit, standings: &[Standing]) -> bool {
    let mut listeners = unit.listeners.iter().zip(standings);
    unit.refused.is_none()
        && listeners.any(|(listener, standing)| listener.refused.is_none() && standing.conflict.is_none())
}

fn gateway_conditions(unit: &GatewayUnit, standings: &[Standing], generation: i64) -> Vec<Condition> {
    let flawed = flawed(&unit.listeners, standings);
    let programmed = standings.iter().filter(|standing| standing.programmed).count();
    let accepted = match &unit.refused {
        Some(wrong) => fails("Accepted", wrong.reason, wrong.message.clone(), generation),
        None if unit.listeners.is_empty() => fails(
            "Accepted",
            "ListenersNotValid",
            "The Gateway has no listeners",
            generation,
        ),
        None if !is_accepted(unit, standings) => fails(
            "Accepted",
            "ListenersNotValid",
            "No listener can be accepted",
            generation,
        ),
        None if !flawed.is_empty() => holds(
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
        (None, None) if programmed == 0 => {
            let waits = standings.iter().find_map(|standing| standing.waits.clone());
            Some(waits.unwrap_or_else(|| Wrong::new("Invalid", "No listener can be served")))
        }
        (None, None) => None,
    };
    let mut conditions = vec![
        accepted,
        check("Programmed", "The Gateway is served", wrong.as_ref(), generation),
    ];
    if let Some(assigned) = &unit.assigned {
        let wrong = assigned.as_ref().err();
        let fine = "The Gateway has every address that it asks for";
        conditions.push(check("AddressesAssigned", fine, wrong, generation));
    }
    if let Some(backend) = &unit.backend {
        let wrong = backend.as_ref().err();
        conditions.push(check(
            "ResolvedRefs",
            "Every reference is good",
            wrong,
            generation,
        ));
    }
    if unit.gateway.as_ref().is_some_and(|gateway| gateway.is_default()) {
        conditions.push(holds(
            "DefaultGateway",
            "DefaultGateway",
            "The Gateway has the default scope All",
            generation,
        ));
    }
    if unit.insecure {
        conditions.push(holds(
            "InsecureFrontendValidationMode",
            "ConfigurationChanged",
            "Clients without a valid certificate are let in (mode AllowInsecureFallback)",
            generation,
        ));
    }
    conditions
}

/// Names of listeners with a mistake.
pub(super) fn flawed<'a>(units: &'a [ListenerUnit], standings: &[Standing]) -> Vec<&'a str> {
    let all = units.iter().zip(standings);
    let flawed = all.filter(|(listener, standing)| {
        listener.refused.is_some() || standing.conflict.is_some() || listener.unresolved.is_some()
    });
    flawed.map(|(listener, _)| listener.name.as_str()).collect()
}

fn listener_conditions(
    listener: &ListenerUnit,
    standing: &Standing,
    gateway_accepted: bool,
    overlap: Option<&Origin>,
    generation: i64,
) -> Vec<Condition> {
    let refused = standing.conflict.as_ref().or(listener.refused.as_ref());
    let not_programmed = if standing.programmed {
        None
    } else if let Some(conflict) = &standing.conflict {
        Some(conflict.clone())
    } else if !gateway_accepted {
        Some(Wrong::new("Invalid", "The Gateway is not accepted"))
    } else if let Some(wrong) = refused.or(listener.unresolved.as_ref()) {
        Some(Wrong::new("Invalid", wrong.message.clone()))
    } else if let Some(waits) = &standing.waits {
        Some(waits.clone())
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
        let other = match &other.section {
            Some(name) if other.object() == listener.origin.object() => format!("listener {name}"),
            _ => other.to_string(),
        };
        conditions.push(holds(
            "OverlappingTLSConfig",
            "OverlappingHostnames",
            format!("The hostname overlaps with that of {other} on the same port"),
            generation,
        ));
    }
    conditions
}
