//! What the control side reports: generations, how long they take to become live, diagnostics, certificates.

use std::time::Duration;

/// Metrics of the control side. Any thread may write them; none is hot.
#[derive(Debug, Default)]
pub struct ControlMetrics {}

/// How many findings of one code there are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiagnosticCount {
    /// Stable code.
    pub code: &'static str,
    /// `error`, `warning` or `note`.
    pub severity: &'static str,
    /// Findings.
    pub count: u64,
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateExpiry {
    /// Id within the snapshot.
    pub certificate: String,
    /// Seconds since 1970.
    pub not_after: i64,
}

impl ControlMetrics {
    /// A generation is live in all workers, this long after the change that led to it.
    pub fn applied(&self, generation: u64, took: Duration) {
        let _ = (generation, took);
    }

    /// A generation could not be applied in full (a socket could not be opened).
    pub fn apply_failed(&self, generation: u64) {
        let _ = generation;
    }

    /// Replaces the number of findings.
    pub fn set_diagnostics(&self, counts: Vec<DiagnosticCount>) {
        let _ = counts;
    }

    /// Replaces the certificates in use.
    pub fn set_certificates(&self, certificates: Vec<CertificateExpiry>) {
        let _ = certificates;
    }
}
