//! What a translator remembers must never show in what it says, only in which allocations it says it with.

use ir::{Diagnostic, Snapshot};
use narthex_translate::{Key, Object, Objects, Settings, Translation, Translator};
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn nothing_changed_means_every_part_is_the_same_allocation() {
    let objects = shop(50);
    let mut translator = Translator::new(Settings::default());
    let (first, second) = (
        translator.translate(&objects, 0),
        translator.translate(&objects, 0),
    );
    assert_eq!(first.snapshot, second.snapshot);
    assert!(same(&first.snapshot.binds, &second.snapshot.binds));
    assert!(first.statuses.is_same(&second.statuses));
    assert!(Arc::ptr_eq(&first.snapshot.http, &second.snapshot.http));
    let upstreams = first.snapshot.upstreams.values();
    assert!(
        upstreams
            .zip(second.snapshot.upstreams.values())
            .all(|(a, b)| Arc::ptr_eq(a, b))
    );
}

#[test]
fn one_changed_route_among_3000_leaves_all_others_alone() {
    let mut objects = shop(3000);
    let mut translator = Translator::new(Settings::default());
    let before = translator.translate(&objects, 0);
    objects.insert(route(1234, "/changed"));
    let after = translator.translate(&objects, 0);
    let (before, after) = (routes(&before.snapshot), routes(&after.snapshot));
    assert_eq!(before.len(), 3000);
    let changed: Vec<usize> = (0..3000)
        .filter(|&index| !Arc::ptr_eq(&before[index], &after[index]))
        .collect();
    assert_eq!(changed.len(), 1);
    assert_eq!(&*before[changed[0]].origin.name, "route-01234");
}

/// The number of other routes must not matter to what a change looks at.
#[test]
fn a_change_visits_the_same_few_units_among_many_routes_as_among_few() {
    for routes in [100, 3000] {
        let mut objects = shop(routes);
        let mut translator = Translator::new(Settings::default());
        translator.translate(&objects, 0);
        let mut visits = |objects: &Objects| {
            let before = translator.visited();
            translator.translate(objects, 0);
            translator.visited() - before
        };
        assert_eq!(visits(&objects), 0);
        objects.insert(route(42, "/changed"));
        assert_eq!(visits(&objects), 1);
        objects.insert(slice(&["10.0.0.7"]));
        assert_eq!(visits(&objects), 1);
        objects.remove("HTTPRoute", &Key::new("default", "route-00042"));
        assert_eq!(visits(&objects), 0);
    }
}

#[test]
fn a_snapshot_after_a_change_shares_all_but_a_few_pages_with_the_one_before() {
    let mut objects = shop(3000);
    let mut translator = Translator::new(Settings::default());
    let before = translator.translate(&objects, 0).snapshot;
    objects.insert(route(1234, "/changed"));
    let after = translator.translate(&objects, 0).snapshot;
    let difference = after.binds[0].listeners[0]
        .routes
        .since(&before.binds[0].listeners[0].routes);
    assert_eq!((difference.gone.len(), difference.new.len()), (1, 1));
    assert!(after.upstreams.list().is_same(before.upstreams.list()));
    assert!(Arc::ptr_eq(&after.certificates, &before.certificates));
}

#[test]
fn an_object_read_again_with_the_same_content_changes_nothing() {
    let mut objects = shop(10);
    let mut translator = Translator::new(Settings::default());
    let before = translator.translate(&objects, 0);
    objects.insert(route(3, "/"));
    objects.insert(service());
    objects.insert(gateway());
    objects.insert(slice(&["10.0.0.1"]));
    let after = translator.translate(&objects, 0);
    assert!(same(&before.snapshot.binds, &after.snapshot.binds));
    assert!(before.statuses.is_same(&after.statuses));
}

#[test]
fn new_endpoints_touch_one_upstream_and_no_route() {
    let mut objects = shop(10);
    let mut translator = Translator::new(Settings::default());
    let before = translator.translate(&objects, 0);
    objects.insert(slice(&["10.0.0.1", "10.0.0.2"]));
    let after = translator.translate(&objects, 0);
    assert!(same(&before.snapshot.binds, &after.snapshot.binds));
    let upstream = |translation: &Translation| {
        let mut upstreams = translation.snapshot.upstreams.values();
        upstreams.next().cloned().unwrap()
    };
    let (before, after) = (upstream(&before), upstream(&after));
    assert_eq!((before.endpoints.len(), after.endpoints.len()), (1, 2));
    assert!(Arc::ptr_eq(&before.settings, &after.settings));
}

#[test]
fn diagnostics_are_sorted_and_each_stands_once() {
    let mut objects = Objects::default();
    for name in ["b", "a", "c"] {
        objects.insert(object(
            "gateway.networking.k8s.io/v1",
            "Gateway",
            name,
            json!({"gatewayClassName": "gone"}),
        ));
    }
    let found = Translator::new(Settings::default())
        .translate(&objects, 0)
        .diagnostics;
    let place = |diagnostic: &Diagnostic| {
        (
            diagnostic.origin.clone(),
            diagnostic.field.clone(),
            diagnostic.code,
        )
    };
    assert_eq!(found.len(), 3);
    assert!(found.windows(2).all(|pair| place(&pair[0]) < place(&pair[1])));
}

/// Objects come, change and go in random order; after each step the translator that has seen all of it must say
/// the same as one that sees the objects for the first time.
#[test]
fn a_translator_with_a_past_says_the_same_as_one_without() {
    let universe = universe();
    for seed in 1..=40 {
        let mut dice = Dice(seed);
        let mut objects = Objects::default();
        let mut old = Translator::new(Settings::default());
        for step in 0..60 {
            for _ in 0..=dice.roll(3) {
                let object = &universe[dice.roll(universe.len())];
                if dice.roll(3) == 0 {
                    objects.remove(object.kind(), &object.key());
                } else {
                    objects.insert(object.clone());
                }
            }
            let remembered = old.translate(&objects, 0);
            let fresh = Translator::new(Settings::default()).translate(&objects, 0);
            let place = format!("seed {seed}, step {step}");
            assert_eq!(remembered.snapshot, fresh.snapshot, "{place}");
            assert_eq!(remembered.statuses, fresh.statuses, "{place}");
            assert_eq!(remembered.diagnostics, fresh.diagnostics, "{place}");
            assert_eq!(remembered.external_names, fresh.external_names, "{place}");
        }
    }
}

/// Every kind, in versions that differ in what others look at.
fn universe() -> Vec<Object> {
    let gateway_api = "gateway.networking.k8s.io/v1";
    let mut all = vec![
        class("narthex.dev/gateway-controller"),
        class("example.com/other"),
        gateway(),
        service(),
        slice(&["10.0.0.1"]),
        slice(&["10.0.0.2", "10.0.0.3"]),
        object("v1", "Service", "web", json!({"ports": [{"port": 81}]})),
        object(
            "v1",
            "Service",
            "web",
            json!({"type": "ExternalName", "externalName": "a.example.com", "ports": [{"port": 80}]}),
        ),
        object(
            gateway_api,
            "Gateway",
            "front",
            json!({"gatewayClassName": "narthex", "listeners": [
                {"name": "a", "port": 80, "protocol": "HTTP", "hostname": "*.example.com",
                 "allowedRoutes": {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "red"}}}}},
                {"name": "b", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "gone"}]}}]}),
        ),
        object(
            gateway_api,
            "Gateway",
            "second",
            json!({"gatewayClassName": "narthex", "listeners": [{"name": "web", "port": 80, "protocol": "HTTP"}]}),
        ),
        object(
            "networking.k8s.io/v1",
            "IngressClass",
            "narthex",
            json!({"controller": "narthex.dev/ingress-controller"}),
        ),
    ];
    for team in ["red", "blue"] {
        let mut namespace = value("v1", "Namespace", "default", json!({}));
        namespace["metadata"]["labels"] = json!({"team": team});
        all.push(read(&namespace));
    }
    for path in ["/", "/cart"] {
        all.push(route(1, path));
        all.push(route(2, path));
        let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
        for (name, tls) in [
            ("one", json!([])),
            ("two", json!([{"hosts": ["h1.example.com"]}])),
        ] {
            all.push(object(
                "networking.k8s.io/v1",
                "Ingress",
                name,
                json!({"ingressClassName": "narthex", "tls": tls, "rules": [{"host": "h1.example.com", "http":
                    {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}]}),
            ));
        }
    }
    let mut elsewhere = value(
        gateway_api,
        "HTTPRoute",
        "elsewhere",
        json!({"parentRefs": [{"name": "front"}, {"name": "second"}], "rules": [
            {"backendRefs": [{"name": "web", "namespace": "other", "port": 80}]}]}),
    );
    all.push(read(&elsewhere));
    elsewhere["spec"]["rules"][0]["backendRefs"][0]["name"] = json!("web2");
    all.push(read(&elsewhere));
    let mut other = value("v1", "Service", "web", json!({"ports": [{"port": 80}]}));
    other["metadata"]["namespace"] = json!("other");
    all.push(read(&other));
    let mut grant = value(
        gateway_api,
        "ReferenceGrant",
        "grant",
        json!({"from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": "default"}],
            "to": [{"group": "", "kind": "Service"}]}),
    );
    grant["metadata"]["namespace"] = json!("other");
    all.push(read(&grant));
    all
}

/// A class, a Gateway, a Service with an endpoint, and routes.
fn shop(routes: usize) -> Objects {
    let mut objects = Objects::default();
    objects.insert(class("narthex.dev/gateway-controller"));
    objects.insert(gateway());
    objects.insert(service());
    objects.insert(slice(&["10.0.0.1"]));
    for number in 0..routes {
        objects.insert(route(number, "/"));
    }
    objects
}

fn class(controller: &str) -> Object {
    object(
        "gateway.networking.k8s.io/v1",
        "GatewayClass",
        "narthex",
        json!({"controllerName": controller}),
    )
}

fn gateway() -> Object {
    object(
        "gateway.networking.k8s.io/v1",
        "Gateway",
        "front",
        json!({"gatewayClassName": "narthex", "listeners": [{"name": "web", "port": 80, "protocol": "HTTP"}]}),
    )
}

fn route(number: usize, path: &str) -> Object {
    object(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        &format!("route-{number:05}"),
        json!({"parentRefs": [{"name": "front"}], "hostnames": [format!("h{number}.example.com")], "rules": [
            {"matches": [{"path": {"value": path}}], "backendRefs": [{"name": "web", "port": 80}]}]}),
    )
}

fn service() -> Object {
    object("v1", "Service", "web", json!({"ports": [{"port": 80}]}))
}

fn slice(addresses: &[&str]) -> Object {
    let endpoints: Vec<Value> = addresses
        .iter()
        .map(|address| json!({"addresses": [address]}))
        .collect();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": endpoints});
    read(&slice)
}

fn object(version: &str, kind: &str, name: &str, spec: Value) -> Object {
    read(&value(version, kind, name, spec))
}

fn read(value: &Value) -> Object {
    let object = Object::from_value(value).expect("the objects of these tests can be read");
    object.expect("the kinds of these tests are known")
}

fn value(version: &str, kind: &str, name: &str, spec: Value) -> Value {
    let mut value = json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}});
    value["spec"] = spec;
    value
}

fn routes(snapshot: &Snapshot) -> Vec<Arc<ir::Route>> {
    let listeners = snapshot.binds.iter().flat_map(|bind| &bind.listeners);
    listeners
        .flat_map(|listener| listener.routes.iter().cloned())
        .collect()
}

fn same<T>(a: &[Arc<T>], b: &[Arc<T>]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
}

/// xorshift64: the same throws for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

#[test]
fn an_object_that_goes_takes_everything_with_it() {
    let mut objects = shop(3);
    let mut translator = Translator::new(Settings::default());
    translator.translate(&objects, 0);
    for number in 0..3 {
        assert!(objects.remove("HTTPRoute", &Key::new("default", format!("route-{number:05}"))));
    }
    let after = translator.translate(&objects, 0);
    assert!(routes(&after.snapshot).is_empty() && after.snapshot.upstreams.is_empty());
    objects.remove("Gateway", &Key::new("default", "front"));
    assert!(translator.translate(&objects, 0).snapshot.binds.is_empty());
}
