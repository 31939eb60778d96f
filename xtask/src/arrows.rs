//! Which crate may depend on which: the block ```` ```arrows ```` in ARCHITECTURE.md is the rule, `cargo metadata` the fact.

use crate::Outcome;
use crate::run::{cargo, root};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Packages of others that only the control side may see: the data plane knows no Kubernetes.
const KUBERNETES: &[&str] = &[
    "kube",
    "kube-client",
    "kube-core",
    "k8s-openapi",
    "narthex-api",
    "gateway-api",
];
/// Crates that stay free of them, also indirectly.
const DATA_PLANE: &[&str] = &["ir", "router", "proxy", "telemetry", "admin"];

/// Fails with every dependency that is not allowed and every permission that nothing uses.
pub fn run(_: &[String]) -> Outcome {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md"))
        .map_err(|error| format!("ARCHITECTURE.md: {error}"))?;
    let allowed = parse(&page)?;
    let metadata = metadata()?;
    let mut problems = differences(&allowed, &normal_dependencies(&metadata));
    problems.extend(kubernetes_in_the_data_plane(&metadata));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n"))
    }
}

/// Reads lines `crate -> a, b, c` from the page's block.
fn parse(page: &str) -> Result<Arrows, String> {
    let block = page
        .split("```arrows\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .ok_or("ARCHITECTURE.md has no block ```arrows")?;
    block
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let (from, to) = line
                .split_once("->")
                .ok_or_else(|| format!("ARCHITECTURE.md: no -> in {line:?}"))?;
            let to = to
                .split(',')
                .map(|word| word.trim().to_owned())
                .filter(|word| !word.is_empty())
                .collect();
            Ok((from.trim().to_owned(), to))
        })
        .collect()
}

fn differences(allowed: &Arrows, found: &Arrows) -> Vec<String> {
    let none = BTreeSet::new();
    let names: BTreeSet<_> = allowed.keys().chain(found.keys()).collect();
    let mut problems = Vec::new();
    for name in names {
        let (may, does) = (
            allowed.get(name).unwrap_or(&none),
            found.get(name).unwrap_or(&none),
        );
        problems.extend(
            does.difference(may)
                .map(|to| format!("{name} depends on {to}, which ARCHITECTURE.md does not allow")),
        );
        problems.extend(
            may.difference(does)
                .map(|to| format!("ARCHITECTURE.md lets {name} depend on {to}, but it does not")),
        );
    }
    problems
}

fn metadata() -> Result<Value, String> {
    let output = cargo(&["metadata", "--format-version", "1", "--locked"])
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("cargo metadata: {error}"))
}

/// Dependencies between our crates, without those of tests only.
fn normal_dependencies(metadata: &Value) -> Arrows {
    let mut arrows = Arrows::new();
    for package in list(metadata, "packages") {
        let Some(name) = text(package, "name").and_then(ours) else {
            continue;
        };
        let to = list(package, "dependencies")
            .filter(|dependency| dependency["kind"].is_null() && dependency["path"].is_string())
            .filter_map(|dependency| text(dependency, "name").and_then(ours))
            .collect();
        arrows.insert(name, to);
    }
    arrows
}

fn kubernetes_in_the_data_plane(metadata: &Value) -> Vec<String> {
    let names: BTreeMap<&str, &str> = list(metadata, "packages")
        .filter_map(|package| Some((text(package, "id")?, text(package, "name")?)))
        .collect();
    let next: BTreeMap<&str, Vec<&str>> = list(&metadata["resolve"], "nodes")
        .filter_map(|node| {
            let normal = list(node, "deps")
                .filter(|dep| list(dep, "dep_kinds").any(|kind| kind["kind"].is_null()))
                .filter_map(|dep| text(dep, "pkg"));
            Some((text(node, "id")?, normal.collect()))
        })
        .collect();
    let mut problems = Vec::new();
    for (id, name) in &names {
        let Some(short) = ours(name).filter(|short| DATA_PLANE.contains(&short.as_str())) else {
            continue;
        };
        let (mut seen, mut open) = (BTreeSet::new(), vec![*id]);
        while let Some(id) = open.pop() {
            if seen.insert(id) {
                open.extend(next.get(id).into_iter().flatten());
            }
        }
        let reached = seen
            .iter()
            .filter_map(|id| names.get(id))
            .filter(|name| KUBERNETES.contains(name));
        problems.extend(
            reached.map(|name| format!("{short} reaches {name}: the data plane knows no Kubernetes")),
        );
    }
    problems
}

/// `narthex-ir` to `ir`; `xtask` stays; others are not ours.
fn ours(package: &str) -> Option<String> {
    package
        .strip_prefix("narthex-")
        .or((package == "xtask").then_some(package))
        .map(str::to_owned)
}

fn list<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value[field].as_array().into_iter().flatten()
}

fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value[field].as_str()
}

#[cfg(test)]
mod tests {
    use super::{differences, parse};

    #[test]
    fn a_dependency_that_the_page_does_not_name_is_reported_and_so_is_an_unused_permission() {
        let allowed = parse("x\n```arrows\nrouter -> ir\nproxy -> router, ir\n```\n").unwrap();
        let found = parse("```arrows\nrouter -> ir, api\nproxy -> router\n```").unwrap();
        assert_eq!(
            differences(&allowed, &found),
            [
                "ARCHITECTURE.md lets proxy depend on ir, but it does not",
                "router depends on api, which ARCHITECTURE.md does not allow"
            ]
        );
    }
}
