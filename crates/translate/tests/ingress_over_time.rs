//! What a change of one object does to the rest: what must follow it, and what must stay the same allocation.

use ir::{Action, Code, Route, Snapshot, Target, UpstreamId};
use narthex_translate::{Key, Object, Objects, Resolved, Settings, Translation, Translator};
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn a_rolling_deployment_touches_the_endpoints_of_one_upstream_and_nothing_else() {
    let mut world = World::new();
    world.service("web", "10.0.0.1").service("other", "10.0.1.1");
    world.put(&ingress(
        "main",
        &[("shop.test", "/", "web"), ("shop.test", "/other", "other")],
    ));
    let before = world.translate().snapshot;
    world.put(&slice("web", "10.0.0.2"));
    let after = world.translate().snapshot;
    let (web, other) = (id("web"), id("other"));
    assert_ne!(before.upstreams[&web].endpoints, after.upstreams[&web].endpoints);
    assert!(Arc::ptr_eq(
        &before.upstreams[&web].settings,
        &after.upstreams[&web].settings
    ));
    assert!(Arc::ptr_eq(&before.upstreams[&other], &after.upstreams[&other]));
    assert_eq!(before.binds.len(), 2);
    for (before, after) in before.binds.iter().zip(&after.binds) {
        assert!(Arc::ptr_eq(before, after), "no bind changes with an endpoint");
    }
}

#[test]
fn settings_of_a_service_survive_a_change_of_its_endpoints() {
    let mut world = World::new();
    world.service("web", "10.0.0.1");
    world.put(&json!({"kind": "Service", "metadata": {"name": "web", "annotations": {"narthex.dev/balance": "least-request"}},
        "spec": {"ports": [{"name": "http", "port": 80}]}}));
    world.put(&ingress("main", &[("shop.test", "/", "web")]));
    let before = world.translate().snapshot;
    world.put(&slice("web", "10.0.0.2"));
    let after = world.translate().snapshot;
    let (before, after) = (&before.upstreams[&id("web")], &after.upstreams[&id("web")]);
    assert_ne!(before.endpoints, after.endpoints);
    assert!(Arc::ptr_eq(&before.settings, &after.settings));
}

#[test]
fn a_change_of_one_ingress_leaves_the_routes_of_others_alone() {
    let mut world = World::new();
    world.service("web", "10.0.0.1");
    world.put(&ingress("a", &[("a.test", "/", "web")]));
    world.put(&ingress("b", &[("b.test", "/", "web")]));
    let before = world.translate().snapshot;
    world.put(&ingress(
        "b",
        &[("b.test", "/", "web"), ("b.test", "/more", "web")],
    ));
    let after = world.translate().snapshot;
    assert!(Arc::ptr_eq(&route(&before, "a"), &route(&after, "a")));
    assert_eq!(route(&after, "b").rules.len(), 2);
}

#[test]
fn a_class_that_comes_after_its_ingress_is_picked_up_and_let_go_again() {
    let mut world = World::new();
    world.service("web", "10.0.0.1");
    let mut late = ingress("main", &[("shop.test", "/", "web")]);
    late["spec"]["ingressClassName"] = json!("front");
    world.put(&late);
    let translation = world.translate();
    assert!(translation.snapshot.binds.is_empty() && translation.statuses.is_empty());
    assert_eq!(codes(&translation), [Code::IngressClassUnknown]);
    world.put(&json!({"kind": "IngressClass", "metadata": {"name": "front"},
        "spec": {"controller": "narthex.dev/ingress-controller"}}));
    let translation = world.translate();
    assert_eq!(translation.snapshot.binds.len(), 2);
    assert_eq!((translation.statuses.len(), codes(&translation).len()), (1, 0));
    world.remove("IngressClass", &Key::new("", "front"));
    assert!(world.translate().snapshot.binds.is_empty());
}

#[test]
fn a_default_backend_comes_back_when_the_root_of_another_ingress_goes() {
    let mut world = World::new();
    world.service("web", "10.0.0.1").service("root", "10.0.1.1");
    let mut with_default = ingress("a", &[("shop.test", "/a", "web")]);
    with_default["spec"]["defaultBackend"] = json!({"service": {"name": "web", "port": {"number": 80}}});
    world.put(&with_default);
    world.put(&ingress("b", &[("shop.test", "/", "root")]));
    assert_eq!(route(&world.translate().snapshot, "a").rules.len(), 1);
    world.remove("Ingress", &Key::new("default", "b"));
    let translation = world.translate();
    assert_eq!(route(&translation.snapshot, "a").rules.len(), 2);
    assert!(codes(&translation).is_empty());
}

#[test]
fn a_host_that_gains_tls_redirects_the_rules_of_every_ingress() {
    let mut world = World::new();
    world.service("web", "10.0.0.1");
    world.put(&ingress("plain", &[("shop.test", "/", "web")]));
    assert!(
        route(&world.translate().snapshot, "plain").rules[0]
            .filters
            .is_empty()
    );
    let mut secure = ingress("secure", &[("shop.test", "/secure", "web")]);
    secure["spec"]["tls"] = json!([{"hosts": ["shop.test"]}]);
    world.put(&secure);
    assert_eq!(
        route(&world.translate().snapshot, "plain").rules[0].filters.len(),
        1
    );
    world.remove("Ingress", &Key::new("default", "secure"));
    assert!(
        route(&world.translate().snapshot, "plain").rules[0]
            .filters
            .is_empty()
    );
}

#[test]
fn the_loser_of_a_path_is_told_no_more_once_the_winner_goes() {
    let mut world = World::new();
    world.service("web", "10.0.0.1");
    world.put(&ingress("a", &[("shop.test", "/", "web")]));
    world.put(&ingress("b", &[("shop.test", "/", "web")]));
    assert_eq!(codes(&world.translate()), [Code::PathClaimedTwice]);
    world.remove("Ingress", &Key::new("default", "a"));
    assert!(codes(&world.translate()).is_empty());
}

#[test]
fn a_service_that_appears_mends_its_rule() {
    let mut world = World::new();
    world.put(&ingress("main", &[("shop.test", "/", "web")]));
    let translation = world.translate();
    assert_eq!(codes(&translation), [Code::BackendNotFound]);
    assert!(matches!(
        target(&route(&translation.snapshot, "main")),
        Target::Broken { status: 503, .. }
    ));
    world.service("web", "10.0.0.1");
    let translation = world.translate();
    assert!(codes(&translation).is_empty());
    assert_eq!(
        target(&route(&translation.snapshot, "main")),
        Target::Upstream(id("web"))
    );
}

#[test]
fn an_external_name_is_asked_for_and_its_answer_used() {
    let mut world = World::new();
    world.put(&json!({"kind": "Service", "metadata": {"name": "web"},
        "spec": {"type": "ExternalName", "externalName": "far.example.com"}}));
    world.put(&ingress("main", &[("shop.test", "/", "web")]));
    let translation = world.translate();
    assert_eq!(translation.external_names, ["far.example.com"]);
    assert!(translation.snapshot.upstreams[&id("web")].endpoints.is_empty());
    let resolved = |addresses: &[&str], error: Option<&str>| Resolved {
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        error: error.map(Into::into),
    };
    world.resolve("far.example.com", resolved(&["198.51.100.1"], None));
    let translation = world.translate();
    assert_eq!(translation.snapshot.upstreams[&id("web")].endpoints.len(), 1);
    assert!(codes(&translation).is_empty());
    world.resolve("far.example.com", resolved(&["198.51.100.1"], Some("timed out")));
    let translation = world.translate();
    assert_eq!(translation.snapshot.upstreams[&id("web")].endpoints.len(), 1);
    assert_eq!(codes(&translation), [Code::ExternalNameUnresolved]);
}

#[test]
fn a_secret_that_goes_bad_keeps_its_certificate_and_one_that_goes_away_does_not() {
    let mut world = World::new();
    world.service("web", "10.0.0.1");
    let mut secure = ingress("main", &[("shop.test", "/", "web")]);
    secure["spec"]["tls"] = json!([{"hosts": ["shop.test"], "secretName": "cert"}]);
    world.put(&secure);
    let pair = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    let certificate = certificate.self_signed(&pair).unwrap().pem();
    world.put(&secret(&certificate, &pair.serialize_pem()));
    let good = world.translate().snapshot.certificates;
    assert_eq!(good.len(), 1);
    world.put(&secret("not a certificate", &pair.serialize_pem()));
    let translation = world.translate();
    assert_eq!(translation.snapshot.certificates, good);
    assert!(codes(&translation).contains(&Code::CertificateInvalid));
    world.remove("Secret", &Key::new("default", "cert"));
    let translation = world.translate();
    assert!(translation.snapshot.certificates.is_empty());
    assert_eq!(codes(&translation), [Code::SecretNotFound]);
    world.put(&secret("not a certificate", "nor a key"));
    assert!(world.translate().snapshot.certificates.is_empty());
}

#[test]
fn a_translator_that_saw_every_step_says_the_same_as_a_new_one() {
    let mut world = World::new();
    world.service("web", "10.0.0.1").service("other", "10.0.1.1");
    for (name, host, path) in [
        ("a", "x.test", "/"),
        ("b", "x.test", "/"),
        ("c", "*.test", "/c"),
        ("d", "y.test", "/d"),
    ] {
        world.put(&ingress(name, &[(host, path, "web"), (host, "/both", "other")]));
        world.compare_with_a_new_translator();
    }
    world.remove("Ingress", &Key::new("default", "a"));
    world.compare_with_a_new_translator();
    world.remove("Service", &Key::new("default", "web"));
    world.compare_with_a_new_translator();
    world.service("web", "10.0.0.9");
    world.compare_with_a_new_translator();
}

/// Objects that change, and the translator that follows them.
struct World {
    objects: Objects,
    translator: Translator,
}

impl World {
    fn new() -> Self {
        Self {
            objects: Objects::default(),
            translator: Translator::new(Settings::default()),
        }
    }

    fn put(&mut self, value: &Value) {
        let mut value = value.clone();
        value["apiVersion"] = json!(match value["kind"].as_str().expect("a kind") {
            "Ingress" | "IngressClass" => "networking.k8s.io/v1",
            "EndpointSlice" => "discovery.k8s.io/v1",
            _ => "v1",
        });
        let object = Object::from_value(&value).expect("an object of its kind");
        self.objects.insert(object.expect("a kind that is read"));
    }

    fn remove(&mut self, kind: &str, key: &Key) {
        assert!(self.objects.remove(kind, key));
    }

    fn resolve(&mut self, name: &str, answer: Resolved) {
        self.objects.resolved.insert(name.to_owned(), answer);
    }

    fn service(&mut self, name: &str, address: &str) -> &mut Self {
        self.put(&json!({"kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}]}}));
        self.put(&slice(name, address));
        self
    }

    fn translate(&mut self) -> Translation {
        self.translator.translate(&self.objects, 1_798_761_600)
    }

    fn compare_with_a_new_translator(&mut self) {
        let old = self.translate();
        let new = Translator::new(Settings::default()).translate(&self.objects, 1_798_761_600);
        assert_eq!(old.snapshot, new.snapshot);
        assert_eq!(old.diagnostics, new.diagnostics);
    }
}

fn slice(name: &str, address: &str) -> Value {
    json!({"kind": "EndpointSlice", "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4", "endpoints": [{"addresses": [address]}], "ports": [{"name": "http", "port": 8080}]})
}

/// An Ingress with these hosts, prefixes and Services.
fn ingress(name: &str, rules: &[(&str, &str, &str)]) -> Value {
    let rules = rules.iter().map(|(host, path, service)| {
        json!({"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix",
            "backend": {"service": {"name": service, "port": {"number": 80}}}}]}})
    });
    json!({"kind": "Ingress", "metadata": {"name": name}, "spec": {"rules": rules.collect::<Vec<_>>()}})
}

fn secret(certificate: &str, key: &str) -> Value {
    json!({"kind": "Secret", "metadata": {"name": "cert"}, "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": certificate, "tls.key": key}})
}

fn route(snapshot: &Snapshot, ingress: &str) -> Arc<Route> {
    let mut routes = snapshot.binds[0].listeners[0].routes.iter();
    Arc::clone(
        routes
            .find(|route| &*route.origin.name == ingress)
            .expect("the Ingress has a route"),
    )
}

fn target(route: &Route) -> Target {
    match &route.rules[0].action {
        Action::Forward(backends) => backends[0].target.clone(),
        other => panic!("{other:?} instead of a backend"),
    }
}

fn id(service: &str) -> UpstreamId {
    UpstreamId(format!("default/{service}:80").into())
}

fn codes(translation: &Translation) -> Vec<Code> {
    translation
        .diagnostics
        .iter()
        .map(|finding| finding.code)
        .collect()
}
