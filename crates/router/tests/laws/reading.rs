//! The routing rules read aloud: every rule is tried, every sentence of the specification is one comparison. Slow and
//! plain on purpose; it shares no code with the router.

use crate::Said;
use ir::{Bind, HostPattern, Layer, Listener, Match, PathMatch, Route, Rule, StringMatch};
use narthex_router::Head;
use regex_automata::meta::Regex;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::HashMap;

/// One match that holds for the request.
#[derive(Clone)]
struct Candidate<'b> {
    hostname: &'b HostPattern,
    route: &'b Route,
    rule_position: usize,
    match_position: usize,
}

pub fn answer(bind: &Bind, head: &Head<'_>) -> Said {
    let gateway = gateway_answer(bind, head);
    let ingress = ingress_answer(bind, head);
    let chosen = match (gateway, ingress) {
        (Some((gateway_listener, g)), Some((ingress_listener, i))) => {
            // The more specific host, then the more specific path; a tie goes to the Gateway.
            let listener = &bind.listeners[gateway_listener];
            let g_host = host_weight(g.hostname).max(host_weight(&listener.hostname));
            let i_host = host_weight(i.hostname);
            if (i_host, path_weight(&i.conditions().path)) > (g_host, path_weight(&g.conditions().path)) {
                (ingress_listener, i)
            } else {
                (gateway_listener, g)
            }
        }
        (gateway, ingress) => gateway.or(ingress)?,
    };
    let (listener, found) = chosen;
    Some((
        listener,
        found.route.origin.to_string(),
        found.rule_position as u32,
        found.match_position as u32,
    ))
}

pub fn both_layers_answer(bind: &Bind, head: &Head<'_>) -> bool {
    gateway_answer(bind, head).is_some() && ingress_answer(bind, head).is_some()
}

/// Whether all conditions of a match hold.
pub fn holds(conditions: &Match, head: &Head<'_>) -> bool {
    let path = match &conditions.path {
        PathMatch::Exact(text) => text == head.path,
        // "Matches based on a URL path prefix split by `/`. Matching is done on a path element by element basis."
        PathMatch::Prefix(text) => {
            let wanted: Vec<&str> = text.split('/').filter(|element| !element.is_empty()).collect();
            let given: Vec<&str> = head.path.split('/').skip(1).collect();
            given.starts_with(&wanted)
        }
        PathMatch::Regex(text) => whole(text, head.path.as_bytes()),
    };
    let method = conditions
        .method
        .as_deref()
        .is_none_or(|method| method == head.method);
    let headers = conditions.headers.iter().all(|condition| {
        let mut values: Vec<Vec<u8>> = Vec::new();
        let mut from = 0;
        while let Some((position, value)) = head.headers.next_value(&condition.name, from) {
            values.push(value.to_vec());
            from = position + 1;
        }
        !values.is_empty() && text_holds(&condition.value, &values.join(&b","[..]))
    });
    let query = conditions.query.iter().all(|condition| {
        let parameters = head
            .query
            .unwrap_or_default()
            .split('&')
            .filter(|part| !part.is_empty());
        let mut decoded = parameters.map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        });
        let first = decoded.find(|(name, _)| *name == condition.name);
        first.is_some_and(|(_, value)| text_holds(&condition.value, value.as_bytes()))
    });
    path && method && headers && query
}

fn gateway_answer<'b>(bind: &'b Bind, head: &Head<'_>) -> Option<(usize, Candidate<'b>)> {
    // Listener isolation: only the most specific listener is considered; of equal ones the first.
    let covering = bind
        .listeners
        .iter()
        .enumerate()
        .filter(|(_, listener)| listener.layer == Layer::Gateway && listener.hostname.matches(head.host));
    let (index, listener) = covering.min_by_key(|(_, listener)| Reverse(host_weight(&listener.hostname)))?;
    let best = candidates(listener, head)
        .into_iter()
        .min_by_key(|candidate| (Reverse(host_weight(candidate.hostname)), order(candidate)))?;
    Some((index, best))
}

fn ingress_answer<'b>(bind: &'b Bind, head: &Head<'_>) -> Option<(usize, Candidate<'b>)> {
    let (index, listener) = bind
        .listeners
        .iter()
        .enumerate()
        .find(|(_, listener)| listener.layer == Layer::Ingress)?;
    // The most specific host that any Ingress names hides all others, whether or not one of its paths matches.
    let hosts = listener.routes.iter().flat_map(|route| &route.hostnames);
    let most_specific = hosts
        .filter(|host| host.matches(head.host))
        .map(host_weight)
        .max()?;
    let best = candidates(listener, head)
        .into_iter()
        .filter(|candidate| host_weight(candidate.hostname) == most_specific)
        .min_by_key(order)?;
    Some((index, best))
}

fn candidates<'b>(listener: &'b Listener, head: &Head<'_>) -> Vec<Candidate<'b>> {
    let mut found = Vec::new();
    for route in &listener.routes {
        for hostname in route
            .hostnames
            .iter()
            .filter(|hostname| hostname.matches(head.host))
        {
            for (rule_position, rule) in route.rules.iter().enumerate() {
                for (match_position, conditions) in rule.matches.iter().enumerate() {
                    if holds(conditions, head) {
                        found.push(Candidate {
                            hostname,
                            route,
                            rule_position,
                            match_position,
                        });
                    }
                }
            }
        }
    }
    found
}

impl Candidate<'_> {
    fn rule(&self) -> &Rule {
        &self.route.rules[self.rule_position]
    }

    fn conditions(&self) -> &Match {
        &self.rule().matches[self.match_position]
    }
}

/// Path, method, number of headers, number of query parameters, age, name, position; the smallest wins.
fn order(candidate: &Candidate<'_>) -> impl Ord + use<> {
    let conditions = candidate.conditions();
    let origin = &candidate.route.origin;
    (
        Reverse(path_weight(&conditions.path)),
        Reverse(conditions.method.is_some()),
        Reverse(conditions.headers.len()),
        Reverse(conditions.query.len()),
        candidate.route.created,
        format!("{}/{}", origin.namespace, origin.name),
        candidate.rule().index,
        candidate.match_position,
    )
}

/// Characters in a hostname without star, then characters in one with.
fn host_weight(pattern: &HostPattern) -> (u8, usize) {
    match pattern {
        HostPattern::Exact(_) => (2, 0),
        HostPattern::Wildcard { suffix, .. } => (1, suffix.len()),
        HostPattern::Any => (0, 0),
    }
}

/// Exact, then regular expressions by length, then prefixes by length.
fn path_weight(path: &PathMatch) -> (u8, usize) {
    match path {
        PathMatch::Exact(_) => (2, 0),
        PathMatch::Regex(text) => (1, text.len()),
        PathMatch::Prefix(text) => (0, text.len()),
    }
}

fn text_holds(condition: &StringMatch, value: &[u8]) -> bool {
    match condition {
        StringMatch::Exact(text) => text.as_bytes() == value,
        StringMatch::Regex(text) => whole(text, value),
    }
}

fn whole(pattern: &str, text: &[u8]) -> bool {
    thread_local! {
        /// Compiling takes far longer than matching.
        static COMPILED: RefCell<HashMap<String, Regex>> = RefCell::default();
    }
    COMPILED.with_borrow_mut(|compiled| {
        compiled
            .entry(pattern.to_owned())
            .or_insert_with(|| {
                Regex::new(&format!("^(?:{pattern})$")).expect("the generator writes valid patterns")
            })
            .is_match(text)
    })
}

/// `application/x-www-form-urlencoded`, for the few escapes that the generator writes.
fn decode(text: &str) -> String {
    text.replace('+', " ")
        .replace("%31", "1")
        .replace("%70", "p")
        .replace("%20", " ")
}
