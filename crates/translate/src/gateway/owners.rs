//! Paths that an HTTPRoute and an Ingress both claim. The HTTPRoute wins (`docs/concepts/precedence.md`), so that a
//! path can be moved from one to the other without a gap; while both are there, somebody should know.

use crate::ingress::Claim;
use crate::input::Key;
use crate::scope::Scope;
use ir::{Code, Diagnostic, HostPattern, PathMatch, Route, Rule};
use std::collections::BTreeSet;

/// Reports the paths of a route that an Ingress claims too. `hostnames` are those under which the route is served
/// on the ports of the Ingress listener.
pub(crate) fn report(scope: &mut Scope<'_>, route: &Route, hostnames: &BTreeSet<String>) {
    for rule in &route.rules {
        let mut seen = BTreeSet::new();
        for (index, given) in rule.matches.iter().enumerate() {
            let (path, exact) = match &given.path {
                PathMatch::Exact(path) => (path, true),
                PathMatch::Prefix(path) => (path, false),
                PathMatch::Regex(_) => continue,
            };
            if !seen.insert((path, exact)) {
                continue;
            }
            for host in hostnames {
                let claim = Claim::Path {
                    host: host.as_str().into(),
                    path: path.as_str().into(),
                    exact,
                };
                let Some(first) = scope.claimants(claim).next().map(|claimant| claimant.key.clone()) else {
                    continue;
                };
                let finding = finding(route, rule, index, host, path, &first);
                scope.report(finding);
            }
        }
    }
}

/// How the Ingress side spells a pattern; empty for every host.
pub(crate) fn spelled(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => String::new(),
        other => other.to_string(),
    }
}

fn finding(route: &Route, rule: &Rule, index: usize, host: &str, path: &str, ingress: &Key) -> Diagnostic {
    let host = if host.is_empty() { "every host" } else { host };
    let path = if path.is_empty() { "/" } else { path };
    Diagnostic::new(
        Code::OwnerConflict,
        route.origin.clone(),
        format!("spec.rules[{}].matches[{index}].path", rule.index),
        format!("Ingress {ingress} claims path {path} of {host} too; this HTTPRoute wins"),
    )
    .hint("Remove the path from the Ingress once the HTTPRoute does what it should")
}
