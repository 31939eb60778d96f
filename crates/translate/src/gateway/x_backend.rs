//! XBackend (GEP-4894): a name of DNS or Pods, and how to connect there.

use super::backend_tls::{self, PolicyUnit, Told, Validation};
use super::tls::read_identity;
use super::{session, traffic_policy};
use crate::backends::{
    BackendError, BackendObject, BackendPort, Carrier, Usage, endpoints_of_name, endpoints_of_pods,
};
use crate::changes::Read;
use crate::conditions::Wrong;
use crate::grants::Referrer;
use crate::hosts::{self, Star};
use crate::input::Key;
use crate::scope::Scope;
use api::Resource;
use api::backend::{
    EXPERIMENTAL_GROUP, XBackend, XBackendProtocol as Protocol, XBackendTls, XBackendTlsMode as Mode,
    XBackendType as Type,
};
use ir::{
    Code, Diagnostic, Endpoint, HostPattern, Origin, SessionPersistence, UpstreamId, UpstreamProtocol,
    UpstreamSettings, UpstreamTls,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// An XBackend that makes sense.
struct Declared<'b> {
    destination: Destination<'b>,
    port: u16,
    /// What it says is spoken there.
    protocol: Option<&'b Protocol>,
    /// Set if that is within TLS.
    tls: Option<&'b XBackendTls>,
}

enum Destination<'b> {
    /// A name of DNS.
    Name(&'b str),
    /// Pods with these labels.
    Pods(&'b BTreeMap<String, String>),
}

/// Why it makes none.
struct Mistake {
    field: &'static str,
    message: String,
    hint: &'static str,
}

/// Looks at one XBackend by itself.
pub(crate) fn translate(scope: &mut Scope<'_>, backend: &Arc<XBackend>) -> PolicyUnit {
    let key = Key::of(&backend.metadata);
    let origin = key.origin(XBackend::KIND);
    let mut refused = None;
    let mut unresolved = None;
    match declared(backend) {
        Err(Mistake { field, message, hint }) => {
            let field = format!("spec.{field}");
            let finding = Diagnostic::new(Code::BackendInvalid, origin.clone(), field, message.as_str());
            scope.report(finding.hint(hint));
            refused = Some(Wrong::new("Invalid", message));
        }
        Ok(Declared { tls: Some(given), .. }) => {
            let (_, verdict) = tls(scope, backend, given, true);
            (refused, unresolved) = (verdict.refused, verdict.unresolved);
        }
        Ok(Declared { .. }) => {}
    }
    if backend.spec.kind == Type::EndpointSelector {
        own_session(scope, backend, true);
    } else if backend.spec.session_persistence.is_some() {
        let message = "sessionPersistence is for endpointSelector alone; there are no sessions";
        let finding = Diagnostic::new(Code::SessionInvalid, origin, "spec.sessionPersistence", message);
        scope.report(finding.hint("Remove it"));
    }
    PolicyUnit {
        generation: backend.metadata.generation,
        told: Told::Before(vec![Read::XBackend(key).id()]),
        refused,
        resolved: Some(unresolved.map_or(Ok(()), Err)),
    }
}

/// Finds the upstream of an XBackend and makes it part of the snapshot. Says nothing by itself.
pub(crate) fn resolve(scope: &mut Scope<'_>, key: &Key, usage: Usage) -> Result<UpstreamId, BackendError> {
    let backend = scope.x_backend(key).ok_or(BackendError::NotFound)?;
    let invalid = |reason: String| BackendError::Invalid { reason };
    let declared = declared(backend).map_err(|mistake| invalid(mistake.message))?;
    let protocol = match (usage, declared.protocol) {
        (Usage::Stream(Carrier::Udp), Some(protocol)) => {
            return Err(invalid(format!("{protocol} is not spoken over UDP")));
        }
        (Usage::Stream(Carrier::Udp), None) if declared.tls.is_some() => {
            return Err(invalid("TLS is not spoken over UDP".into()));
        }
        (Usage::Http(usual), None | Some(Protocol::Http | Protocol::Mcp)) => usual,
        (Usage::Stream(_), _) | (Usage::Http(_), Some(Protocol::Http11 | Protocol::Wss)) => {
            UpstreamProtocol::Http1
        }
        (Usage::Http(_), Some(Protocol::Http2 | Protocol::H2c | Protocol::Grpc)) => UpstreamProtocol::Http2,
        (Usage::Http(_), Some(protocol)) => {
            return Err(BackendError::UnsupportedProtocol {
                app_protocol: protocol.to_string(),
            });
        }
    };
    Ok(scope.use_upstream(BackendPort {
        object: BackendObject::XBackend(key.clone()),
        port: declared.port,
        carrier: usage.carrier(),
        protocol,
    }))
}

/// Settings and endpoints; `None` if it is gone or makes no sense.
pub(crate) fn upstream(
    scope: &mut Scope<'_>,
    key: &Key,
    origin: &Origin,
    port: &BackendPort,
) -> Option<(UpstreamSettings, Vec<Endpoint>)> {
    let backend = scope.x_backend(key)?;
    let declared = declared(backend).ok()?;
    let tls = declared
        .tls
        .map(|given| Arc::new(tls(scope, backend, given, false).0));
    let retry_budget = traffic_policy::budget(scope, &port.object);
    let settings = UpstreamSettings {
        protocol: port.protocol,
        tls,
        retry_budget,
        ..UpstreamSettings::clone(scope.upstream_settings())
    };
    let endpoints = match declared.destination {
        Destination::Name(name) => endpoints_of_name(scope, origin, NAME, name, declared.port),
        Destination::Pods(labels) => match crate::backends::endpoints_of_slices(scope, origin, port) {
            Some(endpoints) => endpoints,
            None => endpoints_of_pods(scope, origin, &key.namespace, labels, declared.port),
        },
    };
    Some((settings, endpoints))
}

/// How clients are kept at one endpoint of it, as it says itself.
pub(crate) fn session(scope: &mut Scope<'_>, key: &Key) -> Option<SessionPersistence> {
    let backend = scope.x_backend(key)?;
    own_session(scope, backend, false).filter(|_| backend.spec.kind == Type::EndpointSelector)
}

fn own_session(scope: &mut Scope<'_>, backend: &XBackend, tell: bool) -> Option<SessionPersistence> {
    let given = backend.spec.session_persistence.as_deref()?;
    let key = Key::of(&backend.metadata);
    let place = session::Holder {
        origin: key.origin(XBackend::KIND),
        field: "spec.sessionPersistence",
        seed: format!("XBackend {key}@{}", backend.metadata.created),
    };
    session::of_object(scope, given, &place, tell)
}

fn tls(
    scope: &mut Scope<'_>,
    backend: &XBackend,
    given: &XBackendTls,
    tell: bool,
) -> (UpstreamTls, backend_tls::Verdict) {
    let origin = Key::of(&backend.metadata).origin(XBackend::KIND);
    let referrer = Referrer {
        group: EXPERIMENTAL_GROUP,
        kind: XBackend::KIND,
        namespace: &backend.metadata.namespace,
    };
    let validation = given.validation.clone().unwrap_or_default();
    let (mut tls, mut verdict) = backend_tls::read(
        scope,
        &Validation {
            origin: &origin,
            referrer,
            field: "spec.tls.validation",
            given: &validation,
        },
        tell,
    );
    let Some(reference) = &given.client_certificate_ref else {
        return (tls, verdict);
    };
    let identity = scope.quietly(!tell, |scope| {
        read_identity(scope, referrer, reference).map_err(|(code, wrong)| {
            let field = "spec.tls.clientCertificateRef";
            let finding = Diagnostic::new(code, origin.clone(), field, wrong.message.as_str());
            scope.report(finding.hint("Refer to a Secret of type kubernetes.io/tls"));
            wrong
        })
    });
    match identity {
        Ok(identity) => tls.identity = Some(identity),
        Err(wrong) => {
            // Without what was to be shown nothing is to be sent.
            tls.trust = ir::Trust::Roots(Arc::default());
            verdict.unresolved.get_or_insert(wrong);
        }
    }
    (tls, verdict)
}

/// What an XBackend says. The API server holds all to this but what is said about names; a file may have anything.
fn declared(backend: &XBackend) -> Result<Declared<'_>, Mistake> {
    let spec = &backend.spec;
    let port = spec.port.number.filter(|number| *number != 0);
    let port =
        port.ok_or_else(|| mistake("port.number", "the port has no number", "Add the port's number"))?;
    let (name, selector) = (&spec.external_hostname, &spec.endpoint_selector);
    let destination = match (&spec.kind, name, selector) {
        (Type::ExternalHostname, Some(name), None) => Destination::Name(external(&name.hostname)?),
        (Type::EndpointSelector, None, Some(selector)) if !selector.match_labels.is_empty() => {
            Destination::Pods(&selector.match_labels)
        }
        (Type::ExternalHostname, ..) => {
            let message = "type ExternalHostname needs externalHostname and nothing else";
            return Err(mistake("externalHostname", message, "Give a hostname"));
        }
        (Type::EndpointSelector, ..) => {
            let message = "type EndpointSelector needs endpointSelector with labels and nothing else";
            return Err(mistake("endpointSelector", message, "Give matchLabels"));
        }
        (Type::Other(other), ..) => {
            let message = format!("{other} is no type of XBackend that is known here");
            return Err(mistake(
                "type",
                message,
                "Use ExternalHostname or EndpointSelector",
            ));
        }
    };
    let tls = spec.tls.as_deref().filter(|tls| tls.mode != Mode::None);
    let protocol = spec.protocol.as_ref();
    match (protocol, tls) {
        (Some(Protocol::H2c), Some(_)) => {
            let message = "protocol H2C is HTTP/2 without TLS, and tls asks for TLS";
            return Err(mistake("protocol", message, "Use HTTP2"));
        }
        (Some(protocol @ (Protocol::Http2 | Protocol::Wss)), None) => {
            let message = format!("protocol {protocol} is spoken within TLS, and tls asks for none");
            return Err(mistake(
                "tls.mode",
                message,
                "Use ServerOnly, or protocol H2C or HTTP",
            ));
        }
        (Some(Protocol::Other(other)), _) => {
            let message = format!("{other} is no protocol that is known here");
            return Err(mistake(
                "protocol",
                message,
                "Use HTTP, HTTP11, HTTP2, H2C, GRPC, MCP, TCP or WSS",
            ));
        }
        _ => {}
    }
    if let Some(tls) = tls {
        secured(tls)?;
    }
    Ok(Declared {
        destination,
        port,
        protocol,
        tls,
    })
}

fn secured(tls: &XBackendTls) -> Result<(), Mistake> {
    match (&tls.mode, &tls.client_certificate_ref) {
        (Mode::Other(other), _) => {
            let message = format!("{other} is no mode of TLS that is known here");
            return Err(mistake(
                "tls.mode",
                message,
                "Use None, ServerOnly or ClientAndServer",
            ));
        }
        (Mode::ClientAndServer, None) => {
            let message = "mode ClientAndServer needs clientCertificateRef";
            return Err(mistake(
                "tls.clientCertificateRef",
                message,
                "Name a Secret, or use ServerOnly",
            ));
        }
        (Mode::ServerOnly, Some(_)) => {
            let message = "clientCertificateRef is for mode ClientAndServer alone";
            return Err(mistake(
                "tls.clientCertificateRef",
                message,
                "Use ClientAndServer, or remove it",
            ));
        }
        _ => {}
    }
    if tls.validation.is_none() {
        let message = format!("mode {} needs validation, which says whom to believe", tls.mode);
        return Err(mistake(
            "tls.validation",
            message,
            "Add a hostname and caCertificateRefs",
        ));
    }
    Ok(())
}

/// A name outside the cluster.
fn external(name: &str) -> Result<&str, Mistake> {
    let wrong = match hosts::parse(name, Star::Labels) {
        Err(error) => error.to_string(),
        Ok(HostPattern::Exact(lower)) if lower.ends_with(".cluster.local") => {
            "is a name inside the cluster".into()
        }
        Ok(HostPattern::Exact(_)) => return Ok(name),
        Ok(_) => "stands for several hosts".into(),
    };
    let message = format!("the host name \"{name}\" {wrong}");
    Err(mistake(
        "externalHostname.hostname",
        message,
        "Give the name of one host outside the cluster; for Pods use type EndpointSelector",
    ))
}

fn mistake(field: &'static str, message: impl Into<String>, hint: &'static str) -> Mistake {
    Mistake {
        field,
        message: message.into(),
        hint,
    }
}

const NAME: &str = "spec.externalHostname.hostname";
