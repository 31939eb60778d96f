//! Objects for the gate, and translation of them: all from nothing, and one changed among all.

use crate::count::within;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use translate::{Object, Objects, Settings, Translation, Translator};

/// Mid-2026, whenever this runs.
pub const NOW: i64 = 1_780_000_000;
const ROUTES: usize = 5_000;
const CHANGES: usize = 50;

/// Instructions per route.
pub fn count_all(out: &Path) -> Result<f64, String> {
    Ok(within("counted_translation", out, &["translate"])? / ROUTES as f64)
}

/// Instructions per change.
pub fn count_change(out: &Path) -> Result<f64, String> {
    Ok(within("counted_translation", out, &["change"])? / CHANGES as f64)
}

/// `work translate`
pub fn work_all() -> Result<(), String> {
    let objects = many()?;
    let mut translator = Translator::new(Settings::default());
    let translation = counted_translation(&mut translator, &objects);
    served(&translation)
}

/// `work change`
pub fn work_change() -> Result<(), String> {
    let mut objects = many()?;
    let mut translator = Translator::new(Settings::default());
    let mut last = translator.translate(&objects, NOW);
    for change in 0..CHANGES {
        // Spread over all, each with a path of its own.
        let number = change * (ROUTES / CHANGES);
        insert(&mut objects, &http_route(number, &format!("/changed-{change}")))?;
        last = counted_translation(&mut translator, &objects);
    }
    served(&last)
}

#[inline(never)]
fn counted_translation(translator: &mut Translator, objects: &Objects) -> Translation {
    translator.translate(objects, NOW)
}

fn served(translation: &Translation) -> Result<(), String> {
    let routes: usize = translation
        .snapshot
        .binds
        .iter()
        .flat_map(|bind| &bind.listeners)
        .map(|listener| listener.routes.len())
        .sum();
    if routes >= ROUTES {
        Ok(())
    } else {
        Err(format!("translate: {routes} routes of {ROUTES} are served"))
    }
}

/// A Gateway on port 80, and one route to one endpoint.
pub fn one(origin: SocketAddr) -> Result<Objects, String> {
    let mut objects = gateway()?;
    service(&mut objects, "origin", &origin.ip().to_string(), origin.port())?;
    let route = route(
        "bench",
        "bench.example",
        &json!([{"backendRefs": [{"name": "origin", "port": 80}]}]),
    );
    insert(&mut objects, &route)?;
    Ok(objects)
}

/// 5,000 HTTPRoutes of four shapes to 500 Services.
fn many() -> Result<Objects, String> {
    let mut objects = gateway()?;
    for number in 0..ROUTES / 10 {
        let address = format!("10.1.{}.{}", number / 250, number % 250 + 1);
        service(&mut objects, &format!("service-{number}"), &address, 8080)?;
    }
    for number in 0..ROUTES {
        insert(&mut objects, &http_route(number, "/api"))?;
    }
    Ok(objects)
}

fn insert(objects: &mut Objects, value: &Value) -> Result<(), String> {
    match Object::from_value(value) {
        Ok(Some(object)) => {
            objects.insert(object);
            Ok(())
        }
        other => Err(format!("an object of the gate is refused: {other:?}")),
    }
}

fn gateway() -> Result<Objects, String> {
    let mut objects = Objects::default();
    insert(
        &mut objects,
        &json!({
            "apiVersion": GATEWAY_API, "kind": "GatewayClass", "metadata": {"name": "narthex"},
            "spec": {"controllerName": "narthex.dev/gateway-controller"},
        }),
    )?;
    insert(
        &mut objects,
        &json!({
            "apiVersion": GATEWAY_API, "kind": "Gateway", "metadata": {"name": "front", "namespace": "shop"},
            "spec": {
                "gatewayClassName": "narthex",
                "listeners": [{"name": "http", "protocol": "HTTP", "port": 80}],
            },
        }),
    )?;
    Ok(objects)
}

fn service(objects: &mut Objects, name: &str, address: &str, port: u16) -> Result<(), String> {
    insert(
        objects,
        &json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
            "spec": {"ports": [{"port": 80}]},
        }),
    )?;
    insert(
        objects,
        &json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{name}-1"), "namespace": "shop", "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4", "ports": [{"port": port}], "endpoints": [{"addresses": [address]}],
        }),
    )
}

fn http_route(number: usize, path: &str) -> Value {
    let backends = json!([{"name": format!("service-{}", number % (ROUTES / 10)), "port": 80}]);
    let rules = match number % 4 {
        0 => json!([{"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": backends}]),
        1 => json!([
            {"matches": [{"path": {"type": "Exact", "value": path}, "method": "GET"}], "backendRefs": backends},
            {"backendRefs": backends},
        ]),
        2 => json!([{
            "matches": [{
                "path": {"type": "PathPrefix", "value": path},
                "headers": [{"name": "x-tenant", "value": format!("t{number}")}],
            }],
            "filters": [{
                "type": "RequestHeaderModifier",
                "requestHeaderModifier": {"set": [{"name": "X-Route", "value": format!("r{number}")}]},
            }],
            "backendRefs": backends,
        }]),
        _ => json!([
            {
                "matches": [{"path": {"type": "RegularExpression", "value": format!("{path}/[0-9]+")}}],
                "backendRefs": backends,
            },
            {"backendRefs": backends},
        ]),
    };
    route(
        &format!("route-{number}"),
        &format!("host-{number}.example"),
        &rules,
    )
}

fn route(name: &str, host: &str, rules: &Value) -> Value {
    json!({
        "apiVersion": GATEWAY_API, "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"parentRefs": [{"name": "front"}], "hostnames": [host], "rules": rules},
    })
}

const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";
