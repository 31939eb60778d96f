//! BackendTLSPolicy: TLS towards the endpoints of a Service, and which policy counts where several want the same.

use super::trust::{self, Words};
use crate::changes::{Read, ReadId};
use crate::conditions::Wrong;
use crate::grants::Referrer;
use crate::hosts::{self, Star};
use crate::input::Key;
use crate::scope::Scope;
use api::gateway::GROUP;
use api::policy::{BackendTLSPolicy, BackendTlsValidation, PolicyTarget};
use ir::{AltName, Code, Diagnostic, HostPattern, Origin, Trust, UpstreamTls};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be told about a policy, or another object that is told to Gateways.
#[derive(Debug)]
pub(crate) struct PolicyUnit {
    /// `metadata.generation` that this is about.
    pub generation: i64,
    /// Which Gateways are told.
    pub told: Told,
    /// Why it has no effect.
    pub refused: Option<Wrong>,
    /// Which of its references is broken, if any; unset: it can have none.
    pub resolved: Option<Result<(), Wrong>>,
}

/// Gateways that are told of an object.
#[derive(Debug)]
pub(crate) enum Told {
    /// Those through which one of these can be reached, as routes that read them remember them.
    Before(Vec<ReadId>),
    /// These, each with why the object has no effect there.
    Each(BTreeMap<Key, Option<Wrong>>),
}

/// Looks at one policy by itself and beside the others.
pub(crate) fn translate(scope: &mut Scope<'_>, policy: &Arc<BackendTLSPolicy>) -> PolicyUnit {
    let origin = Key::of(&policy.metadata).origin("BackendTLSPolicy");
    let (_, verdict) = read(scope, &Validation::of(policy, &origin), true);
    let mut services = Vec::new();
    let mut conflict = None;
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        let field = format!("spec.targetRefs[{index}]");
        if !is_service(target) {
            let message = format!("a policy can be attached to Services, not to {}", target.kind);
            let finding = Diagnostic::new(Code::PolicyTargetInvalid, origin.clone(), field, message);
            scope.report(finding.hint("Give kind Service and an empty group"));
            continue;
        }
        let service = Key::new(Arc::clone(&policy.metadata.namespace), target.name.as_str());
        let winner = winner(scope, &service, |other| other.section_name == target.section_name);
        if let Some(winner) = winner.filter(|winner| !Arc::ptr_eq(winner, policy)) {
            let message = format!(
                "BackendTLSPolicy {} has the same target and is older",
                Key::of(&winner.metadata)
            );
            let finding = Diagnostic::new(Code::PolicyConflict, origin.clone(), field, message.as_str());
            scope.report(finding.hint("Remove one of them, or give one a port of its own as sectionName"));
            conflict.get_or_insert(Wrong::new("Conflicted", message));
        }
        services.push(service);
    }
    services.sort();
    services.dedup();
    PolicyUnit {
        generation: policy.metadata.generation,
        told: Told::Before(
            { services.into_iter() }
                .map(|service| Read::Service(service).id())
                .collect(),
        ),
        refused: conflict.or(verdict.refused),
        resolved: Some(verdict.unresolved.map_or(Ok(()), Err)),
    }
}

/// TLS to the endpoints of a Service's port, if a policy wants it. A policy that can't be followed leaves nobody to believe:
/// what is to be protected is not sent in the clear.
pub(crate) fn of_port(scope: &mut Scope<'_>, service: &Key, port: Option<&str>) -> Option<Arc<UpstreamTls>> {
    let named = |target: &PolicyTarget| port.is_some() && target.section_name.as_deref() == port;
    let policy = match winner(scope, service, named) {
        Some(policy) => policy,
        None => winner(scope, service, |target| target.section_name.is_none())?,
    };
    let origin = Key::of(&policy.metadata).origin("BackendTLSPolicy");
    let (tls, _) = read(scope, &Validation::of(policy, &origin), false);
    Some(Arc::new(tls))
}

/// Of the policies with such a target in a Service, the one that counts: the oldest, then the first by name.
fn winner<'a>(
    scope: &mut Scope<'a>,
    service: &Key,
    same: impl Fn(&PolicyTarget) -> bool,
) -> Option<&'a Arc<BackendTLSPolicy>> {
    scope.policies(service).into_iter().find(|policy| {
        let mut targets = policy.spec.target_refs.iter();
        targets.any(|target| is_service(target) && *target.name == *service.name && same(target))
    })
}

fn is_service(target: &PolicyTarget) -> bool {
    target.group.is_empty() && target.kind == "Service"
}

/// What is wrong with a policy.
#[derive(Default)]
pub(crate) struct Verdict {
    pub refused: Option<Wrong>,
    pub unresolved: Option<Wrong>,
}

/// Whom an object wants believed, and where it says so.
pub(crate) struct Validation<'v> {
    pub origin: &'v Origin,
    pub referrer: Referrer<'v>,
    /// Where it stands.
    pub field: &'static str,
    pub given: &'v BackendTlsValidation,
}

impl<'v> Validation<'v> {
    fn of(policy: &'v BackendTLSPolicy, origin: &'v Origin) -> Self {
        Self {
            origin,
            referrer: Referrer {
                group: GROUP,
                kind: "BackendTLSPolicy",
                namespace: &policy.metadata.namespace,
            },
            field: "spec.validation",
            given: &policy.spec.validation,
        }
    }
}

/// What a policy says. Findings are told by the policy's own unit, not by every Service that it is for.
pub(crate) fn read(scope: &mut Scope<'_>, asked: &Validation<'_>, tell: bool) -> (UpstreamTls, Verdict) {
    let &Validation {
        origin,
        referrer,
        given: validation,
        ..
    } = asked;
    let mut verdict = Verdict::default();
    let mut refuse = |scope: &mut Scope<'_>, field: &str, message: String, hint: &str| {
        if tell {
            let field = format!("{}.{field}", asked.field);
            let finding = Diagnostic::new(Code::PolicyInvalid, origin.clone(), field, message.as_str());
            scope.report(finding.hint(hint));
        }
        verdict.refused.get_or_insert(Wrong::new("Invalid", message));
    };
    let hostname = match hosts::parse(&validation.hostname, Star::Labels) {
        Ok(HostPattern::Exact(name)) => name.to_string(),
        _ => {
            let message = format!("\"{}\" is not the name of a host", validation.hostname);
            refuse(
                scope,
                "hostname",
                message,
                "Give the name that the backend's certificate is for",
            );
            String::new()
        }
    };
    let mut alt_names = Vec::new();
    for (index, given) in validation.subject_alt_names.iter().enumerate() {
        match (given.kind.as_str(), &given.hostname, &given.uri) {
            ("Hostname", Some(name), _) if !name.is_empty() => {
                alt_names.push(AltName::Dns(name.to_ascii_lowercase()));
            }
            ("URI", _, Some(uri)) if !uri.is_empty() => alt_names.push(AltName::Uri(uri.clone())),
            _ => refuse(
                scope,
                &format!("subjectAltNames[{index}]"),
                "an alternative name needs a type and its value".into(),
                "Give type Hostname with hostname, or type URI with uri",
            ),
        }
    }
    let trust = match validation.well_known_ca_certificates.as_deref() {
        None | Some("") => None,
        Some("System") => Some(Trust::System),
        Some(other) => {
            let message = format!("{other} is not a known set of authorities");
            refuse(
                scope,
                "wellKnownCACertificates",
                message,
                "Use System, or caCertificateRefs",
            );
            None
        }
    };
    let trust = trust.unwrap_or_else(|| {
        // Its references can't leave its namespace.
        let refs: Vec<_> = { validation.ca_certificate_refs.iter().cloned() }
            .map(|given| api::policy::CertificateAuthorityRef {
                namespace: None,
                ..given
            })
            .collect();
        let silent = Origin::new("BackendTLSPolicy", "", "");
        let origin = if tell { origin } else { &silent };
        let field = format!("{}.caCertificateRefs", asked.field);
        let found = scope.quietly(!tell, |scope| {
            trust::authorities(scope, origin, referrer, &refs, &field, WORDS)
        });
        if found.roots.is_empty() && verdict.refused.is_none() {
            let message = found.wrong.as_ref().map_or_else(
                || "no certificate of an authority is given".to_owned(),
                |wrong| wrong.message.clone(),
            );
            verdict.refused = Some(Wrong::new("NoValidCACertificate", message));
        }
        verdict.unresolved = found.wrong;
        Trust::Roots(found.roots.into())
    });
    let usable = verdict.refused.is_none();
    let tls = UpstreamTls {
        origin: origin.clone(),
        hostname,
        alt_names,
        trust: if usable {
            trust
        } else {
            Trust::Roots(Arc::default())
        },
        identity: None,
    };
    (tls, verdict)
}

const WORDS: &Words = &Words {
    invalid: "InvalidCACertificateRef",
    kind: "InvalidKind",
};
