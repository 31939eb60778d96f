//! Writes statuses: the leader alone, only what differs from what is there, and never a word that is not ours.
//!
//! A status is compared by a digest of our part of it, so that a restart at thousands of routes writes nothing and keeps
//! little. What differs is read, merged and written with its resource version; who comes second reads again.

mod merge;
mod seen;
mod write;

use seen::Changed;
pub(super) use seen::Seen;

use super::leader::Leading;
use crate::{Live, State};
use ir::List;
use kube::Client;
use merge::Owner;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use telemetry::{StatusWrite, Telemetry};
use tokio::task::JoinSet;
use tokio::time::Instant;
use translate::{Key, ObjectStatus};

/// Kind and key.
type Id = (&'static str, Key);

/// Writes what differs, whenever something changes on either side, as long as this process leads.
pub(super) async fn write(
    client: Client,
    state: Arc<State>,
    seen: Seen,
    mut leading: Leading,
    telemetry: Arc<Telemetry>,
) {
    let owner = seen.owner().clone();
    let mut desired = Desired::new();
    let mut limit = tokio::time::interval(EACH);
    // What was not written in a quiet time must not be made up for at once.
    limit.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        if !leading.now() {
            // Whoever leads meanwhile writes: everything is compared anew.
            desired.generation = 0;
            desired.changed = Changed::Everything;
            if !leading.begun().await {
                return;
            }
        }
        tokio::select! {
            _ = state.until(|live| desired.is_older(live)) => {}
            // More of them are likely to come at once.
            () = seen.changed() => tokio::time::sleep(GATHER).await,
        }
        desired.refresh(&state, &owner);
        // Before the first translation, nothing is known about what should be there.
        if !desired.known {
            continue;
        }
        let due = desired.differing(&seen);
        let mut left = due.len();
        let mut writes = JoinSet::new();
        let mut fresh = Instant::now();
        for id in due {
            if fresh.elapsed() > FRESH {
                // Thousands of writes take long enough for what they say to be outdated.
                desired.refresh(&state, &owner);
                fresh = Instant::now();
            }
            let status = desired.statuses.get(&id).map(|(status, _)| Arc::clone(status));
            if writes.len() >= AT_ONCE {
                writes.join_next().await;
            }
            telemetry.cluster().set_statuses_waiting(left);
            left -= 1;
            limit.tick().await;
            writes.spawn(one(
                client.clone(),
                seen.clone(),
                leading.clone(),
                id,
                status,
                Arc::clone(&telemetry),
            ));
        }
        while writes.join_next().await.is_some() {}
        telemetry.cluster().set_statuses_waiting(0);
    }
}

/// Writes one status; whoever was quicker is read and merged with.
async fn one(
    client: Client,
    seen: Seen,
    leading: Leading,
    id: Id,
    status: Option<Arc<ObjectStatus>>,
    telemetry: Arc<Telemetry>,
) {
    let owner = seen.owner();
    let count = |outcome| telemetry.cluster().status_write(id.0, outcome);
    for _ in 0..TRIES {
        if !leading.now() {
            return;
        }
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
struct Desired {
    /// The generation that was looked at; 0: none, or one that may be outdated.
    generation: u64,
    /// Whether there was a translation of what the cluster says.
    known: bool,
    /// Whether what was looked at was saved before a restart, and may become the truth without another translation.
    recalled: bool,
    /// Statuses as they were taken last.
    taken: List<ObjectStatus>,
    /// The same by object, with their digests.
    statuses: HashMap<Id, (Arc<ObjectStatus>, u64)>,
    /// What was not compared since it changed.
    changed: Changed,
}

impl Desired {
    /// Nothing is known.
    fn new() -> Self {
        Self {
            generation: 0,
            known: false,
            recalled: false,
            taken: List::default(),
            statuses: HashMap::new(),
            changed: Changed::Everything,
        }
    }

    /// Whether there is more to know than was looked at.
    fn is_older(&self, live: &Live) -> bool {
        live.generation > self.generation || (self.recalled && !live.recalled)
    }

    /// Takes the newest statuses, if there are newer ones.
    fn refresh(&mut self, state: &State, owner: &Owner) {
        let live = state.live();
        if self.is_older(&live) {
            (self.generation, self.recalled) = (live.generation, live.recalled);
            // What was saved before a restart may not be true any more.
            if !live.recalled {
                self.known = true;
                self.take(&live.statuses, owner);
            }
        }
    }

    /// Takes statuses. Those that did not change are not looked at.
    fn take(&mut self, statuses: &List<ObjectStatus>, owner: &Owner) {
        let difference = statuses.since(&self.taken);
        for status in difference.gone {
            if let Some(id) = id(status) {
                self.statuses.remove(&id);
                self.changed.add(id);
            }
        }
        for status in difference.new {
            if let Some(id) = id(status) {
                let digest = merge::desired_digest(owner, id.0, Some(status));
                self.statuses.insert(id.clone(), (Arc::clone(status), digest));
                self.changed.add(id);
            }
        }
        self.taken = statuses.clone();
    }

    /// What is to be written: what differs, and what should not be there any more.
    fn differing(&mut self, seen: &Seen) -> Vec<Id> {
        let changed = std::mem::replace(&mut self.changed, Changed::These(HashSet::new()));
        seen.differing(changed, |id| self.statuses.get(id).map(|(_, digest)| *digest))
    }
}

/// The object of a status, if we write those of its kind.
fn id(status: &ObjectStatus) -> Option<Id> {
    let kind = seen::written_kind(&status.origin.kind)?;
    let (namespace, name) = (&status.origin.namespace, &status.origin.name);
    Some((kind, Key::new(Arc::clone(namespace), Arc::clone(name))))
}

/// Writes at a time.
const AT_ONCE: usize = 8;
/// 200 writes in a second at most: an API server has others to serve.
const EACH: Duration = Duration::from_millis(5);
/// How old the statuses may be that are written.
const FRESH: Duration = Duration::from_millis(250);
/// How long news about what is there are gathered.
const GATHER: Duration = Duration::from_millis(5);
/// Tries before somebody else's writes are waited out.
const TRIES: usize = 5;
