//! apiextensions.k8s.io: the CRDs of Gateway API, for their version alone.

use crate::meta::{Meta, resource};
use serde::{Deserialize, Serialize};

/// Annotation with the release of Gateway API that a CRD belongs to, such as `v1.7.0`.
pub const BUNDLE_VERSION: &str = "gateway.networking.k8s.io/bundle-version";
/// Annotation with the channel of that release: `standard` or `experimental`.
pub const CHANNEL: &str = "gateway.networking.k8s.io/channel";
/// The CRD that is looked at: all of a release carry the same version.
pub const GATEWAY_CLASSES: &str = "gatewayclasses.gateway.networking.k8s.io";

/// A CustomResourceDefinition; only its annotations matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CustomResourceDefinition {
    /// Metadata.
    pub metadata: Meta,
}
resource!(CustomResourceDefinition, "apiextensions.k8s.io", ["v1"], false);
