//! `narthex check`: mistakes in objects, found without running anything.

mod hosts;
mod report;
mod shadowed;
mod text;

pub use report::Report;

use crate::configuration::Configuration;
use crate::exit::Exit;
use crate::flags::{Check, Output, Severity};
use crate::output::{print, print_json};
use ir::{Diagnostic, Snapshot};

/// Prints what is wrong; the exit code follows `--fail-on`.
pub fn run(flags: &Check) -> Exit {
    let configuration = match Configuration::read(&flags.paths, &flags.settings) {
        Ok(configuration) => configuration,
        Err(exit) => return exit,
    };
    let report = Report::new(&configuration, &findings(&configuration));
    match flags.output {
        Output::Json => print_json(&report),
        Output::Text if flags.quiet => print(&text::first_line(&report)),
        Output::Text => print(&text::whole(&report)),
    }
    let fail_on = match flags.fail_on {
        Severity::Note => ir::Severity::Note,
        Severity::Warning => ir::Severity::Warning,
        Severity::Error => ir::Severity::Error,
    };
    if report.has(fail_on) {
        Exit::Findings
    } else {
        Exit::Success
    }
}

/// Everything that is worth saying: what reading and translating found, and what only the whole shows.
fn findings(configuration: &Configuration) -> Vec<Diagnostic> {
    let mut findings = configuration.loaded.diagnostics.clone();
    findings.extend(configuration.translation.diagnostics.iter().cloned());
    findings.sort_by(|a, b| a.message.cmp(&b.message));
    findings.dedup();
    let more = of_the_whole(&configuration.translation.snapshot, &findings);
    findings.extend(more);
    findings
}

/// Findings about the routes as a whole: rules that never match, hosts claimed twice.
/// `known` are the findings so far; what they tell already is not told again.
pub fn of_the_whole(snapshot: &Snapshot, known: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut findings = shadowed::find(snapshot);
    findings.retain(|finding| {
        let told = |other: &Diagnostic| {
            other.origin.object() == finding.origin.object()
                && matches!(other.code, ir::Code::PathClaimedTwice | ir::Code::OwnerConflict)
        };
        !known.iter().any(told)
    });
    findings.extend(hosts::find(snapshot));
    findings.sort_by(|a, b| {
        (&a.origin, &a.field, a.code, &a.message).cmp(&(&b.origin, &b.field, b.code, &b.message))
    });
    findings.dedup();
    findings
}

/// `spec.rules[2]` of an HTTPRoute's rule; for an Ingress the section is the field's path already.
fn field_of(rule: &ir::Rule) -> String {
    match (&*rule.origin.kind, rule.origin.section.as_deref()) {
        ("Ingress", Some(section)) => format!("spec.{section}"),
        ("Ingress", None) => String::new(),
        _ => format!("spec.rules[{}]", rule.index),
    }
}
