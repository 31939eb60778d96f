//! Backends of every kind and the policies for them: whatever happens to them, a translator that saw each step says what a
//! new one would say.

mod world;

use narthex_translate::{Resolved, Settings};
use serde_json::{Value, json};
use std::sync::LazyLock;
use world::World;

#[test]
fn a_translator_that_saw_every_step_says_the_same_as_a_new_one() {
    for seed in 1..=30 {
        let mut world = World::new(seed, Settings::default);
        for class in ["c", "other"] {
            put(
                &mut world,
                "Gateway",
                class,
                &json!({"gatewayClassName": class, "listeners": [
                {"name": "web", "port": 80, "protocol": "HTTP"}, {"name": "db", "port": 5432, "protocol": "TCP"}]}),
            );
        }
        for step in 0..80 {
            act(&mut world);
            world.compare(&format!("seed {seed}, step {step}"));
        }
    }
}

/// Puts or removes one object.
fn act(world: &mut World) {
    let name = world.of(&["a", "b"]);
    let other = world.of(&["a", "b"]);
    match world.below(16) {
        0 => {
            let kind = world.of(KINDS);
            for name in ["a", "b", BUNDLE] {
                world.remove(kind, name);
            }
        }
        1 => routes(world, name),
        2 => {
            let spec = world.of(&[
                json!({"ports": [{"name": "p", "port": 80}]}),
                json!({"ports": [{"name": "p", "port": 80, "appProtocol": "kubernetes.io/h2c"}, {"name": "q", "port": 81}]}),
                json!({"type": "ExternalName", "externalName": "out.example", "ports": [{"port": 80}]}),
            ]);
            put(world, "Service", name, &spec);
        }
        3 => {
            let label = world.of(&[
                "kubernetes.io/service-name",
                "gateway.networking.x-k8s.io/xbackend-name",
            ]);
            let address = world.of(&["10.0.0.1", "10.0.0.2", "nonsense"]);
            world.put(
                "discovery.k8s.io/v1",
                &json!({"kind": "EndpointSlice", "metadata": {"name": name, "namespace": "default", "labels": {label: other}},
                    "addressType": "IPv4", "endpoints": [{"addresses": [address]}], "ports": [{"name": "p", "port": 8080}]}),
            );
        }
        4 | 5 => x_backend(world, name),
        6 => {
            let (app, ip) = (world.of(&["a", "b"]), world.of(&["10.1.0.1", "10.1.0.2", ""]));
            let ready = world.of(&["True", "False"]);
            world.put(
                "v1",
                &json!({"kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": {"app": app}},
                    "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                        "conditions": [{"type": "Ready", "status": ready}]}}),
            );
        }
        7 => {
            let data = world.of(&[AUTHORITY.as_str(), "nonsense"]);
            let value = json!({"kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": {"ca.crt": data}});
            world.put("v1", &value);
        }
        8 => {
            let bundle = world.of(&[AUTHORITY.as_str(), "nonsense"]);
            let value = json!({"kind": "ClusterTrustBundle", "metadata": {"name": BUNDLE}, "spec": {"trustBundle": bundle}});
            world.put("certificates.k8s.io/v1", &value);
        }
        9 => {
            if !world.objects.absent.remove("ClusterTrustBundle") {
                world.objects.absent.insert("ClusterTrustBundle");
            }
        }
        10 => {
            let answer = world.of(&[
                None,
                Some(vec![[192, 0, 2, 1]]),
                Some(vec![[192, 0, 2, 2], [127, 0, 0, 1]]),
            ]);
            match answer {
                None => drop(world.objects.resolved.remove("out.example")),
                Some(addresses) => {
                    let resolved = Resolved {
                        addresses: addresses.into_iter().map(Into::into).collect(),
                        error: None,
                    };
                    world.objects.resolved.insert("out.example".into(), resolved);
                }
            }
        }
        _ => policy(world, name, other),
    }
}

fn routes(world: &mut World, name: &str) {
    let parent = world.of(&["c", "c", "other"]);
    let backends: Vec<_> = (0..=world.below(2))
        .map(|_| {
            let (group, kind) = world.of(&[("", "Service"), ("gateway.networking.x-k8s.io", "XBackend")]);
            json!({"group": group, "kind": kind, "name": world.of(&["a", "b", "gone"]), "port": 80})
        })
        .collect();
    let session = world.of(&[Value::Null, json!({"cookie": {"name": "s"}})]);
    let (kind, rule) = world.of(&[
        (
            "HTTPRoute",
            json!({"backendRefs": backends, "sessionPersistence": session}),
        ),
        ("GRPCRoute", json!({"backendRefs": backends})),
        ("TCPRoute", json!({"backendRefs": backends})),
    ]);
    let spec = json!({"parentRefs": [{"name": parent}], "rules": [rule]});
    put(world, kind, name, &spec);
}

fn x_backend(world: &mut World, name: &str) {
    let mut spec = world.of(&[
        json!({"type": "ExternalHostname", "externalHostname": {"hostname": "out.example"}}),
        json!({"type": "EndpointSelector", "endpointSelector": {"matchLabels": {"app": "a"}}}),
        json!({"type": "EndpointSelector", "endpointSelector": {"matchLabels": {"app": "b"}},
            "sessionPersistence": {"type": "Header", "header": {"name": "x-own"}}}),
        json!({"type": "EndpointSelector"}),
    ]);
    spec["port"] = json!({"number": 80});
    spec["protocol"] = world.of(&[Value::Null, json!("H2C"), json!("GRPC")]);
    if world.below(3) == 0 {
        spec["tls"] = json!({"mode": "ServerOnly", "validation": validation(world)});
    }
    put(world, "XBackend", name, &spec);
}

fn policy(world: &mut World, name: &str, other: &str) {
    let (group, kind) = world.of(&[("", "Service"), ("gateway.networking.x-k8s.io", "XBackend")]);
    let target = json!([{"group": group, "kind": kind, "name": other}]);
    let gateway = world.of(&["c", "other", "gone"]);
    let (kind, spec) = match world.below(3) {
        0 => {
            let mut spec = world.of(&[
                json!({"retryConstraint": {"budget": {"percent": 10}}}),
                json!({"retryConstraint": {"budget": {"percent": 1000}}}),
                json!({"sessionPersistence": {"cookie": {"name": "t"}}}),
            ]);
            spec["targetRefs"] = target;
            ("XBackendTrafficPolicy", spec)
        }
        1 => (
            "XTelemetryPolicy",
            json!({"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway}],
                "tracing": {"mode": world.of(&["Enabled", "Disabled"])}}),
        ),
        _ => (
            "BackendTLSPolicy",
            json!({"targetRefs": target, "validation": validation(world)}),
        ),
    };
    put(world, kind, name, &spec);
}

fn validation(world: &mut World) -> Value {
    world.of(&[
        json!({"hostname": "in.example", "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "a"}]}),
        json!({"hostname": "in.example", "caCertificateRefs":
            [{"group": "certificates.k8s.io", "kind": "ClusterTrustBundle", "name": BUNDLE}]}),
        json!({"hostname": "in.example", "wellKnownCACertificates": "System"}),
    ])
}

/// Its age changes too, so that now one and now the other is the older.
fn put(world: &mut World, kind: &str, name: &str, spec: &Value) {
    let version = match kind {
        "Service" => "v1",
        "XBackend" | "XBackendTrafficPolicy" | "XTelemetryPolicy" => "gateway.networking.x-k8s.io/v1alpha1",
        _ => "gateway.networking.k8s.io/v1",
    };
    let day = world.below(3) + 1;
    world.put(
        version,
        &json!({"kind": kind, "spec": spec, "metadata":
            {"name": name, "namespace": "default", "creationTimestamp": format!("2026-01-0{day}T00:00:00Z")}}),
    );
}

const KINDS: &[&str] = &[
    "HTTPRoute",
    "GRPCRoute",
    "TCPRoute",
    "Service",
    "EndpointSlice",
    "XBackend",
    "Pod",
    "ConfigMap",
    "ClusterTrustBundle",
    "BackendTLSPolicy",
    "XBackendTrafficPolicy",
    "XTelemetryPolicy",
];

const BUNDLE: &str = "example.com:internal:roots";

static AUTHORITY: LazyLock<String> = LazyLock::new(|| {
    let mut parameters = rcgen::CertificateParams::default();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().expect("a key");
    parameters.self_signed(&key).expect("a certificate").pem()
});
