//! Secrets to certificates. A Secret that goes bad keeps the last good certificate in use.

mod parse;

use crate::input::Key;
use api::core::Secret;
use ir::{Certificate, CertificateId, Code, Diagnostic, HostPattern};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Certificates by Secret: parsed once per version of the Secret, the last good one remembered.
#[derive(Debug, Default)]
pub struct Store {
    entries: BTreeMap<Key, Entry>,
    /// When the certificate of each id begins to be valid; the snapshot holds only the end.
    begins: BTreeMap<CertificateId, i64>,
}

#[derive(Debug)]
struct Entry {
    secret: Option<Arc<Secret>>,
    loaded: Loaded,
}

/// What a Secret holds.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// The certificate to use; also the last good one while the Secret is bad. Gone with its Secret.
    pub certificate: Option<Arc<Certificate>>,
    /// What is wrong with the Secret as it is now. The caller's own reference to a Secret that does not exist is
    /// the caller's to report (it knows the field).
    pub problem: Option<Problem>,
    /// Findings about the Secret itself.
    pub findings: Vec<Diagnostic>,
}

/// Why a Secret gives no (new) certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// There is no such Secret.
    NotFound,
    /// It does not hold a usable certificate and key: a clause such as `tls.crt is missing`.
    Invalid(String),
}

impl Store {
    /// The certificate of a Secret.
    pub fn load(&mut self, key: &Key, secret: Option<&Arc<Secret>>) -> Loaded {
        if let Some(entry) = self.entries.get(key)
            && entry.secret.as_ref().map(Arc::as_ptr) == secret.map(Arc::as_ptr)
        {
            return entry.loaded.clone();
        }
        let loaded = match secret {
            Some(secret) => self.load_new(key, secret),
            None => Loaded {
                problem: Some(Problem::NotFound),
                ..Loaded::default()
            },
        };
        let entry = Entry {
            secret: secret.cloned(),
            loaded: loaded.clone(),
        };
        self.entries.insert(key.clone(), entry);
        loaded
    }

    /// Forgets a Secret that was deleted, its last good certificate included.
    pub fn forget(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key)
            && let Some(certificate) = entry.loaded.certificate
        {
            self.begins.remove(&certificate.id);
        }
    }

    /// Forgets every Secret that is not among those to be kept.
    pub fn keep(&mut self, kept: impl Fn(&Key) -> bool) {
        let gone: Vec<Key> = self.entries.keys().filter(|key| !kept(key)).cloned().collect();
        for key in &gone {
            self.forget(key);
        }
    }

    /// What the calendar says about a certificate that is in use: not valid yet, expired, or within 30 days of
    /// it. `now` in seconds since 1970.
    pub fn calendar(&self, certificate: &Certificate, now: i64) -> Option<Diagnostic> {
        let origin = certificate.origin.clone();
        let names = certificate.names.join(", ");
        let left = certificate.not_after.saturating_sub(now);
        if let Some(begin) = self.begins.get(&certificate.id)
            && *begin > now
        {
            let message = format!("the certificate for {names} is not valid before {}", date(*begin));
            let mut finding = Diagnostic::new(Code::CertificateInvalid, origin, FIELD_CERTIFICATE, message)
                .hint("Check the clock of whoever issued it, or use the one before");
            finding.severity = ir::Severity::Warning;
            return Some(finding);
        }
        if left < 0 {
            let when = date(certificate.not_after);
            let message = format!("the certificate for {names} expired on {when}; clients refuse it");
            let finding = Diagnostic::new(Code::CertificateExpired, origin, FIELD_CERTIFICATE, message);
            return Some(finding.hint("Put a renewed certificate into the Secret"));
        }
        if left < SOON {
            let when = date(certificate.not_after);
            let message = format!("the certificate for {names} expires on {when}");
            let finding = Diagnostic::new(Code::CertificateExpiresSoon, origin, FIELD_CERTIFICATE, message);
            return Some(finding.hint("Renew it"));
        }
        None
    }

    fn load_new(&mut self, key: &Key, secret: &Secret) -> Loaded {
        let origin = key.origin("Secret");
        match parse::certificate(key, secret) {
            Ok(parsed) => {
                self.begins
                    .insert(parsed.certificate.id.clone(), parsed.not_before);
                let finding = parsed.note.map(|note| {
                    let mut finding =
                        Diagnostic::new(Code::CertificateInvalid, origin, FIELD_CERTIFICATE, note);
                    finding.severity = ir::Severity::Warning;
                    finding
                });
                let unusable = parsed.unusable_staple.map(|reason| {
                    let field = format!("data.{}", parse::STAPLE);
                    let message = format!("{} {reason}, so it is not shown", parse::STAPLE);
                    Diagnostic::new(Code::StapleInvalid, key.origin("Secret"), field, message)
                });
                let new = Arc::new(parsed.certificate);
                let certificate = match self.last_good(key) {
                    Some(old) if *old == *new => old,
                    _ => new,
                };
                Loaded {
                    certificate: Some(certificate),
                    problem: None,
                    findings: finding.into_iter().chain(unusable).collect(),
                }
            }
            Err(wrong) => {
                let certificate = self.last_good(key);
                let message = match certificate {
                    Some(_) => format!("{}; the last good certificate stays in use", wrong.reason),
                    None => wrong.reason.clone(),
                };
                let mut finding = Diagnostic::new(Code::CertificateInvalid, origin, wrong.field, message);
                finding.hint = wrong.hint.map(Into::into);
                Loaded {
                    certificate,
                    problem: Some(Problem::Invalid(wrong.reason)),
                    findings: vec![finding],
                }
            }
        }
    }

    fn last_good(&self, key: &Key) -> Option<Arc<Certificate>> {
        self.entries.get(key)?.loaded.certificate.clone()
    }
}

/// Whether clients that ask for a host accept the certificate for it. A pattern with a star is covered only by a
/// certificate for that very pattern.
pub fn covers(certificate: &Certificate, host: &HostPattern) -> bool {
    let names = || certificate.names.iter().map(String::as_str);
    match host {
        HostPattern::Any => true,
        HostPattern::Wildcard { suffix, .. } => names().any(|name| name.strip_prefix('*') == Some(&**suffix)),
        HostPattern::Exact(host) => {
            // RFC 6125 §6.4.3: the star stands for the whole leftmost label and for nothing else.
            let parent = host.find('.').map(|dot| &host[dot..]);
            names().any(|name| *name == **host || (parent.is_some() && name.strip_prefix('*') == parent))
        }
    }
}

/// Whether a certificate's key is RSA. Of several certificates for a host the others come first: their signatures
/// cost a tenth, and clients that can't check them fall through to the RSA one.
pub fn is_rsa(certificate: &Certificate) -> bool {
    certificate.chain.first().is_some_and(|leaf| parse::is_rsa(leaf))
}

/// `2026-11-21`
fn date(seconds: i64) -> String {
    match jiff::Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => format!("second {seconds} of the calendar"),
    }
}

/// 30 days: certificates that renew themselves are renewed by then, so one that is not needs somebody.
const SOON: i64 = 30 * 24 * 3600;
const FIELD_CERTIFICATE: &str = "data[\"tls.crt\"]";
const FIELD_KEY: &str = "data[\"tls.key\"]";

#[cfg(test)]
mod tests;
