//! Flags to a connection with a cluster.

use crate::flags::Run;
use crate::settings;
use control::{Cluster, ClusterOptions, LeaderOptions, State, Where};
use std::sync::Arc;
use telemetry::Telemetry;
use translate::Key;

/// Which cluster is served; `None`: files are.
pub fn server(flags: &Run) -> Result<Option<Where>, String> {
    if !flags.paths.is_empty() {
        return Ok(None);
    }
    if let Some(path) = &flags.cluster.kubeconfig {
        return Ok(Some(Where::File {
            path: path.clone(),
            context: flags.cluster.context.clone(),
        }));
    }
    if Where::in_pod() {
        return Ok(Some(Where::Pod));
    }
    Err("nothing says what to serve\n  hint: name files or directories with objects, or a cluster with --kubeconfig".to_owned())
}

/// Connects.
pub fn connect(
    flags: &Run,
    server: Where,
    state: &Arc<State>,
    telemetry: &Arc<Telemetry>,
) -> Result<Cluster, String> {
    let cluster = &flags.cluster;
    let leader = if cluster.update_status {
        let namespace = match &cluster.leader_namespace {
            Some(namespace) => namespace.clone(),
            None => server.namespace().map_err(|error| error.to_string())?,
        };
        Some(LeaderOptions {
            namespace,
            lease: cluster.leader_lease.clone(),
            identity: identity(),
        })
    } else {
        None
    };
    let options = ClusterOptions {
        server,
        gateway_services: front(flags)?,
        namespaces: cluster.watch_namespaces.iter().cloned().collect(),
        gateway_controller: flags.settings.gateway_controller_name.clone(),
        leader,
    };
    Cluster::connect(options, Arc::clone(state), Arc::clone(telemetry)).map_err(|error| error.to_string())
}

/// The Service that leads to our own Pods, if each Gateway gets a Service.
fn front(flags: &Run) -> Result<Option<Key>, String> {
    if flags.settings.gateway_service.is_none() {
        return Ok(None);
    }
    let Some(service) = &flags.settings.publish_service else {
        return Err("--gateway-service makes Services that lead to this program's Pods, and nothing says which these are\n  hint: name the Service that selects them with --publish-service".to_owned());
    };
    let watched = &flags.cluster.watch_namespaces;
    if !watched.is_empty() && !watched.contains(&service.namespace) {
        return Err(format!(
            "--gateway-service needs the endpoints of Service {}/{}, but its namespace is not watched\n  hint: add {} to --watch-namespaces",
            service.namespace, service.name, service.namespace
        ));
    }
    Ok(Some(settings::key(service)))
}

/// This process among all replicas: the Pod's or machine's name, and something that no other process has.
fn identity() -> String {
    use std::hash::{BuildHasher, RandomState};
    let name = std::env::var("POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
    let name = name.unwrap_or_else(|_| "narthex".to_owned());
    format!(
        "{name}_{:08x}",
        RandomState::new().hash_one(std::process::id()) as u32
    )
}
