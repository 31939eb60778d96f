//! The findings of `check`, as data; `narthex schema check` describes it.

use crate::configuration::Configuration;
use ir::{Diagnostic, Severity};
use schemars::JsonSchema;
use serde::Serialize;

/// What `narthex check` found.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "check")]
pub struct Report {
    /// `narthex.check/v1`
    pub schema: &'static str,
    /// How many of what.
    pub summary: Summary,
    /// In order of file and line.
    pub findings: Vec<Finding>,
}

/// How many of what.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Summary {
    /// Findings of severity `error`.
    pub errors: usize,
    /// Findings of severity `warning`.
    pub warnings: usize,
    /// Findings of severity `note`.
    pub notes: usize,
    /// Objects that were read.
    pub objects: usize,
    /// Files that were read.
    pub files: usize,
}

/// One finding.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Finding {
    /// Stable code; docs/reference/diagnostics.md has a section for each.
    pub code: &'static str,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// The object.
    pub object: ObjectName,
    /// Field path; empty for the object as a whole.
    pub field: String,
    /// File that holds the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line of the field, or of what is around it; from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column; from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What is wrong and why it matters.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip)]
    pub(super) level: Option<Severity>,
}

/// Kind, namespace and name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ObjectName {
    /// `HTTPRoute`, `Ingress`, …
    pub kind: String,
    /// Empty for what has none.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl Report {
    /// Sorts findings by place and counts them.
    pub fn new(configuration: &Configuration, diagnostics: &[Diagnostic]) -> Self {
        let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
        let mut findings: Vec<Finding> = diagnostics.iter().map(|d| finding(configuration, d)).collect();
        findings.sort_by(|a, b| (&a.file, a.line, a.code).cmp(&(&b.file, b.line, b.code)));
        Self {
            schema: "narthex.check/v1",
            summary: Summary {
                errors: count(Severity::Error),
                warnings: count(Severity::Warning),
                notes: count(Severity::Note),
                objects: configuration.object_count(),
                files: configuration.loaded.files.len(),
            },
            findings,
        }
    }

    /// Whether there is a finding of this severity or above.
    pub fn has(&self, least: Severity) -> bool {
        self.findings.iter().any(|finding| finding.level >= Some(least))
    }
}

fn finding(configuration: &Configuration, diagnostic: &Diagnostic) -> Finding {
    let place = configuration.loaded.locations.place(diagnostic);
    Finding {
        code: diagnostic.code.as_str(),
        severity: diagnostic.severity.to_string(),
        object: ObjectName {
            kind: diagnostic.origin.kind.to_string(),
            namespace: diagnostic.origin.namespace.to_string(),
            name: diagnostic.origin.name.to_string(),
        },
        field: diagnostic.field.clone(),
        file: place.as_ref().map(|place| place.file.display().to_string()),
        line: place.as_ref().map(|place| place.line),
        column: place.as_ref().map(|place| place.column),
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
        level: Some(diagnostic.severity),
    }
}
