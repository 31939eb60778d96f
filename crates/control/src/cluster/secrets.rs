//! Reads the Secrets that something refers to, by name, and no others: `get` is the only verb that this takes.
//!
//! Where the account may also watch Secrets, a change is seen at once; otherwise they are looked at again and again, more
//! rarely the more there are.

use super::watch::Pauses;
use super::{News, Wanted, Watched};
use futures_util::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::time::Instant;
use translate::{Key, Object};

/// The kind, as news name it.
pub(super) const SECRETS: Watched = Watched {
    kind: "Secret",
    namespace: None,
};

/// What is known about a Secret that is referred to.
#[derive(Debug)]
struct Known {
    version: Option<String>,
    /// When to look next.
    due: Instant,
}

/// Follows what is wanted until nobody wants anything.
pub(super) async fn follow(client: Client, news: Sender<News>, mut wanting: UnboundedReceiver<Wanted>) {
    let mut known: BTreeMap<Key, Known> = BTreeMap::new();
    let (changed, mut changes) = tokio::sync::mpsc::channel(64);
    tokio::spawn(watch(client.clone(), changed));
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut watched = false;
    loop {
        let mut done = None;
        let due: Vec<Key> = tokio::select! {
            wanted = wanting.recv() => {
                let Some(wanted) = wanted else { return };
                let dropped: Vec<Key> = known.keys().filter(|key| !wanted.secrets.contains(*key)).cloned().collect();
                for key in dropped {
                    known.remove(&key);
                    if news.send(News::Gone(SECRETS, key)).await.is_err() {
                        return;
                    }
                }
                done = Some(wanted.done);
                wanted.secrets.into_iter().filter(|key| !known.contains_key(key)).collect()
            }
            Some(change) = changes.recv() => match change {
                Noticed::Watching => {
                    watched = true;
                    continue;
                }
                Noticed::Changed(key, version) => {
                    match known.get(&key) {
                        Some(known) if known.version != version => vec![key],
                        _ => continue,
                    }
                }
            },
            _ = tick.tick() => {
                let now = Instant::now();
                known.iter().filter(|(_, known)| known.due <= now).map(|(key, _)| key.clone()).collect()
            }
        };
        let count = known.len() + due.len();
        let found = stream::iter(due)
            .map(|key| read(&client, key))
            .buffer_unordered(AT_ONCE);
        let mut found = pin!(found);
        while let Some((key, outcome)) = found.next().await {
            if !take(&news, &mut known, key, outcome, period(count, watched)).await {
                return;
            }
        }
        if let Some(done) = done {
            // The control loop has lost its patience.
            let _ = done.send(());
        }
    }
}

/// Takes an answer into account. `false`: nobody wants to know any more.
async fn take(
    news: &Sender<News>,
    known: &mut BTreeMap<Key, Known>,
    key: Key,
    outcome: Result<Option<Secret>, kube::Error>,
    period: Duration,
) -> bool {
    let now = Instant::now();
    let old = known.get(&key).and_then(|known| known.version.clone());
    let (version, pause, sent) = match outcome {
        Ok(Some(secret)) => {
            let version = secret.resource_version();
            let same = version.is_some() && version == old;
            let sent = if same { None } else { decode(&secret) };
            (
                version,
                period,
                sent.map(|object| News::Put(SECRETS, Box::new(object))),
            )
        }
        Ok(None) => {
            // Also one that was never there: what was saved before a restart may hold it.
            let gone = News::Gone(SECRETS, key.clone());
            (None, MISSING.max(period / 5), Some(gone))
        }
        Err(error) => {
            tracing::warn!(secret = %key, %error, "a Secret can't be read; what is known of it stays in use");
            (old, FAILED, None)
        }
    };
    known.insert(
        key,
        Known {
            version,
            due: now + pause,
        },
    );
    match sent {
        Some(sent) => news.send(sent).await.is_ok(),
        None => true,
    }
}

async fn read(client: &Client, key: Key) -> (Key, Result<Option<Secret>, kube::Error>) {
    let api: Api<Secret> = Api::namespaced(client.clone(), &key.namespace);
    let outcome = api.get_opt(&key.name).await;
    (key, outcome)
}

fn decode(secret: &Secret) -> Option<Object> {
    let value = serde_json::to_value(secret).ok()?;
    match Object::decode("v1", "Secret", &value) {
        Ok(object) => object,
        Err(error) => {
            // The API server does not let such a thing pass.
            tracing::error!(%error, "a Secret can't be decoded");
            None
        }
    }
}

enum Noticed {
    /// Changes will be told.
    Watching,
    Changed(Key, Option<String>),
}

/// Tells which Secrets change, where that is allowed. Their contents are not asked for.
async fn watch(client: Client, changed: Sender<Noticed>) {
    let api: Api<PartialObjectMeta<Secret>> = Api::all(client);
    let mut events = pin!(watcher::watcher(api, watcher::Config::default()));
    let mut pauses = Pauses::default();
    while let Some(event) = events.next().await {
        let noticed = match event {
            Ok(Event::Init) => continue,
            Ok(Event::InitDone) => Noticed::Watching,
            Ok(Event::InitApply(secret) | Event::Apply(secret)) => {
                pauses = Pauses::default();
                Noticed::Changed(
                    Key::new(secret.namespace().unwrap_or_default(), secret.name_any()),
                    secret.resource_version(),
                )
            }
            Ok(Event::Delete(secret)) => Noticed::Changed(
                Key::new(secret.namespace().unwrap_or_default(), secret.name_any()),
                Some(String::new()),
            ),
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 403 => {
                tracing::debug!("this account may not list Secrets: those referred to are read one by one");
                return;
            }
            Err(_) => {
                tokio::time::sleep(pauses.next()).await;
                continue;
            }
        };
        if changed.send(noticed).await.is_err() {
            return;
        }
    }
}

/// How often a Secret that is there is looked at again: 20 in a second at most.
fn period(count: usize, watched: bool) -> Duration {
    if watched {
        return Duration::from_secs(300);
    }
    Duration::from_secs(10).max(Duration::from_millis(50) * u32::try_from(count).unwrap_or(u32::MAX))
}

const MISSING: Duration = Duration::from_secs(1);
const FAILED: Duration = Duration::from_secs(2);
/// Requests at a time.
const AT_ONCE: usize = 8;
