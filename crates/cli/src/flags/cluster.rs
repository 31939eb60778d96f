//! The flags that say which cluster is served, and who writes its statuses.

use clap::{ArgAction, Args, ValueHint};
use std::path::PathBuf;

/// Which cluster, and what of it.
#[derive(Debug, Clone, Args)]
pub struct ClusterFlags {
    /// File that says how to reach the cluster; without it, in a Pod, its ServiceAccount is used.
    #[arg(long, value_name = "FILE", conflicts_with = "paths", value_hint = ValueHint::FilePath, help_heading = CLUSTER)]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig, if not the current one.
    #[arg(long, value_name = "NAME", requires = "kubeconfig", help_heading = CLUSTER)]
    pub context: Option<String>,
    /// Namespace whose objects are served (repeatable); by default all.
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',', conflicts_with = "paths", help_heading = CLUSTER)]
    pub watch_namespaces: Vec<String>,
    /// Directory where the cluster's objects are saved, with the Secrets that are referred to: a restart while the API server
    /// is away serves what was there.
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "paths", value_hint = ValueHint::DirPath, help_heading = CLUSTER)]
    pub state_dir: Option<PathBuf>,
    /// Write statuses and Events, if this replica leads; `false`: leave them alone.
    #[arg(long, value_name = "true|false", default_value_t = true, action = ArgAction::Set, help_heading = CLUSTER)]
    pub update_status: bool,
    /// Name of the Lease by which replicas agree on who writes. Installations of their own need one of their own.
    #[arg(long, value_name = "NAME", default_value = "narthex-leader", help_heading = CLUSTER)]
    pub leader_lease: String,
    /// Namespace of the Lease; by default the Pod's, or the kubeconfig's.
    #[arg(long, value_name = "NAMESPACE", help_heading = CLUSTER)]
    pub leader_namespace: Option<String>,
}

const CLUSTER: &str = "Cluster";
