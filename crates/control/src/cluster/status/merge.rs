//! Our part of a status among those of others. No I/O and no clock.

use api::status::Condition;
use serde_json::{Map, Value, json};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use translate::{ObjectStatus, Status};

/// Who we are in statuses.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// `controllerName` of our entries.
    pub controller: Arc<str>,
}

impl Owner {
    /// By the name of the controller.
    pub fn new(controller: &str) -> Self {
        Self {
            controller: controller.into(),
        }
    }
}

/// Whether a kind has a list in its status of which each controller has its own entries.
pub(super) fn is_shared(kind: &str) -> bool {
    shared_list(kind).is_some()
}

/// That list, and what tells its entries apart.
fn shared_list(kind: &str) -> Option<(&'static str, &'static str)> {
    if kind.ends_with("Route") {
        Some(("parents", "parentRef"))
    } else if kind.ends_with("Policy") || kind == "XBackend" {
        Some(("ancestors", "ancestorRef"))
    } else {
        None
    }
}

/// Our part of a status, without the times of its conditions, in a form that can be compared.
pub(super) fn ours(owner: &Owner, kind: &str, status: &Value) -> Value {
    let list = |field: &str| status.get(field).and_then(Value::as_array).into_iter().flatten();
    let part = match kind {
        "GatewayClass" => json!({
            "conditions": conditions(status, CLASS_CONDITIONS),
            "supportedFeatures": list("supportedFeatures").collect::<Vec<_>>(),
        }),
        "Gateway" => json!({
            "addresses": list("addresses").collect::<Vec<_>>(),
            "attachedListenerSets": status.get("attachedListenerSets"),
            "conditions": conditions(status, GATEWAY_CONDITIONS),
            "listeners": list("listeners").map(listener).collect::<Vec<_>>(),
        }),
        "ListenerSet" => json!({
            "conditions": conditions(status, LISTENER_SET_CONDITIONS),
            "listeners": list("listeners").map(listener).collect::<Vec<_>>(),
        }),
        "Ingress" => json!({
            "loadBalancer": {"ingress": status.pointer("/loadBalancer/ingress").unwrap_or(&Value::Null)},
        }),
        _ => {
            let (field, _) = shared_list(kind).unwrap_or_default();
            let entries = list(field).filter(|entry| is_ours(owner, entry)).map(|entry| {
                let mut entry = entry.clone();
                entry["conditions"] = all_conditions(&entry);
                entry
            });
            json!({field: entries.collect::<Vec<_>>()})
        }
    };
    canonical(part)
}

fn listener(listener: &Value) -> Value {
    let mut listener = listener.clone();
    listener["conditions"] = conditions(&listener, LISTENER_CONDITIONS);
    listener
}

/// Whether a part says nothing.
pub(super) fn is_empty(part: &Value) -> bool {
    match part {
        Value::Null => true,
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
        _ => false,
    }
}

/// A number that is the same for equal parts.
pub(super) fn digest(part: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    part.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Digest of what should be there.
pub(super) fn desired_digest(owner: &Owner, kind: &str, status: Option<&ObjectStatus>) -> u64 {
    let status = status.map_or(Value::Null, |status| value(&status.status));
    digest(&ours(owner, kind, &status))
}

/// A status as it is written, its conditions without times.
pub(super) fn value(status: &Status) -> Value {
    // Our own types are always JSON.
    serde_json::to_value(status).unwrap_or_default()
}

/// What the status of a route, a policy or an Ingress becomes: our part as desired, everything else as it is. `now` is the time of
/// what changed. Statuses of other kinds are merged by the server: [`applied`].
pub(super) fn merged(owner: &Owner, kind: &str, current: &Value, desired: &Value, now: &str) -> Value {
    let mut merged = current.clone();
    if !merged.is_object() {
        merged = json!({});
    }
    if kind == "Ingress" {
        merged["loadBalancer"]["ingress"] = desired["loadBalancer"]["ingress"].clone();
    } else if let Some((field, reference)) = shared_list(kind) {
        merged[field] = entries(owner, kind, current, desired, (field, reference), now);
    }
    merged
}

/// Our part of a Gateway, ListenerSet or GatewayClass with times, for server-side apply.
pub(super) fn applied(current: &Value, desired: &Value, now: &str) -> Value {
    let mut applied = desired.clone();
    time(&mut applied, current, now);
    for listener in applied
        .get_mut("listeners")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let name = listener["name"].clone();
        let before = current["listeners"].as_array().into_iter().flatten();
        let before = before.into_iter().find(|before| before["name"] == name);
        time(listener, before.unwrap_or(&Value::Null), now);
    }
    applied
}

fn entries(
    owner: &Owner,
    kind: &str,
    current: &Value,
    desired: &Value,
    (field, reference): (&str, &str),
    now: &str,
) -> Value {
    let before = || current[field].as_array().into_iter().flatten();
    let foreign = before().filter(|entry| !is_ours(owner, entry)).cloned();
    let ours = desired[field].as_array().into_iter().flatten().map(|entry| {
        let about = canonical(entry[reference].clone());
        let same =
            before().find(|before| is_ours(owner, before) && canonical(before[reference].clone()) == about);
        let mut entry = entry.clone();
        time(&mut entry, same.unwrap_or(&Value::Null), now);
        entry
    });
    let mut all: Vec<Value> = foreign.chain(ours).collect();
    // No more are allowed (`PolicyStatus.ancestors`, `BackendStatus.ancestors`, maxItems): whoever came first stays.
    if field == "ancestors" {
        all.truncate(if kind == "XBackend" { 32 } else { 16 });
    }
    all.into()
}

/// Gives conditions their times: a condition that stays in its state keeps the time of when it came into it.
fn time(entry: &mut Value, before: &Value, now: &str) {
    for condition in entry
        .get_mut("conditions")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let same = before["conditions"].as_array().into_iter().flatten();
        let same = same
            .into_iter()
            .find(|old| old["type"] == condition["type"] && old["status"] == condition["status"]);
        condition["lastTransitionTime"] = match same.and_then(|old| old["lastTransitionTime"].as_str()) {
            Some(time) => time.into(),
            None => now.into(),
        };
    }
}

fn is_ours(owner: &Owner, parent: &Value) -> bool {
    parent["controllerName"].as_str() == Some(&*owner.controller)
}

fn conditions(entry: &Value, known: &[&str]) -> Value {
    let conditions = entry["conditions"].as_array().into_iter().flatten();
    let ours = conditions.filter(|condition| {
        condition["type"]
            .as_str()
            .is_some_and(|kind| known.contains(&kind))
    });
    sorted(ours)
}

fn all_conditions(entry: &Value) -> Value {
    sorted(entry["conditions"].as_array().into_iter().flatten())
}

fn sorted<'a>(conditions: impl Iterator<Item = &'a Value>) -> Value {
    let mut conditions: Vec<Condition> = conditions
        .filter_map(|condition| serde_json::from_value(condition.clone()).ok())
        .collect();
    conditions.sort_by(|a, b| a.kind.cmp(&b.kind));
    serde_json::to_value(conditions).unwrap_or_default()
}

/// Without nulls and empty lists, with sorted fields.
fn canonical(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields
                .into_iter()
                .map(|(name, value)| (name, canonical(value)))
                .filter(|(_, value)| {
                    !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty())
                })
                .collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().collect::<Map<_, _>>())
        }
        Value::Array(items) => items.into_iter().map(canonical).collect(),
        other => other,
    }
}

/// Every type of condition that we ever set: one of these that we don't set any more has to go, all others are others'.
const CLASS_CONDITIONS: &[&str] = &["Accepted", "SupportedVersion"];
const GATEWAY_CONDITIONS: &[&str] = &[
    "Accepted",
    "Programmed",
    "ResolvedRefs",
    "InsecureFrontendValidationMode",
    "DefaultGateway",
    "AddressesAssigned",
];
const LISTENER_SET_CONDITIONS: &[&str] = &["Accepted", "Programmed"];
const LISTENER_CONDITIONS: &[&str] = &[
    "Accepted",
    "Conflicted",
    "OverlappingTLSConfig",
    "Programmed",
    "ResolvedRefs",
];

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: &str = "narthex.dev/gateway-controller";
    const THEN: &str = "2026-01-01T00:00:00Z";
    const NOW: &str = "2026-02-02T00:00:00Z";

    fn parent(controller: &str, name: &str, status: &str, time: Option<&str>) -> Value {
        let mut condition = json!({"type": "Accepted", "status": status, "reason": "Accepted", "message": "m", "observedGeneration": 1});
        if let Some(time) = time {
            condition["lastTransitionTime"] = time.into();
        }
        json!({"controllerName": controller, "parentRef": {"name": name}, "conditions": [condition]})
    }

    #[test]
    fn entries_of_others_stay_as_they_are_and_before_ours() {
        let owner = Owner::new(OWNER);
        let foreign = parent("example.com/other", "a", "True", Some(THEN));
        let current = json!({"parents": [foreign, parent(OWNER, "gone", "True", Some(THEN))], "extra": 1});
        let desired = json!({"parents": [parent(OWNER, "b", "True", None)]});
        let merged = merged(&owner, "HTTPRoute", &current, &desired, NOW);
        assert_eq!(merged["extra"], 1);
        assert_eq!(
            merged["parents"],
            json!([foreign, parent(OWNER, "b", "True", Some(NOW))])
        );
    }

    #[test]
    fn the_time_changes_only_with_the_state() {
        let owner = Owner::new(OWNER);
        for (status, time) in [("True", THEN), ("False", NOW)] {
            let current = json!({"parents": [parent(OWNER, "a", "True", Some(THEN))]});
            let desired = json!({"parents": [parent(OWNER, "a", status, None)]});
            let merged = merged(&owner, "HTTPRoute", &current, &desired, NOW);
            assert_eq!(merged["parents"], json!([parent(OWNER, "a", status, Some(time))]));
        }
    }

    #[test]
    fn what_is_written_is_not_different_afterwards() {
        let owner = Owner::new(OWNER);
        let desired = json!({"parents": [parent(OWNER, "a", "True", None)]});
        let current = json!({"parents": [parent("example.com/other", "a", "False", Some(THEN))]});
        let merged = merged(&owner, "HTTPRoute", &current, &desired, NOW);
        assert_eq!(
            ours(&owner, "HTTPRoute", &merged),
            ours(&owner, "HTTPRoute", &desired)
        );
        assert_ne!(
            ours(&owner, "HTTPRoute", &current),
            ours(&owner, "HTTPRoute", &desired)
        );
    }

    #[test]
    fn another_number_of_listener_sets_is_a_difference() {
        let owner = Owner::new(OWNER);
        let part = |sets: i32| ours(&owner, "Gateway", &json!({"attachedListenerSets": sets}));
        assert_ne!(part(0), part(1));
    }

    #[test]
    fn conditions_of_others_on_a_gateway_are_no_difference() {
        let owner = Owner::new(OWNER);
        let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "R", "message": "", "observedGeneration": 1, "lastTransitionTime": THEN});
        let current = json!({"conditions": [condition("Foreign"), condition("Accepted")]});
        let desired = json!({"conditions": [condition("Accepted")], "listeners": []});
        assert_eq!(
            ours(&owner, "Gateway", &current),
            ours(&owner, "Gateway", &desired)
        );
    }
}
