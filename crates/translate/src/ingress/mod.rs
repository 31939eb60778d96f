//! Ingress objects to routes, TLS hosts and status.
//!
//! Read in this order: [`class`] (which Ingresses are ours), [`shape`] (what one asks for), [`rules`], [`tls`],
//! [`annotations`]. Several Ingresses can have a host together; they know of each other by [`Claim`]s.

mod annotations;
mod class;
mod host;
mod rules;
mod shape;
mod tls;

use crate::certificates::Problem;
use crate::input::Key;
use crate::own_annotations::OwnAnnotations;
use crate::reached::reached;
use crate::scope::Scope;
use crate::selector::serves;
use api::networking::Ingress;
use api::status::{IngressStatus, LoadBalancerStatus};
use ir::{CertificateId, Code, Diagnostic, Origin, PathMatch, Route, Timeouts, TlsHost};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What one Ingress gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IngressUnit {
    /// One route per host (or set of hosts with equal rules).
    pub routes: Vec<Route>,
    /// Certificates by host. Several Ingresses may name a host: the oldest comes first.
    pub tls: Vec<TlsHost>,
    /// Status, if the Ingress is ours.
    pub status: Option<IngressStatus>,
}

/// Something that several Ingresses can ask for, so that each must know of the others.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Claim {
    /// TLS for a host of its rules or its TLS entries.
    Tls(Arc<str>),
    /// The unmatched paths of a host.
    Default(Arc<str>),
    /// A path of a host.
    Path {
        /// As in the rule; empty for a rule without host.
        host: Arc<str>,
        /// Normal form, for a prefix without trailing slash.
        path: Arc<str>,
        /// Exact, or by prefix.
        exact: bool,
    },
}

/// An Ingress that claims something; the oldest comes first, then the first by namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claimant {
    /// When it was made, seconds since 1970.
    pub created: i64,
    /// The Ingress.
    pub key: Key,
}

/// Who claims what.
pub type Claims = BTreeMap<Claim, BTreeSet<Claimant>>;

impl Claimant {
    /// The Ingress as a claimant.
    pub fn of(ingress: &Ingress) -> Self {
        Self {
            created: ingress.metadata.created,
            key: Key::of(&ingress.metadata),
        }
    }
}

/// What an Ingress claims; nothing if it is not ours. Asked for before [`translate`], so that one Ingress can
/// know of another: [`Scope::claimants`].
pub fn claims(scope: &mut Scope<'_>, ingress: &Ingress) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    if !serves(scope, &ingress.metadata.namespace) || class::not_ours(scope, ingress).is_some() {
        return claims;
    }
    let hosts = shape::read(ingress, &scope.settings().http.path).hosts;
    for host in &hosts {
        claims.extend(
            host.paths
                .iter()
                .filter_map(|path| claim(&host.name, &path.matched)),
        );
        if ingress.spec.default_backend.is_some() && !host.has_root() {
            claims.insert(Claim::Default(Arc::clone(&host.name)));
        }
    }
    if !ingress.spec.tls.is_empty() {
        claims.extend(hosts.into_iter().map(|host| Claim::Tls(host.name)));
        let listed = ingress.spec.tls.iter().flat_map(|entry| &entry.hosts);
        claims.extend(listed.map(|host| Claim::Tls(host.as_str().into())));
    }
    claims
}

/// Translates one Ingress; `None` if it is not ours.
pub fn translate(scope: &mut Scope<'_>, ingress: &Ingress) -> Option<IngressUnit> {
    if !serves(scope, &ingress.metadata.namespace) {
        return None;
    }
    if let Some(finding) = class::not_ours(scope, ingress) {
        scope.report(finding);
        return None;
    }
    annotations::report(scope, ingress);
    let shape = shape::read(ingress, &scope.settings().http.path);
    for finding in shape.findings {
        scope.report(finding);
    }
    let redirect = annotations::ssl_redirect(scope, ingress);
    let own = OwnAnnotations::read(scope, "Ingress", &ingress.metadata);
    let timeouts = own.tunnel_idle.map(|idle| {
        scope.shared().timeouts.get(Timeouts {
            tunnel_idle: Some(idle),
            ..Timeouts::default()
        })
    });
    let common = rules::Common { redirect, timeouts };
    Some(IngressUnit {
        routes: rules::routes(scope, ingress, &shape.hosts, &common),
        tls: tls::hosts(scope, ingress, &shape.hosts),
        status: Some(status(scope)),
    })
}

/// Certificates of the Ingress HTTPS listener for clients whose SNI nothing covers: the default certificate.
pub fn default_certificates(scope: &mut Scope<'_>) -> Vec<CertificateId> {
    let settings = scope.settings();
    if let Some(key) = &settings.default_certificate {
        let loaded = scope.certificate(key);
        if loaded.problem == Some(Problem::NotFound) {
            let origin = Origin::new("Narthex", "", "default-certificate");
            let message = format!("there is no Secret {key}; a self-signed certificate is served instead");
            scope.report(Diagnostic::new(Code::SecretNotFound, origin, "", message));
        }
        if let Some(certificate) = loaded.certificate {
            return vec![certificate.id.clone()];
        }
    }
    match scope.fallback_certificate() {
        Some(certificate) => {
            scope.use_certificate(certificate);
            vec![certificate.id.clone()]
        }
        None => Vec::new(),
    }
}

/// The claim of a path. Ingress paths are never regular expressions.
fn claim(host: &Arc<str>, matched: &PathMatch) -> Option<Claim> {
    let (path, exact) = match matched {
        PathMatch::Exact(path) => (path, true),
        PathMatch::Prefix(path) => (path, false),
        PathMatch::Regex(_) => return None,
    };
    Some(Claim::Path {
        host: Arc::clone(host),
        path: path.as_str().into(),
        exact,
    })
}

fn status(scope: &mut Scope<'_>) -> IngressStatus {
    IngressStatus {
        load_balancer: LoadBalancerStatus {
            ingress: reached(scope),
        },
    }
}
