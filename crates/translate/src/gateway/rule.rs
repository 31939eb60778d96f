//! One rule of an HTTPRoute: matches, filters, backends, time limits, retries, and what is wrong with them.

use super::{backend, durations, filters, matches, retry, session};
use crate::conditions::Wrong;
use crate::scope::Scope;
use api::gateway::{HTTPRoute, HttpRouteRule};
use ir::{Action, Code, Diagnostic, Filter, Match, Origin, PathMatch, Rule, Target, Timeouts};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// A rule, if any is left of it, and what the route's status has to say about it.
pub(crate) struct Translated {
    /// `None`: the rule is left out.
    pub rule: Option<Rule>,
    /// Why the rule is left out or answers 500.
    pub refused: Option<Wrong>,
    /// Which of its references is broken.
    pub unresolved: Option<Wrong>,
}

/// What happens to a rule with a mistake in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// It is unknown which requests are meant: the rule is left out.
    Left,
    /// It is known which requests are meant, but not what to do with them: they are answered with 500.
    Answers500,
}

/// A rule being looked at.
pub(crate) struct Look<'s, 'a> {
    pub scope: &'s mut Scope<'a>,
    pub route: &'s HTTPRoute,
    /// `HTTPRoute`, or the kind that it was made of.
    pub kind: &'static str,
    /// The rule as a place: its name or `rules[2]`.
    pub origin: Origin,
    /// Where the fields that are being read stand: `spec.rules[2]`.
    pub field: String,
    trouble: Option<(Trouble, Wrong)>,
    unresolved: Option<Wrong>,
}

/// Translates the rule at `index` of a route, whose tunnels may be silent for so long.
pub(crate) fn translate(
    scope: &mut Scope<'_>,
    (kind, object, route): (&'static str, &Origin, &HTTPRoute),
    index: usize,
    rule: &HttpRouteRule,
    tunnel_idle: Option<Duration>,
) -> Translated {
    let mut look = Look {
        scope,
        route,
        kind,
        origin: object.section(section(route, index, rule)),
        field: format!("spec.rules[{index}]"),
        trouble: None,
        unresolved: None,
    };
    look.name(index, rule);
    let matches = matches::translate(&mut look, &rule.matches);
    let filters = filters::of_rule(&mut look, rule, &matches);
    let session = session::of_rule(&mut look, index, rule);
    let backends = backend::translate(&mut look, &rule.backend_refs, &matches, session.as_ref());
    let redirects = filters.iter().any(|filter| matches!(filter, Filter::Redirect(_)));
    let timeouts = Timeouts {
        tunnel_idle,
        ..durations::timeouts(&mut look, rule.timeouts.as_deref())
    };
    let retry = retry::translate(&mut look, rule.retry.as_deref());
    let action = if redirects {
        Action::Answer
    } else {
        look.no_backends(rule, &backends);
        Action::Forward(backends)
    };
    let Look {
        scope,
        origin,
        trouble,
        unresolved,
        ..
    } = look;
    let (filters, action) = match &trouble {
        Some(_) => (Vec::new(), Action::Status(500)),
        None => (filters, action),
    };
    let shared = scope.shared();
    let left_out = matches!(trouble, Some((Trouble::Left, _)));
    let rule = Rule {
        grpc: kind == super::grpc_route::KIND,
        origin,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        matches: shared.matches.get(matches),
        filters: shared.filters.get(filters),
        action,
        timeouts: (timeouts != Timeouts::default()).then(|| shared.timeouts.get(timeouts)),
        retry,
    };
    let refused = trouble.map(|(trouble, wrong)| match trouble {
        Trouble::Left => wrong,
        Trouble::Answers500 => Wrong {
            message: format!("{} (answered with 500)", wrong.message),
            ..wrong
        },
    });
    Translated {
        rule: (!left_out).then_some(rule),
        refused,
        unresolved,
    }
}

impl Look<'_, '_> {
    /// Reports a mistake in a field of the rule, with what to do.
    pub fn report(&mut self, code: Code, field: &str, message: impl Into<String>, hint: &str) {
        let field = if field.is_empty() {
            self.field.clone()
        } else {
            format!("{}.{field}", self.field)
        };
        let diagnostic = Diagnostic::new(code, self.origin.object(), field, message);
        self.scope.report(diagnostic.hint(hint));
    }

    /// Reports a match that can't be understood; the rule is left out.
    pub fn invalid_match(&mut self, field: &str, message: String, hint: &str) {
        self.report(Code::MatchInvalid, field, message.as_str(), hint);
        self.drop_rule(Trouble::Left, "UnsupportedValue", message);
    }

    /// Says that the rule can't be used as it is. To be left out weighs more than to answer 500; apart from that
    /// the first reason stands in the status.
    pub fn drop_rule(&mut self, trouble: Trouble, reason: &'static str, message: String) {
        let heavier = match &self.trouble {
            None => true,
            Some((before, _)) => *before == Trouble::Answers500 && trouble == Trouble::Left,
        };
        if heavier {
            self.trouble = Some((trouble, Wrong::new(reason, message)));
        }
    }

    /// Says that a reference is broken. The first one stands in the status.
    pub fn unresolve(&mut self, reason: &'static str, message: String) {
        self.unresolved.get_or_insert(Wrong::new(reason, message));
    }

    fn name(&mut self, index: usize, rule: &HttpRouteRule) {
        let Some(name) = named(rule) else { return };
        let rules = &self.route.spec.rules;
        if rules[..index].iter().any(|before| named(before) == Some(name)) {
            self.report(
                Code::NameRepeated,
                "name",
                format!("a rule before this one has the name {name} too"),
                "Give each rule a name of its own",
            );
        }
    }

    fn no_backends(&mut self, rule: &HttpRouteRule, backends: &[ir::Backend]) {
        if self.trouble.is_some() {
            return;
        }
        let (message, hint) = if rule.backend_refs.is_empty() {
            (
                "the rule has no backends, so its requests are answered with 500",
                "Add a backend, or a RequestRedirect filter",
            )
        } else if !backends.is_empty() && backends.iter().all(|backend| backend.weight == 0) {
            (
                "every backend has weight 0, so requests are answered with 500",
                "Give one of them a weight above 0",
            )
        } else {
            return;
        };
        self.report(Code::NoBackends, "backendRefs", message, hint);
    }
}

/// Whether every match is by path prefix, so that "the matched prefix" means something.
pub(crate) fn all_prefixes(matches: &[Match]) -> bool {
    matches
        .iter()
        .all(|given| matches!(given.path, PathMatch::Prefix(_)))
}

/// A backend whose share is answered with 500.
pub(crate) fn broken(reason: impl Into<String>) -> Target {
    Target::Broken {
        status: 500,
        reason: reason.into(),
    }
}

/// The rule's name, or `rules[2]` if it has none of its own.
fn section(route: &HTTPRoute, index: usize, rule: &HttpRouteRule) -> Arc<str> {
    let own = named(rule).filter(|name| {
        let before = &route.spec.rules[..index];
        !before.iter().any(|other| named(other) == Some(name))
    });
    let numbered = || match SECTIONS.get(index) {
        Some(section) => Arc::clone(section),
        None => format!("rules[{index}]").into(),
    };
    own.map_or_else(numbered, Into::into)
}

/// The first of them stand in every route.
static SECTIONS: LazyLock<[Arc<str>; 16]> =
    LazyLock::new(|| std::array::from_fn(|index| format!("rules[{index}]").into()));

fn named(rule: &HttpRouteRule) -> Option<&str> {
    rule.name.as_deref().filter(|name| !name.is_empty())
}
