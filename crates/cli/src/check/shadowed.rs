//! Rules that can never match, as the router sees them.

use super::field_of;
use ir::{Code, Diagnostic, Origin, Rule, Snapshot};
use std::collections::{BTreeMap, BTreeSet};

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
    findings
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
