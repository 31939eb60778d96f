//! How long it takes to read and translate many HTTPRoutes from files, and from the end of a write until the change is
//! published:
//! `cargo run --release -p narthex-control --example cold_load -- 5000`

use narthex_control::{ApplyReport, ControlOptions, Publish, Published, State};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

/// Serves nobody.
struct Nowhere;

impl Publish for Nowhere {
    async fn publish(&mut self, _published: Published) -> ApplyReport {
        ApplyReport::default()
    }
}

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
    let paths = vec![
        directory.path().join("routes"),
        directory.path().join("gateway.yaml"),
    ];
    let state = State::new();
    let file = directory.path().join("routes/route-7.yaml");
    let changes = change(&state, &file);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            () = narthex_control::run(ControlOptions::new(paths), Nowhere, Arc::clone(&state)) => Ok(()),
            done = changes => done,
        }
    })
}

/// Changes a file twenty times and prints how long it took each time until the change was published.
async fn change(state: &State, file: &std::path::Path) -> std::io::Result<()> {
    let mut live = state.newer_than(0).await;
    let mut waits = Vec::new();
    for number in 0..20 {
        std::fs::write(file, route(7).replace("/api/", &format!("/changed-{number}/")))?;
        let written = Instant::now();
        live = state.newer_than(live.generation).await;
        waits.push(written.elapsed());
    }
    waits.sort();
    println!(
        "from the end of a write to its publication: median {:?}, worst {:?}",
        waits[10], waits[19]
    );
    Ok(())
}

fn route(number: usize) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata:\n  name: route-{number}\n  namespace: default\n  labels:\n    app: shop\n    team: web-{}\nspec:\n  parentRefs:\n  - name: web\n  hostnames:\n  - h{number}.example.com\n  rules:\n  - matches:\n    - path:\n        type: PathPrefix\n        value: /api/v{}\n      headers:\n      - name: x-version\n        value: \"2\"\n    filters:\n    - type: RequestHeaderModifier\n      requestHeaderModifier:\n        set:\n        - name: x-route\n          value: r{number}\n    backendRefs:\n    - name: web\n      port: 80\n      weight: 90\n    - name: web\n      port: 80\n      weight: 10\n  - backendRefs:\n    - name: web\n      port: 80\n",
        number % 20,
        number % 7
    )
}
