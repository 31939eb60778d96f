//! Tells findings: once in the log when they are new and once when they are gone, and as numbers.

use crate::Locations;
use ir::{Certificate, CertificateId, Diagnostic, Severity, Snapshot};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use telemetry::{CertificateExpiry, DiagnosticCount, Telemetry};

/// What was told before.
pub(crate) struct Reporter {
    told: Arc<[Diagnostic]>,
    certificates: Arc<BTreeMap<CertificateId, Arc<Certificate>>>,
    telemetry: Option<Arc<Telemetry>>,
}

impl Reporter {
    /// Nothing was told yet.
    pub(crate) fn new(telemetry: Option<Arc<Telemetry>>) -> Self {
        Self {
            told: Arc::default(),
            certificates: Arc::default(),
            telemetry,
        }
    }

    /// Tells what is new and what is gone.
    pub(crate) fn tell(&mut self, findings: &Arc<[Diagnostic]>, locations: &Locations) {
        if Arc::ptr_eq(&self.told, findings) || self.told == *findings {
            return;
        }
        let before: HashSet<&Diagnostic> = self.told.iter().collect();
        let now: HashSet<&Diagnostic> = findings.iter().collect();
        for finding in findings.iter().filter(|finding| !before.contains(finding)) {
            log(finding, locations);
        }
        for finding in self.told.iter().filter(|finding| !now.contains(finding)) {
            tracing::info!(code = %finding.code, object = %finding.origin, "resolved: {}", finding.message);
        }
        if let Some(telemetry) = &self.telemetry {
            telemetry.control().set_diagnostics(counts(findings));
        }
        self.told = Arc::clone(findings);
    }

    /// Tells when the certificates in use end.
    pub(crate) fn certificates(&mut self, snapshot: &Snapshot) {
        let Some(telemetry) = &self.telemetry else { return };
        if Arc::ptr_eq(&self.certificates, &snapshot.certificates) {
            return;
        }
        self.certificates = Arc::clone(&snapshot.certificates);
        let expiries = snapshot
            .certificates
            .iter()
            .map(|(id, certificate)| CertificateExpiry {
                certificate: id.0.to_string(),
                not_after: certificate.not_after,
            });
        telemetry.control().set_certificates(expiries.collect());
    }
}

fn log(finding: &Diagnostic, locations: &Locations) {
    // What there is not is left out of the line: `hint=""` only sends people looking for a hint.
    let place = locations.place(finding).map(|place| place.to_string());
    let (place, hint) = (place.as_deref(), finding.hint.as_deref());
    let field = Some(&*finding.field).filter(|field| !field.is_empty());
    let (code, object) = (finding.code, finding.origin.object());
    match finding.severity {
        Severity::Error => tracing::error!(%code, %object, field, place, hint, "{}", finding.message),
        Severity::Warning => tracing::warn!(%code, %object, field, place, hint, "{}", finding.message),
        Severity::Note => tracing::info!(%code, %object, field, place, hint, "{}", finding.message),
    }
}

fn counts(findings: &[Diagnostic]) -> Vec<DiagnosticCount> {
    let mut counts: BTreeMap<(&'static str, Severity), u64> = BTreeMap::new();
    for finding in findings {
        *counts
            .entry((finding.code.as_str(), finding.severity))
            .or_default() += 1;
    }
    let count = |((code, severity), count)| DiagnosticCount {
        code,
        severity: match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        },
        count,
    };
    counts.into_iter().map(count).collect()
}
