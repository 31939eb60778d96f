//! XBackend and XBackendTrafficPolicy with real traffic.

use narthex_testbed::objects::{FRONT, endpoint_slice, route, services};
use narthex_testbed::{Gateway, Response};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// An HTTPRoute whose backend is the XBackend `cart`.
fn to_cart() -> String {
    let backend = "{group: gateway.networking.x-k8s.io, kind: XBackend, name: cart}";
    route("cart", &format!("  rules: [{{backendRefs: [{backend}]}}]"))
}

fn x_backend(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackend\n\
         metadata: {{name: {name}, namespace: default}}\nspec: {{{spec}}}\n---\n"
    )
}

fn selecting(name: &str, port: u16, rest: &str) -> String {
    x_backend(
        name,
        &format!(
            "type: EndpointSelector, endpointSelector: {{matchLabels: {{app: {name}}}}}, port: {{number: {port}}}{rest}"
        ),
    )
}

fn pod(name: &str, app: &str, ip: &str, ready: bool) -> String {
    let ready = if ready { "True" } else { "False" };
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: default, labels: {{app: {app}}}}}\n\
         status: {{phase: Running, podIP: {ip}, conditions: [{{type: Ready, status: \"{ready}\"}}]}}\n---\n"
    )
}

fn policy(kind: &str, name: &str, spec: &str) -> String {
    let group = if kind == "XBackend" {
        "gateway.networking.x-k8s.io"
    } else {
        ""
    };
    format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: XBackendTrafficPolicy\n\
         metadata: {{name: {name}, namespace: default}}\n\
         spec:\n  targetRefs: [{{group: \"{group}\", kind: {kind}, name: {name}}}]\n  {spec}\n---\n"
    )
}

fn cookie(response: &Response) -> String {
    let set = response.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

const URL: &str = "http://a.example/";

#[tokio::test]
async fn pods_with_the_labels_get_the_requests_as_long_as_they_are_ready() {
    let gw = Gateway::builder()
        .file("front.yaml", &format!("{FRONT}{}", to_cart()))
        .without_echo()
        .start()
        .await;
    let pod_address = gw.start_backend("default", "pod");
    gw.write("backend.yaml", &selecting("cart", pod_address.port(), ""))
        .write("pod.yaml", &pod("one", "cart", "127.0.0.1", true))
        .live()
        .await;
    gw.get(URL).await.status(200).backend("pod");
    gw.write("pod.yaml", &pod("one", "cart", "127.0.0.1", false))
        .live()
        .await;
    gw.get(URL).await.status(503);
    gw.write("pod.yaml", &pod("one", "cart", "127.0.0.1", true))
        .live()
        .await;
    gw.get(URL).await.status(200).backend("pod");
    gw.write("pod.yaml", &pod("one", "other", "127.0.0.1", true))
        .live()
        .await;
    gw.get(URL).await.status(503);
    gw.remove("backend.yaml").live().await;
    gw.get(URL).await.status(500);
}

#[tokio::test]
async fn a_name_is_resolved_and_connected_to() {
    let gw = Gateway::builder()
        .file("front.yaml", &format!("{FRONT}{}", to_cart()))
        .settings(|settings| settings.allow_local_external_names = true)
        .without_echo()
        .start()
        .await;
    let port = gw.start_backend("default", "outside").port();
    let outside = format!(
        "type: ExternalHostname, externalHostname: {{hostname: localhost}}, port: {{number: {port}}}"
    );
    gw.write("backend.yaml", &x_backend("cart", &outside))
        .live()
        .await;
    gw.until("the name is resolved", |live| {
        let upstreams = live.snapshot.upstreams.values();
        upstreams
            .into_iter()
            .any(|upstream| !upstream.endpoints.is_empty())
    })
    .await;
    gw.get(URL).await.status(200).backend("outside");
}

/// As many as there are are told apart by their ports, which Pods can't have each of their own.
async fn with_slices(spec: &str, policy: &str) -> (Gateway, Vec<SocketAddr>) {
    let objects = format!("{FRONT}{}{}{policy}", to_cart(), selecting("cart", 80, spec));
    let gw = Gateway::builder()
        .file("front.yaml", &objects)
        .without_echo()
        .start()
        .await;
    let pods: Vec<_> = (0..4)
        .map(|number| gw.start_backend("default", &format!("pod-{number}")))
        .collect();
    let slices = endpoint_slice("cart", "cart", &pods);
    let slices = slices.replace("kubernetes.io/service-name", "narthex.dev/xbackend-name");
    gw.write("slices.yaml", &slices).live().await;
    (gw, pods)
}

#[tokio::test]
async fn an_x_backend_keeps_its_clients_as_it_or_a_policy_says() {
    let own = ", sessionPersistence: {cookie: {name: kept}}";
    let by_policy = policy("XBackend", "cart", "sessionPersistence: {cookie: {name: kept}}");
    for (spec, policy) in [(own, ""), ("", by_policy.as_str())] {
        let (gw, _) = with_slices(spec, policy).await;
        let mut seen = BTreeSet::new();
        for _ in 0..8 {
            let first = gw.get(URL).await.status(200);
            let (home, cookie) = (first.service(), cookie(&first));
            assert!(cookie.starts_with("kept="), "{cookie}");
            for _ in 0..5 {
                assert_eq!(gw.get(URL).header("Cookie", &cookie).await.service(), home);
            }
            seen.insert(home);
        }
        assert!(seen.len() > 1, "new clients are shared out: {seen:?}");
    }
}

#[tokio::test]
async fn beyond_the_budget_nothing_is_sent_again() {
    let retrying = route(
        "cart",
        "  rules: [{retry: {attempts: 1, codes: [500], backoff: 1ms}, backendRefs: [{name: cart, port: 80}]}]",
    );
    let limit = "retryConstraint: {budget: {percent: 0}, minRetryRate: {count: 3, interval: 1h}}";
    let objects = format!(
        "{FRONT}{}{retrying}{}",
        services(&["cart"]),
        policy("Service", "cart", limit)
    );
    let gw = Gateway::builder()
        .file("objects.yaml", &objects)
        .access_log("json")
        .start()
        .await;
    let url = "http://a.example/status/500";
    for number in 1..=3_u64 {
        gw.get(url).await.status(500);
        assert_eq!(gw.requests_to("default", "cart"), 2 * number);
    }
    for number in 1..=3 {
        gw.get(url).await.status(503);
        assert_eq!(gw.requests_to("default", "cart"), 6 + number);
    }
    // What needs no second try is not concerned.
    gw.get(URL).await.status(200);
    let log = gw.access_log(7);
    let refused = log.iter().filter(|line| line.contains("retry-budget"));
    assert_eq!(refused.count(), 3, "{log:?}");
}
