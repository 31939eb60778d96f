//! ListenerSets follow every change around them: a translator that saw each step says what a new one would say.

use narthex_translate::{Key, Object, Objects, Settings, Translator};
use serde_json::{Value, json};

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
fn a_change_of_one_listener_set_leaves_the_units_of_others_alone() {
    let mut world = World::new(1);
    world.put(&gateway(&json!({"from": "All"}), "g.test"));
    for name in ["one", "two"] {
        world.put(&set(name, "front", &format!("{name}.test"), 1));
        world.put(&route(name, "ListenerSet", name));
    }
    let before = world.translate();
    let visited = world.translator.visited();
    world.put(&set("one", "front", "changed.test", 1));
    let after = world.translate();
    assert_eq!(
        world.translator.visited() - visited,
        2,
        "the ListenerSet and its route"
    );
    let listener = |translation: &narthex_translate::Translation| {
        let listeners = &translation.snapshot.binds[0].listeners;
        let two = listeners
            .iter()
            .find(|listener| &*listener.origin.name == "two")
            .cloned();
        two.expect("a listener")
    };
    assert!(std::sync::Arc::ptr_eq(&listener(&before), &listener(&after)));
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
            translator: Translator::new(Settings::default()),
            chance: seed,
        };
        world.put(&json!({"kind": "GatewayClass", "metadata": {"name": "narthex"},
            "spec": {"controllerName": "narthex.dev/gateway-controller"}}));
        world
    }

    fn put(&mut self, value: &Value) {
        let mut value = value.clone();
        value["apiVersion"] = match value["kind"].as_str() {
            Some("Namespace") => json!("v1"),
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
        let names = ["one", "two", "three"];
        let hosts = ["a.test", "b.test", "*.test"];
        let (name, host) = (self.of(&names), self.of(&hosts));
        match self.below(9) {
            0 => {
                let from = self.of(&[
                    json!({"from": "All"}),
                    json!({"from": "Same"}),
                    json!({"from": "None"}),
                    json!({"from": "Selector", "selector": {"matchLabels": {"team": "a"}}}),
                ]);
                self.put(&gateway(&from, host));
            }
            1 => {
                let team = self.of(&["a", "b"]);
                self.put(
                    &json!({"kind": "Namespace", "metadata": {"name": "default", "labels": {"team": team}}}),
                );
            }
            2 => drop(self.objects.remove("Gateway", &Key::new("default", "front"))),
            3 => drop(self.objects.remove("ListenerSet", &Key::new("default", name))),
            4 | 5 => {
                let (parent, age) = (self.of(&["front", "front", "nowhere"]), self.below(3));
                self.put(&set(name, parent, host, age));
            }
            6 => drop(self.objects.remove("HTTPRoute", &Key::new("default", name))),
            _ => {
                let (kind, parent) = (self.of(&["Gateway", "ListenerSet"]), self.of(&names));
                let parent = if kind == "Gateway" { "front" } else { parent };
                self.put(&route(name, kind, parent));
            }
        }
    }

    fn translate(&mut self) -> narthex_translate::Translation {
        self.translator.translate(&self.objects, 1_798_761_600)
    }

    fn compare(&mut self, when: &str) {
        let old = self.translate();
        let new = Translator::new(Settings::default()).translate(&self.objects, 1_798_761_600);
        assert_eq!(old.snapshot, new.snapshot, "{when}");
        assert_eq!(old.diagnostics, new.diagnostics, "{when}");
        let statuses = |translation: &narthex_translate::Translation| {
            serde_json::to_value(&translation.statuses).expect("statuses are plain data")
        };
        assert_eq!(statuses(&old), statuses(&new), "{when}");
    }
}

fn gateway(allowed: &Value, host: &str) -> Value {
    json!({"kind": "Gateway", "metadata": {"name": "front"}, "spec": {"gatewayClassName": "narthex",
        "allowedListeners": {"namespaces": allowed},
        "listeners": [{"name": "own", "port": 80, "protocol": "HTTP", "hostname": host}]}})
}

fn set(name: &str, parent: &str, host: &str, age: u64) -> Value {
    json!({"kind": "ListenerSet", "metadata": {"name": name, "creationTimestamp": format!("2026-01-0{}T00:00:00Z", age + 1)},
        "spec": {"parentRef": {"name": parent},
            "listeners": [{"name": "http", "port": 80, "protocol": "HTTP", "hostname": host}]}})
}

fn route(name: &str, kind: &str, parent: &str) -> Value {
    json!({"kind": "HTTPRoute", "metadata": {"name": name}, "spec": {"parentRefs": [{"kind": kind, "name": parent}],
        "rules": [{"filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "x.test"}}]}]}})
}
