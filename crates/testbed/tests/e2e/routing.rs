//! Rules, filters and backends.

use narthex_testbed::objects::{FRONT, ingress, route, services};
use narthex_testbed::{DEADLINE, Gateway};
use std::collections::BTreeMap;
use std::time::Instant;

async fn gateway(parts: &[String]) -> Gateway {
    Gateway::from_yaml(&format!("{FRONT}{}", parts.concat())).await
}

#[tokio::test]
async fn a_host_rule_sends_each_host_to_its_service() {
    let gw = gateway(&[
        services(&["shop", "blog"]),
        route(
            "shop",
            "  hostnames: [shop.example]\n  rules: [{backendRefs: [{name: shop, port: 80}]}]",
        ),
        route(
            "blog",
            "  hostnames: [\"*.blog.example\"]\n  rules: [{backendRefs: [{name: blog, port: 80}]}]",
        ),
    ])
    .await;
    gw.get("http://shop.example/x")
        .await
        .status(200)
        .backend("shop")
        .upstream_path("/x");
    gw.get("http://a.b.blog.example/")
        .await
        .status(200)
        .backend("blog");
    gw.get("http://SHOP.example./").await.status(200).backend("shop");
    gw.get("http://blog.example/").await.status(404);
    gw.get("http://other.example/").await.status(404);
}

#[tokio::test]
async fn an_ingress_sends_hosts_and_paths_to_services() {
    let gw = gateway(&[
        services(&["shop", "api", "rest"]),
        ingress(
            "shop",
            "  defaultBackend: {service: {name: rest, port: {number: 80}}}\n\
             \x20 rules:\n\
             \x20 - host: shop.example\n\
             \x20   http:\n\
             \x20     paths:\n\
             \x20     - {path: /api, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}\n\
             \x20     - {path: /only, pathType: Exact, backend: {service: {name: shop, port: {number: 80}}}}",
        ),
    ])
    .await;
    gw.get("http://shop.example/api/v1")
        .await
        .status(200)
        .backend("api");
    gw.get("http://shop.example/only")
        .await
        .status(200)
        .backend("shop");
    gw.get("http://shop.example/apiary").await.backend("rest");
    // As in ingress-nginx: beside rules, a default backend is for the hosts of these rules.
    gw.get("http://elsewhere.example/").await.status(404);
}

#[tokio::test]
async fn the_longest_path_wins_and_prefixes_end_at_elements() {
    let gw = gateway(&[
        services(&["all", "foo", "foobar", "exact"]),
        route(
            "paths",
            "  rules:\n\
             \x20 - {matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{name: all, port: 80}]}\n\
             \x20 - {matches: [{path: {type: PathPrefix, value: /foo}}], backendRefs: [{name: foo, port: 80}]}\n\
             \x20 - {matches: [{path: {type: PathPrefix, value: /foo/bar}}], backendRefs: [{name: foobar, port: 80}]}\n\
             \x20 - {matches: [{path: {type: Exact, value: /foo/bar}}], backendRefs: [{name: exact, port: 80}]}",
        ),
    ])
    .await;
    for (path, service) in [
        ("/", "all"),
        ("/foo", "foo"),
        ("/foo/", "foo"),
        ("/foobar", "all"),
        ("/foo/bar", "exact"),
        ("/foo/bar/", "foobar"),
        ("/foo/bar/x?q=1", "foobar"),
        ("/foo/./bar", "exact"),
        ("/%66oo/bar", "exact"),
        ("/x/../foo", "foo"),
    ] {
        let response = gw.get(&format!("http://a.example{path}")).await.status(200);
        assert_eq!(response.service().as_deref(), Some(service), "{path}");
    }
}

#[tokio::test]
async fn headers_query_and_method_narrow_a_rule_down() {
    let gw = gateway(&[
        services(&["any", "beta", "preview", "write"]),
        route(
            "narrow",
            "  rules:\n\
             \x20 - {backendRefs: [{name: any, port: 80}]}\n\
             \x20 - {matches: [{headers: [{name: X-Group, value: beta}]}], backendRefs: [{name: beta, port: 80}]}\n\
             \x20 - {matches: [{queryParams: [{name: preview, value: \"1\"}]}], backendRefs: [{name: preview, port: 80}]}\n\
             \x20 - {matches: [{method: POST}], backendRefs: [{name: write, port: 80}]}",
        ),
    ])
    .await;
    let url = "http://a.example/";
    gw.get(url).await.backend("any");
    gw.get(url).header("x-group", "beta").await.backend("beta");
    gw.get(url).header("x-group", "betas").await.backend("any");
    gw.get("http://a.example/?preview=1").await.backend("preview");
    gw.get("http://a.example/?preview=10").await.backend("any");
    gw.call("POST", url).body("x=1").await.backend("write");
    gw.call("POST", url)
        .header("X-Group", "beta")
        .await
        .backend("write");
}

#[tokio::test]
async fn weights_share_requests_out() {
    let gw = gateway(&[
        services(&["old", "new", "never"]),
        route(
            "split",
            "  rules:\n  - backendRefs:\n\
             \x20   - {name: old, port: 80, weight: 75}\n\
             \x20   - {name: new, port: 80, weight: 25}\n\
             \x20   - {name: never, port: 80, weight: 0}",
        ),
    ])
    .await;
    let call = gw.get("http://a.example/");
    let mut connection = call.connect().await.unwrap();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    for _ in 0..2000 {
        let response = call.send_on(&mut connection).await.unwrap().status(200);
        *counts.entry(response.service().unwrap()).or_default() += 1;
    }
    let new = f64::from(counts["new"]);
    // Five standard deviations of a fair draw are 97 of 2000.
    assert!((new - 500.0).abs() < 97.0, "{counts:?}");
    assert!(!counts.contains_key("never"), "{counts:?}");
}

#[tokio::test]
async fn a_backend_that_does_not_exist_fails_only_its_own_share() {
    let gw = gateway(&[
        services(&["here"]),
        route(
            "half",
            "  rules:\n\
             \x20 - {matches: [{path: {value: /broken}}], backendRefs: [{name: gone, port: 80}]}\n\
             \x20 - {backendRefs: [{name: here, port: 80}]}",
        ),
    ])
    .await;
    gw.get("http://a.example/broken").await.status(500);
    gw.get("http://a.example/").await.status(200).backend("here");
}

#[tokio::test]
async fn a_redirect_answers_without_a_backend() {
    let gw = gateway(&[route(
        "moved",
        "  rules:\n\
         \x20 - matches: [{path: {type: PathPrefix, value: /old}}]\n\
         \x20   filters: [{type: RequestRedirect, requestRedirect: {hostname: new.example, statusCode: 301, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}}}]\n\
         \x20 - filters: [{type: RequestRedirect, requestRedirect: {scheme: https}}]",
    )])
    .await;
    // The listener's port, which is not 80 here.
    let location = format!("http://new.example:{}/new/x?q=1", gw.address(80).port());
    gw.get("http://a.example/old/x?q=1")
        .await
        .status(301)
        .has("location", &location);
    gw.get("http://a.example/other?q=1")
        .await
        .status(302)
        .has("location", "https://a.example/other?q=1");
}

#[tokio::test]
async fn a_rewrite_changes_path_and_host_for_the_backend() {
    let gw = gateway(&[
        services(&["shop"]),
        route(
            "rewrite",
            "  rules:\n\
             \x20 - matches: [{path: {type: PathPrefix, value: /v1}}]\n\
             \x20   filters: [{type: URLRewrite, urlRewrite: {hostname: inner.example, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}]\n\
             \x20   backendRefs: [{name: shop, port: 80}]\n\
             \x20 - matches: [{path: {type: PathPrefix, value: /fixed}}]\n\
             \x20   filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /one}}}]\n\
             \x20   backendRefs: [{name: shop, port: 80}]",
        ),
    ])
    .await;
    let inner = gw.get("http://a.example/v1/cart?q=1").await.status(200);
    inner
        .upstream_path("/cart?q=1")
        .upstream_header("host", "inner.example");
    gw.get("http://a.example/fixed/x?q=1")
        .await
        .upstream_path("/one?q=1")
        .upstream_header("host", "a.example");
}

#[tokio::test]
async fn headers_are_set_added_and_removed_both_ways() {
    let gw = gateway(&[
        services(&["shop"]),
        route(
            "headers",
            "  rules:\n\
             \x20 - filters:\n\
             \x20   - {type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: X-Set, value: s}], add: [{name: X-Add, value: b}], remove: [X-Gone]}}\n\
             \x20   - {type: ResponseHeaderModifier, responseHeaderModifier: {set: [{name: X-Answer, value: yes-it-is}], remove: [Content-Type]}}\n\
             \x20   backendRefs: [{name: shop, port: 80}]",
        ),
    ])
    .await;
    gw.get("http://a.example/")
        .header("X-Set", "old")
        .header("X-Add", "a")
        .header("X-Gone", "here")
        .await
        .status(200)
        .upstream_header("x-set", "s")
        .upstream_header("x-add", "a,b")
        .upstream_lacks("x-gone")
        .has("x-answer", "yes-it-is")
        .lacks("content-type");
}

#[tokio::test]
async fn a_mirror_gets_a_copy_and_its_answer_is_ignored() {
    let gw = gateway(&[
        services(&["shop", "copy"]),
        route(
            "mirror",
            "  rules:\n\
             \x20 - filters: [{type: RequestMirror, requestMirror: {backendRef: {name: copy, port: 80}}}]\n\
             \x20   backendRefs: [{name: shop, port: 80}]",
        ),
    ])
    .await;
    let copied = async |count| {
        let deadline = Instant::now() + DEADLINE;
        while gw.requests_to("default", "copy") < count {
            assert!(Instant::now() < deadline, "the mirror got nothing");
            tokio::task::yield_now().await;
        }
    };
    gw.get("http://a.example/status/204").await.status(204);
    // Copies are sent each for itself: the second could overtake the first.
    copied(1).await;
    gw.call("POST", "http://a.example/mirrored")
        .body("twelve bytes")
        .await
        .status(200)
        .backend("shop");
    copied(2).await;
    assert_eq!(
        gw.last_request_to("default", "copy").unwrap()["path"],
        "/mirrored"
    );
    assert_eq!(gw.requests_to("default", "shop"), 2);
}

#[tokio::test]
async fn cors_preflights_are_answered_and_answers_are_marked() {
    let gw = gateway(&[
        services(&["api"]),
        route(
            "cors",
            "  rules:\n\
             \x20 - filters: [{type: CORS, cors: {allowOrigins: [\"https://app.example\"], allowMethods: [GET, PUT], allowHeaders: [X-Token], maxAge: 600}}]\n\
             \x20   backendRefs: [{name: api, port: 80}]",
        ),
    ])
    .await;
    let preflight = gw
        .call("OPTIONS", "http://a.example/")
        .header("Origin", "https://app.example")
        .header("Access-Control-Request-Method", "PUT")
        .await;
    assert!(matches!(preflight.code(), 200 | 204), "{}", preflight.code());
    preflight
        .has("access-control-allow-origin", "https://app.example")
        .has("access-control-max-age", "600");
    assert_eq!(gw.requests_to("default", "api"), 0, "a preflight stays here");
    gw.get("http://a.example/")
        .header("Origin", "https://app.example")
        .await
        .backend("api")
        .has("access-control-allow-origin", "https://app.example");
    gw.get("http://a.example/")
        .header("Origin", "https://evil.example")
        .await
        .lacks("access-control-allow-origin");
}

#[tokio::test]
async fn a_backend_learns_who_asked() {
    let gw = gateway(&[
        services(&["shop"]),
        route("all", "  rules: [{backendRefs: [{name: shop, port: 80}]}]"),
    ])
    .await;
    let response = gw
        .get("http://a.example/")
        .header("X-Forwarded-For", "203.0.113.9")
        .header("X-Forwarded-Proto", "https")
        .await
        .upstream_header("x-forwarded-for", "127.0.0.1")
        .upstream_header("x-real-ip", "127.0.0.1")
        .upstream_header("x-forwarded-proto", "http")
        .upstream_header("x-forwarded-host", "a.example");
    let id = response.json()["headers"]["x-request-id"].as_str().map(str::len);
    assert!(id.is_some_and(|length| length >= 16), "a request id");
}

#[tokio::test]
async fn a_service_without_endpoints_is_unavailable() {
    let yaml = [
        FRONT,
        &services(&["shop"]),
        &route("all", "  rules: [{backendRefs: [{name: shop, port: 80}]}]"),
    ];
    let gw = Gateway::builder()
        .file("objects.yaml", &yaml.concat())
        .without_echo()
        .start()
        .await;
    gw.get("http://a.example/").await.status(503);
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let gw = gateway(&[
        services(&["shop"]),
        route("all", "  rules: [{backendRefs: [{name: shop, port: 80}]}]"),
    ])
    .await;
    let body = vec![b'x'; 3 << 20];
    let response = gw.call("POST", "http://a.example/").body(body).await.status(200);
    assert_eq!(response.json()["bodyBytes"], 3 << 20);
}

#[tokio::test]
async fn a_route_says_how_long_a_websocket_may_be_silent() {
    let annotated = |yaml: String| {
        let annotation = "metadata: {annotations: {narthex.dev/tunnel-idle-timeout: 300ms}, name: quiet";
        yaml.replace("metadata: {name: quiet", annotation)
    };
    let spec = "  hostnames: [quiet.example]\n  rules: [{backendRefs: [{name: one, port: 80}]}]";
    let rule = "  rules: [{host: quiet.ingress, http: {paths: [{path: /, pathType: Prefix, backend: \
        {service: {name: one, port: {number: 80}}}}]}}]";
    let objects = format!(
        "{FRONT}{}{}{}{}",
        services(&["one"]),
        annotated(route("quiet", spec)),
        annotated(ingress("quiet", rule)),
        route("other", "  rules: [{backendRefs: [{name: one, port: 80}]}]")
    );
    let gw = Gateway::from_yaml(&objects).await;
    let mut other = gw.websocket("http://other.example/").await;
    for host in ["quiet.example", "quiet.ingress"] {
        let mut quiet = gw.websocket(&format!("http://{host}/")).await;
        quiet.echo("something").await;
        let after = quiet.ended().await;
        assert!((200..3000).contains(&after.as_millis()), "{host}: {after:?}");
    }
    other.echo("still here").await;
    other.close().await;
}
