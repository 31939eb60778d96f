//! Finds matches that can never hold, for `narthex check`.
//!
//! A match is reported only where another one is sure to take every request that it would match; whether one
//! expression covers another is not decided except in plain cases. So there may be more dead rules than are
//! found, but what is found is dead.

use crate::Socket;
use crate::host_rules::HostRules;
use crate::pattern::{Patterns, Texts};
use crate::rank::{HostRank, PathRank, Placed, Rank, elements};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ir::{Bind, HostPattern, Layer, Match, Origin, PathMatch, Snapshot, StringMatch, ValueMatch};
use serde::Serialize;
use std::sync::Arc;

/// A match that can never hold, and the one that takes all its requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shadowed {
    /// The rule that never matches by this match.
    pub rule: Origin,
    /// Index into the rule's matches.
    pub matched: u32,
    /// Whether this holds for every match of the rule, so that the rule as a whole is dead.
    pub whole_rule: bool,
    /// The rule that is tried before it (one of them, if they differ by host or listener).
    pub by: Origin,
    /// Index into that rule's matches.
    pub by_matched: u32,
}

/// The matches of a snapshot that can't hold anywhere: on none of the addresses, listeners and hosts that their rule
/// is served on. Sorted by rule.
pub fn shadowed(snapshot: &Snapshot) -> Vec<Shadowed> {
    let mut fates = Fates::default();
    for bind in &snapshot.binds {
        judge_bind(bind, &mut fates);
    }
    let mut alive_rules = hashbrown::HashSet::<&Origin, RandomState>::default();
    for ((rule, _), fate) in &fates {
        if fate.is_none() {
            alive_rules.insert(rule);
        }
    }
    let shadowed = fates.iter().filter_map(|((rule, matched), fate)| {
        let (by, by_matched) = fate.clone()?;
        Some(Shadowed {
            rule: rule.clone(),
            matched: *matched,
            whole_rule: !alive_rules.contains(rule),
            by,
            by_matched,
        })
    });
    let mut shadowed: Vec<Shadowed> = shadowed.collect();
    shadowed.sort();
    shadowed
}

/// By rule and index of the match: who takes all its requests, `None` if it is alive somewhere.
type Fates = HashMap<(Origin, u32), Option<(Origin, u32)>, RandomState>;

fn judge_bind(bind: &Bind, fates: &mut Fates) {
    let socket = Socket::build(bind, None, &mut |_: &Arc<ir::Route>| ());
    for (index, (_, table)) in socket.listeners().iter().enumerate() {
        for rules in table.all_hosts() {
            let rivals = stronger_hosts(&socket, index, rules);
            let host = HostRank::of(&rules.pattern).max(HostRank::of(table.hostname()));
            judge_host(rules, host, &rivals, fates);
        }
    }
}

fn judge_host(rules: &HostRules<()>, host: HostRank, rivals: &[Rivals<'_>], fates: &mut Fates) {
    let sweeping = sweeping(rules);
    // Matches of one path can shadow each other only if they ask for the same fields.
    let mut alike: HashMap<Shape<'_>, Vec<u32>, RandomState> = HashMap::default();
    for entry in 0..rules.entries.len() as u32 {
        let placed = rules.placed(entry);
        let shape = shape(placed.conditions);
        let before = alike.entry(shape).or_default();
        let same = before.iter().copied();
        let mut better = same.chain(sweeping.iter().copied().take_while(|sweeping| *sweeping < entry));
        let by = better
            .find(|better| covers(rules.placed(*better).conditions, placed.conditions))
            .map(|better| rules.placed(better))
            .or_else(|| rivals.iter().find_map(|rivals| rivals.cover(host, &placed)));
        if rules.is_usable(entry) {
            before.push(entry);
        }
        let by = by.map(|by| (by.rule.origin.clone(), by.position));
        fates
            .entry((placed.rule.origin.clone(), placed.position))
            .and_modify(|fate| {
                if by.is_none() {
                    *fate = None;
                }
            })
            .or_insert(by);
    }
}

/// Path, method and names of the fields that a match asks for.
type Shape<'m> = (&'m PathMatch, Option<&'m str>, Vec<&'m str>, Vec<&'m str>);

fn shape(conditions: &Match) -> Shape<'_> {
    let mut headers: Vec<&str> = conditions
        .headers
        .iter()
        .map(|value| value.name.as_str())
        .collect();
    let mut query: Vec<&str> = conditions.query.iter().map(|value| value.name.as_str()).collect();
    headers.sort_unstable();
    query.sort_unstable();
    (&conditions.path, conditions.method.as_deref(), headers, query)
}

/// Entries by expressions that end in `.*` and so cover whole prefixes.
fn sweeping(rules: &HostRules<()>) -> Vec<u32> {
    usable(rules)
        .filter(|entry| match &rules.placed(*entry).conditions.path {
            PathMatch::Regex(text) => swept_prefix(text).is_some(),
            _ => false,
        })
        .collect()
}

fn usable(rules: &HostRules<()>) -> impl Iterator<Item = u32> {
    (0..rules.entries.len() as u32).filter(|entry| rules.is_usable(*entry))
}

/// The rules of a pattern that is asked before another one, for the same hosts.
struct Rivals<'s> {
    rules: &'s HostRules<()>,
    /// Set if they belong to the other layer: then their answer counts only if it ranks at least as high.
    other_layer: bool,
}

impl<'s> Rivals<'s> {
    fn cover(&self, host: HostRank, loser: &Placed<'_>) -> Option<Placed<'s>> {
        usable(self.rules)
            .map(|entry| self.rules.placed(entry))
            .find(|rival| {
                let ranks =
                    !self.other_layer || rank(HostRank::of(&self.rules.pattern), rival) >= rank(host, loser);
                ranks && covers(rival.conditions, loser.conditions)
            })
    }
}

fn rank(host: HostRank, placed: &Placed<'_>) -> Rank {
    Rank {
        host,
        path: PathRank::of(&placed.conditions.path),
    }
}

/// For a pattern of one exact host: the rules that are asked before its own. Patterns of many hosts have none, since
/// some of their hosts may be asked elsewhere.
fn stronger_hosts<'s>(socket: &'s Socket<()>, listener: usize, rules: &HostRules<()>) -> Vec<Rivals<'s>> {
    let (_, table) = &socket.listeners()[listener];
    let ((HostPattern::Exact(host), _) | (_, HostPattern::Exact(host))) = (&rules.pattern, table.hostname())
    else {
        return Vec::new();
    };
    let mut rivals = Vec::new();
    match table.layer() {
        Layer::Gateway => {
            let same_listener = table.covering(host).into_iter();
            let before = same_listener.take_while(|other| other.pattern != rules.pattern);
            rivals.extend(before.map(|other| Rivals {
                rules: other,
                other_layer: false,
            }));
        }
        Layer::Ingress => {
            // Of the Gateway's patterns only the first one: its answer is the layer's answer if it has one.
            let gateway = socket
                .listener_for(host)
                .map(|index| &socket.listeners()[index].1);
            let first = gateway.and_then(|table| table.covering(host).into_iter().next());
            rivals.extend(first.map(|other| Rivals {
                rules: other,
                other_layer: true,
            }));
        }
    }
    rivals
}

/// Whether every request that `narrow` matches is matched by `wide` too.
fn covers(wide: &Match, narrow: &Match) -> bool {
    covers_path(&wide.path, &narrow.path)
        && (wide.method.is_none() || wide.method == narrow.method)
        && wide
            .headers
            .iter()
            .all(|value| covers_value(value, &narrow.headers))
        && wide.query.iter().all(|value| covers_value(value, &narrow.query))
}

fn covers_path(wide: &PathMatch, narrow: &PathMatch) -> bool {
    match (wide, narrow) {
        (PathMatch::Exact(wide), PathMatch::Exact(narrow))
        | (PathMatch::Regex(wide), PathMatch::Regex(narrow)) => wide == narrow,
        (PathMatch::Exact(_), _) => false,
        (PathMatch::Prefix(wide), PathMatch::Exact(narrow) | PathMatch::Prefix(narrow)) => {
            let rest = elements(narrow).strip_prefix(elements(wide));
            rest.is_some_and(|rest| elements(wide).is_empty() || rest.is_empty() || rest.starts_with('/'))
        }
        (PathMatch::Prefix(wide), PathMatch::Regex(_)) => elements(wide).is_empty(),
        (PathMatch::Regex(wide), PathMatch::Prefix(narrow)) => {
            swept_prefix(wide).is_some_and(|swept| match elements(narrow) {
                // Every path begins with a slash (but for `OPTIONS *`), so `/.*` sweeps all.
                "" => matches!(swept, "" | "/"),
                narrow => narrow.starts_with(swept),
            })
        }
        (PathMatch::Regex(wide), PathMatch::Exact(narrow)) => whole_match(wide, narrow),
    }
}

/// `/api` for `/api.*`, the plain text before a final `.*`; `None` if there is more to the expression.
fn swept_prefix(expression: &str) -> Option<&str> {
    let expression = expression.strip_prefix('^').unwrap_or(expression);
    let expression = expression.strip_suffix('$').unwrap_or(expression);
    let literal = expression.strip_suffix(".*")?;
    literal
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/_-~".contains(&byte))
        .then_some(literal)
}

/// Whether one of `narrow` leaves no value that `wide` refuses.
fn covers_value(wide: &ValueMatch, narrow: &[ValueMatch]) -> bool {
    narrow
        .iter()
        .filter(|narrow| narrow.name == wide.name)
        .any(|narrow| match (&wide.value, &narrow.value) {
            (StringMatch::Regex(wide), StringMatch::Exact(narrow)) => whole_match(wide, narrow),
            (wide, narrow) => wide == narrow,
        })
}

fn whole_match(expression: &str, text: &str) -> bool {
    Patterns::compile(&[expression], Texts::Bytes).is_match(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::{covers, covers_path, swept_prefix};
    use ir::{Match, PathMatch, StringMatch, ValueMatch};

    fn exact(text: &str) -> PathMatch {
        PathMatch::Exact(text.into())
    }

    fn prefix(text: &str) -> PathMatch {
        PathMatch::Prefix(text.into())
    }

    fn regex(text: &str) -> PathMatch {
        PathMatch::Regex(text.into())
    }

    #[test]
    fn one_path_covers_another_only_if_that_is_plain() {
        for (wide, narrow, expected) in [
            (exact("/a"), exact("/a"), true),
            (exact("/a"), exact("/b"), false),
            (exact("/a"), prefix("/a"), false),
            (prefix("/a"), exact("/a/b"), true),
            (prefix("/a"), exact("/ab"), false),
            (prefix("/a"), prefix("/a/b"), true),
            (prefix("/a/b"), prefix("/a"), false),
            (prefix(""), prefix("/a"), true),
            (prefix(""), regex("/a"), true),
            (prefix("/a"), regex("/a/b"), false),
            (regex("/a.*"), prefix("/ab"), true),
            (regex("/a/.*"), prefix("/a"), false),
            (regex("/.*"), prefix(""), true),
            (regex(".*"), prefix(""), true),
            (regex("/a|/b.*"), prefix("/b"), false),
            (regex("/[ab]"), exact("/a"), true),
            (regex("/[ab]"), exact("/ab"), false),
            (regex("/a+"), regex("/a+"), true),
            (regex("/a+"), regex("/aa+"), false),
        ] {
            assert_eq!(covers_path(&wide, &narrow), expected, "{wide:?} {narrow:?}");
        }
        assert_eq!(swept_prefix("^/api/.*$"), Some("/api/"));
        assert_eq!(swept_prefix("/a.b.*"), None);
    }

    #[test]
    fn a_match_covers_another_if_it_asks_for_no_more() {
        let on = |name: &str, value: StringMatch| ValueMatch {
            name: name.into(),
            value,
        };
        let one = || on("x", StringMatch::Exact("1".into()));
        let digit = || on("x", StringMatch::Regex("[0-9]".into()));
        let with = |method: Option<&str>, headers: Vec<ValueMatch>| Match {
            path: prefix("/a"),
            method: method.map(Into::into),
            headers,
            query: vec![],
        };
        assert!(covers(&with(None, vec![]), &with(Some("GET"), vec![one()])));
        assert!(!covers(&with(Some("GET"), vec![]), &with(None, vec![])));
        assert!(covers(&with(None, vec![digit()]), &with(None, vec![one()])));
        assert!(!covers(&with(None, vec![one()]), &with(None, vec![digit()])));
        assert!(!covers(&with(None, vec![one()]), &with(None, vec![])));
    }
}
