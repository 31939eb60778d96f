//! News from the cluster, taken into the store of the control loop.

use super::{News, Wanted, Watched};
use crate::store::Touched;
use api::Resource as _;
use api::core::{ConfigMap, Secret};
use api::pod::Pod;
use ir::Diagnostic;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use translate::{Key, Named, Object, Objects};

/// What came and has not been taken yet, and what is known about the watches.
#[derive(Debug)]
pub(crate) struct Inbox {
    news: mpsc::Receiver<News>,
    wanted: mpsc::UnboundedSender<Wanted>,
    waiting: Vec<News>,
    /// Watches that have not told everything yet.
    missing: BTreeSet<Watched>,
    /// What each watch told since it began anew.
    told: HashMap<Watched, HashSet<Key>>,
    /// Objects of each watch.
    holds: HashMap<Watched, BTreeSet<Key>>,
    bad: BTreeMap<(Watched, Key), Diagnostic>,
    named: BTreeSet<(Named, Key)>,
    /// Namespaces that are served, by the numbers of their watches; empty: all.
    namespaces: Vec<String>,
}

impl Inbox {
    pub(super) fn new(
        news: mpsc::Receiver<News>,
        wanted: mpsc::UnboundedSender<Wanted>,
        expected: Vec<Watched>,
        namespaces: Vec<String>,
    ) -> Self {
        Self {
            news,
            wanted,
            waiting: Vec::new(),
            missing: expected.into_iter().collect(),
            told: HashMap::new(),
            holds: HashMap::new(),
            bad: BTreeMap::new(),
            named: BTreeSet::new(),
            namespaces,
        }
    }

    /// Takes objects that were saved earlier, as far as nothing newer is known. What is gone since then goes when its
    /// watch has told everything.
    pub fn recall(&mut self, saved: Vec<Object>, objects: &mut Objects) {
        for object in saved {
            let (kind, key) = (object.kind(), object.key());
            let watch = |watched: &&Watched| {
                watched.kind == kind
                    && watched.namespace.is_none_or(|number| {
                        self.namespaces
                            .get(usize::from(number))
                            .is_some_and(|name| **name == *key.namespace)
                    })
            };
            match self.missing.iter().find(watch).copied() {
                Some(watched) => {
                    self.holds.entry(watched).or_default().insert(key.clone());
                }
                // These are not watched but asked for one by one.
                None if kind == Secret::KIND || kind == ConfigMap::KIND || kind == Pod::KIND => {}
                // It was told already, or is not served any more.
                None => continue,
            }
            if objects.get(kind, &key).is_none() {
                objects.insert(object);
            }
        }
    }

    /// Waits until something came. Safe to be dropped at any time.
    pub async fn arrived(&mut self) {
        match self.news.recv().await {
            Some(news) => {
                self.waiting.push(news);
                while let Ok(news) = self.news.try_recv() {
                    self.waiting.push(news);
                }
            }
            // The thread has ended; what there is stays.
            None => std::future::pending().await,
        }
    }

    /// Whether every watch has told everything, or that it can't.
    pub fn complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// Takes what came into the store.
    pub fn take(&mut self, objects: &mut Objects) -> Touched {
        let mut touched = Touched::default();
        for news in std::mem::take(&mut self.waiting) {
            self.take_one(news, objects, &mut touched);
        }
        touched
    }

    fn take_one(&mut self, news: News, objects: &mut Objects, touched: &mut Touched) {
        match news {
            // Also one that will fail: whether the kind is there shows when something was told.
            News::Begin(watched) => drop(self.told.insert(watched, HashSet::new())),
            News::Put(watched, object) => {
                let key = object.key();
                self.is_there(watched, &key);
                touched.findings |= self.bad.remove(&(watched, key)).is_some();
                is_present(watched.kind, objects, touched);
                if objects.insert(*object) {
                    touched.object(watched.kind);
                }
            }
            News::Bad(watched, finding) => {
                let key = Key::new(&*finding.origin.namespace, &*finding.origin.name);
                self.is_there(watched, &key);
                self.bad.insert((watched, key), *finding);
                touched.findings = true;
            }
            News::Gone(watched, key) => {
                self.holds.entry(watched).or_default().remove(&key);
                touched.findings |= self.bad.remove(&(watched, key.clone())).is_some();
                if objects.remove(watched.kind, &key) {
                    touched.object(watched.kind);
                }
            }
            News::End(watched) => {
                let told = self.told.remove(&watched).unwrap_or_default();
                let held = self.holds.entry(watched).or_default();
                let gone: Vec<Key> = held.iter().filter(|key| !told.contains(*key)).cloned().collect();
                for key in gone {
                    self.take_one(News::Gone(watched, key), objects, touched);
                }
                self.missing.remove(&watched);
                is_present(watched.kind, objects, touched);
            }
            News::Pods(namespace, told) => {
                let held =
                    { objects.pods.keys() }.filter(|key| key.namespace == namespace && !told.contains(*key));
                let gone: Vec<Key> = held.cloned().collect();
                for key in gone {
                    objects.remove(Pod::KIND, &key);
                    touched.object(Pod::KIND);
                }
                // Also where there are none. A namespace whose Pods may not be read says so again when it is tried again.
                is_present(Pod::KIND, objects, touched);
            }
            News::Absent(watched) => {
                if objects.absent.insert(watched.kind) {
                    touched.object(watched.kind);
                }
                self.missing.remove(&watched);
            }
        }
    }

    fn is_there(&mut self, watched: Watched, key: &Key) {
        if let Some(told) = self.told.get_mut(&watched) {
            told.insert(key.clone());
        }
        self.holds.entry(watched).or_default().insert(key.clone());
    }

    /// Objects that can't be read.
    pub fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.bad.values()
    }

    /// Has Secrets and ConfigMaps read that anything refers to, and waits for it, not for long. Whether there were new ones.
    pub async fn want(&mut self, named: &BTreeSet<(Named, Key)>) -> bool {
        if self.named == *named {
            return false;
        }
        let more = named.iter().any(|one| !self.named.contains(one));
        self.named.clone_from(named);
        let (done, looked) = oneshot::channel();
        let wanted = Wanted {
            named: named.clone(),
            done,
        };
        if self.wanted.send(wanted).is_err() || !more {
            return false;
        }
        let deadline = tokio::time::sleep(PATIENCE);
        tokio::pin!(deadline, looked);
        loop {
            tokio::select! {
                biased;
                // There may be more news than fit: they are taken meanwhile.
                () = self.arrived() => {}
                _ = &mut looked => break,
                () = &mut deadline => break,
            }
        }
        while let Ok(news) = self.news.try_recv() {
            self.waiting.push(news);
        }
        true
    }
}

/// The API server has a kind, and lets us read it.
fn is_present(kind: &'static str, objects: &mut Objects, touched: &mut Touched) {
    if objects.absent.remove(kind) {
        touched.object(kind);
    }
}

/// How long a translation waits for the objects that it refers to for the first time.
const PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox() -> Inbox {
        let (news, wanted) = (mpsc::channel(1).1, mpsc::unbounded_channel().0);
        Inbox::new(news, wanted, Vec::new(), Vec::new())
    }

    const POLICIES: Watched = Watched {
        kind: "XTelemetryPolicy",
        namespace: None,
    };

    #[test]
    fn a_kind_that_is_tried_again_in_vain_stays_absent() {
        let (mut inbox, mut objects) = (inbox(), Objects::default());
        let mut take = |news| {
            let mut touched = Touched::default();
            inbox.take_one(news, &mut objects, &mut touched);
            touched.any()
        };
        assert!(take(News::Absent(POLICIES)));
        for _ in 0..3 {
            assert!(!take(News::Begin(POLICIES)));
            assert!(!take(News::Absent(POLICIES)));
        }
        take(News::Begin(POLICIES));
        assert!(take(News::End(POLICIES)), "it is there after all");
        assert!(objects.absent.is_empty());
    }

    #[test]
    fn pods_that_were_saved_and_are_gone_go_when_their_namespace_is_listed() {
        let (mut inbox, mut objects) = (inbox(), Objects::default());
        let pod = |namespace: &str, name: &str| {
            let value = serde_json::json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"namespace": namespace, "name": name}});
            Object::from_value(&value)
                .expect("a Pod")
                .expect("a kind that is read")
        };
        let saved =
            [("a", "gone"), ("a", "there"), ("b", "other")].map(|(namespace, name)| pod(namespace, name));
        inbox.recall(saved.into(), &mut objects);
        objects.absent.insert(Pod::KIND);
        let mut touched = Touched::default();
        inbox.take_one(News::Pods("c".into(), HashSet::new()), &mut objects, &mut touched);
        assert!(objects.absent.is_empty(), "none is an answer");
        let told = HashSet::from([Key::new("a", "there")]);
        let mut touched = Touched::default();
        inbox.take_one(News::Pods("a".into(), told), &mut objects, &mut touched);
        assert!(touched.any());
        let left: Vec<_> = objects.pods.keys().map(ToString::to_string).collect();
        assert_eq!(left, ["a/there", "b/other"]);
    }
}
