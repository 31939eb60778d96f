//! XBackendTrafficPolicy (GEP-3388): how much is sent again to a backend, and how clients are kept there.

use super::backend_tls::{PolicyUnit, Told};
use super::durations;
use super::session;
use crate::backends::BackendObject;
use crate::changes::Read;
use crate::conditions::Wrong;
use crate::input::Key;
use crate::scope::Scope;
use crate::targets;
use api::Resource;
use api::backend::{RetryConstraint, XBackendTrafficPolicy};
use ir::{Code, Diagnostic, Origin, RetryBudget, SessionPersistence};
use std::sync::Arc;
use std::time::Duration;

/// Looks at one policy by itself and beside the others.
pub(crate) fn translate(scope: &mut Scope<'_>, policy: &Arc<XBackendTrafficPolicy>) -> PolicyUnit {
    let origin = origin(policy);
    let mut found = Vec::new();
    let mut refused = None;
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{index}]");
        let Some(object) = targets::object(target, &policy.metadata.namespace) else {
            let message = format!(
                "a policy can be attached to Services and XBackends, not to {}",
                target.kind
            );
            let finding = Diagnostic::new(Code::PolicyTargetInvalid, origin.clone(), field, message);
            scope.report(finding.hint("Give kind Service and an empty group, or XBackend and its group"));
            continue;
        };
        scope.backend(&object);
        let winner = scope.traffic_policies(&object).first().copied();
        if let Some(winner) = winner.filter(|winner| !Arc::ptr_eq(winner, policy)) {
            let message = format!(
                "XBackendTrafficPolicy {} has the same target and is older",
                Key::of(&winner.metadata)
            );
            let finding = Diagnostic::new(Code::PolicyConflict, origin.clone(), field, message.as_str());
            scope.report(finding.hint("Remove one of them"));
            refused.get_or_insert(Wrong::new("Conflicted", message));
        }
        found.push(object);
    }
    if let Some(constraint) = &policy.spec.retry_constraint {
        let mut report = |field: &str, message: String, hint: &str| {
            let field = format!("spec.retryConstraint.{field}");
            let finding = Diagnostic::new(Code::TrafficPolicyInvalid, origin.clone(), field, message);
            scope.report(finding.hint(hint));
        };
        read_budget(constraint, &mut report);
    }
    read_session(scope, policy, true);
    found.sort();
    found.dedup();
    let targets = found.iter().map(|object| Read::backend(object).id());
    PolicyUnit {
        generation: policy.metadata.generation,
        told: Told::Before(targets.collect()),
        refused,
        resolved: None,
    }
}

/// How much may be sent again to a backend, if a policy says so.
pub(crate) fn budget(scope: &mut Scope<'_>, object: &BackendObject) -> Option<RetryBudget> {
    let policy = scope.traffic_policies(object).first().copied()?;
    let constraint = policy.spec.retry_constraint.as_ref()?;
    Some(read_budget(constraint, &mut |_, _, _| {}))
}

/// How clients are kept at one endpoint of a backend, if it or a policy says so. What it says itself is nearer.
pub(crate) fn session(scope: &mut Scope<'_>, object: &BackendObject) -> Option<SessionPersistence> {
    if let BackendObject::XBackend(key) = object
        && let Some(own) = super::x_backend::session(scope, key)
    {
        return Some(own);
    }
    let policy = scope.traffic_policies(object).first().copied()?;
    read_session(scope, policy, false)
}

fn read_session(
    scope: &mut Scope<'_>,
    policy: &XBackendTrafficPolicy,
    tell: bool,
) -> Option<SessionPersistence> {
    let given = policy.spec.session_persistence.as_deref()?;
    let origin = origin(policy);
    let place = session::Holder {
        // Its targets share them: a token holds an endpoint of each.
        seed: format!("{origin}@{}", policy.metadata.created),
        origin,
        field: "spec.sessionPersistence",
    };
    session::of_object(scope, given, &place, tell)
}

fn read_budget(given: &RetryConstraint, report: &mut dyn FnMut(&str, String, &str)) -> RetryBudget {
    let budget = given.budget.clone().unwrap_or_default();
    let rate = given.min_retry_rate.clone().unwrap_or_default();
    let mut number = |field: &str, given: Option<i64>, default: u32, least: i64, most: i64| {
        let Some(given) = given else { return default };
        match u32::try_from(given) {
            Ok(number) if (least..=most).contains(&given) => number,
            _ => {
                report(
                    field,
                    format!("{given} is not between {least} and {most}, so that {default} holds"),
                    "Give a number within these bounds, or none",
                );
                default
            }
        }
    };
    let percent = number("budget.percent", budget.percent, 20, 0, 100);
    let least = number("minRetryRate.count", rate.count, 10, 1, 1_000_000);
    let mut interval = |field: &str, given: Option<&String>, default: Duration, least: Duration| {
        let Some(given) = given else { return default };
        match durations::parse(given) {
            Some(interval) if interval >= least && interval <= LONGEST => interval,
            _ => {
                report(
                    field,
                    format!(
                        "\"{given}\" is not a duration between {} and 1h, so that {} holds",
                        ir::duration::display(least),
                        ir::duration::display(default)
                    ),
                    "Write it as 1s, 10s or 5m, up to 1h",
                );
                default
            }
        }
    };
    let second = Duration::from_secs(1);
    RetryBudget {
        percent,
        interval: interval(
            "budget.interval",
            budget.interval.as_ref(),
            Duration::from_secs(10),
            second,
        ),
        least,
        least_interval: interval(
            "minRetryRate.interval",
            rate.interval.as_ref(),
            second,
            Duration::from_millis(1),
        ),
    }
}

fn origin(policy: &XBackendTrafficPolicy) -> Origin {
    Key::of(&policy.metadata).origin(XBackendTrafficPolicy::KIND)
}

/// As the CRD has it, for both intervals.
const LONGEST: Duration = Duration::from_secs(3600);
