//! Every example is without fault, and every mistake in `examples/mistakes` is found.

mod support;

use std::fs;
use support::{root, run};

/// File, code, severity, object, field and line of everything that is to be found.
const MISTAKES: &[(&str, &str, &str, &str, &str, u64)] = &[
    (
        "01-service-misspelt.yaml",
        "NTX0101",
        "error",
        "HTTPRoute shop/m01",
        "spec.rules[0].backendRefs[0].name",
        14,
    ),
    (
        "02-container-port.yaml",
        "NTX0102",
        "error",
        "HTTPRoute shop/m02",
        "spec.rules[0].backendRefs[0].port",
        15,
    ),
    (
        "03-other-namespace.yaml",
        "NTX0103",
        "error",
        "HTTPRoute shop/m03",
        "spec.rules[0].backendRefs[0]",
        14,
    ),
    (
        "04-no-such-gateway.yaml",
        "NTX0105",
        "warning",
        "HTTPRoute shop/m04",
        "spec.parentRefs[0]",
        9,
    ),
    (
        "05-host-of-another-domain.yaml",
        "NTX0302",
        "error",
        "HTTPRoute shop/m05",
        "spec.parentRefs[0]",
        9,
    ),
    (
        "06-namespace-not-allowed.yaml",
        "NTX0301",
        "error",
        "HTTPRoute other/m06",
        "spec.parentRefs[0]",
        9,
    ),
    (
        "07-broken-expression.yaml",
        "NTX0306",
        "error",
        "HTTPRoute shop/m07",
        "spec.rules[0].matches[0].path.value",
        16,
    ),
    (
        "08-timeouts-contradict.yaml",
        "NTX0307",
        "error",
        "HTTPRoute shop/m08",
        "spec.rules[0].timeouts.backendRequest",
        15,
    ),
    (
        "09-redirect-and-rewrite.yaml",
        "NTX0304",
        "error",
        "HTTPRoute shop/m09",
        "spec.rules[0].filters[1]",
        17,
    ),
    (
        "10-listeners-collide.yaml",
        "NTX0201",
        "error",
        "Gateway shop/second",
        "spec.listeners[0]",
        11,
    ),
    (
        "11-no-such-secret.yaml",
        "NTX0501",
        "error",
        "Gateway shop/m11",
        "spec.listeners[0].tls.certificateRefs[0]",
        16,
    ),
    (
        "12-certificate-of-another-host.yaml",
        "NTX0503",
        "warning",
        "Gateway shop/m12",
        "spec.listeners[0].tls.certificateRefs",
        15,
    ),
    (
        "13-certificate-expired.yaml",
        "NTX0504",
        "error",
        "Secret shop/old-tls",
        "data[\"tls.crt\"]",
        25,
    ),
    (
        "14-no-such-class.yaml",
        "NTX0401",
        "warning",
        "Ingress shop/m14",
        "spec.ingressClassName",
        8,
    ),
    (
        "15-path-claimed-twice.yaml",
        "NTX0408",
        "warning",
        "Ingress shop/m15-b",
        "spec.rules[0].http.paths[0]",
        32,
    ),
    (
        "16-annotation-not-honoured.yaml",
        "NTX0403",
        "warning",
        "Ingress shop/m16",
        "metadata.annotations[\"nginx.ingress.kubernetes.io/rewrite-target\"]",
        8,
    ),
    (
        "17-rule-never-matches.yaml",
        "NTX0702",
        "warning",
        "HTTPRoute shop/m17",
        "spec.rules[1]",
        20,
    ),
    (
        "18-field-misspelt.yaml",
        "NTX0309",
        "warning",
        "HTTPRoute shop/m18",
        "spec.rules[0].backendRefs",
        13,
    ),
    (
        "18-field-misspelt.yaml",
        "NTX0005",
        "warning",
        "HTTPRoute shop/m18",
        "spec.rules[0].backendRef",
        16,
    ),
    (
        "19-not-yaml.yaml",
        "NTX0001",
        "error",
        "File examples/mistakes/19-not-yaml.yaml",
        "",
        15,
    ),
    (
        "20-two-owners.yaml",
        "NTX0701",
        "warning",
        "HTTPRoute shop/m20",
        "spec.rules[0].matches[0].path",
        14,
    ),
];

#[test]
fn every_example_is_without_fault() {
    let mut count = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name == "mistakes" || name == "README.md" {
            continue;
        }
        let path = format!("examples/{name}");
        // A Deployment, which is there for the cluster, is worth a note.
        let fail_on = if name == "cluster" { "warning" } else { "note" };
        let answer = run(&["check", "--echo", "--fail-on", fail_on, &path]);
        assert_eq!(answer.code, 0, "{path}: {}{}", answer.out, answer.err);
        assert!(!answer.out.contains(" 0 objects"), "{path} is empty");
        count += 1;
    }
    assert!(count >= 12, "{count} examples");
}

#[test]
fn each_mistake_is_found_with_code_object_field_and_line_and_nothing_else_is() {
    let answer = run(&["check", "--echo", "--output", "json", "examples/mistakes"]);
    assert_eq!(answer.code, 1, "{}", answer.err);
    let report = answer.json();
    assert_eq!(report["schema"], "narthex.check/v1");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            let object = &finding["object"];
            let namespace = match text(&object["namespace"]) {
                namespace if namespace.is_empty() => namespace,
                namespace => format!("{namespace}/"),
            };
            (
                text(&finding["file"]).replace("examples/mistakes/", ""),
                text(&finding["code"]),
                text(&finding["severity"]),
                format!("{} {namespace}{}", text(&object["kind"]), text(&object["name"])),
                text(&finding["field"]),
                finding["line"].as_u64().unwrap_or_default(),
            )
        })
        .collect();
    let expected: Vec<_> = MISTAKES
        .iter()
        .map(|(file, code, severity, object, field, line)| {
            let own = |text: &&str| (*text).to_owned();
            (
                own(file),
                own(code),
                own(severity),
                own(object),
                own(field),
                *line,
            )
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn the_report_of_the_mistakes_reads_as_the_one_beside_them() {
    let path = root().join("examples/mistakes/expected.txt");
    let answer = run(&["check", "--echo", "examples/mistakes"]);
    if std::env::var_os("NARTHEX_BLESS").is_some() {
        fs::write(&path, &answer.out).unwrap();
    }
    assert_eq!(
        answer.out,
        fs::read_to_string(&path).unwrap(),
        "NARTHEX_BLESS=1 rewrites it"
    );
    let long: Vec<&str> = answer
        .out
        .lines()
        .filter(|line| line.chars().count() > 100)
        .collect();
    // A first line with a long path can't be broken.
    assert!(long.iter().all(|line| line.ends_with("):")), "{long:?}");
}

#[test]
fn every_mistake_says_what_to_do() {
    let report = run(&["check", "--echo", "--output", "json", "examples/mistakes"]).json();
    for finding in report["findings"].as_array().unwrap() {
        assert!(finding["hint"].is_string(), "{finding}");
    }
}
