//! The answer of `explain`, for people: the first line is the answer.

use super::answer::{Answer, BackendShown, CandidateShown, FilterShown, Outcome};
use super::words::percentage;
use crate::output::{BAD, DUBIOUS, FAINT, GOOD, STRONG, styled, wrapped};
use anstyle::Style;
use std::fmt::Write as _;

/// The first line: request and answer.
pub fn first_line(answer: &Answer) -> String {
    let (mark, style) = mark(answer.outcome);
    format!(
        "{} {} {} {} {}\n",
        styled(style, mark),
        answer.request.method,
        answer.request.url,
        styled(FAINT, "→"),
        styled(STRONG, &answer.summary)
    )
}

/// Everything. Where request and answer don't fit on one line, the answer begins the second.
pub fn whole(answer: &Answer) -> String {
    let mut text = first_line(answer);
    let length = |part: &str| part.chars().count();
    if length(&answer.request.method) + length(&answer.request.url) + length(&answer.summary) + 6 > WIDTH {
        let (mark, style) = mark(answer.outcome);
        let Answer { request, summary, .. } = answer;
        text = format!("{} {} {}\n", styled(style, mark), request.method, request.url);
        for (position, line) in wrapped(summary, WIDTH - 4).into_iter().enumerate() {
            let arrow = if position == 0 { "→" } else { " " };
            add(
                &mut text,
                format_args!("  {} {}\n", styled(FAINT, arrow), styled(STRONG, line)),
            );
        }
    }
    if let Some(listener) = &answer.listener {
        let origin = match (&listener.origin, &listener.hostname) {
            (Some(origin), Some(host)) if host != "*" => format!(" {origin} for {host}"),
            (Some(origin), _) => format!(" {origin} for every host"),
            (None, _) if answer.outcome == Outcome::NoRule => " no listener covers the host".to_owned(),
            (None, _) => String::new(),
        };
        row(&mut text, "listener", &format!("{}{origin}", listener.socket));
        if let Some(note) = &listener.note {
            row(&mut text, "", note);
        }
        if let Some(certificate) = &listener.certificate {
            let fits = if certificate.covers_host {
                ""
            } else {
                " (does not cover the host)"
            };
            let names = certificate.names.join(", ");
            row(
                &mut text,
                "certificate",
                &format!("{} for {names}{fits}", certificate.id),
            );
        }
    }
    for other in &answer.other_listeners {
        row(&mut text, "", other);
    }
    if let Some(host) = &answer.request.host {
        row(&mut text, "host", host);
    }
    if let Some(path) = &answer.request.path {
        row(&mut text, "path", path);
    }
    if let Some(rule) = &answer.rule {
        let place = rule
            .place
            .as_ref()
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        row(&mut text, "rule", &format!("{}{place}", rule.origin));
        row(
            &mut text,
            "because",
            &format!("host {}, {}", rule.host, rule.conditions),
        );
        if let Some(why) = &rule.over_other_layer {
            row(&mut text, "", why);
        }
        if let Some(timeouts) = &rule.timeouts {
            row(&mut text, "timeouts", timeouts);
        }
        if let Some(retry) = &rule.retry {
            row(&mut text, "retries", retry);
        }
    }
    filters(&mut text, "filters", &answer.filters);
    for (position, backend) in answer.backends.iter().enumerate() {
        row(
            &mut text,
            if position == 0 { "backends" } else { "" },
            &backend_line(backend),
        );
        if let Some(session) = &backend.session {
            row(&mut text, "  sessions", session);
        }
        if let Some(budget) = &backend.retry_budget {
            row(&mut text, "  budget", budget);
        }
        filters(&mut text, "", &backend.filters);
    }
    considered(&mut text, &answer.considered);
    text
}

fn backend_line(backend: &BackendShown) -> String {
    let name = backend.upstream.as_deref().unwrap_or("broken reference");
    let endpoints = match &backend.broken {
        Some(broken) => styled(BAD, broken),
        None => backend.endpoints.join(", "),
    };
    format!(
        "{:>6} {name} {} {endpoints}",
        percentage(backend.percent),
        styled(FAINT, "→")
    )
}

fn filters(text: &mut String, label: &str, filters: &[FilterShown]) {
    for (position, filter) in filters.iter().enumerate() {
        let label = if position == 0 { label } else { "" };
        row(text, label, &format!("{}: {}", filter.name, filter.effect));
    }
}

/// The rules that were considered. Of many that were about other paths, the first few stand for all.
fn considered(text: &mut String, candidates: &[CandidateShown]) {
    if candidates.is_empty() {
        return;
    }
    add(text, format_args!("\nconsidered, best first:\n"));
    let mut left_out = 0;
    for (position, candidate) in candidates.iter().enumerate() {
        if position >= SHOWN_CANDIDATES && !candidate.won {
            left_out += 1;
            continue;
        }
        let (mark, style) = if candidate.won {
            ("✓", GOOD)
        } else {
            ("✗", FAINT)
        };
        let place = candidate
            .place
            .as_ref()
            .map(|place| format!(" ({place})"))
            .unwrap_or_default();
        add(
            text,
            format_args!(
                "  {} {}{}\n",
                styled(style, mark),
                candidate.rule,
                styled(FAINT, place)
            ),
        );
        let why = format!(
            "{}, {}: {}",
            candidate.host, candidate.conditions, candidate.reason
        );
        for line in wrapped(&why, WIDTH - 6) {
            add(text, format_args!("      {line}\n"));
        }
    }
    if left_out > 0 {
        add(
            text,
            format_args!("  and {left_out} more; --output json lists them\n"),
        );
    }
}

fn row(text: &mut String, label: &str, value: &str) {
    for (position, line) in wrapped(value, WIDTH - 14).into_iter().enumerate() {
        let label = if position == 0 { label } else { "" };
        add(
            text,
            format_args!("  {} {line}\n", styled(FAINT, format_args!("{label:<11}"))),
        );
    }
}

fn mark(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Forwarded | Outcome::Redirected => ("✓", GOOD),
        Outcome::Answered => ("!", DUBIOUS),
        Outcome::Refused | Outcome::NoRule | Outcome::NoListener => ("✗", BAD),
    }
}

fn add(text: &mut String, part: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(part);
}

const WIDTH: usize = 100;
const SHOWN_CANDIDATES: usize = 12;
