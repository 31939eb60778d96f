//! The commands that run nothing: their answers, exit codes and manners.

mod support;

use std::io::Write;
use std::process::Stdio;
use support::{Answer, command, root, run};

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
