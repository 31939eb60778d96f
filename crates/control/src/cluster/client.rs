//! Which API server, and as whom.

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};
use std::path::PathBuf;

/// Where the API server and our credentials are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// In a kubeconfig file.
    File {
        /// The file.
        path: PathBuf,
        /// Context within it; unset: the current one.
        context: Option<String>,
    },
    /// In the environment of a Pod: its ServiceAccount.
    Pod,
}

/// Why there is no way to speak to an API server.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ClientError(pub(crate) String);

impl Where {
    /// Whether this process runs in a Pod with a ServiceAccount.
    pub fn in_pod() -> bool {
        std::env::var_os("KUBERNETES_SERVICE_HOST").is_some()
    }

    /// The namespace that objects of our own belong to: the Pod's, or the context's.
    pub fn namespace(&self) -> Result<String, ClientError> {
        Ok(self.config()?.default_namespace)
    }

    pub(crate) fn config(&self) -> Result<Config, ClientError> {
        let mut config = match self {
            Self::Pod => Config::incluster()
                .map_err(|error| ClientError(format!("the Pod's ServiceAccount: {error}")))?,
            Self::File { path, context } => {
                let wrong = |error: kube::config::KubeconfigError| {
                    ClientError(format!("{}: {error}", path.display()))
                };
                let kubeconfig = Kubeconfig::read_from(path).map_err(wrong)?;
                let options = KubeConfigOptions {
                    context: context.clone(),
                    ..KubeConfigOptions::default()
                };
                // No request is sent for it; it only runs plugins for credentials and reads files.
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.map_err(|error| ClientError(error.to_string()))?;
                let config = Config::from_custom_kubeconfig(kubeconfig, &options);
                runtime.block_on(config).map_err(wrong)?
            }
        };
        // A server that is frozen, or a network that swallows packets, must be noticed; watches get something every
        // minute or so (bookmarks).
        config.connect_timeout = Some(CONNECT);
        Ok(config)
    }
}

const CONNECT: std::time::Duration = std::time::Duration::from_secs(5);
