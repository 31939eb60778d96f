//! Keeps one watch: lists, follows, starts anew after failures. What it sees goes to the control loop as [`News`].

use super::contact::Contact;
use super::kinds::Kind;
use super::{News, Watched, Witnesses};
use futures_util::StreamExt;
use ir::{Code, Diagnostic};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicResourceScope;
use kube::discovery::ApiResource;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Telemetry;
use tokio::sync::mpsc::Sender;
use translate::{Key, Object};

/// An object as it came, and its metadata once more as the client wants it.
#[derive(Debug, Clone)]
pub(super) struct Whole {
    metadata: ObjectMeta,
    /// The object.
    pub value: Value,
}

/// Follows a kind until nobody wants to know any more.
pub(super) async fn follow(
    client: Client,
    watched: Watched,
    namespaces: Arc<[String]>,
    news: Sender<News>,
    witnesses: Witnesses,
    contact: Contact,
    telemetry: Arc<Telemetry>,
) {
    let Some(kind) = Kind::named(watched.kind) else {
        return;
    };
    let namespace = watched
        .namespace
        .and_then(|number| namespaces.get(usize::from(number)));
    let mut pause = Pauses::default();
    let mut version = 0;
    loop {
        let resource = kind.in_version(kind.versions()[version]);
        let api: Api<Whole> = match namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let mut config = watcher::Config::default().page_size(PAGE).timeout(WATCH_SECONDS);
        if let Some(name) = kind.only() {
            config = config.fields(&format!("metadata.name={name}"));
        }
        let mut events = pin!(watcher::watcher(api, config));
        let mut told = Told {
            watched,
            namespace: namespace.map(String::as_str),
            news: &news,
            witnesses: &witnesses,
            api_version: &resource.api_version,
            listed: HashSet::new(),
        };
        let trouble = loop {
            match events.next().await {
                Some(Ok(event)) => {
                    // A list that is about to begin proves nothing.
                    if !matches!(event, Event::Init) {
                        pause = Pauses::default();
                        contact.found();
                    }
                    if told.event(event).await.is_err() {
                        return;
                    }
                }
                Some(Err(error)) => match Trouble::of(&error) {
                    // The stream goes on by itself, from where it was or with a new list.
                    Trouble::Broken => {
                        tracing::debug!(kind = kind.name, %error, "a watch broke off");
                        // One that was ended in order begins again at once.
                        if !pause.first() {
                            contact.lost(&error);
                        }
                        telemetry.cluster().watch_restarted(kind.name);
                        tokio::time::sleep(pause.next()).await;
                    }
                    trouble => break trouble,
                },
                None => break Trouble::Broken,
            }
        };
        if trouble == Trouble::Unknown && version + 1 < kind.versions().len() {
            version += 1;
            continue;
        }
        version = 0;
        if pause.first() {
            tell_absence(kind, trouble);
        }
        // What was there before stays: an API server that has just started does not know its own kinds for a while.
        if news.send(News::Absent(watched)).await.is_err() {
            return;
        }
        tokio::time::sleep(pause.next()).await;
    }
}

/// Says once why nothing of a kind is read.
fn tell_absence(kind: &Kind, trouble: Trouble) {
    let (kind, group) = (kind.name, kind.group);
    match trouble {
        Trouble::Forbidden => tracing::error!(
            kind,
            group,
            "this account may not list and watch {kind} objects, so none of them is served; allow it with a ClusterRole"
        ),
        // Experimental, or newer than the cluster: most have none, and whoever refers to one is told.
        Trouble::Unknown if group == "gateway.networking.x-k8s.io" || group == "certificates.k8s.io" => {
            tracing::debug!(kind, group, "the API server does not have this kind (yet)");
        }
        _ if kind == "ReferenceGrant" || group == "gateway.networking.k8s.io" => {
            tracing::info!(
                kind,
                group,
                "the API server does not have this kind (yet): install the CRDs of Gateway API to use it"
            );
        }
        _ => tracing::warn!(kind, group, "the API server does not have this kind"),
    }
}

/// What is wrong with a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// The API server does not have the kind.
    Unknown,
    /// We may not read it.
    Forbidden,
    /// Anything else: it will be better some time.
    Broken,
}

impl Trouble {
    fn of(error: &watcher::Error) -> Self {
        let code = match error {
            watcher::Error::InitialListFailed(kube::Error::Api(status))
            | watcher::Error::WatchStartFailed(kube::Error::Api(status)) => status.code,
            _ => 0,
        };
        match code {
            404 => Self::Unknown,
            401 | 403 => Self::Forbidden,
            _ => Self::Broken,
        }
    }
}

/// Where events of a watch are told.
struct Told<'a> {
    watched: Watched,
    namespace: Option<&'a str>,
    news: &'a Sender<News>,
    witnesses: &'a Witnesses,
    api_version: &'a str,
    /// What a list has told since it began.
    listed: HashSet<Key>,
}

/// Nobody wants to know any more.
struct Over;

impl Told<'_> {
    async fn event(&mut self, event: Event<Whole>) -> Result<(), Over> {
        let watched = self.watched;
        let news = match event {
            Event::Init => {
                self.listed.clear();
                News::Begin(watched)
            }
            Event::InitDone => {
                let listed = std::mem::take(&mut self.listed);
                self.witnesses.keep(watched.kind, self.namespace, &listed);
                News::End(watched)
            }
            Event::InitApply(whole) => {
                self.listed.insert(key(&whole.metadata));
                self.object(&whole)
            }
            Event::Apply(whole) => self.object(&whole),
            Event::Delete(whole) => {
                let key = key(&whole.metadata);
                self.witnesses.forget(watched.kind, &key);
                News::Gone(watched, key)
            }
        };
        self.news.send(news).await.map_err(|_| Over)
    }

    fn object(&self, whole: &Whole) -> News {
        let (watched, key) = (self.watched, key(&whole.metadata));
        self.witnesses.see(watched.kind, &key, &whole.value);
        match Object::decode(self.api_version, watched.kind, &whole.value) {
            Ok(Some(object)) => News::Put(watched, Box::new(object)),
            Ok(None) => News::Gone(watched, key),
            Err(error) => News::Bad(
                watched,
                Box::new(Diagnostic::new(
                    Code::InvalidObject,
                    key.origin(watched.kind),
                    "",
                    format!("it can't be read: {error}; what it said before stays in use"),
                )),
            ),
        }
    }
}

fn key(metadata: &ObjectMeta) -> Key {
    let text = |text: &Option<String>| text.as_deref().unwrap_or_default().to_owned();
    Key::new(text(&metadata.namespace), text(&metadata.name))
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        // As large as the rest, and nobody reads it.
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let metadata = value.get("metadata").map(ObjectMeta::deserialize).transpose();
        Ok(Self {
            metadata: metadata.map_err(serde::de::Error::custom)?.unwrap_or_default(),
            value,
        })
    }
}

impl kube::Resource for Whole {
    type DynamicType = ApiResource;
    type Scope = DynamicResourceScope;

    fn kind(resource: &ApiResource) -> Cow<'_, str> {
        resource.kind.as_str().into()
    }

    fn group(resource: &ApiResource) -> Cow<'_, str> {
        resource.group.as_str().into()
    }

    fn version(resource: &ApiResource) -> Cow<'_, str> {
        resource.version.as_str().into()
    }

    fn plural(resource: &ApiResource) -> Cow<'_, str> {
        resource.plural.as_str().into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

/// Pauses between tries: longer each time, and never the same for all replicas.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    tries: u32,
}

impl Pauses {
    /// Whether nothing has failed before.
    pub fn first(&self) -> bool {
        self.tries == 0
    }

    /// The next pause.
    pub fn next(&mut self) -> Duration {
        let whole = SHORTEST * 2_u32.saturating_pow(self.tries);
        self.tries = (self.tries + 1).min(20);
        let whole = whole.min(LONGEST);
        // Between a half and the whole of it.
        whole / 2 + whole.mul_f64(jitter() / 2.0)
    }
}

/// A number from 0 to 1 that differs between processes and moments.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(0) >> 11;
    bits as f64 / (1_u64 << 53) as f64
}

/// Objects per page of a list (client-go's default).
const PAGE: u32 = 500;
/// How long a watch lasts before the server ends it in order; client-go has 5 to 10 minutes.
const WATCH_SECONDS: u32 = 290;
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
