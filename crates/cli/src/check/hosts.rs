//! Hosts that objects of several namespaces claim.

use ir::{Code, Diagnostic, HostPattern, Origin, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

/// One finding per host, about the object that came last.
pub fn find(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let mut claims = Claims::new();
    for bind in &snapshot.binds {
        for route in bind.listeners.iter().flat_map(|listener| &listener.routes) {
            claim(&mut claims, &route.hostnames, (route.created, &route.origin));
        }
        for route in bind.streams.iter().flat_map(|listener| &listener.routes) {
            claim(&mut claims, &route.hostnames, (route.created, &route.origin));
        }
    }
    claims
        .into_iter()
        .filter_map(|(host, owners)| {
            let (_, first) = owners.first()?;
            let (_, last) = owners
                .iter()
                .rev()
                .find(|(_, owner)| owner.namespace != first.namespace)?;
            let field = if &*last.kind == "Ingress" {
                "spec.rules"
            } else {
                "spec.hostnames"
            };
            let message = format!(
                "host {host} is claimed by {} too, of another namespace",
                first.object()
            );
            let finding = Diagnostic::new(Code::HostClaimedTwice, last.object(), field, message);
            Some(finding.hint("Check that both namespaces mean to share the host"))
        })
        .collect()
}

/// Who claims each host.
type Claims<'s> = BTreeMap<String, BTreeSet<(i64, &'s Origin)>>;

fn claim<'s>(claims: &mut Claims<'s>, hostnames: &[HostPattern], owner: (i64, &'s Origin)) {
    for host in hostnames.iter().filter(|host| **host != HostPattern::Any) {
        claims.entry(host.to_string()).or_default().insert(owner);
    }
}
