//! How long it takes to read and translate many HTTPRoutes from files:
//! `cargo run --release -p narthex-control --example cold_load -- 5000`

use std::fmt::Write as _;
use std::time::Instant;

fn main() -> std::io::Result<()> {
    let count: usize = std::env::args()
        .nth(1)
        .and_then(|count| count.parse().ok())
        .unwrap_or(5000);
    let directory = tempfile::tempdir()?;
    let gateway = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: narthex}\nspec: {controllerName: narthex.dev/gateway-controller}\n---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: web}\nspec:\n  gatewayClassName: narthex\n  listeners: [{name: http, protocol: HTTP, port: 8080}]\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    std::fs::write(directory.path().join("gateway.yaml"), gateway)?;
    let routes = directory.path().join("routes");
    std::fs::create_dir(&routes)?;
    let mut all = String::new();
    for number in 0..count {
        let route = route(number);
        std::fs::write(routes.join(format!("route-{number}.yaml")), &route)?;
        let _ = write!(all, "---\n{route}");
    }
    let one = directory.path().join("one");
    std::fs::create_dir(&one)?;
    std::fs::write(one.join("all.yaml"), &all)?;
    println!("{count} HTTPRoutes, {} bytes", all.len());
    for (name, paths) in [
        ("a file each", vec![routes, directory.path().join("gateway.yaml")]),
        ("one file", vec![one, directory.path().join("gateway.yaml")]),
    ] {
        for _ in 0..3 {
            let start = Instant::now();
            let loaded = narthex_control::load(&paths);
            let read = start.elapsed();
            let mut translator = translate::Translator::new(translate::Settings::default());
            let translation = translator.translate(&loaded.objects, 0);
            let total = start.elapsed();
            println!(
                "{name}: read {read:?}, translated {:?}, {} routes",
                total.saturating_sub(read),
                translation
                    .snapshot
                    .binds
                    .iter()
                    .flat_map(|bind| &bind.listeners)
                    .map(|listener| listener.routes.len())
                    .sum::<usize>()
            );
        }
    }
    Ok(())
}

fn route(number: usize) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: route-{number}\n  namespace: default\n  labels:\n    app: shop\n    team: web-{}\nspec:\n  parentRefs:\n  - name: web\n  hostnames:\n  - h{number}.example.com\n  rules:\n  - matches:\n    - path:\n        type: PathPrefix\n        value: /api/v{}\n      headers:\n      - name: x-version\n        value: \"2\"\n    filters:\n    - type: RequestHeaderModifier\n      requestHeaderModifier:\n        set:\n        - name: x-route\n          value: r{number}\n    backendRefs:\n    - name: web\n      port: 80\n      weight: 90\n    - name: web\n      port: 80\n      weight: 10\n  - backendRefs:\n    - name: web\n      port: 80\n",
        number % 20,
        number % 7
    )
}
