//! `narthex explain`: what it says, in words and as JSON.

mod support;

use std::io::Write;
use std::process::Stdio;
use support::{Answer, command, run};

#[test]
fn explain_tells_listener_rule_place_backends_and_who_lost() {
    let answer = run(&[
        "explain",
        "--echo",
        "-f",
        "examples/quickstart",
        "GET",
        "http://shop.localhost:8080/cart/7",
        "-H",
        "x-beta: yes",
    ]);
    assert_eq!(answer.code, 0, "{answer:?}");
    let first = answer.out.lines().next().unwrap();
    assert_eq!(
        first,
        "✓ GET http://shop.localhost:8080/cart/7 → shop/cart-beta:80 by HTTPRoute shop/shop#cart-beta"
    );
    for part in [
        "listener    *:8080 Gateway shop/front#http",
        "HTTPRoute shop/shop#cart-beta (examples/quickstart/routes.yaml:32)",
        "host shop.localhost, path is /cart or below, header x-beta is yes",
        "100 % shop/cart-beta:80 → built-in echo",
        "matches, but the winner has more header conditions",
        "Ingress shop/legacy#rules[0].http.paths[0] (examples/quickstart/ingress.yaml:20)",
    ] {
        assert!(answer.out.contains(part), "{part} in\n{}", answer.out);
    }
}

#[test]
fn explain_tells_how_a_rule_keeps_its_clients() {
    for (url, kept) in [
        (
            "http://cart.localhost:8080/",
            "  sessions  cookie \"cart\" for /, for 12h: a client stays at the endpoint that it was sent to first",
        ),
        (
            "http://cart.localhost:8080/devices",
            "  sessions  header x-session: ",
        ),
    ] {
        let answer = run(&["explain", "--echo", "-f", "examples/sessions", "GET", url]);
        assert_eq!(answer.code, 0, "{answer:?}");
        assert!(answer.out.contains(kept), "{kept} in\n{}", answer.out);
    }
}

#[test]
fn explain_shows_a_redirect_as_the_answer_it_gives() {
    let url = "http://shop.localhost:8080/basket/9?x=1";
    let answer = run(&["explain", "-f", "examples/quickstart", "--output", "json", url]);
    let json = answer.json();
    assert_eq!(json["outcome"], "redirected");
    assert!(
        json["summary"]
            .as_str()
            .unwrap()
            .starts_with("301 to http://shop.localhost:8080/cart/9?x=1"),
        "{json}"
    );
}

#[test]
fn explain_finds_the_socket_behind_the_port_of_a_gateways_service() {
    let file = "crates/translate/tests/golden/services/a-gateway-listens-where-its-service-leads/in.yaml";
    let answer = run(&[
        "explain",
        "-f",
        file,
        "--gateway-service",
        "GET",
        "http://shop.example/x",
    ]);
    for part in ["listener    *:20017 Gateway shop/front#web", "302"] {
        assert!(answer.out.contains(part), "{part} in\n{}", answer.out);
    }
    let answer = run(&[
        "explain",
        "-f",
        file,
        "--gateway-service",
        "GET",
        "http://shop.example:8082/x",
    ]);
    assert!(
        answer.out.contains("*:20018 ListenerSet shop/more#more"),
        "{}",
        answer.out
    );
}

#[test]
fn explain_answers_with_weights_and_the_certificate() {
    let answer = run(&[
        "explain",
        "--echo",
        "-f",
        "examples/quickstart",
        "-o",
        "json",
        "GET",
        "https://shop.localhost:8443/",
    ]);
    let json = answer.json();
    assert_eq!(json["listener"]["certificate"]["id"], "shop/shop-tls");
    assert_eq!(json["listener"]["certificate"]["coversHost"], true);
    assert_eq!(json["backends"][0]["percent"], 90.0);
    assert_eq!(json["backends"][1]["upstream"], "shop/catalogue-next:80");
}

#[test]
fn explain_says_where_a_request_ends_that_no_rule_answers() {
    for (url, part) in [
        (
            "http://nobody.example:8080/",
            "404 Not Found: no rule is for host nobody.example",
        ),
        (
            "http://shop.localhost:8080/../etc",
            "400 Bad Request: the path leads above the root",
        ),
        ("http://shop.localhost:81/", "nothing listens on port 81"),
        ("https://shop.localhost:8080/", "port 8080 speaks plain HTTP"),
        (
            "http://shop..localhost:8080/",
            "400 Bad Request: the host has an empty label",
        ),
    ] {
        let answer = run(&["explain", "-f", "examples/quickstart", "--quiet", url]);
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.out.contains(part), "{part} in {}", answer.out);
        assert_eq!(answer.out.lines().count(), 1);
    }
}

#[test]
fn explain_answers_for_tcp_udp_and_tls_too() {
    let ask = |url: &str| {
        let answer = run(&["explain", "-f", "examples/tcp-udp-tls", "--output", "json", url]);
        let json = answer.json();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let (outcome, summary) = (text(&json["outcome"]), text(&json["summary"]));
        (answer.code, outcome, summary, text(&json["listener"]["origin"]))
    };
    for (url, code, outcome, summary, listener) in [
        (
            "tcp://:5432",
            0,
            "forwarded",
            "90 % infra/postgres:5432, 10 % infra/postgres-next:5432 by TCPRoute infra/postgres#rules[0]",
            "postgres",
        ),
        (
            "udp://:5353",
            0,
            "forwarded",
            "infra/dns:53/udp by UDPRoute infra/dns#rules[0]",
            "dns",
        ),
        (
            "tls://vault.localhost:8443",
            0,
            "forwarded",
            "infra/vault:8200 by TLSRoute infra/vault#rules[0]",
            "vault",
        ),
        (
            "https://queue.localhost:8443/x",
            0,
            "forwarded",
            "infra/queue:5672 by TLSRoute infra/queue#rules[0]",
            "queue",
        ),
        (
            "tls://other.localhost:8443",
            1,
            "noRule",
            "closed before TLS begins: no listener is for other.localhost",
            "",
        ),
        (
            "udp://:5432",
            1,
            "noListener",
            "nothing listens for UDP on port 5432; UDP is on port 5353",
            "",
        ),
    ] {
        let listener = if listener.is_empty() {
            String::new()
        } else {
            format!("Gateway infra/front#{listener}")
        };
        assert_eq!(
            ask(url),
            (code, outcome.into(), summary.into(), listener),
            "{url}"
        );
    }
}

#[test]
fn explain_reads_many_requests_and_answers_a_line_for_each() {
    let mut child = command(&["explain", "--echo", "-f", "examples/quickstart", "--data", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = "# comment\nGET http://shop.localhost:8080/cart\n\n\
                 POST http://shop.localhost:8080/cart 'x-beta: yes'\n\
                 {\"url\": \"http://shop.localhost:8080/legacy\"}\n\
                 curl -k -H 'x-beta: yes' https://shop.localhost:8443/cart/1\n";
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let answer = Answer::of(&child.wait_with_output().unwrap());
    assert_eq!(answer.code, 0, "{answer:?}");
    let rules: Vec<&str> = answer
        .out
        .lines()
        .filter_map(|line| line.split(" by ").nth(1))
        .collect();
    assert_eq!(
        rules,
        [
            "HTTPRoute shop/shop#cart",
            "HTTPRoute shop/shop#cart-beta",
            "Ingress shop/legacy#rules[0].http.paths[0]",
            "HTTPRoute shop/shop#cart-beta",
        ]
    );
}

#[test]
fn explain_refuses_connect_as_the_data_plane_does() {
    let url = "http://shop.localhost:8080/";
    let answer = run(&["explain", "-f", "examples/quickstart", "--quiet", "CONNECT", url]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.out.contains("405 Method Not Allowed"), "{}", answer.out);
}
