//! Rules that can never match, as the router sees them.

use super::field_of;
use ir::{Code, Diagnostic, HostPattern, Origin, Rule, Snapshot, StreamRoute};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One finding per dead rule, or per dead match of a rule that is alive otherwise.
pub fn find(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let rules: BTreeMap<&Origin, &Rule> = snapshot
        .binds
        .iter()
        .flat_map(|bind| rules_of(bind))
        .map(|rule| (&rule.origin, rule))
        .collect();
    let mut whole = BTreeSet::new();
    let mut findings = Vec::new();
    for shadowed in router::shadowed(snapshot) {
        let Some(rule) = rules.get(&shadowed.rule) else {
            continue;
        };
        if !shadowed.whole_rule {
            findings.push(finding(
                rule,
                &format!(".matches[{}]", shadowed.matched),
                &shadowed.by,
            ));
        } else if whole.insert(shadowed.rule) {
            findings.push(finding(rule, "", &shadowed.by));
        }
    }
    findings.extend(streams(snapshot));
    findings
}

/// Routes for streams of which another one takes everything, on every listener they are attached to.
fn streams(snapshot: &Snapshot) -> Vec<Diagnostic> {
    let of_binds = snapshot.binds.iter().flat_map(|bind| &bind.streams);
    let listeners = of_binds.chain(snapshot.udp.iter().map(|bind| &bind.listener));
    let mut alive = BTreeSet::new();
    let mut losers: BTreeMap<&Origin, &Origin> = BTreeMap::new();
    for listener in listeners {
        let mut routes: Vec<&StreamRoute> = listener.routes.iter().map(|route| &**route).collect();
        routes.sort_by(|a, b| a.rank().cmp(&b.rank()));
        let mut first: HashMap<&HostPattern, &Origin> = HashMap::new();
        for route in routes {
            for hostname in &route.hostnames {
                let winner = *first.entry(hostname).or_insert(&route.origin);
                if *winner == route.origin {
                    alive.insert(&route.origin);
                } else {
                    losers.insert(&route.origin, winner);
                }
            }
        }
    }
    losers.retain(|route, _| !alive.contains(route));
    let dead = losers.into_iter().map(|(route, by)| {
        let message =
            format!("the route gets nothing: {by} is older and takes all of its listener's streams");
        Diagnostic::new(Code::RuleShadowed, route.clone(), "spec.parentRefs", message)
            .hint("Give it a listener or hostnames of its own, or remove it")
    });
    dead.collect()
}

fn finding(rule: &Rule, part: &str, by: &Origin) -> Diagnostic {
    let what = if part.is_empty() { "the rule" } else { "the match" };
    let by = if *by == rule.origin {
        "another match of the rule".to_owned()
    } else {
        by.to_string()
    };
    Diagnostic::new(
        Code::RuleShadowed,
        rule.origin.object(),
        format!("{}{part}", field_of(rule)),
        format!("{what} never matches: {by} comes first and takes all its requests"),
    )
    .hint("Make it more specific, or remove it")
}

fn rules_of(bind: &ir::Bind) -> impl Iterator<Item = &Rule> {
    let routes = bind.listeners.iter().flat_map(|listener| &listener.routes);
    routes.flat_map(|route| &route.rules)
}
