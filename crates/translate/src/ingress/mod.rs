//! Ingress objects to routes, TLS hosts and status.

use crate::scope::Scope;
use api::networking::Ingress;
use api::status::IngressStatus;
use ir::{CertificateId, Route, TlsHost};

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

/// Hosts for which an Ingress of ours has a TLS entry; empty for an Ingress that is not ours. Lower-case, as
/// written otherwise (`*.example.com`). Asked for before [`translate`], so that one Ingress can know of the TLS
/// of another: [`Scope::ingress_tls_host`].
pub fn tls_hosts(scope: &mut Scope<'_>, ingress: &Ingress) -> Vec<String> {
    let _ = (scope, ingress);
    Vec::new()
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
