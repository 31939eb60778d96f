//! Rules of an Ingress: one route per host, with the default backend for what no path takes.
//!
//! Which of several rules answers is the router's to say: exact before prefix, the longest prefix, then the
//! oldest Ingress. Here is decided only what it can't know: that a default backend yields to every `/`.

use super::shape::{Host, is_root};
use super::{Claim, Claimant, claim, host};
use crate::backends::{self, BackendError, PortRef, Usage};
use crate::input::Key;
use crate::scope::Scope;
use api::networking::{Ingress, IngressBackend};
use ir::{
    Action, Backend, Code, Diagnostic, Filter, HostPattern, Match, Origin, PathMatch, Route, Rule, Severity,
    Target, Timeouts, UpstreamId, UpstreamProtocol,
};
use std::sync::Arc;

/// What its annotations say about all rules of an Ingress.
pub(super) struct Common {
    /// Whether plain requests for TLS hosts are to be redirected.
    pub redirect: bool,
    /// Time limits of its own.
    pub timeouts: Option<Arc<Timeouts>>,
}

/// The routes of an Ingress.
pub(super) fn routes(
    scope: &mut Scope<'_>,
    ingress: &Ingress,
    hosts: &[Host<'_>],
    common: &Common,
) -> Vec<Route> {
    let claimant = Claimant::of(ingress);
    let default = ingress.spec.default_backend.as_ref();
    // Translated once, so that what is wrong with it is reported once.
    let default = default.map(|backend| forward(scope, &claimant, backend, "spec.defaultBackend"));
    let mut routes = Vec::new();
    for host in hosts {
        let to_https = if common.redirect && has_tls(scope, host) {
            let port = scope.settings().https_port;
            let filter = Filter::HttpsRedirect { status: 308, port };
            scope.shared().filters.get([filter])
        } else {
            Arc::default()
        };
        let mut builder = Builder {
            origin: claimant.key.origin("Ingress"),
            to_https,
            timeouts: common.timeouts.clone(),
            rules: Vec::new(),
        };
        for path in &host.paths {
            let action = forward(
                scope,
                &claimant,
                path.backend,
                &format!("spec.{}.backend", path.section),
            );
            report_claimed(scope, &claimant, host, &path.matched, &path.section);
            builder.push(scope, &path.section, path.matched.clone(), action);
        }
        if let Some(default) = &default
            && default_applies(scope, &claimant, host)
        {
            builder.push(
                scope,
                "defaultBackend",
                PathMatch::Prefix(String::new()),
                default.clone(),
            );
        }
        if builder.rules.is_empty() {
            if rest_is_claimed(scope, host) {
                continue;
            }
            // The host is taken all the same: it hides a wildcard over it, as in ingress-nginx.
            let section = host
                .rule
                .map_or_else(|| "spec".to_owned(), |rule| format!("rules[{rule}]"));
            builder.to_https = Arc::default();
            builder.push(
                scope,
                &section,
                PathMatch::Prefix(String::new()),
                Action::Status(404),
            );
        }
        routes.push(Route {
            origin: builder.origin,
            created: claimant.created,
            hostnames: [host.pattern.clone()].into(),
            rules: builder.rules.into(),
        });
    }
    routes
}

struct Builder {
    origin: Origin,
    /// For all but what an ACME client is asked.
    to_https: Arc<[Filter]>,
    timeouts: Option<Arc<Timeouts>>,
    rules: Vec<Rule>,
}

impl Builder {
    fn push(&mut self, scope: &mut Scope<'_>, section: &str, path: PathMatch, action: Action) {
        let filters = if is_acme(&path) {
            Arc::default()
        } else {
            Arc::clone(&self.to_https)
        };
        self.rules.push(Rule {
            origin: self.origin.section(section),
            index: u32::try_from(self.rules.len()).unwrap_or(u32::MAX),
            filters,
            matches: scope.shared().matches.get([Match {
                path,
                method: None,
                headers: Vec::new(),
                query: Vec::new(),
            }]),
            action,
            timeouts: self.timeouts.clone(),
            retry: None,
            grpc: false,
        });
    }
}

/// Whether a host has TLS, by an Ingress that has rules for it or by one whose certificate is served for it.
fn has_tls(scope: &mut Scope<'_>, host: &Host<'_>) -> bool {
    let own = Claim::Tls(Arc::clone(&host.name));
    if scope.claimants(own).next().is_some() {
        return true;
    }
    let wildcard = host::wildcard_over(&host.name);
    wildcard.is_some_and(|name| scope.claimants(Claim::Tls(name.into())).next().is_some())
}

/// Certificate authorities ask for these over plain HTTP, before there is a certificate to redirect to.
/// ingress-nginx leaves the same paths alone (`no-tls-redirect-locations`).
fn is_acme(path: &PathMatch) -> bool {
    match path {
        PathMatch::Exact(path) | PathMatch::Prefix(path) => path.starts_with("/.well-known/acme-challenge"),
        PathMatch::Regex(_) => false,
    }
}

/// Whether the default backend gets what no path of the host takes. A `/` of any Ingress comes first, also of a
/// younger one: it says more than a default.
fn default_applies(scope: &mut Scope<'_>, ours: &Claimant, host: &Host<'_>) -> bool {
    if host.paths.iter().any(|path| is_root(&path.matched)) {
        return false;
    }
    let by_root = scope.claimants(root_claim(host)).next();
    let first = by_root.or_else(|| scope.claimants(Claim::Default(Arc::clone(&host.name))).next());
    if let Some(first) = first
        && first.key != ours.key
    {
        let how = if by_root.is_some() {
            "path /"
        } else {
            "the default backend"
        };
        let message = format!(
            "what no path of {} takes goes to {how} of Ingress {}, not to this default backend",
            host.pattern, first.key
        );
        let origin = ours.key.origin("Ingress");
        let finding = Diagnostic::new(Code::PathClaimedTwice, origin, "spec.defaultBackend", message);
        scope.report(finding);
    }
    by_root.is_none()
}

/// Whether some Ingress takes what no path of a host takes.
fn rest_is_claimed(scope: &mut Scope<'_>, host: &Host<'_>) -> bool {
    let claims = [root_claim(host), Claim::Default(Arc::clone(&host.name))];
    claims
        .into_iter()
        .any(|claim| scope.claimants(claim).next().is_some())
}

fn root_claim(host: &Host<'_>) -> Claim {
    Claim::Path {
        host: Arc::clone(&host.name),
        path: "".into(),
        exact: false,
    }
}

fn report_claimed(
    scope: &mut Scope<'_>,
    ours: &Claimant,
    host: &Host<'_>,
    matched: &PathMatch,
    section: &str,
) {
    let Some(claim) = claim(&host.name, matched) else {
        return;
    };
    let Some(first) = scope
        .claimants(claim)
        .next()
        .filter(|first| first.key != ours.key)
    else {
        return;
    };
    let why = if first.created < ours.created {
        "is older and wins"
    } else {
        "is as old, comes first by name and wins"
    };
    let on = match &host.pattern {
        HostPattern::Any => "without host".to_owned(),
        pattern => format!("of {pattern}"),
    };
    let (kind, path) = match matched {
        PathMatch::Exact(path) => ("Exact", path.as_str()),
        PathMatch::Prefix(path) if path.is_empty() => ("Prefix", "/"),
        PathMatch::Prefix(path) | PathMatch::Regex(path) => ("Prefix", path.as_str()),
    };
    let message = format!(
        "{kind} {path} {on} is also claimed by Ingress {}, which {why}",
        first.key
    );
    let origin = ours.key.origin("Ingress");
    let finding = Diagnostic::new(Code::PathClaimedTwice, origin, format!("spec.{section}"), message);
    scope.report(finding.hint("Remove the path from one of the two"));
}

/// Forwards to a backend; to an answer of 503 where it can't be used.
fn forward(scope: &mut Scope<'_>, ours: &Claimant, backend: &IngressBackend, field: &str) -> Action {
    let target = match target(scope, ours, backend, field) {
        Ok(upstream) => Target::Upstream(upstream),
        Err(reason) => Target::Broken { status: 503, reason },
    };
    Action::Forward(vec![Backend {
        weight: 1,
        session: None,
        target,
        filters: Arc::default(),
    }])
}

fn target(
    scope: &mut Scope<'_>,
    ours: &Claimant,
    backend: &IngressBackend,
    field: &str,
) -> Result<UpstreamId, String> {
    let origin = ours.key.origin("Ingress");
    let refuse = |scope: &mut Scope<'_>, code, part: &str, reason: String, hint: Option<String>| {
        let message = format!("{reason}; requests for it are answered with 503");
        let mut finding = Diagnostic::new(code, origin.clone(), format!("{field}{part}"), message);
        finding.hint = hint;
        scope.report(finding);
        reason
    };
    let Some(service) = &backend.service else {
        let (code, part, reason) = match &backend.resource {
            Some(resource) => {
                let reason = format!("{} {} is not a Service", resource.kind, resource.name);
                (Code::IngressResourceBackend, ".resource", reason)
            }
            None => (
                Code::BackendNotFound,
                "",
                "the backend names no Service".to_owned(),
            ),
        };
        let hint = Some("Name a Service and one of its ports".to_owned());
        return Err(refuse(scope, code, part, reason, hint));
    };
    let key = Key::new(Arc::clone(&ours.key.namespace), service.name.as_str());
    let port = match (service.port.name.as_deref(), service.port.number) {
        (Some(name), _) if !name.is_empty() => PortRef::Name(name),
        (_, Some(number)) if number != 0 => PortRef::Number(number),
        _ => {
            let reason = format!("the backend names no port of Service {key}");
            let hint = Some("Add port.number or port.name".to_owned());
            return Err(refuse(
                scope,
                Code::BackendPortNotFound,
                ".service.port",
                reason,
                hint,
            ));
        }
    };
    let error = match backends::resolve(scope, &key, port, HTTP) {
        Ok(upstream) => return Ok(upstream),
        Err(error) => error,
    };
    let (code, part, reason, hint) = match error {
        BackendError::NotFound => {
            let reason = format!("there is no Service {key}");
            let hint = Some("Create it, or name one that exists".to_owned());
            (Code::BackendNotFound, ".service.name", reason, hint)
        }
        BackendError::PortNotFound { ports } => {
            if let Some(upstream) = meant_by_target(scope, &key, port, &origin, field) {
                return Ok(upstream);
            }
            let wanted = match port {
                PortRef::Number(number) => number.to_string(),
                PortRef::Name(name) => format!("{name:?}"),
            };
            let reason = format!("Service {key} has no port {wanted}");
            let hint = if ports.is_empty() {
                "It has no TCP port at all".to_owned()
            } else {
                format!("Its ports are {ports}")
            };
            (Code::BackendPortNotFound, ".service.port", reason, Some(hint))
        }
        error @ (BackendError::UnsupportedProtocol { .. } | BackendError::Invalid { .. }) => {
            let reason = format!("Service {key}: {error}");
            (Code::UnsupportedProtocol, ".service.port", reason, None)
        }
    };
    Err(refuse(scope, code, part, reason, hint))
}

/// The upstream of a Service's port whose target has the wanted number: the number of a container's port is a mistake,
/// but ingress-nginx pardons it, and nothing else can be meant.
fn meant_by_target(
    scope: &mut Scope<'_>,
    service: &Key,
    port: PortRef<'_>,
    origin: &Origin,
    field: &str,
) -> Option<UpstreamId> {
    let PortRef::Number(number) = port else {
        return None;
    };
    let found = backends::port_of_target(scope, service, number)?;
    let upstream = backends::resolve(scope, service, PortRef::Number(found), HTTP).ok()?;
    let message =
        format!("{number} is no port of Service {service} but the target of its port {found}, which is used");
    let field = format!("{field}.service.port.number");
    let mut finding = Diagnostic::new(Code::BackendPortNotFound, origin.clone(), field, message);
    finding.severity = Severity::Warning;
    scope.report(finding.hint(format!("Write number: {found}")));
    Some(upstream)
}

const HTTP: Usage = Usage::Http(UpstreamProtocol::Http1);
