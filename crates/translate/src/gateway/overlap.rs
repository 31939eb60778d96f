//! HTTPS listeners of one Gateway and its ListenerSets on the same port whose hostnames cover some of the same hosts: a client
//! that reuses a connection for both would reach one with the TLS settings of the other.
//!
//! A Gateway may have thousands of ListenerSets, so nothing here compares every listener with every other.

use super::status::Standing;
use super::{ListenerUnit, Speaks};
use ir::{HostPattern, Origin};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// The hostnames of a Gateway's HTTPS listeners that are served, with who has them.
#[derive(Default)]
pub(crate) struct Overlaps<'a> {
    ports: HashMap<u16, BTreeMap<String, &'a Origin>>,
}

impl<'a> Overlaps<'a> {
    /// Adds those listeners that are served.
    pub fn add_served(&mut self, listeners: &'a [ListenerUnit], standings: &[Standing]) {
        for (listener, standing) in listeners.iter().zip(standings) {
            if standing.programmed {
                self.add(listener);
            }
        }
    }

    fn add(&mut self, listener: &'a ListenerUnit) {
        if listener.speaks == Some(Speaks::Https) {
            let port = self.ports.entry(listener.port).or_default();
            port.insert(Reversed::of(&listener.hostname).key(), &listener.origin);
        }
    }

    /// Another listener whose hostname overlaps with that of this one.
    pub fn of(&self, listener: &ListenerUnit) -> Option<&'a Origin> {
        if listener.speaks != Some(Speaks::Https) {
            return None;
        }
        let port = self.ports.get(&listener.port)?;
        let host = Reversed::of(&listener.hostname);
        host.within(port).or_else(|| host.around(port))
    }
}

/// A hostname from right to left, each label with a dot behind it: what is below a domain begins as the domain does.
struct Reversed {
    /// `com.example.` for `*.example.com`, empty for every host.
    labels: String,
    star: bool,
}

impl Reversed {
    fn of(pattern: &HostPattern) -> Self {
        let (name, star) = match pattern {
            HostPattern::Any => ("", true),
            HostPattern::Exact(name) => (&**name, false),
            HostPattern::Wildcard { suffix, .. } => (suffix.trim_start_matches('.'), true),
        };
        let mut labels = String::with_capacity(name.len() + 1);
        for label in name.rsplit('.').filter(|label| !label.is_empty()) {
            labels.push_str(label);
            labels.push('.');
        }
        Self { labels, star }
    }

    fn key(&self) -> String {
        let star = if self.star { STAR } else { "" };
        format!("{}{star}", self.labels)
    }

    /// Somebody whose hosts are among these.
    fn within<'a>(&self, others: &BTreeMap<String, &'a Origin>) -> Option<&'a Origin> {
        if !self.star {
            return None;
        }
        let (own, prefix) = (self.key(), self.labels.as_str());
        // The domain itself is none of the hosts below it.
        let below = others.range::<str, _>((Bound::Excluded(prefix), Bound::Unbounded));
        let mut below = below.take_while(|(other, _)| other.starts_with(prefix));
        let found = below.find(|(other, _)| **other != own);
        found.map(|(_, origin)| *origin)
    }

    /// Somebody among whose hosts these are.
    fn around<'a>(&self, others: &BTreeMap<String, &'a Origin>) -> Option<&'a Origin> {
        let ends = self.labels.match_indices('.').map(|(at, _)| at + 1);
        let domains = std::iter::once(0).chain(ends);
        domains
            .filter(|end| *end < self.labels.len())
            .find_map(|end| others.get(&format!("{}{STAR}", &self.labels[..end])).copied())
    }
}

/// No label is a star.
const STAR: &str = "*.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::{self, Star};

    fn listener(host: &str) -> ListenerUnit {
        ListenerUnit {
            clients: None,
            tls_policy: ir::TlsPolicy::default(),
            identity: None,
            origin: Origin::new("Gateway", "n", "g").section(host),
            name: host.to_owned(),
            port: 443,
            speaks: Some(Speaks::Https),
            hostname: hosts::parse(host, Star::Labels).unwrap_or_default(),
            certificates: Vec::new(),
            kinds: Vec::new(),
            refused: None,
            unresolved: None,
        }
    }

    #[test]
    fn hostnames_overlap_exactly_when_they_intersect() {
        let hosts = [
            "*",
            "example.com",
            "*.example.com",
            "shop.example.com",
            "*.shop.example.com",
            "a.shop.example.com",
            "shop.example.org",
            "*.org",
            "shop-example.com",
            "com",
        ];
        for first in hosts {
            for second in hosts.into_iter().filter(|second| *second != first) {
                let pair = [listener(first), listener(second)];
                let mut overlaps = Overlaps::default();
                for listener in &pair {
                    overlaps.add(listener);
                }
                let expected = pair[0].hostname.intersects(&pair[1].hostname);
                assert_eq!(overlaps.of(&pair[0]).is_some(), expected, "{first} {second}");
            }
        }
    }

    #[test]
    fn a_listener_does_not_overlap_with_itself() {
        for host in ["*", "*.example.com", "shop.example.com"] {
            let only = listener(host);
            let mut overlaps = Overlaps::default();
            overlaps.add(&only);
            assert_eq!(overlaps.of(&only), None, "{host}");
        }
    }
}
