//! Who writes: the holder of a Lease, by the algorithm of client-go (`tools/leaderelection`).
//!
//! Whether a Lease has run out is judged by the local monotonic clock alone, from when its last change was seen: clocks
//! of different machines are never compared.

use super::contact::causes;
use super::watch::Pauses;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::PostParams;
use kube::{Api, Client};
use std::time::Duration;
use tokio::sync::watch as channel;
use tokio::time::Instant;

/// Which Lease, and as whom.
#[derive(Debug, Clone)]
pub struct LeaderOptions {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub lease: String,
    /// This process among all replicas.
    pub identity: String,
}

/// Whether this process may write: as long as it holds the Lease, by its own clock. The clock decides and not what was last
/// heard, since a process that stood still for a while, frozen or starved, wakes up with the belief that it leads.
#[derive(Debug, Clone)]
pub(super) struct Leading(channel::Receiver<Option<Instant>>);

impl Leading {
    /// Told by the sender until when.
    pub fn new(until: channel::Receiver<Option<Instant>>) -> Self {
        Self(until)
    }

    /// At this moment.
    pub fn now(&self) -> bool {
        holds(*self.0.borrow())
    }

    /// Waits until it may. `false`: it never will again.
    pub async fn begun(&mut self) -> bool {
        self.0.wait_for(|until| holds(*until)).await.is_ok()
    }

    /// Waits until something was said about it. `false`: nothing ever will be again.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

fn holds(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() < until)
}

/// What was last seen of the Lease, and when it was different the last time.
struct Observed {
    spec: Option<LeaseSpec>,
    at: Instant,
}

/// Leads whenever it can, and says so, until the end; then gives the Lease back.
pub(super) async fn lead(
    client: Client,
    options: LeaderOptions,
    leads: channel::Sender<Option<Instant>>,
    mut ending: channel::Receiver<bool>,
) {
    let api: Api<Lease> = Api::namespaced(client, &options.namespace);
    let mut observed = Observed {
        spec: None,
        at: Instant::now(),
    };
    let mut trouble = Pauses::default();
    loop {
        // Before the request: others count from when the server took it.
        let began = Instant::now();
        let attempt = tokio::time::timeout(DEADLINE / 2, hold(&api, &options, &mut observed)).await;
        let attempt = attempt.unwrap_or_else(|_| Err("no answer from the API server".to_owned()));
        match attempt {
            Ok(true) => {
                trouble = Pauses::default();
                if leads.send_replace(Some(began + DEADLINE)).is_none() {
                    tracing::info!(
                        lease = options.lease,
                        identity = options.identity,
                        "leading: this process writes statuses"
                    );
                }
            }
            Ok(false) => {
                trouble = Pauses::default();
                step_down(&leads, &options);
            }
            Err(problem) => {
                if trouble.first() {
                    tracing::warn!(lease = options.lease, problem, "the Lease can't be renewed");
                }
                trouble.next();
                let until = *leads.borrow();
                if !holds(until) {
                    step_down(&leads, &options);
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            _ = ending.wait_for(|end| *end) => break,
        }
    }
    if leads.send_replace(None).is_some() {
        let release = tokio::time::timeout(Duration::from_secs(1), release(&api, &options)).await;
        if !matches!(release, Ok(Ok(()))) {
            tracing::info!("the Lease could not be given back; it runs out by itself");
        }
    }
}

fn step_down(leads: &channel::Sender<Option<Instant>>, options: &LeaderOptions) {
    if leads.send_replace(None).is_some() {
        tracing::warn!(
            lease = options.lease,
            "not leading any more: another process writes statuses"
        );
    }
}

/// Acquires or renews. Whether we hold it.
async fn hold(api: &Api<Lease>, options: &LeaderOptions, observed: &mut Observed) -> Result<bool, String> {
    let problem = |error: kube::Error| causes(&error);
    let now = MicroTime(k8s_openapi::jiff::Timestamp::now());
    let Some(mut lease) = api.get_opt(&options.lease).await.map_err(problem)? else {
        let mut lease = Lease::default();
        lease.metadata.name = Some(options.lease.clone());
        lease.metadata.namespace = Some(options.namespace.clone());
        lease.spec = Some(held(options, None, now));
        return match api.create(&PostParams::default(), &lease).await {
            Ok(_) => Ok(true),
            // Somebody else was quicker.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(problem(error)),
        };
    };
    if observed.spec != lease.spec {
        observed.spec.clone_from(&lease.spec);
        observed.at = Instant::now();
    }
    let spec = lease.spec.clone().unwrap_or_default();
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let lasts = Duration::from_secs(
        spec.lease_duration_seconds
            .unwrap_or(0)
            .max(0)
            .unsigned_abs()
            .into(),
    );
    if !holder.is_empty() && holder != options.identity && observed.at.elapsed() < lasts {
        return Ok(false);
    }
    lease.spec = Some(held(options, Some(&spec), now));
    match api.replace(&options.lease, &PostParams::default(), &lease).await {
        Ok(lease) => {
            observed.spec = lease.spec;
            observed.at = Instant::now();
            Ok(true)
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(problem(error)),
    }
}

fn held(options: &LeaderOptions, before: Option<&LeaseSpec>, now: MicroTime) -> LeaseSpec {
    let was_ours = before.is_some_and(|spec| spec.holder_identity.as_deref() == Some(&options.identity));
    let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
    LeaseSpec {
        holder_identity: Some(options.identity.clone()),
        lease_duration_seconds: Some(DURATION.as_secs() as i32),
        acquire_time: if was_ours {
            before.and_then(|spec| spec.acquire_time.clone())
        } else {
            Some(now.clone())
        },
        renew_time: Some(now),
        lease_transitions: Some(match before {
            Some(_) if !was_ours => transitions + 1,
            _ => transitions,
        }),
        ..LeaseSpec::default()
    }
}

/// Lets the next one take over at once.
async fn release(api: &Api<Lease>, options: &LeaderOptions) -> Result<(), kube::Error> {
    let mut lease = api.get(&options.lease).await?;
    let Some(spec) = &mut lease.spec else {
        return Ok(());
    };
    if spec.holder_identity.as_deref() != Some(&options.identity) {
        return Ok(());
    }
    spec.holder_identity = Some(String::new());
    spec.lease_duration_seconds = Some(1);
    api.replace(&options.lease, &PostParams::default(), &lease)
        .await?;
    Ok(())
}

// The three times of client-go.
/// How long a Lease is good for.
const DURATION: Duration = Duration::from_secs(15);
/// How long a leader that can't renew goes on.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two tries.
const RETRY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_stood_still_for_too_long_does_not_lead_although_nobody_said_so() {
        let (leads, leading) = channel::channel(Some(Instant::now()));
        let mut leading = Leading::new(leading);
        assert!(!leading.now());
        leads.send_replace(Some(Instant::now() + DEADLINE));
        assert!(leading.now() && leading.begun().await);
        leads.send_replace(None);
        assert!(!leading.now());
        drop(leads);
        assert!(!leading.begun().await);
    }
}
