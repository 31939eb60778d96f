//! What is read from files, once.
#![allow(clippy::unwrap_used)] // in a test

mod support;

use ir::{Code, Origin};
use narthex_control::{Loaded, load, once};
use std::path::Path;
use support::{ingress, write};
use translate::Settings;

fn codes(loaded: &Loaded, directory: &Path) -> Vec<String> {
    let line = |finding: &ir::Diagnostic| {
        let place = loaded.locations.place(finding).unwrap();
        let file = place.file.strip_prefix(directory).unwrap_or(&place.file);
        format!(
            "{} {}:{}:{} {}",
            finding.code,
            file.display(),
            place.line,
            place.column,
            finding.field
        )
    };
    loaded.diagnostics.iter().map(line).collect()
}

#[test]
fn a_directory_is_read_with_all_below_it_but_hidden_names() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    write(&root.join("a.yaml"), &ingress("a", "a.example"));
    write(&root.join("deep/er/b.yml"), &ingress("b", "b.example"));
    write(
        &root.join("c.json"),
        r#"{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "c"}}"#,
    );
    write(&root.join("notes.txt"), "not: [yaml");
    write(&root.join(".hidden.yaml"), &ingress("h", "h.example"));
    write(&root.join(".git/x.yaml"), &ingress("g", "g.example"));
    std::os::unix::fs::symlink(root, root.join("deep/circle")).unwrap();
    std::os::unix::fs::symlink(root.join("a.yaml"), root.join("again.yaml")).unwrap();
    let loaded = load(&[root.to_owned()]);
    assert_eq!(codes(&loaded, root), [""; 0]);
    let names: Vec<_> = loaded.objects.ingresses.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["default/a", "default/b"]);
    assert_eq!(loaded.objects.services.len(), 1);
    assert_eq!(loaded.files.len(), 3);
    assert!(loaded.unreadable.is_empty());
}

#[test]
fn one_bad_object_blocks_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let bad = ingress("bad", "bad.example").replace("number: 80", "number: eighty");
    let text = format!(
        "{bad}---\n{}---\njust words\n---\n{}",
        ingress("good", "g.example"),
        ingress("fine", "f.example")
    );
    write(&directory.path().join("x.yaml"), &text);
    write(&directory.path().join("y.yaml"), "a: b\n  c: d\n");
    let loaded = load(&[directory.path().to_owned()]);
    assert_eq!(loaded.objects.ingresses.len(), 2);
    let mut codes = codes(&loaded, directory.path());
    codes.sort();
    assert_eq!(
        codes,
        [
            "NTX0001 y.yaml:2:4 ",
            "NTX0002 x.yaml:16:23 spec.rules[0].http.paths[0].backend.service.port.number",
            "NTX0002 x.yaml:35:1 ",
        ]
    );
    assert_eq!(loaded.unreadable.len(), 1);
}

#[test]
fn a_path_that_is_not_there_is_unreadable() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let loaded = load(&[missing.clone(), directory.path().to_owned()]);
    assert_eq!(
        loaded.unreadable,
        [(missing, "No such file or directory".to_owned())]
    );
    assert!(loaded.files.is_empty());
}

#[test]
fn a_file_that_is_no_text_is_unreadable_at_its_first_wrong_byte() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("x.yaml"), b"a: b\nc: \xff\n").unwrap();
    let loaded = load(&[directory.path().to_owned()]);
    assert_eq!(codes(&loaded, directory.path()), ["NTX0001 x.yaml:2:4 "]);
}

#[test]
fn fields_are_found_by_line_in_yaml_and_json() {
    let directory = tempfile::tempdir().unwrap();
    let list = r#"{"apiVersion": "v1", "kind": "List", "items": [
      {"apiVersion": "v1", "kind": "Service",
       "metadata": {"name": "web", "namespace": "shop"},
       "spec": {"ports": [{"port": 80},
                          {"port": 81}]}}]}"#;
    write(&directory.path().join("l.json"), list);
    write(
        &directory.path().join("x.yaml"),
        &format!("# first\n---\n{}", ingress("a", "a.example")),
    );
    let locations = load(&[directory.path().to_owned()]).locations;
    let line = |origin: &Origin, field: &str| {
        let place = locations.field(origin, field).unwrap();
        format!("{}:{}", place.file.file_name().unwrap().display(), place.line)
    };
    let ingress = Origin::new("Ingress", "default", "a").section("rules[0]");
    assert_eq!(line(&ingress, ""), "x.yaml:3");
    assert_eq!(line(&ingress, "spec.rules[0].host"), "x.yaml:9");
    assert_eq!(
        line(
            &ingress,
            "spec.rules[0].http.paths[0].backend.service.port.number"
        ),
        "x.yaml:18"
    );
    assert_eq!(line(&ingress, "spec.tls[0].hosts"), "x.yaml:7");
    let service = Origin::new("Service", "shop", "web");
    assert_eq!(line(&service, "spec.ports[1].port"), "l.json:5");
    assert!(locations.of(&Origin::new("Service", "shop", "other")).is_none());
}

#[test]
fn manifests_as_a_cluster_prints_them_have_no_unknown_field() {
    let directory = tempfile::tempdir().unwrap();
    let text = r#"
apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  uid: 5f0f6a1e-0000-4000-8000-000000000000
  resourceVersion: "1"
  creationTimestamp: "2026-01-02T03:04:05Z"
  managedFields: [{manager: kubectl, operation: Update, fieldsV1: {"f:spec": {}}}]
  ownerReferences: []
  finalizers: [a/b]
spec:
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  internalTrafficPolicy: Cluster
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  ports: [{name: http, port: 80, protocol: TCP, targetPort: 8080, nodePort: 30080, appProtocol: http}]
  selector: {app: web}
  sessionAffinity: None
  type: NodePort
status: {loadBalancer: {}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}, generateName: web-}
endpoints:
- addresses: [10.1.0.1]
  conditions: {ready: true, serving: true, terminating: false}
  nodeName: n
  zone: z
  hints: {forZones: [{name: z}]}
  targetRef: {kind: Pod, name: web-1, namespace: shop, uid: x}
ports: [{name: http, port: 8080, protocol: TCP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop, generation: 3}
spec:
  parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g, namespace: infra, sectionName: http, port: 80}]
  hostnames: [a.example]
  rules:
  - name: first
    matches: [{path: {type: PathPrefix, value: /}, method: GET, headers: [{type: Exact, name: a, value: b}], queryParams: [{name: a, value: b}]}]
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: b}], add: [], remove: [c]}}]
    backendRefs: [{group: "", kind: Service, name: web, namespace: shop, port: 80, weight: 1, filters: []}]
    timeouts: {request: 10s, backendRequest: 5s}
    retry: {attempts: 2, codes: [500]}
    sessionPersistence: {sessionName: a}
status:
  parents: [{controllerName: x/y, parentRef: {name: g}, conditions: []}]
---
apiVersion: v1
kind: Secret
metadata: {name: s}
type: Opaque
immutable: true
data: {a: Yg==}
stringData: {c: d}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
immutable: true
data: {a: b}
binaryData: {a: Yg==}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {a: b}}
spec: {finalizers: [kubernetes]}
status: {phase: Active}
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: n}
spec: {controller: a/b, parameters: {kind: X, name: y}}
"#;
    write(&directory.path().join("x.yaml"), text);
    let loaded = load(&[directory.path().to_owned()]);
    assert_eq!(codes(&loaded, directory.path()), [""; 0]);
    let service = loaded.objects.services.values().next().unwrap();
    assert_eq!(service.metadata.created, 1_767_323_045);
}

#[test]
fn a_misspelt_field_is_found_where_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let text = ingress("a", "a.example").replace("pathType:", "pathtype:");
    write(&directory.path().join("x.yaml"), &text);
    let loaded = load(&[directory.path().to_owned()]);
    assert_eq!(
        codes(&loaded, directory.path()),
        ["NTX0005 x.yaml:11:9 spec.rules[0].http.paths[0].pathtype"]
    );
    assert_eq!(
        loaded.diagnostics[0].hint.as_deref(),
        Some("Write pathType, if that is what is meant")
    );
}

#[test]
fn reading_once_translates_with_the_endpoints_of_flags() {
    let directory = tempfile::tempdir().unwrap();
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n";
    write(
        &directory.path().join("x.yaml"),
        &format!("{}---\n{service}", ingress("a", "a.example")),
    );
    let settings = Settings {
        watch_ingress_without_class: true,
        ..Settings::default()
    };
    let endpoints = [
        "default/web:80=127.0.0.1:9000".parse().unwrap(),
        "default/nobody:80=127.0.0.1:1".parse().unwrap(),
    ];
    let once = once(&[directory.path().to_owned()], settings, &endpoints, None, 0);
    let upstream = once.translation.snapshot.upstreams.values().next().unwrap();
    assert_eq!(upstream.endpoints[0].address, "127.0.0.1:9000".parse().unwrap());
    let codes: Vec<_> = once
        .translation
        .diagnostics
        .iter()
        .map(|finding| finding.code)
        .collect();
    assert!(codes.contains(&Code::BackendNotFound), "{codes:?}");
    assert_eq!(support::hosts_of(&once.translation.snapshot), ["a.example"]);
}

#[test]
fn standard_input_is_read_like_a_file() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    // Standard input belongs to a process: this test starts itself again with one of its own.
    const CHILD: &str = "NARTHEX_TEST_READS_STDIN";
    if std::env::var_os(CHILD).is_some() {
        let loaded = load(&["-".into()]);
        let place = loaded
            .locations
            .field(&Origin::new("Ingress", "default", "b"), "spec.rules[0].host");
        println!(
            "{} ingresses, host at {}",
            loaded.objects.ingresses.len(),
            place.unwrap()
        );
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "standard_input_is_read_like_a_file", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("{}---\n{}", ingress("a", "a.example"), ingress("b", "b.example"));
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let output = String::from_utf8_lossy(&output.stdout);
    assert!(output.contains("2 ingresses, host at -:24:5"), "{output}");
}
