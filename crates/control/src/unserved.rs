//! Listeners whose socket can't be opened are not programmed, whatever the translation thought.

use api::status::{Condition, ConditionStatus};
use ir::{Layer, List, Origin, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;
use translate::{ObjectStatus, Status};

/// The statuses, with the truth about sockets that failed (address and reason).
pub(crate) fn mark(
    statuses: &List<ObjectStatus>,
    snapshot: &Snapshot,
    failed: &[(String, String)],
) -> List<ObjectStatus> {
    let mut statuses = statuses.clone();
    for (holder, listeners) in unserved(snapshot, failed) {
        let place = |status: &ObjectStatus| status.origin.cmp(&holder);
        let Some(marked) = statuses.find(place).and_then(|status| marked(status, &listeners)) else {
            continue;
        };
        statuses.insert(place, Arc::new(marked));
    }
    statuses
}

/// Listeners by Gateway or ListenerSet, each with why it is not served.
fn unserved(
    snapshot: &Snapshot,
    failed: &[(String, String)],
) -> BTreeMap<Origin, BTreeMap<Arc<str>, String>> {
    let mut unserved = BTreeMap::<Origin, BTreeMap<_, _>>::new();
    for (address, reason) in failed {
        for listener in listeners(snapshot, address) {
            let Some(name) = &listener.section else {
                continue;
            };
            let why = format!("can't listen on {address}: {reason}");
            unserved
                .entry(listener.object())
                .or_default()
                .insert(Arc::clone(name), why);
        }
    }
    unserved
}

/// The listeners of Gateways and ListenerSets on an address, which has `/udp` behind it if it is one for UDP.
fn listeners<'s>(snapshot: &'s Snapshot, address: &str) -> Vec<&'s Origin> {
    if let Some(address) = address.strip_suffix("/udp") {
        let binds = snapshot.udp.iter();
        let binds = binds.filter(|bind| bind.address.to_string() == address);
        return binds.map(|bind| &bind.listener.origin).collect();
    }
    let binds = snapshot.binds.iter();
    let binds = binds.filter(|bind| bind.address.to_string() == address);
    binds
        .flat_map(|bind| {
            let listeners = bind.listeners.iter();
            let listeners = listeners.filter(|listener| listener.layer == Layer::Gateway);
            let streams = bind.streams.iter().map(|stream| &stream.origin);
            listeners.map(|listener| &listener.origin).chain(streams)
        })
        .collect()
}

fn marked(status: &ObjectStatus, unserved: &BTreeMap<Arc<str>, String>) -> Option<ObjectStatus> {
    let mut marked = status.clone();
    let (conditions, listeners, reason) = match &mut marked.status {
        Status::Gateway(gateway) => (
            &mut gateway.conditions,
            &mut gateway.listeners,
            "AddressNotUsable",
        ),
        Status::ListenerSet(set) => (&mut set.conditions, &mut set.listeners, "Invalid"),
        _ => return None,
    };
    for listener in &mut *listeners {
        if let Some(why) = unserved.get(&*listener.name) {
            not_programmed(&mut listener.conditions, "Invalid", why);
        }
    }
    let served = |conditions: &[Condition]| {
        conditions
            .iter()
            .any(|condition| condition.kind == PROGRAMMED && condition.status == ConditionStatus::True)
    };
    if let Some(why) = unserved.values().next()
        && !listeners.iter().any(|listener| served(&listener.conditions))
    {
        not_programmed(conditions, reason, why);
    }
    Some(marked)
}

fn not_programmed(conditions: &mut [Condition], reason: &str, why: &str) {
    for condition in conditions
        .iter_mut()
        .filter(|condition| condition.kind == PROGRAMMED)
    {
        condition.status = ConditionStatus::False;
        reason.clone_into(&mut condition.reason);
        why.clone_into(&mut condition.message);
    }
}

const PROGRAMMED: &str = "Programmed";

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use translate::{Object, Objects, Settings, Translator};

    #[test]
    fn a_socket_that_failed_takes_its_listener_and_the_last_one_takes_the_object() {
        let api = "gateway.networking.k8s.io/v1";
        let mut objects = Objects::default();
        for object in [
            json!({"apiVersion": api, "kind": "GatewayClass", "metadata": {"name": "c"},
                "spec": {"controllerName": "narthex.dev/gateway-controller"}}),
            json!({"apiVersion": api, "kind": "Gateway", "metadata": {"name": "g"},
                "spec": {"gatewayClassName": "c", "allowedListeners": {"namespaces": {"from": "All"}}, "listeners": [
                    {"name": "a", "port": 81, "protocol": "HTTP"}, {"name": "b", "port": 82, "protocol": "HTTP"}]}}),
            json!({"apiVersion": api, "kind": "ListenerSet", "metadata": {"name": "s"},
                "spec": {"parentRef": {"name": "g"}, "listeners": [
                    {"name": "c", "port": 83, "protocol": "HTTP"}, {"name": "d", "port": 84, "protocol": "HTTP"}]}}),
        ] {
            objects.insert(Object::from_value(&object).unwrap().unwrap());
        }
        let translation = Translator::new(Settings::default()).translate(&objects, 0);
        let programmed = |failed: &[(String, String)]| {
            let statuses = mark(&translation.statuses, &translation.snapshot, failed);
            let of_all = statuses.iter().filter_map(|status| match &status.status {
                Status::Gateway(gateway) => Some((&gateway.conditions, &gateway.listeners)),
                Status::ListenerSet(set) => Some((&set.conditions, &set.listeners)),
                _ => None,
            });
            let all = of_all.flat_map(|(own, listeners)| {
                let theirs = listeners.iter().map(|listener| &listener.conditions);
                std::iter::once(own).chain(theirs)
            });
            let of = |conditions: &Vec<Condition>| {
                let found = conditions.iter().find(|condition| condition.kind == PROGRAMMED);
                found.unwrap().status == ConditionStatus::True
            };
            all.map(of).collect::<Vec<_>>()
        };
        let failure = |port: u16| (format!("*:{port}"), "Address in use".to_owned());
        // The Gateway and its listeners, then the ListenerSet and its own.
        assert_eq!(programmed(&[]), [true; 6]);
        assert_eq!(programmed(&[failure(82)]), [true, true, false, true, true, true]);
        assert_eq!(
            programmed(&[failure(81), failure(82)]),
            [false, false, false, true, true, true]
        );
        assert_eq!(
            programmed(&[failure(83), failure(84)]),
            [true, true, true, false, false, false]
        );
        assert_eq!(programmed(&[failure(84)]), [true, true, true, true, true, false]);
    }
}
