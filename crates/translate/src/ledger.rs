//! What all units together refer to and complain about. A unit that changed takes its old entries out and puts
//! its new ones in, so that nothing here depends on how many units there are.

use crate::backends::ServicePort;
use crate::memo::Counted;
use crate::scope::Left;
use ir::{Certificate, CertificateId, Code, Diagnostic, Origin, UpstreamId};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Upstreams, certificates, external names and findings of all units.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    upstreams: Counted<UpstreamId, ServicePort>,
    /// Upstreams that came or went since [`Ledger::turnover`] was last asked.
    turnover: BTreeSet<UpstreamId>,
    certificates: Counted<CertificateId, Arc<Certificate>>,
    external_names: Counted<String, ()>,
    findings: Counted<Finding, ()>,
}

impl Ledger {
    /// Puts in what a unit left behind now and takes out what it left behind before.
    pub fn replace(&mut self, old: Option<&Left>, new: Option<&Left>) {
        if let Some(new) = new {
            for (id, port) in &new.upstreams {
                if self.upstreams.add(id.clone(), port.clone()) {
                    self.turnover.insert(id.clone());
                }
            }
            for (id, certificate) in &new.certificates {
                self.certificates.add(id.clone(), Arc::clone(certificate));
            }
            for name in &new.external_names {
                self.external_names.add(name.clone(), ());
            }
            for diagnostic in &new.diagnostics {
                self.findings.add(Finding(diagnostic.clone()), ());
            }
        }
        if let Some(old) = old {
            for id in old.upstreams.keys() {
                if self.upstreams.drop_one(id) {
                    self.turnover.insert(id.clone());
                }
            }
            for id in old.certificates.keys() {
                self.certificates.drop_one(id);
            }
            for name in &old.external_names {
                self.external_names.drop_one(name);
            }
            for diagnostic in &old.diagnostics {
                self.findings.drop_one(&Finding(diagnostic.clone()));
            }
        }
    }

    /// The Service port behind an upstream that some unit refers to.
    pub fn upstream(&self, id: &UpstreamId) -> Option<&ServicePort> {
        self.upstreams.get(id)
    }

    /// Upstreams that came or went (or both) since this was last asked.
    pub fn turnover(&mut self) -> BTreeSet<UpstreamId> {
        std::mem::take(&mut self.turnover)
    }

    /// Every certificate that some unit refers to.
    pub fn certificates(&self) -> BTreeMap<CertificateId, Arc<Certificate>> {
        let certificates = self.certificates.iter();
        certificates
            .map(|(id, certificate)| (id.clone(), Arc::clone(certificate)))
            .collect()
    }

    /// Every name that some unit needs resolved, sorted.
    pub fn external_names(&self) -> Vec<String> {
        self.external_names
            .iter()
            .map(|(name, ())| name.clone())
            .collect()
    }

    /// The findings of all units and these, sorted, each one once.
    pub fn diagnostics(&self, more: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let mut all: Vec<Finding> = self
            .findings
            .iter()
            .map(|(finding, ())| finding.clone())
            .collect();
        if !more.is_empty() {
            all.extend(more.into_iter().map(Finding));
            all.sort();
            all.dedup();
        }
        all.into_iter().map(|finding| finding.0).collect()
    }
}

/// A diagnostic, ordered as people read a list: by object, field, then code.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding(Diagnostic);

impl Finding {
    fn rank(&self) -> (&Origin, &str, Code, &str, Option<&str>) {
        let Self(finding) = self;
        (
            &finding.origin,
            &finding.field,
            finding.code,
            &finding.message,
            finding.hint.as_deref(),
        )
    }
}

impl Ord for Finding {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Finding {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
