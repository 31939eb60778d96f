//! Hosts and paths that both an Ingress and an HTTPRoute claim.

use super::field_of;
use ir::{Bind, Code, Diagnostic, HostPattern, Layer, PathMatch, Route, Rule, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// One finding per path of an Ingress that an HTTPRoute takes.
pub fn find(snapshot: &Snapshot) -> Vec<Diagnostic> {
    snapshot.binds.iter().flat_map(|bind| in_socket(bind)).collect()
}

fn in_socket(bind: &Bind) -> Vec<Diagnostic> {
    let mut claimed: BTreeMap<(String, String), &Rule> = BTreeMap::new();
    for listener in bind
        .listeners
        .iter()
        .filter(|listener| listener.layer == Layer::Gateway)
    {
        for (host, path, rule) in claims(&listener.routes) {
            // A listener answers only for its own hosts.
            if listener.hostname.intersects(host) {
                claimed.entry((host.to_string(), path)).or_insert(rule);
            }
        }
    }
    let ingress = bind
        .listeners
        .iter()
        .filter(|listener| listener.layer == Layer::Ingress);
    ingress
        .flat_map(|listener| claims(&listener.routes))
        .filter_map(|(host, path, rule)| {
            let winner = claimed.get(&(host.to_string(), path.clone()))?;
            let message = format!(
                "{} claims {path} of host {host} too, and wins on {}: an HTTPRoute counts before an Ingress",
                winner.origin, bind.address
            );
            let finding = Diagnostic::new(Code::OwnerConflict, rule.origin.object(), field_of(rule), message);
            Some(finding.hint("Remove the path from the Ingress when the move is done"))
        })
        .collect()
}

/// Host, path and rule of everything that routes claim with a path alone: a condition on a header or the like takes
/// only a part of the requests.
fn claims(routes: &[Arc<Route>]) -> impl Iterator<Item = (&HostPattern, String, &Rule)> {
    routes.iter().flat_map(|route| {
        route.hostnames.iter().flat_map(move |host| {
            route.rules.iter().flat_map(move |rule| {
                rule.matches.iter().filter_map(move |condition| {
                    let alone = condition.method.is_none()
                        && condition.headers.is_empty()
                        && condition.query.is_empty();
                    let path = match &condition.path {
                        PathMatch::Exact(path) => format!("exactly {path}"),
                        PathMatch::Prefix(prefix) if prefix.is_empty() => "/".into(),
                        PathMatch::Prefix(prefix) => prefix.clone(),
                        PathMatch::Regex(regex) => format!("the expression {regex}"),
                    };
                    alone.then_some((host, path, rule))
                })
            })
        })
    })
}
