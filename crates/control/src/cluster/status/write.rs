//! One write of one status.

use super::Id;
use super::merge::{self, Owner};
use crate::cluster::kinds::Kind;
use kube::api::{DynamicObject, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use translate::ObjectStatus;

/// Reads, merges, writes. The status as it is then, or `None` if the object is gone or there is nothing to change.
pub(super) async fn write(
    client: &Client,
    owner: &Owner,
    (kind, key): &Id,
    desired: Option<&ObjectStatus>,
) -> Result<Option<Value>, kube::Error> {
    let Some(kind) = Kind::named(kind) else {
        return Ok(None);
    };
    let mut found = None;
    // An object that is gone and a version that is not served look alike.
    for version in kind.versions() {
        let resource = kind.in_version(version);
        let api: Api<DynamicObject> = if kind.namespaced {
            Api::namespaced_with(client.clone(), &key.namespace, &resource)
        } else {
            Api::all_with(client.clone(), &resource)
        };
        match api.get_opt(&key.name).await {
            Ok(Some(object)) => {
                found = Some((api, resource, object));
                break;
            }
            Ok(None) => {}
            // The version's whole path is unknown; the answer is no `Status` and has no reason.
            Err(kube::Error::Api(error)) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let Some((api, resource, mut object)) = found else {
        return Ok(None);
    };
    // Another one by now. What it is about comes with a watch, and the next translation knows better.
    let is = object.metadata.generation.unwrap_or(0);
    if desired.is_some_and(|status| status.generation != 0 && status.generation != is) {
        return Ok(None);
    }
    let current = object.data.get("status").cloned().unwrap_or_default();
    // Nothing at all takes back what we applied before.
    let value = desired.map_or_else(|| json!({}), |status| merge::value(&status.status));
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let written = match kind.name {
        "Gateway" | "GatewayClass" | "ListenerSet" => {
            // The server keeps the conditions of others: they are a map by type, and these are ours.
            let status = merge::applied(&current, &value, &now);
            let patch = json!({
                "apiVersion": resource.api_version,
                "kind": kind.name,
                // With the version that was read: what somebody wrote since is not written over unseen.
                "metadata": {"name": &*key.name, "resourceVersion": object.metadata.resource_version},
                "status": status,
            });
            let params = PatchParams::apply(WRITER).force();
            api.patch_status(&key.name, &params, &Patch::Apply(&patch))
                .await?
        }
        _ => {
            let merged = merge::merged(owner, kind.name, &current, &value, &now);
            if merged == current {
                return Ok(Some(current));
            }
            object.data["status"] = merged;
            let params = PostParams {
                field_manager: Some(WRITER.to_owned()),
                ..PostParams::default()
            };
            api.replace_status(&key.name, &params, &object).await?
        }
    };
    Ok(Some(written.data.get("status").cloned().unwrap_or_default()))
}

/// Name of our fields among those of others.
const WRITER: &str = "narthex";
