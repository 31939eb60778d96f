//! Tells findings as Events on their objects: once when they are new, by the leader alone.

use super::kinds::Kind;
use super::leader::Leading;
use crate::State;
use ir::{Diagnostic, Severity};
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::api::DynamicObject;
use kube::discovery::ApiResource;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Follows the findings, and tells those that are new and last: while a Deployment starts, its Service has no endpoint for
/// a moment, and nobody needs to know.
pub(super) async fn tell(client: Client, state: Arc<State>, leading: Leading, identity: String) {
    let reporter = Reporter {
        controller: "narthex".to_owned(),
        instance: Some(identity),
    };
    let recorder = Recorder::new(client.clone(), reporter);
    let mut told: HashSet<Diagnostic> = HashSet::new();
    let mut fresh: HashSet<Diagnostic> = HashSet::new();
    let mut generation = 0;
    let mut last: Arc<[Diagnostic]> = Arc::default();
    loop {
        let live = if fresh.is_empty() {
            state.newer_than(generation).await
        } else {
            tokio::time::sleep(LASTS).await;
            state.live()
        };
        generation = live.generation;
        // Most changes change no finding, and there may be thousands of these.
        if fresh.is_empty() && Arc::ptr_eq(&last, &live.diagnostics) {
            continue;
        }
        last = Arc::clone(&live.diagnostics);
        let now: HashSet<Diagnostic> = live.diagnostics.iter().cloned().collect();
        told.retain(|finding| now.contains(finding));
        let leads = leading.now();
        for finding in now.iter().filter(|finding| fresh.contains(*finding)) {
            // Whoever leads tells; what he told is told for all.
            told.insert(finding.clone());
            if !leads {
                continue;
            }
            if let Some(reference) = reference(&client, finding).await
                && let Err(error) = recorder.publish(&event(finding), &reference).await
            {
                tracing::debug!(object = %finding.origin, %error, "an Event can't be written");
            }
            tokio::time::sleep(EACH).await;
        }
        fresh = now.difference(&told).cloned().collect();
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

/// The object of a finding, with its uid: `kubectl describe` shows no Event without. `None`: it is gone, or not an object.
async fn reference(client: &Client, finding: &Diagnostic) -> Option<ObjectReference> {
    let origin = &finding.origin;
    let resources: Vec<ApiResource> = match &*origin.kind {
        "Secret" => vec![ApiResource::erase::<Secret>(&())],
        kind => {
            let kind = Kind::named(kind)?;
            let versions = kind.versions().iter();
            versions.map(|version| kind.in_version(version)).collect()
        }
    };
    for resource in resources {
        let api: Api<DynamicObject> = if origin.namespace.is_empty() {
            Api::all_with(client.clone(), &resource)
        } else {
            Api::namespaced_with(client.clone(), &origin.namespace, &resource)
        };
        // A version that is not served is an error, an object that is gone in one that is none.
        if let Ok(Some(object)) = api.get_metadata_opt(&origin.name).await {
            return Some(ObjectReference {
                api_version: Some(resource.api_version),
                kind: Some(resource.kind),
                name: object.metadata.name,
                namespace: object.metadata.namespace,
                uid: object.metadata.uid,
                ..ObjectReference::default()
            });
        }
    }
    None
}

/// How long a finding has to last.
const LASTS: Duration = Duration::from_secs(2);
/// 20 Events in a second at most.
const EACH: Duration = Duration::from_millis(50);
/// The API server's limit is 1 KiB.
const LONGEST_NOTE: usize = 1000;
