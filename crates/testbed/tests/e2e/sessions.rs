//! Clients that are kept at one endpoint (`sessionPersistence`) of a rule's backends.

use narthex_testbed::objects::{FRONT, endpoint_slice, route, services};
use narthex_testbed::{Gateway, Response};
use std::collections::BTreeSet;
use std::net::SocketAddr;

const PODS: usize = 4;

/// A Service `cart` with four endpoints that call themselves `pod-0` to `pod-3`.
async fn gateway(objects: &str) -> (Gateway, Vec<SocketAddr>) {
    let gw = Gateway::from_yaml(&format!("{FRONT}{}{objects}", services(&["cart"]))).await;
    let pods: Vec<_> = (0..PODS)
        .map(|number| gw.start_backend("default", &format!("pod-{number}")))
        .collect();
    gw.write("slice.yaml", &endpoint_slice("cart", "cart", &pods))
        .live()
        .await;
    (gw, pods)
}

fn kept(settings: &str) -> String {
    route(
        "cart",
        &format!("  rules: [{{sessionPersistence: {settings}, backendRefs: [{{name: cart, port: 80}}]}}]"),
    )
}

/// `name=token` of the cookie that a response sets.
fn cookie(response: &Response) -> String {
    let set = response.header("set-cookie").expect("a cookie");
    set.split(';').next().unwrap_or_default().to_owned()
}

fn pod(response: &Response) -> String {
    response.service().expect("an endpoint that says who it is")
}

const URL: &str = "http://a.example/";

#[tokio::test]
async fn a_client_with_the_cookie_stays_where_it_was_sent_first() {
    let (gw, _) = gateway(&kept("{cookie: {name: cart}}")).await;
    let mut seen = BTreeSet::new();
    for _ in 0..12 {
        let first = gw.get(URL).await.status(200);
        let set = first.header("set-cookie").expect("a cookie");
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        let (home, cookie) = (pod(&first), cookie(&first));
        // Whichever worker it meets, and beside other cookies.
        for _ in 0..10 {
            let again = gw
                .get(URL)
                .header("Cookie", &format!("a=b; cart=other; {cookie}; c=d"))
                .await;
            assert_eq!(pod(&again), home);
            assert_eq!(again.header("set-cookie"), None);
        }
        seen.insert(home);
    }
    assert!(seen.len() > 1, "new clients are shared out: {seen:?}");
}

#[tokio::test]
async fn a_client_whose_endpoint_is_gone_gets_another_and_stays_there() {
    let (gw, pods) = gateway(&kept("{cookie: {name: cart}}")).await;
    let first = gw.get(URL).await.status(200);
    let home = pod(&first);
    let left: Vec<_> = (0..PODS)
        .filter(|number| format!("pod-{number}") != home)
        .map(|number| pods[number])
        .collect();
    gw.remove("slice.yaml")
        .write("left.yaml", &endpoint_slice("cart", "cart", &left))
        .live()
        .await;
    let moved = gw.get(URL).header("Cookie", &cookie(&first)).await.status(200);
    assert_ne!(pod(&moved), home);
    let again = gw.get(URL).header("Cookie", &cookie(&moved)).await;
    assert_eq!(pod(&again), pod(&moved));
}

#[tokio::test]
async fn a_token_in_a_header_does_as_well_and_a_made_up_one_is_none() {
    let (gw, _) = gateway(&kept("{type: Header, header: {name: X-Session}}")).await;
    let first = gw.get(URL).await.status(200);
    let token = first.header("x-session").expect("a token").to_owned();
    for _ in 0..10 {
        let again = gw.get(URL).header("x-session", &token).await;
        assert_eq!(pod(&again), pod(&first));
        again.lacks("x-session");
    }
    for made_up in ["", "x", "127.0.0.1:80", &token[1..], &token.to_lowercase()] {
        let other = gw.get(URL).header("x-session", made_up).await.status(200);
        assert!(other.header("x-session").is_some(), "{made_up:?}");
    }
}

#[tokio::test]
async fn weights_choose_the_backend_and_the_session_an_endpoint_of_each() {
    let split = |one: u32, two: u32| {
        route(
            "split",
            &format!(
                "  rules: [{{sessionPersistence: {{cookie: {{name: split}}}}, backendRefs: [\
                 {{name: one, port: 80, weight: {one}}}, {{name: two, port: 80, weight: {two}}}]}}]"
            ),
        )
    };
    let gw = Gateway::from_yaml(&format!("{FRONT}{}", services(&["one", "two"]))).await;
    for name in ["one", "two"] {
        let pods: Vec<_> = (0..PODS)
            .map(|number| gw.start_backend("default", &format!("{name}-{number}")))
            .collect();
        gw.write(&format!("{name}.yaml"), &endpoint_slice(name, name, &pods));
    }
    gw.write("split.yaml", &split(1, 1)).live().await;
    let mut token = cookie(&gw.get(URL).await.status(200));
    let mut homes = BTreeSet::new();
    let mut requests = [0, 0];
    for _ in 0..200 {
        let answer = gw.get(URL).header("Cookie", &token).await.status(200);
        if answer.header("set-cookie").is_some() {
            token = cookie(&answer);
        }
        let home = pod(&answer);
        requests[usize::from(home.starts_with("two"))] += 1;
        homes.insert(home);
    }
    // One endpoint in each backend, and both get their share.
    assert_eq!(homes.len(), 2, "{homes:?}");
    assert!(requests.iter().all(|count| *count > 50), "{requests:?}");
    gw.write("split.yaml", &split(0, 1)).live().await;
    for _ in 0..5 {
        let answer = gw.get(URL).header("Cookie", &token).await.status(200);
        assert!(homes.contains(&pod(&answer)) && pod(&answer).starts_with("two"));
    }
}

#[tokio::test]
async fn rules_have_sessions_of_their_own() {
    let rule = |path: &str, name: &str| {
        format!(
            "  - {{matches: [{{path: {{value: {path}}}}}], sessionPersistence: {{cookie: {{name: {name}}}}}, \
             backendRefs: [{{name: cart, port: 80}}]}}\n"
        )
    };
    let objects = route(
        "cart",
        &format!("  rules:\n{}{}", rule("/a", "s"), rule("/b", "s")),
    );
    let (gw, _) = gateway(&objects).await;
    let first = gw.get("http://a.example/a").await.status(200);
    let other = gw
        .get("http://a.example/b")
        .header("Cookie", &cookie(&first))
        .await;
    assert!(other.header("set-cookie").is_some());
}

#[tokio::test]
async fn a_permanent_cookie_says_for_how_long_and_a_session_ends() {
    let settings = "{cookie: {name: cart, path: /x, lifetimeType: Permanent}, absoluteTimeout: 1s}";
    let (gw, _) = gateway(&kept(settings)).await;
    let first = gw.get(URL).await.status(200);
    let set = first.header("set-cookie").expect("a cookie");
    assert!(
        set.ends_with("; Path=/x; HttpOnly; SameSite=Lax; Max-Age=1"),
        "{set}"
    );
    tokio::time::sleep(std::time::Duration::from_millis(2100)).await;
    let late = gw.get(URL).header("Cookie", &cookie(&first)).await.status(200);
    assert!(late.header("set-cookie").is_some());
}
