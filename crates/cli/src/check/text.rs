//! The findings of `check`, for people.

use super::report::{Finding, Report};
use crate::output::{BAD, DUBIOUS, FAINT, GOOD, STRONG, counted, styled, wrapped};
use ir::Severity;
use std::fmt::Write as _;

/// `3 errors, 2 warnings in 5 objects`
pub fn first_line(report: &Report) -> String {
    let summary = &report.summary;
    let objects = counted(summary.objects, "object");
    let parts: Vec<String> = [
        (summary.errors, "error", BAD),
        (summary.warnings, "warning", DUBIOUS),
        (summary.notes, "note", STRONG),
    ]
    .into_iter()
    .filter(|(count, ..)| *count > 0)
    .map(|(count, noun, style)| styled(style, counted(count, noun)))
    .collect();
    if parts.is_empty() && summary.objects == 0 {
        return format!("{}\n", styled(DUBIOUS, "no objects were found there"));
    }
    if parts.is_empty() {
        return format!("{} in {objects}\n", styled(GOOD, "nothing to complain about"));
    }
    format!("{} in {objects}\n", parts.join(", "))
}

/// The first line, then each finding.
pub fn whole(report: &Report) -> String {
    let mut text = first_line(report);
    for finding in &report.findings {
        text.push('\n');
        add_finding(&mut text, finding);
    }
    text
}

fn add_finding(text: &mut String, finding: &Finding) {
    let style = match finding.level {
        Some(Severity::Error) => BAD,
        Some(Severity::Warning) => DUBIOUS,
        Some(Severity::Note) | None => STRONG,
    };
    let object = &finding.object;
    let namespace = if object.namespace.is_empty() {
        String::new()
    } else {
        format!("{}/", object.namespace)
    };
    // What is too broken to have a name leaves no gap where it would stand.
    let space = if namespace.is_empty() && object.name.is_empty() {
        ""
    } else {
        " "
    };
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!(" ({file}:{line})"),
        (Some(file), None) => format!(" ({file})"),
        _ => String::new(),
    };
    add(
        text,
        format_args!(
            "{} [{}] {}{space}{namespace}{}{}:\n",
            styled(style, &finding.severity),
            finding.code,
            object.kind,
            styled(STRONG, &object.name),
            styled(FAINT, place),
        ),
    );
    let field = if finding.field.is_empty() {
        String::new()
    } else {
        format!("{}: ", finding.field)
    };
    for line in wrapped(&format!("{field}{}", finding.message), WIDTH - 2) {
        add(text, format_args!("  {line}\n"));
    }
    if let Some(hint) = &finding.hint {
        for (position, line) in wrapped(hint, WIDTH - 8).into_iter().enumerate() {
            let label = if position == 0 { "hint:" } else { "     " };
            add(text, format_args!("  {} {line}\n", styled(STRONG, label)));
        }
    }
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(part);
}

const WIDTH: usize = 100;
