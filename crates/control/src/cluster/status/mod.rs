//! Writes statuses: the leader alone, only what differs from what is there, and never a word that is not ours.
//!
//! A status is compared by a digest of our part of it, so that a restart at thousands of routes writes nothing and keeps
//! little. What differs is read, merged and written with its resource version; who comes second reads again.

mod merge;
mod seen;
mod write;

pub(super) use seen::Seen;

use crate::{Live, State};
use kube::Client;
use merge::Owner;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use telemetry::{StatusWrite, Telemetry};
use tokio::sync::watch as channel;
use tokio::task::JoinSet;
use translate::{Key, ObjectStatus};

/// Kind and key.
type Id = (&'static str, Key);

/// Writes what differs, whenever something changes on either side, as long as this process leads.
pub(super) async fn write(
    client: Client,
    state: Arc<State>,
    seen: Seen,
    mut leading: channel::Receiver<bool>,
    telemetry: Arc<Telemetry>,
) {
    let owner = seen.owner().clone();
    let mut desired = Desired::default();
    let (mut generation, mut known) = (0, false);
    let mut limit = tokio::time::interval(EACH);
    limit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    loop {
        if leading.wait_for(|leads| *leads).await.is_err() {
            return;
        }
        tokio::select! {
            live = state.newer_than(generation) => {
                generation = live.generation;
                // What was saved before a restart may not be true any more.
                if live.recalled {
                    continue;
                }
                desired.take(&live, &owner);
                known = true;
            }
            () = seen.changed() => {
                // More of them are likely to come at once.
                tokio::time::sleep(GATHER).await;
            }
        }
        // Before the first translation, nothing is known about what should be there.
        if !known {
            continue;
        }
        let due = desired.differing(&seen);
        let mut left = due.len();
        let mut writes = JoinSet::new();
        for (id, status) in due {
            if writes.len() >= AT_ONCE {
                writes.join_next().await;
            }
            telemetry.cluster().set_statuses_waiting(left);
            left -= 1;
            limit.tick().await;
            if *leading.borrow() {
                writes.spawn(one(
                    client.clone(),
                    seen.clone(),
                    id,
                    status,
                    Arc::clone(&telemetry),
                ));
            }
        }
        while writes.join_next().await.is_some() {}
        telemetry.cluster().set_statuses_waiting(0);
    }
}

/// Writes one status; whoever was quicker is read and merged with.
async fn one(
    client: Client,
    seen: Seen,
    id: Id,
    status: Option<Arc<ObjectStatus>>,
    telemetry: Arc<Telemetry>,
) {
    let owner = seen.owner();
    let count = |outcome| telemetry.cluster().status_write(id.0, outcome);
    for _ in 0..TRIES {
        match write::write(&client, owner, &id, status.as_deref()).await {
            Ok(Some(written)) => {
                count(StatusWrite::Written);
                return seen.wrote(
                    &id,
                    &written,
                    merge::desired_digest(owner, id.0, status.as_deref()),
                );
            }
            // It is gone, or about to go.
            Ok(None) => return,
            Err(kube::Error::Api(problem)) if problem.code == 409 => count(StatusWrite::Conflict),
            Err(error) => {
                count(StatusWrite::Failed);
                tracing::warn!(kind = id.0, object = %id.1, %error, "a status can't be written");
                seen.retry(&id);
                return;
            }
        }
    }
    tracing::warn!(kind = id.0, object = %id.1, "a status can't be written: somebody else writes it all the time");
    seen.retry(&id);
}

/// What should be there.
#[derive(Default)]
struct Desired {
    statuses: BTreeMap<Id, (Arc<ObjectStatus>, u64)>,
}

impl Desired {
    /// Takes the newest statuses. Those that did not change are not looked at.
    fn take(&mut self, live: &Live, owner: &Owner) {
        let mut old: HashMap<Id, (Arc<ObjectStatus>, u64)> =
            std::mem::take(&mut self.statuses).into_iter().collect();
        for status in &live.statuses {
            let Some(kind) = seen::written_kind(&status.origin.kind) else {
                continue;
            };
            let id = (
                kind,
                Key::new(
                    Arc::clone(&status.origin.namespace),
                    Arc::clone(&status.origin.name),
                ),
            );
            let entry = match old.remove(&id) {
                Some((before, digest)) if Arc::ptr_eq(&before, status) => (before, digest),
                _ => (
                    Arc::clone(status),
                    merge::desired_digest(owner, kind, Some(status)),
                ),
            };
            self.statuses.insert(id, entry);
        }
    }

    /// What is to be written: what differs, and what should not be there any more.
    fn differing(&self, seen: &Seen) -> Vec<(Id, Option<Arc<ObjectStatus>>)> {
        seen.differing(|id| {
            self.statuses
                .get(id)
                .map(|(status, digest)| (Arc::clone(status), *digest))
        })
    }
}

/// Writes at a time.
const AT_ONCE: usize = 8;
/// 200 writes in a second at most: an API server has others to serve.
const EACH: Duration = Duration::from_millis(5);
/// How long news about what is there are gathered.
const GATHER: Duration = Duration::from_millis(5);
/// Tries before somebody else's writes are waited out.
const TRIES: usize = 5;
