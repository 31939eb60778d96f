//! What the control side reports: generations, how long they take to become live, diagnostics, certificates.

use crate::cells::{DurationSum, Durations};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Metrics of the control side. Any thread may write them; none is hot, so one lock guards them all.
#[derive(Debug, Default)]
pub struct ControlMetrics {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    generation: u64,
    applied_at: Option<SystemTime>,
    apply: Durations,
    apply_failures: u64,
    translate: Durations,
    publish: Durations,
    diagnostics: Vec<DiagnosticCount>,
    certificates: Vec<CertificateExpiry>,
}

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

/// A copy of everything, for a scrape.
pub(crate) struct ControlFigures {
    pub(crate) generation: u64,
    pub(crate) applied_at: Option<SystemTime>,
    pub(crate) apply: DurationSum,
    pub(crate) apply_failures: u64,
    pub(crate) translate: DurationSum,
    pub(crate) publish: DurationSum,
    pub(crate) diagnostics: Vec<DiagnosticCount>,
    pub(crate) certificates: Vec<CertificateExpiry>,
}

impl ControlMetrics {
    /// A generation is live in all workers, this long after the change that led to it.
    pub fn applied(&self, generation: u64, took: Duration) {
        self.change(|state| {
            state.generation = generation;
            state.applied_at = Some(SystemTime::now());
            state.apply.add(took);
        });
    }

    /// A translation took this long.
    pub fn translated(&self, took: Duration) {
        self.change(|state| state.translate.add(took));
    }

    /// From a snapshot to the last acknowledgement it took this long.
    pub fn published(&self, took: Duration) {
        self.change(|state| state.publish.add(took));
    }

    /// A generation could not be applied in full (a socket could not be opened).
    pub fn apply_failed(&self) {
        self.change(|state| state.apply_failures += 1);
    }

    /// Replaces the number of findings.
    pub fn set_diagnostics(&self, mut counts: Vec<DiagnosticCount>) {
        counts.sort_unstable_by_key(|count| (count.code, count.severity));
        self.change(|state| state.diagnostics = counts);
    }

    /// Replaces the certificates in use.
    pub fn set_certificates(&self, mut certificates: Vec<CertificateExpiry>) {
        certificates.sort_unstable_by(|a, b| a.certificate.cmp(&b.certificate));
        self.change(|state| state.certificates = certificates);
    }

    pub(crate) fn figures(&self) -> ControlFigures {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        ControlFigures {
            generation: state.generation,
            applied_at: state.applied_at,
            apply: DurationSum::of(std::iter::once(&state.apply)),
            apply_failures: state.apply_failures,
            translate: DurationSum::of(std::iter::once(&state.translate)),
            publish: DurationSum::of(std::iter::once(&state.publish)),
            diagnostics: state.diagnostics.clone(),
            certificates: state.certificates.clone(),
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
