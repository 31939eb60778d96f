//! The commands that run nothing: their answers, exit codes and manners.

mod support;

use std::io::Write;
use std::process::Stdio;
use support::{Answer, command, root, run};

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
            "sessions    cookie \"cart\" for /, for 12h: a client stays at the endpoint that it was sent to first",
        ),
        (
            "http://cart.localhost:8080/devices",
            "sessions    header x-session: ",
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
fn check_finds_a_tcp_route_that_gets_nothing_behind_an_older_one() {
    let directory = tempfile::tempdir().unwrap();
    let examples = root().join("examples/tcp-udp-tls");
    for file in [
        "gateway.yaml",
        "certificate.yaml",
        "tcp.yaml",
        "udp.yaml",
        "tls.yaml",
    ] {
        std::fs::copy(examples.join(file), directory.path().join(file)).unwrap();
    }
    let late = "apiVersion: gateway.networking.k8s.io/v1\nkind: TCPRoute\n\
        metadata: {name: postgres-too, namespace: infra}\nspec:\n  parentRefs: [{name: front, sectionName: postgres}]\n  \
        rules: [{backendRefs: [{name: postgres, port: 5432}]}]\n";
    std::fs::write(directory.path().join("late.yaml"), late).unwrap();
    let answer = run(&[
        "check",
        "--output",
        "json",
        &directory.path().display().to_string(),
    ]);
    let findings = answer.json()["findings"].clone();
    assert_eq!(findings.as_array().map(Vec::len), Some(1), "{findings}");
    assert_eq!(findings[0]["code"], "NTX0702");
    assert_eq!(findings[0]["object"]["name"], "postgres-too");
    assert!(
        findings[0]["message"]
            .as_str()
            .unwrap()
            .contains("TCPRoute infra/postgres is older")
    );
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
fn check_follows_fail_on_and_tells_what_it_cannot_read() {
    let mistakes = "examples/mistakes/20-two-owners.yaml";
    let with_base = |fail_on| {
        run(&[
            "check",
            "--echo",
            "-q",
            "--fail-on",
            fail_on,
            mistakes,
            "examples/mistakes/shop.yaml",
        ])
    };
    assert_eq!(with_base("error").code, 0);
    assert_eq!(with_base("warning").code, 1);
    assert_eq!(with_base("note").code, 1);
    let missing = run(&["check", "examples/nowhere"]);
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("can't read examples/nowhere"), "{missing:?}");
}

#[test]
fn a_broken_manifest_on_standard_input_is_a_finding_with_its_line() {
    let mut child = command(&["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"kind: Service\nmetadata:\n  name: [\n")
        .unwrap();
    let answer = Answer::of(&child.wait_with_output().unwrap());
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(
        answer.out.contains("NTX0001") && answer.out.contains("-:"),
        "{}",
        answer.out
    );
}

#[test]
fn flags_that_make_no_sense_end_with_code_2_and_a_hint() {
    for (arguments, part) in [
        (&["run", "--no-such-flag", "x"][..], "--no-such-flag"),
        (&["run"], "--kubeconfig"),
        (&["run", "--drain-timeout", "soon", "x"], "write 500ms, 30s"),
        (
            &["run", "--endpoint", "shop/web:80", "x"],
            "namespace/service:port=",
        ),
        (
            &["explain", "-f", "examples/quickstart", "GET", "/cart"],
            "names no host",
        ),
        (&["schema", "nothing"], "explain"),
        (&["chekc"], "check"),
    ] {
        let answer = run(arguments);
        assert_eq!(answer.code, 2, "{arguments:?}: {answer:?}");
        assert!(answer.err.contains(part), "{part} in {}", answer.err);
    }
}

#[test]
fn flags_can_come_from_the_environment_and_the_command_line_wins() {
    let output = |environment: &str, arguments: &[&str]| {
        let output = command(arguments)
            .env("NARTHEX_OUTPUT", environment)
            .output()
            .unwrap();
        Answer::of(&output).out
    };
    assert!(output("json", &["version"]).starts_with('{'));
    assert!(output("json", &["version", "--output", "text"]).starts_with("narthex "));
    let echo = command(&["check", "--fail-on", "note", "examples/quickstart"])
        .env("NARTHEX_ECHO", "true")
        .output()
        .unwrap();
    assert_eq!(Answer::of(&echo).code, 0);
}

#[test]
fn colour_is_for_terminals_or_on_demand() {
    let coloured = |arguments: &[&str]| run(arguments).out.contains('\x1b');
    assert!(!coloured(&["check", "examples/mistakes"]));
    assert!(coloured(&["--color", "always", "check", "examples/mistakes"]));
}

#[test]
fn every_output_has_a_schema_that_its_own_output_names() {
    let names = run(&["schema"]).out;
    assert_eq!(
        names.lines().collect::<Vec<_>>(),
        ["check", "explain", "snapshot", "status", "version"]
    );
    for name in names.lines() {
        let schema = run(&["schema", name]).json();
        assert_eq!(schema["title"], name);
        assert!(schema["properties"].is_object(), "{schema}");
    }
}

#[test]
fn snapshot_and_status_come_in_three_forms_and_hold_no_key() {
    for command in ["snapshot", "status"] {
        for form in ["json", "yaml", "text"] {
            let answer = run(&[command, "--echo", "-o", form, "examples/quickstart"]);
            assert_eq!(answer.code, 0, "{answer:?}");
            assert!(
                !answer.out.contains("PRIVATE KEY") && !answer.out.contains("MIG"),
                "{command} {form}"
            );
            assert!(answer.out.contains("shop"), "{command} {form}");
        }
    }
    let snapshot = || run(&["snapshot", "--echo", "examples/quickstart"]).out;
    assert_eq!(snapshot(), snapshot(), "the same input gives the same bytes");
}

#[test]
fn there_are_completions_for_the_shells() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let answer = run(&["completion", shell]);
        assert!(answer.code == 0 && answer.out.contains("explain"), "{shell}");
    }
}

#[test]
fn the_help_of_every_command_begins_with_what_it_does_and_lists_the_exit_codes() {
    let help = run(&["--help"]).out;
    assert!(
        help.contains("Exit codes:") && help.contains("NARTHEX_FLAG"),
        "{help}"
    );
    for name in [
        "run", "echo", "check", "explain", "snapshot", "status", "version", "schema",
    ] {
        let help = run(&[name, "--help"]).out;
        assert!(help.contains("Example: narthex"), "{name}: {help}");
    }
}

#[test]
fn explain_refuses_connect_as_the_data_plane_does() {
    let url = "http://shop.localhost:8080/";
    let answer = run(&["explain", "-f", "examples/quickstart", "--quiet", "CONNECT", url]);
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.out.contains("405 Method Not Allowed"), "{}", answer.out);
}

#[test]
fn check_says_when_a_directory_holds_no_objects() {
    let directory = tempfile::tempdir().unwrap();
    let answer = run(&["check", directory.path().to_str().unwrap()]);
    assert_eq!(
        (answer.code, answer.out.as_str()),
        (0, "no objects were found there\n")
    );
}

#[test]
fn a_path_that_was_named_and_can_not_be_opened_ends_with_code_2() {
    let directory = tempfile::tempdir().unwrap();
    // Exists and can't be opened, not even by root.
    let path = directory.path().join("objects.yaml");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    for command in ["check", "status", "run"] {
        let answer = run(&[command, path.to_str().unwrap()]);
        assert_eq!(answer.code, 2, "{command}: {answer:?}");
        assert!(answer.err.contains("can't read"), "{command}: {}", answer.err);
    }
}
