//! What all units together refer to and complain about. A unit that changed takes its old entries out and puts
//! its new ones in, so that nothing here depends on how many units there are.

use crate::backends::BackendPort;
use crate::input::Key;
use crate::memo::Counted;
use crate::output::Named;
use crate::scope::{Kept, Left};
use ir::{Certificate, CertificateId, Code, Diagnostic, Origin, UpstreamId};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Upstreams, certificates, external names and findings of all units.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    upstreams: Counted<UpstreamId, BackendPort>,
    /// Upstreams that came or went since [`Ledger::turnover`] was last asked.
    turnover: BTreeSet<UpstreamId>,
    certificates: Counted<CertificateId, Arc<Certificate>>,
    /// The certificates as they were handed out last; unset once they are different.
    handed_out: Option<Arc<BTreeMap<CertificateId, Arc<Certificate>>>>,
    external_names: Counted<String, ()>,
    named: Counted<(Named, Key), ()>,
    /// These as they were handed out last; unset once they are different.
    named_handed_out: Option<Arc<BTreeSet<(Named, Key)>>>,
    findings: Counted<Finding, ()>,
    /// What was told last, and the findings of others in it; unset once `findings` is different.
    told: Option<(Arc<[Diagnostic]>, Vec<Diagnostic>)>,
}

impl Ledger {
    /// Puts in what a unit left behind.
    pub fn add(&mut self, new: &Left) {
        for (id, port) in &new.upstreams {
            if self.upstreams.add(id.clone(), port.clone()) {
                self.turnover.insert(id.clone());
            }
        }
        for (id, certificate) in &new.certificates {
            self.certificates.add(id.clone(), Arc::clone(certificate));
            self.handed_out = None;
        }
        for name in &new.external_names {
            self.external_names.add(name.clone(), ());
        }
        for named in &new.named {
            if self.named.add(named.clone(), ()) {
                self.named_handed_out = None;
            }
        }
        for diagnostic in &new.diagnostics {
            self.findings.add(Finding(diagnostic.clone()), ());
            self.told = None;
        }
    }

    /// Takes out what a unit left behind before.
    pub fn take(&mut self, old: &Kept) {
        for id in &old.upstreams {
            if self.upstreams.drop_one(id) {
                self.turnover.insert(id.clone());
            }
        }
        let Some(rare) = &old.rare else { return };
        for id in &rare.certificates {
            self.certificates.drop_one(id);
            self.handed_out = None;
        }
        for name in &rare.external_names {
            self.external_names.drop_one(name);
        }
        for named in &rare.named {
            if self.named.drop_one(named) {
                self.named_handed_out = None;
            }
        }
        for diagnostic in &rare.diagnostics {
            self.findings.drop_one(&Finding(diagnostic.clone()));
            self.told = None;
        }
    }

    /// An upstream's id as everybody has it who refers to it.
    pub fn upstream_id(&self, id: &UpstreamId) -> Option<&UpstreamId> {
        self.upstreams.member(id)
    }

    /// What is behind an upstream that some unit refers to.
    pub fn upstream(&self, id: &UpstreamId) -> Option<&BackendPort> {
        self.upstreams.get(id)
    }

    /// Upstreams that came or went (or both) since this was last asked.
    pub fn turnover(&mut self) -> BTreeSet<UpstreamId> {
        std::mem::take(&mut self.turnover)
    }

    /// Every certificate that some unit refers to. The same allocation as long as nothing changes.
    pub fn certificates(&mut self) -> Arc<BTreeMap<CertificateId, Arc<Certificate>>> {
        let certificates = self.certificates.iter();
        let handed_out = self.handed_out.get_or_insert_with(|| {
            let copied = certificates.map(|(id, certificate)| (id.clone(), Arc::clone(certificate)));
            Arc::new(copied.collect())
        });
        Arc::clone(handed_out)
    }

    /// Every name that some unit needs resolved, sorted.
    pub fn external_names(&self) -> Vec<String> {
        self.external_names
            .iter()
            .map(|(name, ())| name.clone())
            .collect()
    }

    /// Every Secret and ConfigMap that some unit refers to, and namespaces of Pods. The same allocation as long as nothing changes.
    pub fn named(&mut self) -> Arc<BTreeSet<(Named, Key)>> {
        let named = self.named.iter();
        let handed_out = self
            .named_handed_out
            .get_or_insert_with(|| Arc::new(named.map(|(named, ())| named.clone()).collect()));
        Arc::clone(handed_out)
    }

    /// The findings of all units and these, sorted, each one once. The same allocation as long as nothing changes.
    pub fn diagnostics(&mut self, more: Vec<Diagnostic>) -> Arc<[Diagnostic]> {
        if let Some((told, with)) = &self.told
            && *with == more
        {
            return Arc::clone(told);
        }
        let mut all: Vec<Finding> = self
            .findings
            .iter()
            .map(|(finding, ())| finding.clone())
            .collect();
        if !more.is_empty() {
            all.extend(more.iter().cloned().map(Finding));
            all.sort();
            all.dedup();
        }
        let all: Arc<[Diagnostic]> = all.into_iter().map(|finding| finding.0).collect();
        self.told = Some((Arc::clone(&all), more));
        all
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
