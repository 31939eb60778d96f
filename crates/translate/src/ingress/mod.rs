//! Ingress objects to routes, TLS hosts and status.

use crate::input::Key;
use crate::scope::Scope;
use api::networking::Ingress;
use api::status::IngressStatus;
use ir::{CertificateId, Route, TlsHost};
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
    let _ = (scope, ingress);
    BTreeSet::new()
}

/// Translates one Ingress; `None` if it is not ours.
pub fn translate(scope: &mut Scope<'_>, ingress: &Ingress) -> Option<IngressUnit> {
    let _ = (scope, ingress);
    None
}

/// Certificates of the Ingress HTTPS listener for clients whose SNI nothing covers: the default certificate.
pub fn default_certificates(scope: &mut Scope<'_>) -> Vec<CertificateId> {
    let _ = scope;
    Vec::new()
}
