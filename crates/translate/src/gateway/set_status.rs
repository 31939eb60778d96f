//! The status of a ListenerSet.

use super::overlap::Overlaps;
use super::status::{Standing, flawed, listeners};
use super::{GatewayUnit, SetUnit};
use crate::conditions::{Wrong, check, holds};
use crate::input::Key;
use crate::output::{ObjectStatus, Status};
use api::status::{Condition, ListenerSetStatus};

/// How a ListenerSet came out of the contest with all others.
pub(crate) struct SetStanding {
    /// Whether its Gateway is accepted.
    pub gateway_accepted: bool,
    /// Its listeners.
    pub listeners: Vec<Standing>,
}

/// Status of a ListenerSet whose Gateway is ours.
pub(crate) fn listener_set(
    key: &Key,
    unit: &SetUnit,
    gateway: &GatewayUnit,
    standing: &SetStanding,
    overlaps: &Overlaps<'_>,
) -> ObjectStatus {
    let generation = unit.set.metadata.generation;
    let accepted = standing.gateway_accepted;
    let status = ListenerSetStatus {
        conditions: conditions(unit, gateway, standing, generation),
        listeners: listeners(
            &unit.listeners,
            &standing.listeners,
            accepted,
            overlaps,
            generation,
        ),
    };
    ObjectStatus {
        origin: key.origin("ListenerSet"),
        generation,
        status: Status::ListenerSet(Box::new(status)),
    }
}

/// Why a ListenerSet is not accepted. It is if one of its listeners at least can be served.
pub(crate) fn refusal(unit: &SetUnit, standing: &SetStanding) -> Option<Wrong> {
    if let Some(wrong) = &unit.refused {
        return Some(wrong.clone());
    }
    if !standing.gateway_accepted {
        return Some(Wrong::new("ParentNotAccepted", "The Gateway is not accepted"));
    }
    let mut all = unit.listeners.iter().zip(&standing.listeners);
    let valid = all.any(|(listener, standing)| {
        listener.refused.is_none() && standing.conflict.is_none() && listener.can_serve()
    });
    (!valid).then(|| Wrong::new("ListenersNotValid", "No listener can be served"))
}

fn conditions(
    unit: &SetUnit,
    gateway: &GatewayUnit,
    standing: &SetStanding,
    generation: i64,
) -> Vec<Condition> {
    let refusal = refusal(unit, standing);
    let flawed = flawed(&unit.listeners, &standing.listeners);
    let accepted = if refusal.is_none() && !flawed.is_empty() {
        holds(
            "Accepted",
            "ListenersNotValid",
            format!("Listeners with a mistake: {}", flawed.join(", ")),
            generation,
        )
    } else {
        check(
            "Accepted",
            "The ListenerSet is accepted",
            refusal.as_ref(),
            generation,
        )
    };
    let of_gateway = |wrong: &Wrong| Wrong::new("ParentNotProgrammed", wrong.message.clone());
    let not_programmed = match &refusal {
        None => gateway.unreachable.as_ref().map(of_gateway),
        Some(wrong) if unit.refused.is_none() && !standing.gateway_accepted => Some(of_gateway(wrong)),
        Some(wrong) => Some(wrong.clone()),
    };
    vec![
        accepted,
        check(
            "Programmed",
            "The ListenerSet is served",
            not_programmed.as_ref(),
            generation,
        ),
    ]
}
