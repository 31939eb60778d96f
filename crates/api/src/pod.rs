//! Core group: Pod, as far as it is an endpoint.

use crate::meta::{Meta, Texts, list, null_as_default, resource};
use serde::{Deserialize, Deserializer, Serialize};
use std::sync::Arc;

/// A Pod. Only labels and what makes it an endpoint are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Metadata.
    pub metadata: Meta,
    /// It was asked to end.
    pub terminating: bool,
    /// Where it is.
    pub status: PodStatus,
}
resource!(Pod, "", ["v1"], true);

/// `Pod.status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Where it stands in its life.
    pub phase: PodPhase,
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Its addresses, one for each family; the first is that above.
    #[serde(rename = "podIPs", deserialize_with = "list")]
    pub pod_ips: Vec<PodIp>,
    /// What is known about it.
    #[serde(deserialize_with = "list")]
    pub conditions: Vec<PodCondition>,
}

crate::words! {
    /// `Pod.status.phase`
    PodPhase { Pending, Running, Succeeded, Failed, Unknown, } default Pending
}

/// `Pod.status.podIPs[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodIp {
    /// The address.
    pub ip: String,
}

/// `Pod.status.conditions[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodCondition {
    /// `Ready` and others.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
}

impl Pod {
    /// Whether it says that it is ready.
    pub fn is_ready(&self) -> bool {
        let mut conditions = self.status.conditions.iter();
        conditions.any(|condition| condition.kind == "Ready" && condition.status == "True")
    }

    /// Whether it has run to its end.
    pub fn is_over(&self) -> bool {
        matches!(self.status.phase, PodPhase::Succeeded | PodPhase::Failed)
    }
}

/// Metadata with the one field more that counts here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodMeta {
    name: Arc<str>,
    namespace: Arc<str>,
    #[serde(deserialize_with = "null_as_default")]
    labels: Texts,
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion_timestamp: Option<String>,
}

/// A Pod as it is written. What it runs is not read.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct RawPod {
    metadata: PodMeta,
    status: PodStatus,
}

impl<'de> Deserialize<'de> for Pod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let RawPod { metadata, mut status } = RawPod::deserialize(deserializer)?;
        status.conditions.retain(|condition| condition.kind == "Ready");
        Ok(Self {
            metadata: Meta {
                name: metadata.name,
                namespace: metadata.namespace,
                labels: metadata.labels,
                ..Meta::default()
            },
            terminating: metadata.deletion_timestamp.is_some(),
            status,
        })
    }
}

/// As the API server has it: it can be read again.
impl Serialize for Pod {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw = RawPod {
            metadata: PodMeta {
                name: Arc::clone(&self.metadata.name),
                namespace: Arc::clone(&self.metadata.namespace),
                labels: self.metadata.labels.clone(),
                // When does not matter.
                deletion_timestamp: self.terminating.then(|| "1970-01-01T00:00:00Z".to_owned()),
            },
            status: self.status.clone(),
        };
        raw.serialize(serializer)
    }
}
