//! Finds what is kept under a host, most specific pattern first.

use crate::names::Names;
use ir::HostPattern;

/// Values by host pattern. A lookup costs one hash for the exact names and one per label for the wildcards, however
/// many patterns there are.
#[derive(Clone)]
pub(crate) struct Hosts<V> {
    exact: Names<V>,
    wildcards: Names<Wildcards<V>>,
    any: Option<V>,
    /// Length of the longest suffix, so that longer ones need not be tried.
    longest_suffix: usize,
}

/// What is kept under the wildcards of one suffix. They are equally specific, so where both cover a host
/// whatever is kept under `one_label` must hold the other's as well.
#[derive(Clone)]
struct Wildcards<V> {
    one_label: Option<V>,
    many_labels: Option<V>,
}

impl<V: Clone> Hosts<V> {
    pub fn new() -> Self {
        Self {
            exact: Names::new(),
            wildcards: Names::new(),
            any: None,
            longest_suffix: 0,
        }
    }

    /// Forgets what is kept under exactly this pattern.
    pub fn remove(&mut self, pattern: &HostPattern) {
        match pattern {
            HostPattern::Any => self.any = None,
            HostPattern::Exact(name) => self.exact.remove(name),
            HostPattern::Wildcard { suffix, one_label } => {
                if self.wildcards.get(suffix).is_none() {
                    return;
                }
                let wildcards = self.wildcards.entry(suffix, Wildcards::default);
                *wildcards.place(*one_label) = None;
                if wildcards.one_label.is_none() && wildcards.many_labels.is_none() {
                    self.wildcards.remove(suffix);
                }
            }
        }
    }

    /// Keeps a value, unless the pattern has one already.
    pub fn insert(&mut self, pattern: &HostPattern, value: V) {
        match pattern {
            HostPattern::Any => {
                self.any.get_or_insert(value);
            }
            HostPattern::Exact(name) => {
                self.exact.entry(name, || value);
            }
            HostPattern::Wildcard { suffix, one_label } => {
                self.longest_suffix = self.longest_suffix.max(suffix.len());
                let wildcards = self.wildcards.entry(suffix, Wildcards::default);
                wildcards.place(*one_label).get_or_insert(value);
            }
        }
    }
}

impl<V> Default for Wildcards<V> {
    fn default() -> Self {
        Self {
            one_label: None,
            many_labels: None,
        }
    }
}

impl<V> Wildcards<V> {
    fn place(&mut self, one_label: bool) -> &mut Option<V> {
        if one_label {
            &mut self.one_label
        } else {
            &mut self.many_labels
        }
    }
}

impl<V> Hosts<V> {
    /// What is kept under exactly this pattern.
    pub fn get(&self, pattern: &HostPattern) -> Option<&V> {
        match pattern {
            HostPattern::Any => self.any.as_ref(),
            HostPattern::Exact(name) => self.exact.get(name),
            HostPattern::Wildcard { suffix, one_label } => {
                let wildcards = self.wildcards.get(suffix)?;
                let place = if *one_label {
                    &wildcards.one_label
                } else {
                    &wildcards.many_labels
                };
                place.as_ref()
            }
        }
    }

    /// Every value, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        let wildcards = self.wildcards.values();
        let wildcards = wildcards.flat_map(|both| both.one_label.iter().chain(&both.many_labels));
        self.exact.values().chain(wildcards).chain(&self.any)
    }

    /// The first answer that `ask` gives for a value whose pattern covers `host`, most specific first.
    #[inline]
    pub fn find<'t, T>(&'t self, host: &str, mut ask: impl FnMut(&'t V) -> Option<T>) -> Option<T> {
        if !self.exact.is_empty()
            && let Some(value) = self.exact.get(host)
            && let Some(answer) = ask(value)
        {
            return Some(answer);
        }
        if self.longest_suffix > 0
            && let Some(answer) = self.find_suffix(host, &mut ask)
        {
            return Some(answer);
        }
        self.any.as_ref().and_then(ask)
    }

    /// The value of the most specific pattern that covers `host`.
    pub fn first(&self, host: &str) -> Option<&V> {
        self.find(host, Some)
    }

    /// The values whose pattern covers `host`, most specific first.
    pub fn covering(&self, host: &str) -> Vec<&V> {
        let mut values = Vec::new();
        self.find(host, |value| {
            values.push(value);
            None::<()>
        });
        values
    }

    fn find_suffix<'t, T>(&'t self, host: &str, ask: &mut impl FnMut(&'t V) -> Option<T>) -> Option<T> {
        // The star stands for at least one character.
        let mut from = host.len().saturating_sub(self.longest_suffix).max(1);
        while let Some(dot) = host.as_bytes().get(from..)?.iter().position(|byte| *byte == b'.') {
            let at = from + dot;
            from = at + 1;
            let Some(wildcards) = self.wildcards.get(&host[at..]) else {
                continue;
            };
            let one_label = wildcards
                .one_label
                .as_ref()
                .filter(|_| !host.as_bytes()[..at].contains(&b'.'));
            let value = one_label.or(wildcards.many_labels.as_ref());
            if let Some(answer) = value.and_then(&mut *ask) {
                return Some(answer);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Hosts;
    use ir::HostPattern;

    fn wildcard(suffix: &str, one_label: bool) -> HostPattern {
        HostPattern::Wildcard {
            suffix: suffix.into(),
            one_label,
        }
    }

    #[test]
    fn patterns_come_most_specific_first() {
        let mut hosts = Hosts::new();
        hosts.insert(&HostPattern::Any, "any");
        hosts.insert(&HostPattern::Exact("a.b.example.com".into()), "exact");
        hosts.insert(&wildcard(".example.com", false), "many");
        hosts.insert(&wildcard(".b.example.com", true), "one");
        hosts.insert(&wildcard(".com", false), "short");
        for (host, expected) in [
            ("a.b.example.com", &["exact", "one", "many", "short", "any"][..]),
            ("x.b.example.com", &["one", "many", "short", "any"]),
            ("x.y.b.example.com", &["many", "short", "any"]),
            ("b.example.com", &["many", "short", "any"]),
            ("example.com", &["short", "any"]),
            (".example.com", &["short", "any"]),
            ("com", &["any"]),
            ("", &["any"]),
            ("[::1]", &["any"]),
        ] {
            let found: Vec<&str> = hosts.covering(host).into_iter().copied().collect();
            assert_eq!(found, expected, "{host}");
            assert_eq!(hosts.first(host), expected.first(), "{host}");
        }
    }

    #[test]
    fn the_first_value_of_a_pattern_stays_until_it_is_removed() {
        let mut hosts = Hosts::new();
        for (pattern, host) in [
            (HostPattern::Any, "z"),
            (HostPattern::Exact("a".into()), "a"),
            (wildcard(".a", true), "x.a"),
            (wildcard(".b", false), "x.y.b"),
        ] {
            hosts.insert(&pattern, 1);
            hosts.insert(&pattern, 2);
            assert_eq!(hosts.first(host), Some(&1));
            hosts.remove(&pattern);
            assert_eq!(hosts.first(host), None);
        }
        assert_eq!(hosts.values().count(), 0);
    }
}
