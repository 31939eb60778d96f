//! Certificates of an Ingress's hosts.
//!
//! A host gets the certificate of the `tls` entry that lists it. A host that no entry lists gets one whose
//! certificate is made for it, as in ingress-nginx. Where the Secret is missing, broken or made for other hosts,
//! the default certificate is served: clients may still accept that one.

use super::host;
use super::shape::Host;
use crate::certificates::{self, Problem};
use crate::input::Key;
use crate::scope::Scope;
use api::networking::{Ingress, IngressTls};
use ir::{Certificate, CertificateId, Code, Diagnostic, HostPattern, Origin, TlsHost};
use std::sync::Arc;

/// Certificates by host, for the hosts of an Ingress's rules and TLS entries.
pub(super) fn hosts(scope: &mut Scope<'_>, ingress: &Ingress, rules: &[Host<'_>]) -> Vec<TlsHost> {
    let mut table = Table {
        default: super::default_certificates(scope),
        rows: Vec::new(),
    };
    let origin = Key::of(&ingress.metadata).origin("Ingress");
    let mut loaded = Vec::new();
    for (index, entry) in ingress.spec.tls.iter().enumerate() {
        let mut listed = listed(scope, &origin, entry, index);
        let certificate = load(scope, &origin, entry, index);
        if entry.hosts.is_empty() {
            let field = || format!("spec.tls[{index}].secretName");
            listed.extend(rules.iter().map(|host| (host.pattern.clone(), field())));
        }
        for (host, field) in listed {
            let fits = certificate
                .as_ref()
                .filter(|found| certificates::covers(found, &host));
            if let (Some(found), None) = (&certificate, fits) {
                scope.report(mismatch(&origin, field, found, &host));
            }
            table.add(&host, fits);
        }
        loaded.extend(certificate);
    }
    for host in rules.iter().filter(|host| host.pattern != HostPattern::Any) {
        if !table.lists(&host.name) {
            for certificate in loaded
                .iter()
                .filter(|found| certificates::covers(found, &host.pattern))
            {
                table.add(&host.pattern, Some(certificate));
            }
        }
    }
    let rows = table.rows.into_iter().map(Row::finish);
    rows.filter(|host| !host.certificates.is_empty()).collect()
}

/// Hosts of a TLS entry, each with its field.
fn listed(
    scope: &mut Scope<'_>,
    origin: &Origin,
    entry: &IngressTls,
    index: usize,
) -> Vec<(HostPattern, String)> {
    let mut hosts = Vec::new();
    for (position, name) in entry.hosts.iter().enumerate() {
        let field = format!("spec.tls[{index}].hosts[{position}]");
        match host::pattern(name) {
            Ok(HostPattern::Any) => {
                let message = "the host is empty; it is left out";
                scope.report(Diagnostic::new(
                    Code::IngressHostInvalid,
                    origin.clone(),
                    field,
                    message,
                ));
            }
            Ok(pattern) => hosts.push((pattern, field)),
            Err(reason) => {
                let message = format!("{name:?} {reason}; it is left out");
                let finding = Diagnostic::new(Code::IngressHostInvalid, origin.clone(), field, message);
                scope.report(finding.hint(host::hint(name)));
            }
        }
    }
    hosts
}

fn load(
    scope: &mut Scope<'_>,
    origin: &Origin,
    entry: &IngressTls,
    index: usize,
) -> Option<Arc<Certificate>> {
    let name = entry.secret_name.as_deref().filter(|name| !name.is_empty())?;
    let key = Key::new(Arc::clone(&origin.namespace), name);
    let loaded = scope.certificate(&key);
    if loaded.problem == Some(Problem::NotFound) {
        let field = format!("spec.tls[{index}].secretName");
        let message = format!("there is no Secret {key}; the default certificate is served");
        let finding = Diagnostic::new(Code::SecretNotFound, origin.clone(), field, message);
        let hint = format!(
            "Create it: `kubectl create secret tls {name} -n {} --cert=FILE --key=FILE`",
            key.namespace
        );
        scope.report(finding.hint(hint));
    }
    loaded.certificate
}

fn mismatch(origin: &Origin, field: String, certificate: &Certificate, host: &HostPattern) -> Diagnostic {
    let names = certificate.names.join(", ");
    let message = format!(
        "{} is made for {names}, not for {host}; the default certificate is served for it",
        certificate.origin
    );
    Diagnostic::new(Code::CertificateHostMismatch, origin.clone(), field, message)
        .hint(format!("Have a certificate made that names {host} too"))
}

/// Certificates by host.
struct Table {
    default: Vec<CertificateId>,
    rows: Vec<Row>,
}

struct Row {
    hostname: HostPattern,
    /// Each with whether its key is RSA.
    own: Vec<(bool, CertificateId)>,
    default: Vec<CertificateId>,
}

impl Table {
    /// Adds a certificate for a host; none stands for the default one.
    fn add(&mut self, host: &HostPattern, certificate: Option<&Arc<Certificate>>) {
        let known = self.rows.iter().position(|row| row.hostname == *host);
        let row = known.unwrap_or_else(|| {
            self.rows.push(Row {
                hostname: host.clone(),
                own: Vec::new(),
                default: self.default.clone(),
            });
            self.rows.len() - 1
        });
        let own = &mut self.rows[row].own;
        if let Some(certificate) = certificate
            && own.iter().all(|(_, id)| *id != certificate.id)
        {
            own.push((certificates::is_rsa(certificate), certificate.id.clone()));
        }
    }

    /// Whether a host is listed, itself or by the wildcard over it.
    fn lists(&self, host: &str) -> bool {
        let wildcard = host::wildcard_over(host);
        self.rows.iter().any(|row| {
            let listed = row.hostname.to_string();
            listed == host || Some(listed) == wildcard
        })
    }
}

impl Row {
    /// Own certificates if there are any: only without them is the default one served.
    fn finish(mut self) -> TlsHost {
        // Stable: apart from this the order is that of the entries.
        self.own.sort_by_key(|(is_rsa, _)| *is_rsa);
        let certificates = if self.own.is_empty() {
            self.default
        } else {
            self.own.into_iter().map(|(_, id)| id).collect()
        };
        TlsHost {
            hostname: self.hostname,
            certificates,
        }
    }
}
