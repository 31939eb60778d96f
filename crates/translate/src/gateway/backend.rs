//! Backends of a route: kind, permission and existence, in this order, so that an error tells nobody what
//! exists in a namespace they may not refer to.

use super::rule::{Look, Trouble, broken};
use super::{filters, grpc_route, session, traffic_policy, x_backend};
use crate::backends::{self, BackendError, BackendObject, Carrier, PortRef, Usage};
use crate::grants::{Referrer, permits};
use crate::input::Key;
use crate::scope::Scope;
use api::Resource;
use api::backend::{EXPERIMENTAL_GROUP, XBackend};
use api::gateway::{BackendRef, GROUP, HttpBackendRef};
use ir::{Backend, Code, Match, SessionPersistence, Target, UpstreamId, UpstreamProtocol};
use std::sync::Arc;

/// Reads a rule's backends. `session`: how the rule itself keeps clients, whatever its backends say about that.
pub(crate) fn translate(
    look: &mut Look<'_, '_>,
    given: &[HttpBackendRef],
    matches: &[Match],
    session: Option<&Arc<SessionPersistence>>,
) -> Vec<Backend> {
    let mut backends = Vec::with_capacity(given.len());
    for (index, given) in given.iter().enumerate() {
        let field = format!("backendRefs[{index}]");
        let weight = weight(look, given.weight.unwrap_or(1), &format!("{field}.weight"));
        let (target, session) = match reference(look, &given.backend, &field) {
            Ok((upstream, object)) => {
                let own = || traffic_policy::session(look.scope, &object).map(Arc::new);
                (Target::Upstream(upstream), session.cloned().or_else(own))
            }
            Err(reason) => (broken(reason), None),
        };
        let (filters, target) = match filters::of_backend(look, &given.filters, &field, matches) {
            Ok(filters) => (filters, target),
            Err(reason) => (Vec::new(), broken(reason)),
        };
        backends.push(Backend {
            weight,
            target,
            session,
            filters: look.scope.shared().filters.get(filters),
        });
    }
    session::names_of_backends(look, &backends);
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
    /// What backends are wanted for.
    fn usage(&self) -> Usage;
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

    fn usage(&self) -> Usage {
        // gRPC is HTTP/2, whether the port says so or not.
        Usage::Http(match self.kind {
            grpc_route::KIND => UpstreamProtocol::Http2,
            _ => UpstreamProtocol::Http1,
        })
    }

    fn report(&mut self, code: Code, field: &str, message: &str, hint: &str) {
        Look::report(self, code, field, message, hint);
    }

    fn unresolve(&mut self, reason: &'static str, message: String) {
        Look::unresolve(self, reason, message);
    }
}

/// Finds the upstream that a reference means, and the object; else reports why not and says it in a few words.
pub(crate) fn reference<'a>(
    look: &mut impl Referring<'a>,
    given: &BackendRef,
    field: &str,
) -> Result<(UpstreamId, BackendObject), String> {
    let group = given.group.as_deref().unwrap_or_default();
    let kind = given.kind.as_deref().unwrap_or("Service");
    let own = Arc::clone(look.namespace());
    let namespace = given.namespace.as_deref().unwrap_or(&own);
    let key = Key::new(namespace, &*given.name);
    let object = match (group, kind) {
        ("", "Service") => BackendObject::Service(key),
        (EXPERIMENTAL_GROUP, XBackend::KIND) => BackendObject::XBackend(key),
        _ => {
            let full = if group.is_empty() {
                kind.to_owned()
            } else {
                format!("{kind} of group {group}")
            };
            let message = format!("a backend must be a Service or an XBackend, not {full}");
            look.report(
                Code::BackendKindUnsupported,
                &format!("{field}.kind"),
                message.as_str(),
                "Refer to a Service",
            );
            look.unresolve("InvalidKind", message);
            return Err(format!("kind {kind} is not supported"));
        }
    };
    if matches!(object, BackendObject::XBackend(_)) && namespace != &*own {
        // GEP-4894: whoever writes the route says how to connect; no ReferenceGrant changes that.
        let message = format!("{object} is for routes of its own namespace alone, and this one is in {own}");
        look.report(
            Code::RefNotPermitted,
            &format!("{field}.namespace"),
            message.as_str(),
            &format!("Create the XBackend in namespace {own}"),
        );
        look.unresolve("RefNotPermitted", message);
        return Err(format!("{object} is in another namespace"));
    }
    let referrer = Referrer {
        group: GROUP,
        kind: look.kind(),
        namespace: &own,
    };
    if !permits(
        look.scope(),
        referrer,
        object.group(),
        object.kind(),
        object.key(),
    ) {
        let message = format!(
            "no ReferenceGrant in namespace {namespace} lets {}s of namespace {own} use {} {}",
            look.kind(),
            object.kind(),
            given.name
        );
        look.report(
            Code::RefNotPermitted,
            field,
            message.as_str(),
            &format!("Create a ReferenceGrant in namespace {namespace}"),
        );
        look.unresolve("RefNotPermitted", message);
        return Err(format!("no ReferenceGrant allows {object}"));
    }
    let usage = look.usage();
    let resolved = match (&object, given.port) {
        (BackendObject::Service(key), Some(port)) => {
            backends::resolve(look.scope(), key, PortRef::Number(port), usage)
        }
        (BackendObject::Service(key), None) => {
            let message = format!("the reference to Service {key} names no port");
            look.report(
                Code::BackendPortNotFound,
                &format!("{field}.port"),
                message.as_str(),
                "Add the number of a port of the Service",
            );
            look.unresolve("BackendNotFound", message.clone());
            return Err(message);
        }
        (BackendObject::XBackend(key), port) => {
            if port.is_some() {
                look.report(
                    Code::RouteFieldUnsupported,
                    &format!("{field}.port"),
                    "the port of an XBackend stands in itself; this one is ignored",
                    "Remove it",
                );
            }
            x_backend::resolve(look.scope(), key, usage)
        }
    };
    match resolved {
        Ok(upstream) => Ok((upstream, object)),
        Err(error) => Err(unusable(look, &object, given.port, &error, field)),
    }
}

fn unusable<'a>(
    look: &mut impl Referring<'a>,
    object: &BackendObject,
    port: Option<u16>,
    error: &BackendError,
    field: &str,
) -> String {
    let port_word = match look.usage() {
        Usage::Stream(Carrier::Udp) => "UDP ",
        _ => "",
    };
    let port = port.unwrap_or_default();
    let (code, part, reason, message, hint) = match error {
        BackendError::NotFound => (
            Code::BackendNotFound,
            "name",
            "BackendNotFound",
            format!("{object} does not exist"),
            "Create it, or name one that exists".to_owned(),
        ),
        BackendError::PortNotFound { ports } => (
            Code::BackendPortNotFound,
            "port",
            "BackendNotFound",
            format!("{object} has no {port_word}port {port}"),
            if ports.is_empty() {
                format!("Give the Service a {port_word}port")
            } else {
                format!("Its ports are {ports}")
            },
        ),
        BackendError::UnsupportedProtocol { app_protocol } => {
            let (part, what, hint) = match object {
                BackendObject::XBackend(_) => (
                    "name",
                    object.to_string(),
                    "Refer to it from a TCPRoute or TLSRoute, or give it another protocol",
                ),
                _ if backends::is_secured(app_protocol) => (
                    "port",
                    format!("port {port} of {object}"),
                    "Attach a BackendTLSPolicy to the Service, which says whom to believe",
                ),
                BackendObject::Service(_) => (
                    "port",
                    format!("port {port} of {object}"),
                    "Use a port that speaks HTTP/1.1 or HTTP/2",
                ),
            };
            (
                Code::UnsupportedProtocol,
                part,
                "UnsupportedProtocol",
                format!("{what} speaks {app_protocol}, which can't be spoken"),
                hint.to_owned(),
            )
        }
        BackendError::Invalid { reason } => (
            Code::BackendInvalid,
            "name",
            "BackendNotFound",
            format!("{object} can't be used: {reason}"),
            format!("Mend the {}, or name another", object.kind()),
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
