//! certificates.k8s.io: ClusterTrustBundle.

use crate::meta::{Meta, resource};
use serde::{Deserialize, Serialize};

/// A ClusterTrustBundle: certificates of authorities for the whole cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterTrustBundle {
    /// Metadata.
    pub metadata: Meta,
    /// What it holds.
    pub spec: ClusterTrustBundleSpec,
}
resource!(
    ClusterTrustBundle,
    "certificates.k8s.io",
    ["v1", "v1beta1", "v1alpha1"],
    false
);

/// `ClusterTrustBundle.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClusterTrustBundleSpec {
    /// Certificates as PEM.
    pub trust_bundle: String,
}
