//! Services of Gateways: whatever happens to them, a translator that saw each step says what a new one would say, and a
//! leader that writes what it says comes to an end.

mod world;

use narthex_translate::{GatewayServices, ServiceType, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use world::World;

#[test]
fn a_translator_that_saw_every_step_says_the_same_as_a_new_one() {
    for seed in 1..=20 {
        let mut world = World::new(seed, settings);
        for step in 0..60 {
            act(&mut world);
            world.compare(&format!("seed {seed}, step {step}"));
        }
    }
}

#[test]
fn once_the_leader_has_written_nothing_is_left_to_write_and_every_port_is_open_and_nobody_elses() {
    for seed in 1..=20 {
        let mut world = World::new(seed, settings);
        for step in 0..20 {
            for _ in 0..5 {
                act(&mut world);
            }
            let when = format!("seed {seed}, step {step}");
            let rounds = (0..9).take_while(|_| lead(&mut world)).count();
            assert!(rounds < 4, "{when}: {rounds} rounds");
            let translation = world.translate();
            let mut targets = BTreeMap::new();
            for service in &translation.services.wanted {
                assert_eq!(service.before.as_ref(), Some(&service.ports), "{when}");
                for port in &service.ports {
                    let other = targets.insert(port.target, &service.origin);
                    assert!(other.is_none(), "{when}: {} and {other:?}", service.origin);
                }
            }
            for bind in &translation.snapshot.binds {
                assert!(
                    targets.contains_key(&bind.address.port),
                    "{when}: {}",
                    bind.address
                );
            }
        }
    }
}

/// Puts or removes one object of a small world, so that they often meet.
fn act(world: &mut World) {
    let name = world.of(&["one", "two", "three"]);
    match world.below(10) {
        0..=2 => {
            let (class, age) = (world.of(&["c", "c", "c", "other", "gone"]), world.below(3));
            let ports = world.of(&[&[80][..], &[80, 81], &[81], &[82, 80, 83]]);
            let address = world.of(&[None, None, Some("192.0.2.1")]);
            put(world, &gateway(name, class, ports, address, age));
        }
        3 => world.remove("Gateway", name),
        4 => {
            let port = world.of(&[80, 84]);
            put(
                world,
                &json!({"kind": "ListenerSet", "metadata": {"name": name}, "spec": {
                "parentRef": {"name": name}, "listeners": [{"name": "s", "port": port, "protocol": "HTTP"}]}}),
            );
        }
        5 => world.remove("ListenerSet", name),
        6 => world.remove("Service", &format!("{name}-c")),
        7 => put(
            world,
            &json!({"kind": "Service", "metadata": {"name": format!("{name}-c")},
            "spec": {"ports": [{"port": 80}]}}),
        ),
        // Somebody edits what is ours.
        _ => {
            let target = world.of(&[20000, 20001, 20002, 80, 9]);
            put(
                world,
                &service(
                    name,
                    &format!("{name}-c"),
                    &[(80, target), (81, target)],
                    "192.0.2.1",
                ),
            );
        }
    }
}

/// Writes what is wanted, as the leader would. Whether there was anything to write.
fn lead(world: &mut World) -> bool {
    let wanted = world.translate().services;
    let mut wrote = false;
    for wanted in &wanted.wanted {
        if wanted.before.as_ref() != Some(&wanted.ports) {
            let ports: Vec<_> = wanted.ports.iter().map(|port| (port.port, port.target)).collect();
            put(
                world,
                &service(&wanted.gateway.name, &wanted.origin.name, &ports, "192.0.2.9"),
            );
            wrote = true;
        }
    }
    wrote
}

fn put(world: &mut World, value: &Value) {
    let version = match value["kind"].as_str() {
        Some("Service") => "v1",
        _ => "gateway.networking.k8s.io/v1",
    };
    world.put(version, value);
}

/// A range so small that ports meet.
fn settings() -> Settings {
    Settings {
        gateway_services: Some(GatewayServices {
            kind: ServiceType::LoadBalancer,
            ports: 20000..=20015,
        }),
        ..Settings::default()
    }
}

fn gateway(name: &str, class: &str, ports: &[u16], address: Option<&str>, age: u64) -> Value {
    let listeners: Vec<_> = ports
        .iter()
        .map(|port| json!({"name": format!("l{port}"), "port": port, "protocol": "HTTP"}))
        .collect();
    let addresses: Vec<_> = address.into_iter().map(|value| json!({"value": value})).collect();
    json!({"kind": "Gateway", "metadata": {"name": name, "creationTimestamp": format!("2026-01-0{}T00:00:00Z", age + 1)},
        "spec": {"gatewayClassName": class, "listeners": listeners, "addresses": addresses,
            "allowedListeners": {"namespaces": {"from": "Same"}}}})
}

fn service(gateway: &str, name: &str, ports: &[(u16, u16)], address: &str) -> Value {
    let ports: Vec<_> = ports
        .iter()
        .map(|(port, target)| json!({"name": format!("tcp-{port}"), "port": port, "targetPort": target}))
        .collect();
    json!({"kind": "Service", "metadata": {"name": name, "labels": {
            "app.kubernetes.io/managed-by": "narthex.dev_gateway-controller",
            "gateway.networking.k8s.io/gateway-name": gateway}},
        "spec": {"type": "LoadBalancer", "ports": ports},
        "status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
}
