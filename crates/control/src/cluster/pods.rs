//! Watches the Pods of namespaces in which an XBackend selects some, and of no others.

use super::watch::{Pauses, Whole};
use super::{News, Watched};
use api::Resource;
use api::pod::Pod;
use futures_util::StreamExt;
use kube::discovery::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use translate::{Key, Object};

/// The watches of the moment, by namespace.
pub(super) struct Pods {
    client: Client,
    news: Sender<News>,
    watches: BTreeMap<Arc<str>, JoinHandle<()>>,
}

/// Nobody wants to know any more.
pub(super) struct Over;

impl Pods {
    /// Watches nothing yet.
    pub fn new(client: Client, news: Sender<News>) -> Self {
        Self {
            client,
            news,
            watches: BTreeMap::new(),
        }
    }

    /// Watches these namespaces and no others. What is returned says when those that are new have told what there is.
    pub async fn want(
        &mut self,
        namespaces: &BTreeSet<Arc<str>>,
    ) -> Result<Vec<oneshot::Receiver<()>>, Over> {
        let gone: Vec<_> = { self.watches.keys() }
            .filter(|namespace| !namespaces.contains(*namespace))
            .cloned()
            .collect();
        for namespace in gone {
            let Some(watch) = self.watches.remove(&namespace) else {
                continue;
            };
            watch.abort();
            // It may be about to tell something.
            let _ = watch.await;
            let none = News::Pods(namespace, HashSet::new());
            self.news.send(none).await.map_err(|_| Over)?;
        }
        let mut listing = Vec::new();
        for namespace in namespaces {
            if self.watches.contains_key(namespace) {
                continue;
            }
            let (listed, until) = oneshot::channel();
            let task = tokio::spawn(follow(
                self.client.clone(),
                Arc::clone(namespace),
                self.news.clone(),
                listed,
            ));
            self.watches.insert(Arc::clone(namespace), task);
            listing.push(until);
        }
        Ok(listing)
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        for watch in self.watches.values() {
            watch.abort();
        }
    }
}

/// Tells the Pods of a namespace. `listed` is told when all of them were, or when that failed for the first time.
async fn follow(client: Client, namespace: Arc<str>, news: Sender<News>, listed: oneshot::Sender<()>) {
    let resource = ApiResource {
        group: String::new(),
        version: "v1".into(),
        api_version: "v1".into(),
        kind: Pod::KIND.into(),
        plural: "pods".into(),
    };
    let api: Api<Whole> = Api::namespaced_with(client, &namespace, &resource);
    let mut events = pin!(watcher::watcher(api, watcher::Config::default()));
    let mut pauses = Pauses::default();
    let mut listed = Some(listed);
    let mut told = HashSet::new();
    while let Some(event) = events.next().await {
        let (mut sent, mut done, mut failed) = (Vec::new(), false, false);
        match event {
            Ok(Event::Init) => told.clear(),
            Ok(Event::InitApply(whole)) => {
                told.insert(key(&whole));
                sent.extend(put(&whole));
            }
            Ok(Event::Apply(whole)) => sent.extend(put(&whole)),
            Ok(Event::Delete(whole)) => sent.push(News::Gone(WATCHED, key(&whole))),
            Ok(Event::InitDone) => {
                pauses = Pauses::default();
                // What was saved before a restart, too, may be gone since.
                sent.push(News::Pods(Arc::clone(&namespace), std::mem::take(&mut told)));
                done = true;
            }
            Err(error) => {
                sent.extend(is_forbidden(&error).then_some(News::Absent(WATCHED)));
                if pauses.first() {
                    tracing::warn!(
                        %namespace, %error,
                        "the Pods of a namespace can't be watched, so XBackends there that select some have old endpoints or none"
                    );
                }
                failed = true;
            }
        }
        for news_of_it in sent {
            if news.send(news_of_it).await.is_err() {
                return;
            }
        }
        if done || failed {
            tell(&mut listed);
        }
        if failed {
            tokio::time::sleep(pauses.next()).await;
        }
    }
}

/// Whether it takes more rights.
fn is_forbidden(error: &watcher::Error) -> bool {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code == 403,
        _ => false,
    }
}

/// Lets go of whoever waits for the list.
fn tell(listed: &mut Option<oneshot::Sender<()>>) {
    if let Some(listed) = listed.take() {
        // It waits no longer.
        let _ = listed.send(());
    }
}

fn put(whole: &Whole) -> Option<News> {
    match Object::decode("v1", Pod::KIND, &whole.value) {
        Ok(Some(object)) => Some(News::Put(WATCHED, Box::new(object))),
        Ok(None) => None,
        Err(error) => {
            // The API server does not let such a thing pass.
            tracing::error!(pod = %key(whole), %error, "a Pod can't be decoded");
            None
        }
    }
}

fn key(whole: &Whole) -> Key {
    Key::new(whole.namespace().unwrap_or_default(), whole.name_any())
}

/// As news name them, whatever their namespace.
const WATCHED: Watched = Watched {
    kind: Pod::KIND,
    namespace: None,
};
