//! XTelemetryPolicy (GEP-4768). No traces are sent yet: a policy that wants them is refused, one that wants none is in force
//! without more.

use super::backend_tls::{PolicyUnit, Told};
use super::is_ours;
use crate::conditions::Wrong;
use crate::input::Key;
use crate::scope::Scope;
use api::Resource;
use api::gateway::{GROUP, Gateway};
use api::policy::PolicyTarget;
use api::telemetry::{TracingMode, XTelemetryPolicy};
use ir::{Code, Diagnostic};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Looks at one policy by itself and beside the others.
pub(crate) fn translate(scope: &mut Scope<'_>, policy: &Arc<XTelemetryPolicy>) -> PolicyUnit {
    let origin = Key::of(&policy.metadata).origin(XTelemetryPolicy::KIND);
    let mut told = BTreeMap::new();
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        let report = |scope: &mut Scope<'_>, code, message: &str, hint| {
            let field = format!("spec.targetRefs[{index}]");
            scope.report(Diagnostic::new(code, origin.clone(), field, message).hint(hint));
        };
        let Some(gateway) = gateway(policy, target) else {
            let message = format!("a policy can be attached to Gateways, not to {}", target.kind);
            let hint = "Give group gateway.networking.k8s.io and kind Gateway";
            report(scope, Code::PolicyTargetInvalid, &message, hint);
            continue;
        };
        let wrong = match scope.gateway(&gateway) {
            None => {
                let message = format!("Gateway {gateway} does not exist");
                report(scope, Code::PolicyTargetInvalid, &message, "Check the name");
                Some(Wrong::new("TargetNotFound", message))
            }
            Some(found) if !is_ours(scope, found) => continue,
            Some(_) => older(scope, policy, &gateway).map(|older| {
                let message = format!("XTelemetryPolicy {older} has the same target and is older");
                report(scope, Code::PolicyConflict, &message, "Remove one of them");
                Wrong::new("Conflicted", message)
            }),
        };
        told.insert(gateway, wrong);
    }
    PolicyUnit {
        generation: policy.metadata.generation,
        refused: (!told.is_empty()).then(|| refused(scope, policy)).flatten(),
        told: Told::Each(told),
        resolved: None,
    }
}

/// Why a policy can't be followed anywhere.
fn refused(scope: &mut Scope<'_>, policy: &XTelemetryPolicy) -> Option<Wrong> {
    let message = match &policy.spec.tracing.mode {
        TracingMode::Disabled | TracingMode::ImplementationDefault => return None,
        TracingMode::Enabled => "traces can't be sent to a collector yet".to_owned(),
        TracingMode::Other(mode) => format!("there is no mode {mode}"),
    };
    let origin = Key::of(&policy.metadata).origin(XTelemetryPolicy::KIND);
    let field = "spec.tracing.mode";
    let finding = Diagnostic::new(Code::TelemetryUnsupported, origin, field, message.as_str());
    scope.report(finding.hint("Disabled and ImplementationDefault are supported"));
    Some(Wrong::new("Invalid", message))
}

/// Of the other policies for a Gateway the one that counts before this, if there is any: the oldest, then the first by name.
fn older(scope: &mut Scope<'_>, policy: &Arc<XTelemetryPolicy>, target: &Key) -> Option<Key> {
    let rank = |policy: &XTelemetryPolicy| (policy.metadata.created, Key::of(&policy.metadata));
    let others = scope.telemetry_policies().values();
    others
        .filter(|other| {
            let mut targets = other.spec.target_refs.iter();
            targets.any(|other_target| gateway(other, other_target).as_ref() == Some(target))
        })
        .map(|other| rank(other))
        .min()
        .filter(|first| *first != rank(policy))
        .map(|(_, key)| key)
}

/// The Gateway that a target names.
fn gateway(policy: &XTelemetryPolicy, target: &PolicyTarget) -> Option<Key> {
    let is_gateway = target.group == GROUP && target.kind == Gateway::KIND;
    is_gateway.then(|| Key::new(Arc::clone(&policy.metadata.namespace), target.name.as_str()))
}
