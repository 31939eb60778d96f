//! Objects that change by chance, and a translator that follows them.

use narthex_translate::{Key, Object, Objects, Settings, Translation, Translator};
use serde_json::{Value, json};

/// A small world, so that its objects often meet.
pub struct World {
    /// As they are now.
    pub objects: Objects,
    translator: Translator,
    settings: fn() -> Settings,
    chance: u64,
}

impl World {
    /// An empty one, with a GatewayClass `c` of ours and one of others, `other`.
    pub fn new(seed: u64, settings: fn() -> Settings) -> Self {
        let mut world = Self {
            objects: Objects::default(),
            translator: Translator::new(settings()),
            settings,
            chance: seed,
        };
        for (name, controller) in [("c", "narthex.dev/gateway-controller"), ("other", "x.test/x")] {
            world.put(
                "gateway.networking.k8s.io/v1",
                &json!({"kind": "GatewayClass", "metadata": {"name": name}, "spec": {"controllerName": controller}}),
            );
        }
        world
    }

    /// Puts an object in, whole but for its version.
    pub fn put(&mut self, version: &str, value: &Value) {
        let mut value = value.clone();
        value["apiVersion"] = json!(version);
        let object = Object::from_value(&value).expect("an object of its kind");
        self.objects.insert(object.expect("a kind that is read"));
    }

    /// Takes one out of the namespace `default`, or of none.
    pub fn remove(&mut self, kind: &str, name: &str) {
        for namespace in ["default", ""] {
            self.objects.remove(kind, &Key::new(namespace, name));
        }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % bound
    }

    /// One of several.
    pub fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// What the translator says now.
    pub fn translate(&mut self) -> Translation {
        self.translator.translate(&self.objects, NOW)
    }

    /// Whether the translator that saw every step says what a new one says.
    pub fn compare(&mut self, when: &str) {
        let old = self.translate();
        let new = Translator::new((self.settings)()).translate(&self.objects, NOW);
        assert_eq!(old.snapshot, new.snapshot, "{when}");
        assert_eq!(old.diagnostics, new.diagnostics, "{when}");
        assert_eq!(old.services, new.services, "{when}");
        assert_eq!(old.named, new.named, "{when}");
        assert_eq!(old.external_names, new.external_names, "{when}");
        let statuses = |translation: &Translation| {
            serde_json::to_value(&translation.statuses).expect("statuses are plain data")
        };
        assert_eq!(statuses(&old), statuses(&new), "{when}");
    }
}

/// 2027-01-01.
const NOW: i64 = 1_798_761_600;
