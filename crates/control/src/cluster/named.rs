//! Reads the Secrets and ConfigMaps that something refers to, by name, and no others: `get` is the only verb that this
//! takes.
//!
//! Where the account may also watch a kind, a change is seen at once; otherwise its objects are looked at again and again,
//! more rarely the more there are. Pods, which are wanted by namespace, are left to [`super::pods`].

use super::pods::Pods;
use super::watch::Pauses;
use super::{News, Wanted, Watched};
use futures_util::{StreamExt, stream};
use kube::api::DynamicObject;
use kube::core::PartialObjectMeta;
use kube::discovery::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc::{Sender, UnboundedReceiver};
use tokio::time::Instant;
use translate::{Key, Named, Object};

/// An object that something refers to.
type Id = (Named, Key);

/// What is known about one.
#[derive(Debug)]
struct Known {
    version: Option<String>,
    /// When to look next.
    due: Instant,
}

/// The kind, as news name it.
fn watched(kind: Named) -> Watched {
    Watched {
        kind: kind.kind(),
        namespace: None,
    }
}

fn resource(kind: Named) -> ApiResource {
    ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: kind.kind().into(),
        plural: match kind {
            Named::Secret => "secrets".into(),
            Named::ConfigMap => "configmaps".into(),
            Named::Pod => "pods".into(),
        },
    }
}

/// Follows what is wanted until nobody wants anything.
pub(super) async fn follow(client: Client, news: Sender<News>, mut wanting: UnboundedReceiver<Wanted>) {
    let mut known: BTreeMap<Id, Known> = BTreeMap::new();
    let (changed, mut changes) = tokio::sync::mpsc::channel(64);
    for kind in [Named::Secret, Named::ConfigMap] {
        tokio::spawn(watch(client.clone(), kind, changed.clone()));
    }
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut followed = BTreeSet::new();
    let mut pods = Pods::new(client.clone(), news.clone());
    loop {
        let mut done = None;
        let due: Vec<Id> = tokio::select! {
            wanted = wanting.recv() => {
                let Some(mut wanted) = wanted else { return };
                let namespaces: BTreeSet<_> = { wanted.named.iter() }
                    .filter(|(kind, _)| *kind == Named::Pod)
                    .map(|(_, key)| key.namespace.clone())
                    .collect();
                let Ok(listing) = pods.want(&namespaces).await else {
                    return;
                };
                wanted.named.retain(|(kind, _)| *kind != Named::Pod);
                let dropped: Vec<Id> = known.keys().filter(|id| !wanted.named.contains(*id)).cloned().collect();
                for id in dropped {
                    known.remove(&id);
                    if news.send(News::Gone(watched(id.0), id.1)).await.is_err() {
                        return;
                    }
                }
                done = Some((wanted.done, listing));
                wanted.named.into_iter().filter(|id| !known.contains_key(id)).collect()
            }
            Some(change) = changes.recv() => match change {
                Noticed::Watching(kind) => {
                    followed.insert(kind);
                    continue;
                }
                Noticed::Changed(id, version) => {
                    match known.get(&id) {
                        Some(known) if known.version != version => vec![id],
                        _ => continue,
                    }
                }
            },
            _ = tick.tick() => {
                let now = Instant::now();
                known.iter().filter(|(_, known)| known.due <= now).map(|(id, _)| id.clone()).collect()
            }
        };
        let count = known.len() + due.len();
        let found = stream::iter(due)
            .map(|id| read(&client, id))
            .buffer_unordered(AT_ONCE);
        let mut found = pin!(found);
        while let Some((id, outcome)) = found.next().await {
            let period = period(count, followed.contains(&id.0));
            if !take(&news, &mut known, id, outcome, period).await {
                return;
            }
        }
        if let Some((done, listing)) = done {
            // Beside this, so that a list of Pods that takes long keeps nobody's certificates waiting.
            tokio::spawn(async move {
                for until in listing {
                    // One that was dropped has ended, and nothing more comes.
                    let _ = until.await;
                }
                // Or the control loop has lost its patience.
                let _ = done.send(());
            });
        }
    }
}

/// Takes an answer into account. `false`: nobody wants to know any more.
async fn take(
    news: &Sender<News>,
    known: &mut BTreeMap<Id, Known>,
    id: Id,
    outcome: Result<Option<DynamicObject>, kube::Error>,
    period: Duration,
) -> bool {
    let now = Instant::now();
    let old = known.get(&id).and_then(|known| known.version.clone());
    let (version, pause, sent) = match outcome {
        Ok(Some(object)) => {
            let version = object.resource_version();
            let same = version.is_some() && version == old;
            let sent = if same { None } else { decode(id.0, &object) };
            (
                version,
                period,
                sent.map(|object| News::Put(watched(id.0), Box::new(object))),
            )
        }
        Ok(None) => {
            // Also one that was never there: what was saved before a restart may hold it.
            let gone = News::Gone(watched(id.0), id.1.clone());
            (None, MISSING.max(period / 5), Some(gone))
        }
        Err(error) => {
            let kind = id.0.kind();
            tracing::warn!(kind, object = %id.1, %error, "an object can't be read; what is known of it stays in use");
            (old, FAILED, None)
        }
    };
    known.insert(
        id,
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

async fn read(client: &Client, id: Id) -> (Id, Result<Option<DynamicObject>, kube::Error>) {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &id.1.namespace, &resource(id.0));
    let outcome = api.get_opt(&id.1.name).await;
    (id, outcome)
}

fn decode(kind: Named, object: &DynamicObject) -> Option<Object> {
    let value = serde_json::to_value(object).ok()?;
    match Object::decode("v1", kind.kind(), &value) {
        Ok(object) => object,
        Err(error) => {
            // The API server does not let such a thing pass.
            tracing::error!(kind = kind.kind(), %error, "an object can't be decoded");
            None
        }
    }
}

enum Noticed {
    /// Changes of a kind will be told.
    Watching(Named),
    Changed(Id, Option<String>),
}

/// Tells which objects of a kind change, where that is allowed. Their contents are not asked for.
async fn watch(client: Client, kind: Named, changed: Sender<Noticed>) {
    let resource = resource(kind);
    let api: Api<PartialObjectMeta<DynamicObject>> = Api::all_with(client, &resource);
    let mut events = pin!(watcher::watcher(api, watcher::Config::default()));
    let mut pauses = Pauses::default();
    while let Some(event) = events.next().await {
        let key = |meta: &PartialObjectMeta<DynamicObject>| {
            (
                kind,
                Key::new(meta.namespace().unwrap_or_default(), meta.name_any()),
            )
        };
        let noticed = match event {
            Ok(Event::Init) => continue,
            Ok(Event::InitDone) => Noticed::Watching(kind),
            Ok(Event::InitApply(meta) | Event::Apply(meta)) => {
                pauses = Pauses::default();
                Noticed::Changed(key(&meta), meta.resource_version())
            }
            Ok(Event::Delete(meta)) => Noticed::Changed(key(&meta), Some(String::new())),
            Err(watcher::Error::InitialListFailed(kube::Error::Api(status))) if status.code == 403 => {
                let kind = kind.kind();
                tracing::debug!(
                    kind,
                    "this account may not list them: those referred to are read one by one"
                );
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

/// How often an object that is there is looked at again: 20 in a second at most.
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
