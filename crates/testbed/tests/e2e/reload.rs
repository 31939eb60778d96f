//! Changes of files while the gateway runs: live soon, and nobody is hurt.

use narthex_testbed::objects::{FRONT, endpoint_slice, ingress, route, services};
use narthex_testbed::{Gateway, Outcome};
use std::os::unix::fs::symlink;

fn to(service: &str) -> String {
    route(
        "all",
        &format!("  rules: [{{backendRefs: [{{name: {service}, port: 80}}]}}]"),
    )
}

/// A gateway whose only route is in `route.yaml` and leads to `one`.
async fn gateway() -> Gateway {
    Gateway::builder()
        .file("front.yaml", &format!("{FRONT}{}", services(&["one", "two"])))
        .file("route.yaml", &to("one"))
        .start()
        .await
}

#[track_caller]
fn nothing_wrong(outcome: &Outcome) {
    assert!(
        outcome.wrong.is_empty(),
        "{} wrong: {:#?}",
        outcome.wrong.len(),
        outcome.wrong.first()
    );
    assert!(outcome.right > 0, "there was no load");
}

#[tokio::test]
async fn an_edited_file_is_live_and_old_connections_use_it_too() {
    let gw = gateway().await;
    let call = gw.get("http://a.example/");
    let mut connection = call.connect().await.unwrap();
    call.send_on(&mut connection).await.unwrap().backend("one");
    gw.write("route.yaml", &to("two")).live().await;
    call.send_on(&mut connection).await.unwrap().backend("two");
}

#[tokio::test]
async fn a_file_replaced_by_rename_is_live() {
    let gw = gateway().await;
    gw.write_by_rename("route.yaml", &to("two")).live().await;
    gw.get("http://a.example/").await.backend("two");
}

#[tokio::test]
async fn a_mounted_config_map_swaps_its_data_link() {
    // As the kubelet lays a ConfigMap out: files are links into `..data`, which is a link to a dated directory.
    let mount = tempfile::tempdir().unwrap();
    for (version, service) in [("..v1", "one"), ("..v2", "two")] {
        std::fs::create_dir(mount.path().join(version)).unwrap();
        let yaml = format!("{FRONT}{}{}", services(&["one", "two"]), to(service));
        std::fs::write(mount.path().join(version).join("objects.yaml"), yaml).unwrap();
    }
    symlink("..v1", mount.path().join("..data")).unwrap();
    symlink("..data/objects.yaml", mount.path().join("objects.yaml")).unwrap();
    let gw = Gateway::builder().watch(mount.path()).start().await;
    gw.get("http://a.example/").await.backend("one");
    gw.changing();
    symlink("..v2", mount.path().join("..data_tmp")).unwrap();
    std::fs::rename(mount.path().join("..data_tmp"), mount.path().join("..data")).unwrap();
    gw.live().await;
    gw.get("http://a.example/").await.backend("two");
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_version_and_is_reported() {
    let gw = gateway().await;
    gw.write("route.yaml", "kind: HTTPRoute\nspec: [\n");
    let live = gw
        .until("the finding is there", |live| {
            live.diagnostics
                .iter()
                .any(|finding| finding.code == ir::Code::UnreadableFile)
        })
        .await;
    assert!(live.generation >= 1);
    gw.get("http://a.example/").await.status(200).backend("one");
    gw.write("route.yaml", &to("two")).live().await;
    gw.get("http://a.example/").await.backend("two");
    assert!(
        gw.now()
            .diagnostics
            .iter()
            .all(|finding| finding.code != ir::Code::UnreadableFile)
    );
}

#[tokio::test]
async fn one_bad_object_does_not_block_another() {
    let gw = gateway().await;
    let bad = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: bad, namespace: default}\nspec: {rules: 7}\n---\n";
    gw.write("route.yaml", &format!("{bad}{}", to("two")))
        .live()
        .await;
    gw.get("http://a.example/").await.status(200).backend("two");
}

#[tokio::test]
async fn what_an_object_gave_goes_with_it() {
    let gw = gateway().await;
    gw.get("http://a.example/").await.status(200);
    gw.remove("route.yaml").live().await;
    gw.get("http://a.example/").await.status(404);
}

#[tokio::test]
async fn a_listener_that_goes_closes_its_port_and_a_new_one_opens() {
    let gw = gateway().await;
    assert!(gw.listens_on(80) && !gw.listens_on(8080));
    let moved =
        format!("{FRONT}{}", services(&["one", "two"])).replace("port: 80, protocol", "port: 8080, protocol");
    gw.write("front.yaml", &moved).live().await;
    assert!(!gw.listens_on(80));
    gw.get("http://a.example:8080/").await.status(200).backend("one");
}

#[tokio::test]
async fn a_websocket_survives_a_hundred_changes() {
    let gw = gateway().await;
    let mut socket = gw.websocket("http://a.example/chat").await;
    for number in 0..100 {
        let service = if number % 2 == 0 { "two" } else { "one" };
        gw.write("route.yaml", &to(service)).live().await;
        socket.echo(&format!("message {number}")).await;
    }
    socket.close().await;
}

#[tokio::test]
async fn requests_do_not_fail_while_a_file_changes_again_and_again() {
    let gw = gateway().await;
    let load = gw.load(
        vec![(gw.get("http://a.example/"), |response| response.code() == 200)],
        4,
    );
    for number in 0..50 {
        gw.write_by_rename("route.yaml", &to(if number % 2 == 0 { "two" } else { "one" }))
            .live()
            .await;
    }
    nothing_wrong(&load.stop().await);
}

#[tokio::test]
async fn paths_move_from_ingress_to_http_route_one_by_one_without_a_gap() {
    const PATHS: [&str; 4] = ["/cart", "/catalog", "/search", "/"];
    let by_ingress = |from: usize| {
        let paths: String = PATHS[from..]
            .iter()
            .map(|path| {
                format!("      - {{path: {path}, pathType: Prefix, backend: {{service: {{name: old, port: {{number: 80}}}}}}}}\n")
            })
            .collect();
        ingress(
            "shop",
            &format!("  rules:\n  - host: shop.example\n    http:\n      paths:\n{paths}"),
        )
    };
    let by_route = |until: usize| {
        let rules: String = PATHS[..until]
            .iter()
            .map(|path| format!("  - {{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], backendRefs: [{{name: new, port: 80}}]}}\n"))
            .collect();
        route("shop", &format!("  hostnames: [shop.example]\n  rules:\n{rules}"))
    };
    let gw = Gateway::builder()
        .file("front.yaml", &format!("{FRONT}{}", services(&["old", "new"])))
        .file("ingress.yaml", &by_ingress(0))
        .start()
        .await;
    let right = |response: &narthex_testbed::Response| {
        response.code() == 200 && matches!(response.service().as_deref(), Some("old" | "new"))
    };
    let calls = PATHS
        .iter()
        .map(|path| (gw.get(&format!("http://shop.example{path}")), right as _))
        .collect();
    let load = gw.load(calls, 4);
    for moved in 1..=PATHS.len() {
        // First the route takes the path over, then the Ingress lets it go.
        gw.write_by_rename("route.yaml", &by_route(moved)).live().await;
        for (number, path) in PATHS.iter().enumerate() {
            let service = if number < moved { "new" } else { "old" };
            gw.get(&format!("http://shop.example{path}"))
                .await
                .status(200)
                .backend(service);
        }
        if moved < PATHS.len() {
            gw.write_by_rename("ingress.yaml", &by_ingress(moved))
                .live()
                .await;
        } else {
            gw.remove("ingress.yaml").live().await;
        }
        for (number, path) in PATHS.iter().enumerate() {
            let service = if number < moved { "new" } else { "old" };
            gw.get(&format!("http://shop.example{path}"))
                .await
                .status(200)
                .backend(service);
        }
    }
    nothing_wrong(&load.stop().await);
}

#[tokio::test]
async fn endpoints_come_and_go_under_load_without_a_failed_request() {
    let gw = gateway().await;
    let addresses: Vec<_> = (0..4).map(|_| gw.start_backend("default", "one")).collect();
    let slice = |range: std::ops::Range<usize>| endpoint_slice("one", "one", &addresses[range]);
    gw.write("slice.yaml", &slice(0..2)).live().await;
    let load = gw.load(
        vec![(gw.get("http://a.example/"), |response| {
            response.service().as_deref() == Some("one")
        })],
        4,
    );
    for round in 0..20 {
        let from = (round + 1) % 3;
        gw.write_by_rename("slice.yaml", &slice(from..from + 2))
            .live()
            .await;
    }
    nothing_wrong(&load.stop().await);
}

#[tokio::test]
async fn a_gateway_that_becomes_a_default_one_takes_the_routes_that_ask_for_it() {
    let gateway = |scope: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{name: other, namespace: default}}\n\
             spec: {{gatewayClassName: narthex, defaultScope: {scope}, \
             listeners: [{{name: web, port: 8081, protocol: HTTP}}]}}\n"
        )
    };
    let asks = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
                metadata: {name: asks, namespace: default}\n\
                spec: {useDefaultGateways: All, hostnames: [asks.example], rules: [{backendRefs: [{name: one, port: 80}]}]}\n";
    let gw = Gateway::builder()
        .file("front.yaml", &format!("{FRONT}{}", services(&["one"])))
        .file("other.yaml", &gateway("None"))
        .file("asks.yaml", asks)
        .start()
        .await;
    gw.get("http://asks.example:8081/").await.status(404);
    for (scope, status) in [("All", 200), ("None", 404), ("All", 200)] {
        gw.write("other.yaml", &gateway(scope)).live().await;
        gw.get("http://asks.example:8081/").await.status(status);
        gw.get("http://asks.example/").await.status(404);
    }
    gw.remove("asks.yaml").live().await;
    gw.get("http://asks.example:8081/").await.status(404);
}
