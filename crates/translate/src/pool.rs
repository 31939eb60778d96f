//! Addresses of a pool, one for each Gateway that asks for none in particular.
//!
//! Every replica comes to the same answer without asking the others: a Gateway keeps the address that its status shows,
//! and a new one begins to look at a place that follows from its name.

use crate::input::{Key, Objects, Settings};
use api::gateway::{AddressType, Gateway};
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses by Gateway.
pub(crate) type Assigned = BTreeMap<Key, IpAddr>;

/// Hands out addresses. Empty without a pool.
pub(crate) fn assign(objects: &Objects, settings: &Settings) -> Assigned {
    let pool = &settings.address_pool;
    if pool.is_empty() {
        return Assigned::new();
    }
    let ours = |gateway: &Gateway| {
        let class = Key::new("", gateway.spec.gateway_class_name.as_str());
        let class = objects.gateway_classes.get(&class);
        class.is_some_and(|class| class.spec.controller_name == settings.gateway_controller)
    };
    let mut gateways: Vec<_> = objects
        .gateways
        .iter()
        .filter(|(_, gateway)| ours(gateway))
        .collect();
    gateways.sort_by_key(|(key, gateway)| (gateway.metadata.created, *key));
    // What somebody asks for by number is handed out to nobody else.
    let mut taken: BTreeSet<IpAddr> = gateways
        .iter()
        .flat_map(|(_, gateway)| asked_for(gateway))
        .collect();
    gateways.retain(|(_, gateway)| asked_for(gateway).next().is_none());
    let mut assigned = Assigned::new();
    let mut left = Vec::new();
    for (key, gateway) in gateways {
        let shown = gateway
            .status
            .addresses
            .iter()
            .find_map(|address| address.value.parse().ok());
        match shown.filter(|ip| contains(pool, *ip) && taken.insert(*ip)) {
            Some(ip) => {
                assigned.insert(key.clone(), ip);
            }
            None => left.push(key),
        }
    }
    for key in left {
        if let Some(ip) = free(pool, key, &taken) {
            taken.insert(ip);
            assigned.insert(key.clone(), ip);
        }
    }
    assigned
}

/// Whether an address belongs to the pool.
pub(crate) fn contains(pool: &[IpNet], ip: IpAddr) -> bool {
    pool.iter().any(|net| net.contains(&ip))
}

fn asked_for(gateway: &Gateway) -> impl Iterator<Item = IpAddr> {
    let addresses = gateway.spec.addresses.iter();
    addresses
        .filter(|address| address.kind == AddressType::IPAddress)
        // Those are of Services.
        .filter(|address| address.routability.as_deref() != Some("Cluster"))
        .filter_map(|address| address.value.parse().ok())
}

/// The first free address from a place on that follows from the name.
fn free(pool: &[IpNet], key: &Key, taken: &BTreeSet<IpAddr>) -> Option<IpAddr> {
    let sizes: Vec<u64> = pool.iter().map(size).collect();
    let all: u64 = sizes.iter().sum();
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let start = hasher.finish().checked_rem(all)?;
    // More can't be taken than there are.
    let tries = all.min(taken.len() as u64 + 1);
    (0..tries).find_map(|step| {
        let mut place = (start + step) % all;
        for (net, size) in pool.iter().zip(&sizes) {
            if place < *size {
                let ip = address(net, place);
                return (!taken.contains(&ip)).then_some(ip);
            }
            place -= size;
        }
        None
    })
}

/// Addresses of a network that may be handed out: without the first and the last, which are special for IPv4.
fn size(net: &IpNet) -> u64 {
    let bits = net.max_prefix_len() - net.prefix_len();
    let all = 1_u64 << bits.min(32);
    if all > 2 { all - 2 } else { all }
}

fn address(net: &IpNet, place: u64) -> IpAddr {
    let place = if size(net) > 2 { place + 1 } else { place };
    match net.network() {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits().wrapping_add(place as u32)).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits().wrapping_add(u128::from(place))).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Object;
    use serde_json::{Value, json};

    fn objects(gateways: &[(&str, Value, Value)]) -> Objects {
        let mut objects = Objects::default();
        let api = "gateway.networking.k8s.io/v1";
        let class = json!({"apiVersion": api, "kind": "GatewayClass", "metadata": {"name": "c"},
            "spec": {"controllerName": "narthex.dev/gateway-controller"}});
        objects.insert(Object::from_value(&class).unwrap().unwrap());
        for (name, asked, shown) in gateways {
            let value = json!({"apiVersion": api, "kind": "Gateway", "metadata": {"name": name},
                "spec": {"gatewayClassName": "c", "addresses": asked}, "status": {"addresses": shown}});
            objects.insert(Object::from_value(&value).unwrap().unwrap());
        }
        objects
    }

    fn settings(pool: &str) -> Settings {
        Settings {
            address_pool: vec![pool.parse().unwrap()],
            ..Settings::default()
        }
    }

    fn key(name: &str) -> Key {
        Key::new("default", name)
    }

    #[test]
    fn a_gateway_keeps_what_its_status_shows_and_others_come_around_it() {
        let settings = settings("192.0.2.0/29");
        let names = ["a", "b", "c", "d", "e"];
        let first: Vec<_> = names.iter().map(|name| (*name, json!([]), json!([]))).collect();
        let before = assign(&objects(&first), &settings);
        assert_eq!(before.len(), 5);
        let distinct: BTreeSet<_> = before.values().collect();
        assert_eq!(distinct.len(), 5);
        let shown = json!([{"value": before[&key("c")].to_string()}]);
        let after = assign(
            &objects(&[("c", json!([]), shown), ("z", json!([]), json!([]))]),
            &settings,
        );
        assert_eq!(after[&key("c")], before[&key("c")]);
        assert_ne!(after[&key("z")], after[&key("c")]);
    }

    #[test]
    fn what_is_asked_for_by_number_is_nobody_elses() {
        let asked = json!([{"value": "192.0.2.1"}]);
        let gateways = [
            ("a", json!([]), json!([{"value": "192.0.2.1"}])),
            ("b", asked, json!([])),
        ];
        let assigned = assign(&objects(&gateways), &settings("192.0.2.0/29"));
        assert_ne!(assigned[&key("a")].to_string(), "192.0.2.1");
        assert!(!assigned.contains_key(&key("b")));
    }

    #[test]
    fn a_pool_that_is_used_up_gives_nothing() {
        let gateways = [("a", json!([]), json!([])), ("b", json!([]), json!([]))];
        let assigned = assign(&objects(&gateways), &settings("192.0.2.4/32"));
        assert_eq!(assigned.len(), 1);
    }
}
