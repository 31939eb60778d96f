//! gateway.networking.x-k8s.io: XTelemetryPolicy (GEP-4768), what is recorded of the requests of a Gateway.

use crate::meta::{Meta, list, resource};
use crate::policy::PolicyTarget;
use serde::{Deserialize, Serialize};

/// An XTelemetryPolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct XTelemetryPolicy {
    /// Metadata.
    pub metadata: Meta,
    /// What it asks for.
    pub spec: XTelemetryPolicySpec,
}
resource!(
    XTelemetryPolicy,
    "gateway.networking.x-k8s.io",
    ["v1alpha1"],
    true
);

/// `XTelemetryPolicy.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct XTelemetryPolicySpec {
    /// Gateways of its namespace.
    #[serde(deserialize_with = "list")]
    pub target_refs: Vec<PolicyTarget>,
    /// Traces.
    pub tracing: TracingConfig,
}

/// `XTelemetryPolicy.spec.tracing`, as far as it says whether anything is to be recorded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TracingConfig {
    /// Unset: as the implementation has it.
    pub mode: TracingMode,
}

crate::words! {
    /// `XTelemetryPolicy.spec.tracing.mode`
    TracingMode {
        /// Spans are sent to a collector.
        Enabled,
        /// None are.
        Disabled,
        /// As if there were no policy.
        ImplementationDefault,
    } default ImplementationDefault
}
