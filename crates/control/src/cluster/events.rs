//! Tells findings as Events on their objects: once when they are new, by the leader alone.

use super::leader::Leading;
use crate::State;
use ir::{Diagnostic, Severity};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Follows the findings, and tells those that are new.
pub(super) async fn tell(client: Client, state: Arc<State>, leading: Leading, identity: String) {
    let reporter = Reporter {
        controller: "narthex".to_owned(),
        instance: Some(identity),
    };
    let recorder = Recorder::new(client, reporter);
    let mut told: HashSet<Diagnostic> = HashSet::new();
    let mut generation = 0;
    loop {
        let live = state.newer_than(generation).await;
        generation = live.generation;
        let now: HashSet<Diagnostic> = live.diagnostics.iter().cloned().collect();
        if leading.now() {
            for finding in now.iter().filter(|finding| !told.contains(finding)) {
                if let Some(reference) = reference(finding)
                    && let Err(error) = recorder.publish(&event(finding), &reference).await
                {
                    tracing::debug!(object = %finding.origin, %error, "an Event can't be written");
                }
                tokio::time::sleep(EACH).await;
            }
        }
        told = now;
    }
}

fn event(finding: &Diagnostic) -> Event {
    let mut note = String::new();
    if !finding.field.is_empty() {
        note.push_str(&finding.field);
        note.push_str(": ");
    }
    note.push_str(&finding.message);
    if let Some(hint) = &finding.hint {
        note.push_str(". ");
        note.push_str(hint);
    }
    let end = note
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| *at >= LONGEST_NOTE);
    note.truncate(end.unwrap_or(note.len()));
    Event {
        type_: match finding.severity {
            Severity::Note => EventType::Normal,
            Severity::Warning | Severity::Error => EventType::Warning,
        },
        reason: finding.code.reason().to_owned(),
        note: Some(note),
        action: "Translate".to_owned(),
        secondary: None,
    }
}

fn reference(finding: &Diagnostic) -> Option<ObjectReference> {
    let origin = &finding.origin;
    let kind = super::kinds::Kind::named(&origin.kind)?;
    Some(ObjectReference {
        api_version: Some(kind.resource().api_version),
        kind: Some(origin.kind.to_string()),
        name: Some(origin.name.to_string()),
        namespace: (!origin.namespace.is_empty()).then(|| origin.namespace.to_string()),
        ..ObjectReference::default()
    })
}

/// 20 Events in a second at most.
const EACH: Duration = Duration::from_millis(50);
/// The API server's limit is 1 KiB.
const LONGEST_NOTE: usize = 1000;
