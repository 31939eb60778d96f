//! Makes the Services of Gateways, and the EndpointSlices that lead them to our own Pods: the leader alone, and only what
//! carries our label. What should be there comes with each translation; what is there comes from the watches.

mod made;
mod plan;

pub(super) use made::Made;

use super::kinds::Kind;
use super::leader::Leading;
use crate::State;
use futures_util::{StreamExt, stream};
use kube::api::{DeleteParams, DynamicObject, PostParams, Preconditions};
use kube::{Api, Client};
use plan::{Step, What};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use translate::Key;

/// Writes what differs, whenever something changes on either side, as long as this process leads.
pub(super) async fn write(client: Client, state: Arc<State>, made: Made, mut leading: Leading) {
    let mut generation = 0;
    let mut recalled = false;
    let mut told = Told::default();
    let mut failed = false;
    loop {
        if !leading.now() {
            generation = 0;
            if !leading.begun().await {
                return;
            }
        }
        tokio::select! {
            _ = state.until(|live| live.generation > generation || (recalled && !live.recalled)) => {}
            // More of them are likely to come at once.
            () = made.changed() => tokio::time::sleep(GATHER).await,
            () = tokio::time::sleep(AGAIN), if failed => {}
        }
        let live = state.live();
        (generation, recalled) = (live.generation, live.recalled);
        // What was saved before a restart may not be true any more, and before the first translation nothing is known.
        if recalled || generation == 0 {
            continue;
        }
        let plan = made.plan(&live.services);
        told.endpoints(plan.without_endpoints);
        let steps = plan.steps.into_iter().map(|step| one(&client, &leading, step));
        let outcomes: Vec<_> = stream::iter(steps).buffer_unordered(AT_ONCE).collect().await;
        failed = outcomes.iter().any(|(_, outcome)| outcome.is_err());
        for (place, outcome) in outcomes {
            told.outcome(place, outcome);
        }
    }
}

/// A kind and an object of it.
type Place = (&'static str, Key);

/// Takes one step. What somebody else changed meanwhile is left to the next look.
async fn one(client: &Client, leading: &Leading, step: Step) -> (Place, Result<(), kube::Error>) {
    let place = (step.kind, step.key.clone());
    let Some(kind) = Kind::named(step.kind).filter(|_| leading.now()) else {
        return (place, Ok(()));
    };
    let api: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &step.key.namespace, &kind.in_version("v1"));
    let params = PostParams {
        field_manager: Some(WRITER.to_owned()),
        ..PostParams::default()
    };
    let (verb, outcome) = match step.what {
        What::Create(object) => ("made", create(&api, &params, object).await),
        What::Replace(object) => {
            let outcome = api.replace(&step.key.name, &params, &object).await;
            ("changed", outcome.map(drop))
        }
        What::Delete {
            uid,
            resource_version,
        } => {
            let params = DeleteParams {
                preconditions: Some(Preconditions {
                    uid,
                    resource_version,
                }),
                ..DeleteParams::default()
            };
            ("deleted", api.delete(&step.key.name, &params).await.map(drop))
        }
    };
    let outcome = match outcome {
        Ok(()) => {
            tracing::info!(kind = step.kind, object = %step.key, "{verb} for a Gateway");
            Ok(())
        }
        // Somebody was quicker, or it is gone; in the case of a new one, the watch has not told yet.
        Err(kube::Error::Api(problem)) if matches!(problem.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    };
    (place, outcome)
}

/// Makes an object. A Service that can't have the address inside the cluster that it asks for gets another: its Gateway
/// tells, and is reached by the rest of its addresses.
async fn create(
    api: &Api<DynamicObject>,
    params: &PostParams,
    mut object: DynamicObject,
) -> Result<(), kube::Error> {
    match api.create(params, &object).await {
        Err(kube::Error::Api(problem)) if problem.code == 422 => {
            let spec = object.data.get_mut("spec").and_then(|spec| spec.as_object_mut());
            if spec.and_then(|spec| spec.remove("clusterIP")).is_none() {
                return Err(kube::Error::Api(problem));
            }
            api.create(params, &object).await.map(drop)
        }
        outcome => outcome.map(drop),
    }
}

/// What was said already.
#[derive(Default)]
struct Told {
    problems: HashMap<Place, String>,
    without_endpoints: bool,
}

impl Told {
    /// Says a problem when it is new.
    fn outcome(&mut self, place: Place, outcome: Result<(), kube::Error>) {
        let Err(error) = outcome else {
            self.problems.remove(&place);
            return;
        };
        let problem = error.to_string();
        if self.problems.get(&place) != Some(&problem) {
            tracing::warn!(
                kind = place.0,
                object = %place.1,
                problem,
                "what a Gateway needs can't be written; --gateway-service needs the rights of deploy/kustomize/gateway-service"
            );
            self.problems.insert(place, problem);
        }
    }

    fn endpoints(&mut self, missing: bool) {
        if missing && !self.without_endpoints {
            tracing::warn!(
                "the Service of --publish-service has no EndpointSlice, so the Services of Gateways lead where they led before"
            );
        }
        self.without_endpoints = missing;
    }
}

/// Name of our fields among those of others.
const WRITER: &str = "narthex";
/// Writes at a time.
const AT_ONCE: usize = 8;
/// How long news about what is there are gathered.
const GATHER: Duration = Duration::from_millis(5);
/// Until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);
