//! Why a request goes where it goes, as plain data; the command line gives it words and colours.

use crate::conditions::{Failed, Request, joined};
use crate::host_rules::{HostRules, Miss};
use crate::rank::{self, Rank};
use crate::{Head, Socket, Table};
use ir::{HostPattern, Layer, Match, Origin};
use serde::Serialize;
use std::sync::Arc;

/// Every step of one lookup in a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The Gateway listeners whose hostname covers the host, most specific first, then the Ingress listener.
    pub listeners: Vec<ListenerStep>,
    /// The answers of the listeners that took part, at most one per layer.
    pub layers: Vec<LayerStep>,
    /// Who answers; unset: nobody (404).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub winner: Option<Winner>,
}

/// One listener and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListenerStep {
    /// Index into the bind's listeners.
    pub index: usize,
    /// `Gateway ns/name#listener`.
    pub origin: Origin,
    /// Its hostname.
    pub hostname: HostPattern,
    /// What became of it.
    pub verdict: ListenerVerdict,
}

/// What became of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ListenerVerdict {
    /// Takes part.
    Chosen,
    /// A more specific Gateway listener covers the host; its routes are not tried (listener isolation).
    LessSpecific,
}

/// The lookup in one listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerStep {
    /// Which API.
    pub layer: Layer,
    /// Index into the bind's listeners.
    pub listener: usize,
    /// Host patterns that cover the host, most specific first.
    pub hosts: Vec<HostStep>,
}

/// The rules of one host pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostStep {
    /// The routes' own hostname.
    pub pattern: HostPattern,
    /// What became of it.
    pub verdict: HostVerdict,
    /// In order of rank. Empty if the pattern was not tried.
    pub candidates: Vec<Candidate>,
}

/// What became of a host pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum HostVerdict {
    /// One of its rules matched.
    Matched,
    /// None of its rules matched.
    NoMatch,
    /// Not tried: a more specific pattern had a match.
    Beaten,
    /// Not tried: a more specific Ingress host hides it.
    Hidden,
}

/// One match of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// The rule.
    pub rule: Origin,
    /// Index into the route's rules.
    pub rule_index: u32,
    /// Index into the rule's matches.
    pub matched: u32,
    /// The conditions.
    pub conditions: Match,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "verdict")]
pub enum Verdict {
    /// It answers.
    Won,
    /// All conditions hold, and it is the best of its layer, but the other layer's answer is more specific.
    BeatenByOtherLayer,
    /// All conditions hold, but a match with a higher rank did too.
    Beaten {
        /// What the better one had more of.
        by: Advantage,
    },
    /// The path does not match.
    Path,
    /// The method is another.
    Method,
    /// A header field is missing.
    #[serde(rename_all = "camelCase")]
    HeaderMissing {
        /// Its name.
        name: String,
    },
    /// A header field has another value.
    #[serde(rename_all = "camelCase")]
    HeaderDiffers {
        /// Its name.
        name: String,
        /// The request's value.
        value: String,
    },
    /// A query parameter is missing.
    #[serde(rename_all = "camelCase")]
    QueryMissing {
        /// Its name.
        name: String,
    },
    /// A query parameter has another value.
    #[serde(rename_all = "camelCase")]
    QueryDiffers {
        /// Its name.
        name: String,
        /// The request's value.
        value: String,
    },
    /// The router can't use it (see [`crate::Unusable`]).
    Unusable,
}

/// Why one of two matches that both hold wins, in order of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Advantage {
    /// Its path is more specific (exact, then regular expression, then longest prefix).
    Path,
    /// It names a method.
    Method,
    /// It has more header conditions.
    Headers,
    /// It has more query conditions.
    Query,
    /// Its route is older.
    Age,
    /// Its route comes first by namespace and name.
    Name,
    /// It comes first in the route.
    Order,
}

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Winner {
    /// Index into the bind's listeners.
    pub listener: usize,
    /// Origin of that listener.
    pub listener_origin: Origin,
    /// The host pattern under which the rule was found.
    pub host: HostPattern,
    /// The route.
    pub route: Origin,
    /// The rule.
    pub rule: Origin,
    /// Index into the route's rules.
    pub rule_index: u32,
    /// Index into the rule's matches.
    pub matched: u32,
    /// If the other layer had an answer too: why this one counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_other_layer: Option<LayerAdvantage>,
}

/// Why the answer of one layer counts and not the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum LayerAdvantage {
    /// More specific host.
    Host,
    /// More specific path.
    Path,
    /// Same host and path: the Gateway's answer counts.
    Gateway,
}

/// Asks the same tables as [`Socket::find`], then says of everything else why it lost.
pub(crate) fn explain<R>(socket: &Socket<R>, head: &Head<'_>) -> Explanation {
    let answer = socket.find(head);
    let chosen = socket.listener_for(head.host);
    let ingress = socket.ingress_for(head.host);
    let step = |(index, verdict): (usize, ListenerVerdict)| {
        let listener = &socket.listeners()[index].0;
        ListenerStep {
            index,
            origin: listener.origin.clone(),
            hostname: listener.hostname.clone(),
            verdict,
        }
    };
    let gateway_steps = socket.gateway_listeners(head.host).into_iter().map(|index| {
        let verdict = if Some(index) == chosen {
            ListenerVerdict::Chosen
        } else {
            ListenerVerdict::LessSpecific
        };
        (index, verdict)
    });
    let steps = gateway_steps.chain(ingress.map(|index| (index, ListenerVerdict::Chosen)));
    let request = Request::new(head);
    let mut layers = Vec::new();
    let mut winner = None;
    let mut other = None;
    for index in chosen.into_iter().chain(ingress) {
        let (listener, table) = &socket.listeners()[index];
        let answers = answer.is_some_and(|answer| answer.listener == index);
        let (hosts, best) = explain_hosts(table, &request, answers);
        if let (Some((rules, entry)), Some(answer)) = (best, answer) {
            if answers {
                let placed = rules.placed(entry);
                winner = Some(Winner {
                    listener: index,
                    listener_origin: listener.origin.clone(),
                    host: rules.pattern.clone(),
                    route: placed.route.origin.clone(),
                    rule: placed.rule.origin.clone(),
                    rule_index: answer.found.rule,
                    matched: answer.found.matched,
                    over_other_layer: None,
                });
            } else {
                other = Some(over(answer.found.rank(), table.found(rules, entry).rank()));
            }
        }
        layers.push(LayerStep {
            layer: table.layer(),
            listener: index,
            hosts,
        });
    }
    if let Some(winner) = &mut winner {
        winner.over_other_layer = other;
    }
    Explanation {
        listeners: steps.map(step).collect(),
        layers,
        winner,
    }
}

/// A match within a table.
type Best<'t, R> = (&'t Arc<HostRules<R>>, u32);

fn explain_hosts<'t, R>(
    table: &'t Table<R>,
    request: &Request<'_>,
    answers: bool,
) -> (Vec<HostStep>, Option<Best<'t, R>>) {
    let host = request.head.host;
    let mut best = None;
    let mut steps = Vec::new();
    for (position, rules) in table.covering(host).into_iter().enumerate() {
        let (verdict, candidates) = if best.is_some() {
            (HostVerdict::Beaten, Vec::new())
        } else if position > 0 && table.layer() == Layer::Ingress {
            (HostVerdict::Hidden, Vec::new())
        } else {
            let found = rules.find(request);
            best = found.map(|entry| (rules, entry));
            let verdict = match found {
                Some(_) => HostVerdict::Matched,
                None => HostVerdict::NoMatch,
            };
            (verdict, candidates(rules, request, found, answers))
        };
        steps.push(HostStep {
            pattern: rules.pattern.clone(),
            verdict,
            candidates,
        });
    }
    (steps, best)
}

fn candidates<R>(
    rules: &HostRules<R>,
    request: &Request<'_>,
    best: Option<u32>,
    answers: bool,
) -> Vec<Candidate> {
    let misses = rules.misses(request);
    let candidate = |(index, miss): (usize, Option<Miss<'_>>)| {
        let index = index as u32;
        let placed = rules.placed(index);
        let verdict = match (miss, best) {
            (Some(miss), _) => of_miss(&miss, request),
            (None, Some(best)) if best != index => Verdict::Beaten {
                by: rank::compare(&rules.placed(best), &placed).1,
            },
            _ if answers => Verdict::Won,
            _ => Verdict::BeatenByOtherLayer,
        };
        Candidate {
            rule: placed.rule.origin.clone(),
            rule_index: rules.entries[index as usize].rule,
            matched: placed.position,
            conditions: placed.conditions.clone(),
            verdict,
        }
    };
    misses.into_iter().enumerate().map(candidate).collect()
}

fn of_miss(miss: &Miss<'_>, request: &Request<'_>) -> Verdict {
    match *miss {
        Miss::Unusable => Verdict::Unusable,
        Miss::Path => Verdict::Path,
        Miss::Condition(Failed::Method) => Verdict::Method,
        Miss::Condition(Failed::Header { name, missing: true }) => {
            Verdict::HeaderMissing { name: name.into() }
        }
        Miss::Condition(Failed::Header { name, missing: false }) => Verdict::HeaderDiffers {
            name: name.into(),
            value: String::from_utf8_lossy(&joined(request.head.headers, name)).into_owned(),
        },
        Miss::Condition(Failed::Query { name, missing: true }) => Verdict::QueryMissing { name: name.into() },
        Miss::Condition(Failed::Query { name, missing: false }) => Verdict::QueryDiffers {
            name: name.into(),
            value: request
                .query
                .first(name)
                .map(|value| value.to_text().into_owned())
                .unwrap_or_default(),
        },
    }
}

fn over(winner: Rank, loser: Rank) -> LayerAdvantage {
    if winner.host != loser.host {
        LayerAdvantage::Host
    } else if winner.path != loser.path {
        LayerAdvantage::Path
    } else {
        LayerAdvantage::Gateway
    }
}
