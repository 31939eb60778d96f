//! A Kubernetes cluster as the source of objects, and the one place where its API is spoken to.
//!
//! ```text
//! API server ─► watch (one task per kind and namespace) ─► News ─► the control loop's store
//!            ─► named (Secrets and ConfigMaps referred to), pods (where an XBackend selects some) ─┘
//!            ◄─ status, events, services (leader alone) ◄─ State
//!            ◄► leader (Lease)
//! ```
//!
//! Everything here runs on a thread of its own: a translation that takes long holds up no Lease.

mod client;
mod contact;
mod events;
mod inbox;
mod kinds;
mod leader;
mod named;
mod pods;
mod services;
mod status;
mod watch;

pub use client::{ClientError, Where};
pub(crate) use inbox::Inbox;
pub use leader::LeaderOptions;
use leader::Leading;

use crate::State;
use ir::Diagnostic;
use services::Made;
use status::Seen;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use telemetry::Telemetry;
use tokio::sync::{mpsc, oneshot, watch as channel};
use translate::{Key, Named, Object};

/// What [`Cluster::connect`] needs to know.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// Which API server, as whom.
    pub server: Where,
    /// Namespaces whose objects are served; empty: all.
    pub namespaces: BTreeSet<String>,
    /// `spec.controllerName` of our GatewayClasses: it marks which entries of a status are ours.
    pub gateway_controller: String,
    /// Whether each Gateway gets a Service, and which Service leads to our own Pods.
    pub gateway_services: Option<Key>,
    /// Who writes statuses; unset: nobody does.
    pub leader: Option<LeaderOptions>,
}

/// A connection to a cluster.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) inbox: Inbox,
    end: channel::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Ends the cluster's thread in order, the Lease given back, also while the control loop is busy elsewhere.
#[derive(Debug)]
pub struct Farewell {
    end: channel::Sender<bool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// Something that became known about the cluster.
#[derive(Debug)]
pub(crate) enum News {
    /// A watch begins to tell everything that there is.
    Begin(Watched),
    /// An object that is new or different.
    Put(Watched, Box<Object>),
    /// An object that can't be read: what it said before stays.
    Bad(Watched, Box<Diagnostic>),
    /// An object that is gone.
    Gone(Watched, Key),
    /// Everything there is was told: what was not is gone.
    End(Watched),
    /// There is nothing of this kind that we could or may read, for now.
    Absent(Watched),
    /// All Pods that a namespace has, as far as anybody wants them: others are gone.
    Pods(Arc<str>, HashSet<Key>),
}

/// A kind, everywhere or in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Watched {
    /// `HTTPRoute`
    pub kind: &'static str,
    /// Number of the namespace in the options; `None`: everywhere.
    pub namespace: Option<u16>,
}

/// Asks for Secrets and ConfigMaps; answered when all of them were looked for.
pub(crate) struct Wanted {
    /// All that anything refers to.
    pub named: BTreeSet<(Named, Key)>,
    /// Told when those that are new were looked for.
    pub done: oneshot::Sender<()>,
}

impl Cluster {
    /// Connects and begins to watch. `state` is where the statuses to be written come from.
    ///
    /// # Errors
    /// The configuration can't be read or makes no sense. A server that does not answer is none: it is waited for.
    pub fn connect(
        options: ClusterOptions,
        state: Arc<State>,
        telemetry: Arc<Telemetry>,
    ) -> Result<Self, ClientError> {
        let config = options.server.config()?;
        let (news, arrived) = mpsc::channel(NEWS);
        let (wanted, wanting) = mpsc::unbounded_channel();
        let (end, ending) = channel::channel(false);
        let queues = Queues {
            news,
            wanting,
            ending,
        };
        let watches = kinds::watched(options.namespaces.len());
        let expected = watches.clone();
        let namespaces = options.namespaces.iter().cloned().collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| ClientError(error.to_string()))?;
        let thread = std::thread::Builder::new().name("cluster".into()).spawn(move || {
            runtime.block_on(live(config, options, watches, queues, state, telemetry));
        });
        let thread = thread.map_err(|error| ClientError(error.to_string()))?;
        Ok(Self {
            inbox: Inbox::new(arrived, wanted, expected, namespaces),
            end,
            thread: Some(thread),
        })
    }

    /// The way to end it from elsewhere.
    pub fn farewell(&mut self) -> Farewell {
        Farewell {
            end: self.end.clone(),
            thread: self.thread.take(),
        }
    }
}

impl Farewell {
    /// Gives the Lease back and ends the thread; waits for that, for a second or so at most.
    pub fn say(self) {
        // Nobody listens: it has ended already.
        let _ = self.end.send(true);
        if let Some(thread) = self.thread {
            // A panic there was told when it happened.
            let _ = thread.join();
        }
    }
}

/// Between the thread and the control loop.
struct Queues {
    news: mpsc::Sender<News>,
    wanting: mpsc::UnboundedReceiver<Wanted>,
    ending: channel::Receiver<bool>,
}

/// What the thread does.
async fn live(
    config: kube::Config,
    options: ClusterOptions,
    watches: Vec<Watched>,
    queues: Queues,
    state: Arc<State>,
    telemetry: Arc<Telemetry>,
) {
    let Queues {
        news,
        wanting,
        mut ending,
    } = queues;
    let client = match kube::Client::try_from(config) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "can't speak to the API server");
            return;
        }
    };
    let namespaces: Arc<[String]> = options.namespaces.iter().cloned().collect();
    let seen = Seen::new(&options.gateway_controller);
    let front = options.gateway_services;
    let made = front.map(|front| Made::new(&options.gateway_controller, front));
    let witnesses = Witnesses {
        seen: seen.clone(),
        made: made.clone(),
    };
    let contact = contact::Contact::default();
    telemetry
        .cluster()
        .connected(watches.iter().map(|watched| watched.kind));
    for watched in watches {
        tokio::spawn(watch::follow(
            client.clone(),
            watched,
            Arc::clone(&namespaces),
            news.clone(),
            witnesses.clone(),
            contact.clone(),
            Arc::clone(&telemetry),
        ));
    }
    tokio::spawn(named::follow(client.clone(), news, wanting));
    let Some(leader) = options.leader else {
        let _ = ending.wait_for(|end| *end).await;
        return;
    };
    let (leads, leading) = channel::channel(None);
    let leading = Leading::new(leading);
    tokio::spawn(status::write(
        client.clone(),
        Arc::clone(&state),
        seen,
        leading.clone(),
        Arc::clone(&telemetry),
    ));
    if let Some(made) = made {
        tokio::spawn(services::write(
            client.clone(),
            Arc::clone(&state),
            made,
            leading.clone(),
        ));
    }
    tokio::spawn(count_leading(leading.clone(), telemetry));
    tokio::spawn(events::tell(
        client.clone(),
        state,
        leading,
        leader.identity.clone(),
    ));
    leader::lead(client, leader, leads, ending).await;
}

/// Those who are told of every object that a watch sees, before the control loop is.
#[derive(Debug, Clone)]
struct Witnesses {
    seen: Seen,
    made: Option<Made>,
}

impl Witnesses {
    /// An object came by.
    fn see(&self, kind: &'static str, key: &Key, object: &serde_json::Value) {
        self.seen.see(kind, key, object);
        if let Some(made) = &self.made {
            made.see(kind, key, object);
        }
    }

    /// An object is gone.
    fn forget(&self, kind: &'static str, key: &Key) {
        self.seen.forget(kind, key);
        if let Some(made) = &self.made {
            made.forget(kind, key);
        }
    }

    /// Everything of a kind was told, everywhere or in one namespace: what was not is gone.
    fn keep(&self, kind: &'static str, namespace: Option<&str>, told: &HashSet<Key>) {
        self.seen.keep(kind, namespace, told);
        if let Some(made) = &self.made {
            made.keep(kind, namespace, told);
        }
    }
}

/// Shows who leads.
async fn count_leading(mut leading: Leading, telemetry: Arc<Telemetry>) {
    while leading.changed().await {
        telemetry.cluster().set_leads(leading.now());
    }
}

/// News on their way; beyond it, watches wait.
const NEWS: usize = 4096;
