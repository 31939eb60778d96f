//! What an Ingress asks for, host by host, with hosts and paths checked and in their normal form. Looks at
//! nothing but the Ingress itself.

use super::host;
use crate::input::Key;
use api::networking::{HttpIngressPath, Ingress, IngressBackend, PathType};
use ir::path::{self, PathError};
use ir::{Code, Diagnostic, HostPattern, Origin, PathMatch, PathPolicy, Severity};
use std::collections::HashMap;
use std::sync::Arc;

/// An Ingress's rules, sorted by host.
pub(super) struct Shape<'i> {
    /// In the order of the spec; each host once.
    pub hosts: Vec<Host<'i>>,
    /// What is wrong.
    pub findings: Vec<Diagnostic>,
}

/// A host and what an Ingress has for it.
pub(super) struct Host<'i> {
    /// As written; empty for none.
    pub name: Arc<str>,
    /// As a pattern.
    pub pattern: HostPattern,
    /// The first rule that names it; `None` if the Ingress has no rules.
    pub rule: Option<usize>,
    /// Its paths; each path once.
    pub paths: Vec<Path<'i>>,
}

/// A path of a host.
pub(super) struct Path<'i> {
    /// `rules[0].http.paths[1]`
    pub section: String,
    /// Normal form.
    pub matched: PathMatch,
    /// Where it goes.
    pub backend: &'i IngressBackend,
}

impl Host<'_> {
    /// Whether a path takes everything that the others leave.
    pub fn has_root(&self) -> bool {
        self.paths.iter().any(|path| is_root(&path.matched))
    }
}

/// Whether a match takes every path.
pub(super) fn is_root(matched: &PathMatch) -> bool {
    matches!(matched, PathMatch::Prefix(path) if path.is_empty())
}

/// Reads the rules of an Ingress.
pub(super) fn read<'i>(ingress: &'i Ingress, policy: &PathPolicy) -> Shape<'i> {
    let mut reader = Reader {
        known_hosts: HashMap::new(),
        known_paths: HashMap::new(),
        origin: Key::of(&ingress.metadata).origin("Ingress"),
        policy,
        shape: Shape {
            hosts: Vec::new(),
            findings: Vec::new(),
        },
    };
    if ingress.spec.rules.is_empty() && ingress.spec.default_backend.is_some() {
        reader.shape.hosts.push(Host {
            name: "".into(),
            pattern: HostPattern::Any,
            rule: None,
            paths: Vec::new(),
        });
    }
    for (index, rule) in ingress.spec.rules.iter().enumerate() {
        let name = rule.host.as_deref().unwrap_or_default();
        let Some(host) = reader.host(name, index) else {
            continue;
        };
        let paths = rule.http.iter().flat_map(|http| &http.paths);
        for (position, path) in paths.enumerate() {
            reader.path(host, path, format!("rules[{index}].http.paths[{position}]"));
        }
    }
    reader.shape
}

struct Reader<'i, 'p> {
    /// Positions of hosts by name.
    known_hosts: HashMap<&'i str, usize>,
    /// Sections of paths by position of their host. One host can have ten thousand paths.
    known_paths: HashMap<(usize, PathMatch), String>,
    origin: Origin,
    policy: &'p PathPolicy,
    shape: Shape<'i>,
}

impl<'i> Reader<'i, '_> {
    /// Position of a host among the hosts, new or known; `None` if it can't be used.
    fn host(&mut self, name: &'i str, rule: usize) -> Option<usize> {
        let hosts = &mut self.shape.hosts;
        if let Some(known) = self.known_hosts.get(name) {
            return Some(*known);
        }
        match host::pattern(name) {
            Ok(pattern) => {
                hosts.push(Host {
                    name: name.into(),
                    pattern,
                    rule: Some(rule),
                    paths: Vec::new(),
                });
                self.known_hosts.insert(name, hosts.len() - 1);
                Some(hosts.len() - 1)
            }
            Err(reason) => {
                let field = format!("spec.rules[{rule}].host");
                let message = format!("{name:?} {reason}; the rule is left out");
                self.report(Code::IngressHostInvalid, field, message);
                if let Some(last) = self.shape.findings.last_mut() {
                    last.hint = Some(host::hint(name));
                }
                None
            }
        }
    }

    fn path(&mut self, host: usize, path: &'i HttpIngressPath, section: String) {
        let text = path.path.as_deref().unwrap_or_default();
        let kind = path.path_type.clone().unwrap_or_default();
        let matched = match read_path(text, &kind, self.policy) {
            Ok(matched) => matched,
            Err((field, reason, hint)) => {
                let field = format!("spec.{section}.{field}");
                let message = format!("{reason}; the path is left out");
                self.report(Code::IngressPathInvalid, field, message);
                if let (Some(hint), Some(last)) = (hint, self.shape.findings.last_mut()) {
                    last.hint = Some(hint.into());
                }
                return;
            }
        };
        if kind == PathType::ImplementationSpecific && text.contains(REGEX_SIGNS) {
            let message =
                format!("{text:?} looks like a regular expression but is compared letter by letter");
            self.report(Code::IngressPathInvalid, format!("spec.{section}.path"), message);
            if let Some(last) = self.shape.findings.last_mut() {
                last.severity = Severity::Warning;
            }
        }
        if let Some(first) = self.known_paths.get(&(host, matched.clone())) {
            let message = format!("the path is claimed twice in this Ingress; {first} comes first and wins");
            self.report(Code::PathClaimedTwice, format!("spec.{section}"), message);
            return;
        }
        self.known_paths.insert((host, matched.clone()), section.clone());
        self.shape.hosts[host].paths.push(Path {
            section,
            matched,
            backend: &path.backend,
        });
    }

    fn report(&mut self, code: Code, field: String, message: String) {
        let finding = Diagnostic::new(code, self.origin.clone(), field, message);
        self.shape.findings.push(finding);
    }
}

/// Which field is wrong, how, and what to do.
type Refusal = (&'static str, String, Option<&'static str>);

/// A path in its normal form, which is the form that request paths are brought into before they are compared.
fn read_path(text: &str, kind: &PathType, policy: &PathPolicy) -> Result<PathMatch, Refusal> {
    let refuse = |reason: String, hint| Err(("path", reason, hint));
    let exact = match kind {
        PathType::Exact => true,
        // The specification leaves ImplementationSpecific to us; as ingress-nginx, by path element.
        PathType::Prefix | PathType::ImplementationSpecific => false,
        PathType::Other(word) => {
            let hint = "Use Exact, Prefix or ImplementationSpecific";
            return Err(("pathType", format!("{word:?} is not a path type"), Some(hint)));
        }
    };
    if text.is_empty() && exact {
        return refuse("an Exact path is empty".into(), Some("Write path: /"));
    }
    if *kind != PathType::ImplementationSpecific {
        // The API server refuses these in Exact and Prefix.
        if text.contains("//") {
            return refuse(
                format!("{text:?} holds //"),
                Some("Requests are compared with // read as /"),
            );
        }
        if text.contains("%2f") || text.contains("%2F") {
            return refuse(format!("{text:?} holds an escaped slash"), None);
        }
    }
    let text = if text.is_empty() { "/" } else { text };
    match path::rule(text, policy) {
        Ok(normal) if exact => Ok(PathMatch::Exact(normal)),
        Ok(normal) => Ok(PathMatch::Prefix(normal.trim_end_matches('/').to_owned())),
        Err(error @ PathError::NoSlash) => refuse(format!("{text:?}: {error}"), Some("Begin it with /")),
        Err(error @ PathError::Dots) => refuse(
            format!("{text:?}: {error}, so no request can match it"),
            Some("Write the path that it leads to"),
        ),
        Err(error) => refuse(format!("{text:?}: {error}"), None),
    }
}

/// Characters that paths hardly hold but regular expressions do.
const REGEX_SIGNS: [char; 7] = ['*', '(', '[', '^', '|', '\\', '{'];
