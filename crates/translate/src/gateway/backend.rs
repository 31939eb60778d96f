//! Backends of a route: kind, permission and existence, in this order, so that an error tells nobody what
//! exists in a namespace they may not refer to.

use super::rule::{Look, Trouble, broken};
use super::{filters, grpc_route};
use crate::backends::{self, BackendError, PortRef, resolve};
use crate::grants::{Referrer, permits};
use crate::input::Key;
use crate::scope::Scope;
use api::gateway::{BackendRef, GROUP, HttpBackendRef};
use ir::{Backend, Code, Match, Target, UpstreamId, UpstreamProtocol};
use std::sync::Arc;

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

/// A rule of some kind of route that refers to backends.
pub(crate) trait Referring<'a> {
    /// The world.
    fn scope(&mut self) -> &mut Scope<'a>;
    /// `HTTPRoute`
    fn kind(&self) -> &'static str;
    /// The route's namespace.
    fn namespace(&self) -> &Arc<str>;
    /// What ports are meant, if it is not those of TCP: `UDP ` and a space.
    fn port_word(&self) -> &'static str {
        ""
    }
    /// The upstream of a Service's port.
    fn resolve(&mut self, service: &Key, port: u16) -> Result<UpstreamId, BackendError>;
    /// Reports a mistake in a field of the rule, with what to do.
    fn report(&mut self, code: Code, field: &str, message: &str, hint: &str);
    /// Says that a reference is broken. The first one stands in the status.
    fn unresolve(&mut self, reason: &'static str, message: String);
}

impl<'a> Referring<'a> for Look<'_, 'a> {
    fn scope(&mut self) -> &mut Scope<'a> {
        self.scope
    }

    fn kind(&self) -> &'static str {
        self.kind
    }

    fn namespace(&self) -> &Arc<str> {
        &self.route.metadata.namespace
    }

    fn resolve(&mut self, service: &Key, port: u16) -> Result<UpstreamId, BackendError> {
        // gRPC is HTTP/2, whether the port says so or not.
        let usual = match self.kind {
            grpc_route::KIND => UpstreamProtocol::Http2,
            _ => UpstreamProtocol::Http1,
        };
        resolve(self.scope, service, PortRef::Number(port), usual)
    }

    fn report(&mut self, code: Code, field: &str, message: &str, hint: &str) {
        Look::report(self, code, field, message, hint);
    }

    fn unresolve(&mut self, reason: &'static str, message: String) {
        Look::unresolve(self, reason, message);
    }
}

/// Finds the upstream that a reference means; else reports why not and says it in a few words.
pub(crate) fn reference<'a>(
    look: &mut impl Referring<'a>,
    given: &BackendRef,
    field: &str,
) -> Result<UpstreamId, String> {
    let group = given.group.as_deref().unwrap_or_default();
    let kind = given.kind.as_deref().unwrap_or("Service");
    let own = Arc::clone(look.namespace());
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
        kind: look.kind(),
        namespace: &own,
    };
    if !permits(look.scope(), referrer, "", "Service", &key) {
        let message = format!(
            "no ReferenceGrant in namespace {namespace} lets {}s of namespace {own} use Service {}",
            look.kind(),
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
    look.resolve(&key, port)
        .map_err(|error| unusable(look, &key, port, &error, field))
}

fn unusable<'a>(
    look: &mut impl Referring<'a>,
    key: &Key,
    port: u16,
    error: &BackendError,
    field: &str,
) -> String {
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
            format!("Service {key} has no {}port {port}", look.port_word()),
            if ports.is_empty() {
                format!("Give the Service a {}port", look.port_word())
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
pub(crate) const MAX_WEIGHT: u32 = 1_000_000;
