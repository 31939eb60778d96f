//! All rules of one host pattern, compiled: path first, then the other conditions, in order of rank.

use crate::conditions::{Conditions, Failed, Request};
use crate::pattern::{Patterns, Texts};
use crate::rank::{self, PathRank, Placed, elements};
use crate::table::Unusable;
use crate::tree::{Group, Growing, Tree};
use crate::value_index::ValueIndex;
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use ir::{HostPattern, PathMatch, Route};
use std::cmp::Ordering;
use std::sync::Arc;

/// The rules that routes have for one host pattern.
pub(crate) struct HostRules<R> {
    pub pattern: HostPattern,
    /// Oldest first, each with the caller's part.
    pub routes: Box<[(Arc<Route>, R)]>,
    /// In order of rank; those with the same path side by side.
    pub entries: Box<[Entry]>,
    /// `None`: there are so few entries that they are tried one after the other.
    finder: Option<Box<Finder>>,
}

/// Where to look by the path of a request. Most hosts have a rule or two and need none.
struct Finder {
    tree: Tree,
    regexes: Option<Box<Regexes>>,
    /// For large groups: where to look by the value of one field, by start of the group.
    indexes: Box<[(u32, ValueIndex)]>,
    /// See [`HostRules::unusable`].
    unusable: Box<[Unusable]>,
}

/// One match of one rule.
pub(crate) struct Entry {
    /// Position in [`HostRules::routes`].
    pub route: u32,
    /// Position in [`Route::rules`].
    pub rule: u32,
    /// Position in [`ir::Rule::matches`].
    pub matched: u32,
    pub path: PathRank,
    /// False: never matches, see [`Unusable`].
    usable: bool,
    /// Besides the path; often there are none.
    conditions: Option<Box<Conditions>>,
}

struct Regexes {
    patterns: Patterns,
    /// For each pattern the entries that ask for it, in order of rank.
    entries: Vec<Box<[u32]>>,
}

/// Why an entry does not match, for `explain`.
pub(crate) enum Miss<'r> {
    Unusable,
    Path,
    Condition(Failed<'r>),
}

impl<R> HostRules<R> {
    /// `routes` oldest first.
    pub fn compile(pattern: HostPattern, routes: Box<[(Arc<Route>, R)]>) -> Self {
        let mut rules = Self {
            pattern,
            entries: in_order(&routes),
            routes,
            finder: None,
        };
        let mut unusable = rules.compile_conditions();
        rules.check_paths(&mut unusable);
        if rules.are_few() && unusable.is_empty() {
            return rules;
        }
        let regexes = rules.compile_regexes(&mut unusable).map(Box::new);
        for (index, _) in &unusable {
            rules.entries[*index].usable = false;
        }
        let unusable = unusable.into_iter().map(|(index, reason)| {
            let placed = rules.placed(index as u32);
            Unusable {
                origin: placed.rule.origin.clone(),
                matched: placed.position,
                reason,
            }
        });
        rules.finder = Some(Box::new(Finder {
            tree: rules.compile_tree(),
            regexes,
            indexes: rules.compile_indexes(),
            unusable: unusable.collect(),
        }));
        rules
    }

    /// The first entry in order of rank whose conditions all hold.
    #[inline]
    pub fn find(&self, request: &Request<'_>) -> Option<u32> {
        let path = request.head.path;
        let Some(finder) = &self.finder else {
            return self.find_among_few(request);
        };
        let place = finder.tree.walk(path);
        if let Some(found) = place.exact().and_then(|group| self.first(finder, group, request)) {
            return Some(found);
        }
        if let Some(found) = finder
            .regexes
            .as_ref()
            .and_then(|regexes| self.first_regex(regexes, request))
        {
            return Some(found);
        }
        place
            .prefixes()
            .find_map(|group| self.first(finder, group, request))
    }

    /// Apart from [`HostRules::find`], which has no registers to spare. All entries are usable.
    #[inline(never)]
    fn find_among_few(&self, request: &Request<'_>) -> Option<u32> {
        let path = request.head.path;
        let fits = |(index, entry): &(usize, &Entry)| {
            let below = entry.path == PathRank::Prefix(0) || is_below(path, self.path_of(*index as u32));
            below && entry.check(request).is_ok()
        };
        let found = self.entries.iter().enumerate().find(fits);
        found.map(|(index, _)| index as u32)
    }

    /// Matches that can't be used.
    pub fn unusable(&self) -> &[Unusable] {
        self.finder.as_ref().map_or(&[], |finder| &finder.unusable)
    }

    /// An entry with what it was made from.
    pub fn placed(&self, index: u32) -> Placed<'_> {
        placed(&self.routes, &self.entries[index as usize])
    }

    /// Whether an entry can match at all.
    pub fn is_usable(&self, index: u32) -> bool {
        self.entries[index as usize].usable
    }

    /// Why each entry does not match, in order of rank; `None` for those that do.
    pub fn misses<'r>(&'r self, request: &Request<'_>) -> Vec<Option<Miss<'r>>> {
        let path = request.head.path;
        let mut by_regex = vec![false; self.entries.len()];
        let regexes = self.finder.as_ref().and_then(|finder| finder.regexes.as_ref());
        if let Some(regexes) = regexes {
            regexes.patterns.each_match(path.as_bytes(), |position| {
                for entry in &regexes.entries[position] {
                    by_regex[*entry as usize] = true;
                }
            });
        }
        let path_matches = |index: usize| match self.path_of(index as u32) {
            PathMatch::Regex(_) => by_regex[index],
            given => is_below(path, given),
        };
        let miss = |(index, entry): (usize, &'r Entry)| {
            if !entry.usable {
                return Some(Miss::Unusable);
            }
            if !path_matches(index) {
                return Some(Miss::Path);
            }
            entry.check(request).err().map(Miss::Condition)
        };
        self.entries.iter().enumerate().map(miss).collect()
    }

    /// The first entry of a group whose other conditions hold.
    #[inline]
    fn first(&self, finder: &Finder, group: Group, request: &Request<'_>) -> Option<u32> {
        if (group.end - group.start) as usize > INDEX_FROM
            && let Ok(index) = finder
                .indexes
                .binary_search_by_key(&group.start, |(start, _)| *start)
        {
            return finder.indexes[index]
                .1
                .first(request, |entry| self.holds(entry, request));
        }
        (group.start..group.end).find(|entry| self.holds(*entry, request))
    }

    fn first_regex(&self, regexes: &Regexes, request: &Request<'_>) -> Option<u32> {
        let mut best: Option<u32> = None;
        regexes
            .patterns
            .each_match(request.head.path.as_bytes(), |position| {
                let better = |entry: &&u32| best.is_none_or(|best| **entry < best);
                let mut candidates = regexes.entries[position].iter().take_while(better);
                if let Some(found) = candidates.find(|entry| self.holds(**entry, request)) {
                    best = Some(*found);
                }
            });
        best
    }

    #[inline]
    fn holds(&self, entry: u32, request: &Request<'_>) -> bool {
        let entry = &self.entries[entry as usize];
        entry.usable && entry.check(request).is_ok()
    }

    /// Whether trying one entry after the other is as quick as a [`Finder`], which takes more room than they do.
    fn are_few(&self) -> bool {
        let mut entries = 0..self.entries.len() as u32;
        self.entries.len() <= FEW && !entries.any(|index| matches!(self.path_of(index), PathMatch::Regex(_)))
    }

    #[inline]
    fn path_of(&self, index: u32) -> &PathMatch {
        &self.placed(index).conditions.path
    }

    fn compile_conditions(&mut self) -> Vec<(usize, String)> {
        let mut unusable = Vec::new();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            match Conditions::compile(placed(&self.routes, entry).conditions) {
                Ok(conditions) => entry.conditions = conditions.map(Box::new),
                Err(reason) => unusable.push((index, reason)),
            }
        }
        unusable
    }

    fn check_paths(&self, unusable: &mut Vec<(usize, String)>) {
        for index in 0..self.entries.len() {
            let fits = match self.path_of(index as u32) {
                PathMatch::Exact(text) => text.starts_with('/'),
                PathMatch::Prefix(text) => elements(text).is_empty() || text.starts_with('/'),
                PathMatch::Regex(_) => true,
            };
            if !fits {
                unusable.push((index, "the path does not begin with /".to_owned()));
            }
        }
    }

    fn compile_tree(&self) -> Tree {
        let mut growing = Growing::new();
        for group in self.groups() {
            // What has no place in the tree is unusable anyway.
            match self.path_of(group.start) {
                PathMatch::Exact(text) => growing.exact(text, group),
                PathMatch::Prefix(text) => growing.prefix(elements(text), group),
                PathMatch::Regex(_) => true,
            };
        }
        growing.finish()
    }

    fn compile_regexes(&self, unusable: &mut Vec<(usize, String)>) -> Option<Regexes> {
        let mut texts: Vec<(&str, Vec<u32>)> = Vec::new();
        let mut known = HashMap::<&str, usize, RandomState>::default();
        for index in 0..self.entries.len() as u32 {
            if let PathMatch::Regex(text) = self.path_of(index) {
                let position = *known.entry(text).or_insert(texts.len());
                if position == texts.len() {
                    texts.push((text, Vec::new()));
                }
                texts[position].1.push(index);
            }
        }
        if texts.is_empty() {
            return None;
        }
        let sources: Vec<&str> = texts.iter().map(|(text, _)| *text).collect();
        let patterns = Patterns::compile(&sources, Texts::Ascii);
        for (position, (_, entries)) in texts.iter().enumerate() {
            if let Some(error) = patterns.error(position) {
                unusable.extend(entries.iter().map(|entry| (*entry as usize, error.to_owned())));
            }
        }
        let entries = texts.into_iter().map(|(_, entries)| entries.into()).collect();
        Some(Regexes { patterns, entries })
    }

    fn compile_indexes(&self) -> Box<[(u32, ValueIndex)]> {
        let large = |group: &Group| (group.end - group.start) as usize > INDEX_FROM;
        let index = |group: Group| {
            let entries = (group.start..group.end).map(|index| (index, self.placed(index).conditions));
            Some((group.start, ValueIndex::new(entries)?))
        };
        let mut indexes: Vec<_> = self
            .groups()
            .into_iter()
            .filter(large)
            .filter_map(index)
            .collect();
        indexes.sort_unstable_by_key(|(start, _)| *start);
        indexes.into()
    }

    /// Runs of entries with the same exact path or prefix.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<Group> = Vec::new();
        for index in 0..self.entries.len() as u32 {
            let path = self.path_of(index);
            if matches!(path, PathMatch::Regex(_)) {
                continue;
            }
            match groups.last_mut() {
                Some(group) if group.end == index && same_path(self.path_of(group.start), path).is_eq() => {
                    group.end += 1;
                }
                _ => groups.push(Group {
                    start: index,
                    end: index + 1,
                }),
            }
        }
        groups
    }
}

impl Entry {
    #[inline]
    fn check(&self, request: &Request<'_>) -> Result<(), Failed<'_>> {
        match &self.conditions {
            None => Ok(()),
            Some(conditions) => conditions.check(request),
        }
    }
}

fn placed<'r, R>(routes: &'r [(Arc<Route>, R)], entry: &Entry) -> Placed<'r> {
    let route = &*routes[entry.route as usize].0;
    let rule = &route.rules[entry.rule as usize];
    Placed {
        route,
        rule,
        position: entry.matched,
        conditions: &rule.matches[entry.matched as usize],
    }
}

/// Every match of every rule, in order of rank. Exact paths and prefixes of one rank but different text never
/// match the same request, so they may be grouped; expressions may, so they are not.
fn in_order<R>(routes: &[(Arc<Route>, R)]) -> Box<[Entry]> {
    let mut entries = Vec::new();
    for (position, (route, _)) in routes.iter().enumerate() {
        for (rule_position, rule) in route.rules.iter().enumerate() {
            for (match_position, conditions) in rule.matches.iter().enumerate() {
                entries.push(Entry {
                    route: position as u32,
                    rule: rule_position as u32,
                    matched: match_position as u32,
                    path: PathRank::of(&conditions.path),
                    usable: true,
                    conditions: None,
                });
            }
        }
    }
    entries.sort_by(|a, b| {
        let path = b.path.cmp(&a.path);
        path.then_with(|| {
            let (a, b) = (placed(routes, a), placed(routes, b));
            same_path(&a.conditions.path, &b.conditions.path).then_with(|| rank::compare(&a, &b).0)
        })
    });
    entries.into()
}

/// Groups paths of one rank by text.
fn same_path(a: &PathMatch, b: &PathMatch) -> Ordering {
    match (a, b) {
        (PathMatch::Exact(a), PathMatch::Exact(b)) => a.cmp(b),
        (PathMatch::Prefix(a), PathMatch::Prefix(b)) => elements(a).cmp(elements(b)),
        (PathMatch::Regex(_), PathMatch::Regex(_)) => Ordering::Equal,
        _ => PathRank::of(a).cmp(&PathRank::of(b)),
    }
}

/// Whether a path is what a match asks for; no expression does that.
#[inline]
fn is_below(path: &str, given: &PathMatch) -> bool {
    match given {
        PathMatch::Exact(text) => text == path,
        PathMatch::Prefix(text) => {
            let prefix = elements(text);
            let rest = path.strip_prefix(prefix);
            prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
        PathMatch::Regex(_) => false,
    }
}

/// Up to this many entries, a tree would take longer than looking at each.
const FEW: usize = 3;

/// Up to this many entries of one path, trying one after the other is as quick.
const INDEX_FROM: usize = 4;
