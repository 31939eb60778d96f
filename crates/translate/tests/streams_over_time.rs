//! Routes for streams follow every change around them: a translator that saw each step says what a new one would say.

use narthex_translate::{Key, Object, Objects, Settings, Translation, Translator};
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn a_translator_that_saw_every_step_says_the_same_as_a_new_one() {
    for seed in 1..=20 {
        let mut world = World::new(seed);
        for step in 0..80 {
            world.step();
            world.compare(&format!("seed {seed}, step {step}"));
        }
    }
}

#[test]
fn a_change_of_one_tcp_route_leaves_other_listeners_alone() {
    let mut world = World::new(1);
    world.put(&gateway(&["TCP", "UDP"], "a.test"));
    world.put(&service("one", "TCP"));
    world.put(&service("two", "UDP"));
    world.put(&route("TCPRoute", "one", "tcp", "one", 1));
    world.put(&route("UDPRoute", "two", "udp", "two", 1));
    let before = world.translate();
    let visited = world.translator.visited();
    world.put(&route("TCPRoute", "one", "tcp", "one", 2));
    let after = world.translate();
    assert_eq!(world.translator.visited() - visited, 1, "the route alone");
    assert!(Arc::ptr_eq(&before.snapshot.udp[0], &after.snapshot.udp[0]));
    assert!(!Arc::ptr_eq(&before.snapshot.binds[0], &after.snapshot.binds[0]));
}

/// Objects that change by chance, and the translator that follows them.
struct World {
    objects: Objects,
    translator: Translator,
    chance: u64,
}

fn settings() -> Settings {
    Settings {
        tcp_services: Some(Key::new("default", "ports")),
        udp_services: Some(Key::new("default", "ports")),
        ..Settings::default()
    }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut world = Self {
            objects: Objects::default(),
            translator: Translator::new(settings()),
            chance: seed,
        };
        world.put(&json!({"kind": "GatewayClass", "metadata": {"name": "narthex"},
            "spec": {"controllerName": "narthex.dev/gateway-controller"}}));
        world
    }

    fn put(&mut self, value: &Value) {
        let mut value = value.clone();
        value["apiVersion"] = match value["kind"].as_str() {
            Some("Service" | "ConfigMap") => json!("v1"),
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
        let (name, target) = (self.of(&["one", "two", "three"]), self.of(&["one", "two"]));
        let kind = self.of(&["TCPRoute", "UDPRoute", "TLSRoute"]);
        match self.below(10) {
            0 => {
                let protocols = self.of(&[
                    &["TCP", "UDP", "TLS"][..],
                    &["TCP", "TLS"],
                    &["UDP"],
                    &["HTTPS", "TLS"],
                ]);
                let host = self.of(&["a.test", "*.test", "b.test"]);
                self.put(&gateway(protocols, host));
            }
            1 => drop(self.objects.remove("Gateway", &Key::new("default", "front"))),
            2 => {
                let protocol = self.of(&["TCP", "UDP"]);
                self.put(&service(target, protocol));
            }
            3 => drop(self.objects.remove("Service", &Key::new("default", target))),
            4 => drop(self.objects.remove(kind, &Key::new("default", name))),
            5 => {
                let port = self.of(&["5432", "9000", "x"]);
                self.put(&json!({"kind": "ConfigMap", "metadata": {"name": "ports"}, "data": {port: format!("default/{target}:80")}}));
            }
            6 => drop(self.objects.remove("ConfigMap", &Key::new("default", "ports"))),
            _ => {
                let section = self.of(&["tcp", "udp", "tls"]);
                let age = self.below(4);
                self.put(&route(kind, name, section, target, age));
            }
        }
    }

    fn translate(&mut self) -> Translation {
        self.translator.translate(&self.objects, 1_798_761_600)
    }

    fn compare(&mut self, when: &str) {
        let old = self.translate();
        let new = Translator::new(settings()).translate(&self.objects, 1_798_761_600);
        assert_eq!(old.snapshot, new.snapshot, "{when}");
        assert_eq!(old.diagnostics, new.diagnostics, "{when}");
        let statuses = |translation: &Translation| {
            serde_json::to_value(&translation.statuses).expect("statuses are plain data")
        };
        assert_eq!(statuses(&old), statuses(&new), "{when}");
    }
}

fn gateway(protocols: &[&str], host: &str) -> Value {
    let listener = |protocol: &&str| match *protocol {
        "TCP" => json!({"name": "tcp", "port": 5432, "protocol": "TCP"}),
        "UDP" => json!({"name": "udp", "port": 5432, "protocol": "UDP"}),
        "TLS" => {
            json!({"name": "tls", "port": 443, "protocol": "TLS", "hostname": host, "tls": {"mode": "Passthrough"}})
        }
        other => {
            json!({"name": "web", "port": 443, "protocol": other, "hostname": "a.test", "tls": {"certificateRefs": [{"name": "none"}]}})
        }
    };
    let listeners: Vec<Value> = protocols.iter().map(listener).collect();
    json!({"kind": "Gateway", "metadata": {"name": "front"}, "spec": {"gatewayClassName": "narthex", "listeners": listeners}})
}

fn service(name: &str, protocol: &str) -> Value {
    json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80, "protocol": protocol}]}})
}

fn route(kind: &str, name: &str, section: &str, target: &str, age: u64) -> Value {
    let mut spec = json!({"parentRefs": [{"name": "front", "sectionName": section}],
        "rules": [{"backendRefs": [{"name": target, "port": 80, "weight": age}]}]});
    if kind == "TLSRoute" {
        spec["hostnames"] = json!(["a.test", format!("{name}.test")]);
    }
    json!({"kind": kind, "metadata": {"name": name, "creationTimestamp": format!("2026-01-0{}T00:00:00Z", age + 1)}, "spec": spec})
}
