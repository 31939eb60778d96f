//! Backends of an HTTPRoute: kind, permission and existence, in this order, so that an error tells nobody what
//! exists in a namespace they may not refer to.

use super::filters;
use super::rule::{Look, Trouble, broken};
use crate::backends::{self, BackendError, PortRef, resolve};
use crate::grants::{Referrer, permits};
use crate::input::Key;
use api::gateway::{BackendRef, GROUP, HttpBackendRef};
use ir::{Backend, Code, Match, Target, UpstreamId, UpstreamProtocol};

/// Reads a rule's backends.
pub(crate) fn translate(
    look: &mut Look<'_, '_>,
    given: &[HttpBackendRef],
    matches: &[Match],
) -> Vec<Backend> {
    let mut backends = Vec::with_capacity(given.len());
    for (index, given) in given.iter().enumerate() {
        let field = format!("backendRefs[{index}]");
        let weight = weight(look, given.weight.unwrap_or(1), &format!("{field}.weight"));
        let target = match reference(look, &given.backend, &field) {
            Ok(upstream) => Target::Upstream(upstream),
            Err(reason) => broken(reason),
        };
        let (filters, target) = match filters::of_backend(look, &given.filters, &field, matches) {
            Ok(filters) => (filters, target),
            Err(reason) => (Vec::new(), broken(reason)),
        };
        backends.push(Backend {
            weight,
            target,
            filters,
        });
    }
    backends
}

/// Finds the upstream that a reference means; else reports why not and says it in a few words.
pub(crate) fn reference(
    look: &mut Look<'_, '_>,
    given: &BackendRef,
    field: &str,
) -> Result<UpstreamId, String> {
    let group = given.group.as_deref().unwrap_or_default();
    let kind = given.kind.as_deref().unwrap_or("Service");
    let own = look.route.metadata.namespace.clone();
    let namespace = given.namespace.as_deref().unwrap_or(&own);
    let key = Key::new(namespace, &*given.name);
    if !group.is_empty() || kind != "Service" {
        let full = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind} of group {group}")
        };
        let message = format!("a backend must be a Service, not {full}");
        look.report(
            Code::BackendKindUnsupported,
            &format!("{field}.kind"),
            message.as_str(),
            "Refer to a Service",
        );
        look.unresolve("InvalidKind", message);
        return Err(format!("kind {kind} is not supported"));
    }
    let referrer = Referrer {
        group: GROUP,
        kind: "HTTPRoute",
        namespace: &own,
    };
    if !permits(look.scope, referrer, "", "Service", &key) {
        let message = format!(
            "no ReferenceGrant in namespace {namespace} lets HTTPRoutes of namespace {own} use Service {}",
            key.name
        );
        look.report(
            Code::RefNotPermitted,
            field,
            message.as_str(),
            &format!("Create a ReferenceGrant in namespace {namespace}"),
        );
        look.unresolve("RefNotPermitted", message);
        return Err(format!("no ReferenceGrant allows Service {key}"));
    }
    let Some(port) = given.port else {
        let message = format!("the reference to Service {key} names no port");
        look.report(
            Code::BackendPortNotFound,
            &format!("{field}.port"),
            message.as_str(),
            "Add the number of a port of the Service",
        );
        look.unresolve("BackendNotFound", message.clone());
        return Err(message);
    };
    resolve(look.scope, &key, PortRef::Number(port), UpstreamProtocol::Http1)
        .map_err(|error| unusable(look, &key, port, &error, field))
}

fn unusable(look: &mut Look<'_, '_>, key: &Key, port: u16, error: &BackendError, field: &str) -> String {
    let (code, part, reason, message, hint) = match error {
        BackendError::NotFound => (
            Code::BackendNotFound,
            "name",
            "BackendNotFound",
            format!("Service {key} does not exist"),
            "Create it, or name one that exists".to_owned(),
        ),
        BackendError::PortNotFound { ports } => (
            Code::BackendPortNotFound,
            "port",
            "BackendNotFound",
            format!("Service {key} has no port {port}"),
            if ports.is_empty() {
                "Give the Service a port".to_owned()
            } else {
                format!("Its ports are {ports}")
            },
        ),
        BackendError::UnsupportedProtocol { app_protocol } => (
            Code::UnsupportedProtocol,
            "port",
            "UnsupportedProtocol",
            format!("port {port} of Service {key} speaks {app_protocol}, which can't be spoken"),
            if backends::is_secured(app_protocol) {
                "Attach a BackendTLSPolicy to the Service, which says whom to believe".to_owned()
            } else {
                "Use a port that speaks HTTP/1.1 or HTTP/2".to_owned()
            },
        ),
    };
    look.report(code, &format!("{field}.{part}"), message.as_str(), &hint);
    look.unresolve(reason, message.clone());
    message
}

fn weight(look: &mut Look<'_, '_>, given: i32, field: &str) -> u32 {
    match u32::try_from(given) {
        Ok(weight) if weight <= MAX_WEIGHT => weight,
        _ => {
            let message = format!("weight {given} is not between 0 and {MAX_WEIGHT}");
            look.report(
                Code::WeightInvalid,
                field,
                message.as_str(),
                "Give a share relative to the other backends",
            );
            look.drop_rule(Trouble::Answers500, "UnsupportedValue", message);
            0
        }
    }
}

/// `BackendRef.weight`, maximum.
const MAX_WEIGHT: u32 = 1_000_000;
