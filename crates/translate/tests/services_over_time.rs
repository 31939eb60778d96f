//! Services of Gateways: whatever happens to them, a translator that saw each step says what a new one would say, and a
//! leader that writes what it says comes to an end.

use narthex_translate::{
    GatewayServices, Key, Object, Objects, ServiceType, Settings, Translation, Translator,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[test]
fn a_translator_that_saw_every_step_says_the_same_as_a_new_one() {
    for seed in 1..=20 {
        let mut world = World::new(seed);
        for step in 0..60 {
            world.step();
            world.compare(&format!("seed {seed}, step {step}"));
        }
    }
}

#[test]
fn once_the_leader_has_written_nothing_is_left_to_write_and_every_port_is_open_and_nobody_elses() {
    for seed in 1..=20 {
        let mut world = World::new(seed);
        for step in 0..20 {
            for _ in 0..5 {
                world.step();
            }
            let when = format!("seed {seed}, step {step}");
            let rounds = (0..9).take_while(|_| world.lead()).count();
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

/// Objects that change by chance, and the translator that follows them.
struct World {
    objects: Objects,
    translator: Translator,
    chance: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            objects: Objects::default(),
            translator: Translator::new(settings()),
            chance: seed,
        };
        for (name, controller) in [("c", "narthex.dev/gateway-controller"), ("other", "x.test/x")] {
            world.put(&json!({"kind": "GatewayClass", "metadata": {"name": name}, "spec": {"controllerName": controller}}));
        }
        world
    }

    fn put(&mut self, value: &Value) {
        let mut value = value.clone();
        value["apiVersion"] = match value["kind"].as_str() {
            Some("Service") => json!("v1"),
            _ => json!("gateway.networking.k8s.io/v1"),
        };
        let object = Object::from_value(&value).expect("an object of its kind");
        self.objects.insert(object.expect("a kind that is read"));
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// Puts or removes one object of a small world, so that they often meet.
    fn step(&mut self) {
        let name = self.of(&["one", "two", "three"]);
        match self.below(10) {
            0..=2 => {
                let (class, age) = (self.of(&["c", "c", "c", "other", "gone"]), self.below(3));
                let ports = self.of(&[&[80][..], &[80, 81], &[81], &[82, 80, 83]]);
                let address = self.of(&[None, None, Some("192.0.2.1")]);
                self.put(&gateway(name, class, ports, address, age));
            }
            3 => drop(self.objects.remove("Gateway", &Key::new("default", name))),
            4 => {
                let port = self.of(&[80, 84]);
                self.put(&json!({"kind": "ListenerSet", "metadata": {"name": name}, "spec": {
                    "parentRef": {"name": name}, "listeners": [{"name": "s", "port": port, "protocol": "HTTP"}]}}));
            }
            5 => drop(self.objects.remove("ListenerSet", &Key::new("default", name))),
            6 => drop(
                self.objects
                    .remove("Service", &Key::new("default", format!("{name}-c"))),
            ),
            7 => self.put(
                &json!({"kind": "Service", "metadata": {"name": format!("{name}-c")},
                "spec": {"ports": [{"port": 80}]}}),
            ),
            // Somebody edits what is ours.
            _ => {
                let target = self.of(&[20000, 20001, 20002, 80, 9]);
                self.put(&service(
                    name,
                    &format!("{name}-c"),
                    &[(80, target), (81, target)],
                    "192.0.2.1",
                ));
            }
        }
    }

    /// Writes what is wanted, as the leader would. Whether there was anything to write.
    fn lead(&mut self) -> bool {
        let wanted = self.translate().services;
        let mut wrote = false;
        for wanted in &wanted.wanted {
            if wanted.before.as_ref() != Some(&wanted.ports) {
                let ports: Vec<_> = wanted.ports.iter().map(|port| (port.port, port.target)).collect();
                self.put(&service(
                    &wanted.gateway.name,
                    &wanted.origin.name,
                    &ports,
                    "192.0.2.9",
                ));
                wrote = true;
            }
        }
        wrote
    }

    fn translate(&mut self) -> Translation {
        self.translator.translate(&self.objects, 1_798_761_600)
    }

    fn compare(&mut self, when: &str) {
        let old = self.translate();
        let new = Translator::new(settings()).translate(&self.objects, 1_798_761_600);
        assert_eq!(old.snapshot, new.snapshot, "{when}");
        assert_eq!(old.diagnostics, new.diagnostics, "{when}");
        assert_eq!(old.services, new.services, "{when}");
        let statuses = |translation: &Translation| {
            serde_json::to_value(&translation.statuses).expect("statuses are plain data")
        };
        assert_eq!(statuses(&old), statuses(&new), "{when}");
    }
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
