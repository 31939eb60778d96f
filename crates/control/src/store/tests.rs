//! What becomes of objects that stand in several files, move and go.

use super::{Store, Touched};
use crate::text::{Format, items};
use std::path::Path;
use std::sync::Arc;
use translate::Key;

struct Files(Store);

impl Files {
    fn write(&mut self, name: &str, text: &str) -> Touched {
        let items = items(text, Format::Yaml).unwrap();
        self.0.replace(&Arc::from(Path::new(name)), text, items)
    }

    fn remove(&mut self, name: &str) -> Touched {
        self.0.remove(&Arc::from(Path::new(name)))
    }

    fn ports(&self, name: &str) -> Vec<u16> {
        let service = self.0.objects().services.get(&Key::new("default", name));
        let ports = service.iter().flat_map(|service| &service.spec.ports);
        ports.map(|port| port.port).collect()
    }

    fn findings(&self) -> Vec<String> {
        let findings = self.0.findings();
        let line = |finding: &ir::Diagnostic| {
            format!("{} {}", finding.code, self.0.locations().place(finding).unwrap())
        };
        findings.iter().map(line).collect()
    }
}

fn service(name: &str, port: u16) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: {port}}}]}}\n---\n"
    )
}

#[test]
fn an_object_that_says_the_same_keeps_its_allocation() {
    let mut files = Files(Store::default());
    let text = service("a", 1) + &service("b", 1);
    assert!(files.write("x.yaml", &text).objects);
    let before: Vec<_> = files.0.objects().services.values().map(Arc::as_ptr).collect();
    assert_eq!(
        files.write("x.yaml", &format!("# a comment\n{text}")),
        Touched::default()
    );
    assert!(
        files
            .write("x.yaml", &(service("a", 1) + &service("b", 2)))
            .endpoints
    );
    let after: Vec<_> = files.0.objects().services.values().map(Arc::as_ptr).collect();
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
}

#[test]
fn of_the_same_object_in_two_files_the_first_by_path_is_used() {
    let mut files = Files(Store::default());
    files.write("b.yaml", &service("a", 2));
    assert!(files.findings().is_empty());
    files.write("a.yaml", &service("a", 1));
    assert_eq!(files.ports("a"), [1]);
    assert_eq!(files.findings(), ["NTX0004 b.yaml:1:1"]);
    files.write("c.yaml", &service("a", 3));
    assert_eq!(files.ports("a"), [1]);
    assert_eq!(files.findings().len(), 2);
    files.remove("a.yaml");
    assert_eq!(files.ports("a"), [2]);
    files.write("b.yaml", &service("other", 9));
    assert_eq!(files.ports("a"), [3]);
    assert!(files.findings().is_empty());
    files.remove("c.yaml");
    assert!(files.ports("a").is_empty());
}

#[test]
fn of_the_same_object_twice_in_a_file_the_first_is_used() {
    let mut files = Files(Store::default());
    files.write("a.yaml", &(service("a", 1) + &service("a", 2)));
    assert_eq!(files.ports("a"), [1]);
    assert_eq!(files.findings(), ["NTX0004 a.yaml:6:1"]);
    assert!(files.write("a.yaml", &service("a", 1)).findings);
    assert!(files.findings().is_empty());
}

#[test]
fn a_kind_that_is_not_read_is_noted_once() {
    let mut files = Files(Store::default());
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n";
    files.write("a.yaml", deployment);
    files.write("b.yaml", &format!("# later\n{deployment}"));
    assert_eq!(files.findings(), ["NTX0003 a.yaml:1:1"]);
    files.remove("a.yaml");
    assert_eq!(files.findings(), ["NTX0003 b.yaml:2:1"]);
}

#[test]
fn an_old_version_of_a_kind_that_is_read_is_a_warning() {
    let mut files = Files(Store::default());
    files.write(
        "a.yaml",
        "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: d}\n",
    );
    let finding = &files.0.findings()[0];
    assert_eq!(finding.severity, ir::Severity::Warning);
    assert!(finding.hint.as_ref().unwrap().contains("networking.k8s.io/v1"));
}
