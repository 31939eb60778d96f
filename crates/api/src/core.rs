//! Core group: Service, Secret, ConfigMap, Namespace.

use crate::meta::{Meta, list, null_as_default, resource};
use crate::status::LoadBalancerStatus;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// Metadata.
    pub metadata: Meta,
    /// What it offers.
    pub spec: ServiceSpec,
    /// What a cloud gave it.
    pub status: ServiceStatus,
}
resource!(Service, "", ["v1"], true);

/// `Service.status`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// Addresses of the load balancer.
    pub load_balancer: LoadBalancerStatus,
}

/// `Service.spec`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// `ClusterIP`, `NodePort`, `LoadBalancer` or `ExternalName`.
    #[serde(rename = "type")]
    pub kind: ServiceType,
    /// `None` for a headless Service.
    #[serde(rename = "clusterIP")]
    pub cluster_ip: Option<String>,
    /// Its addresses inside the cluster, one for each family; the first is that above.
    #[serde(rename = "clusterIPs", deserialize_with = "list")]
    pub cluster_ips: Vec<String>,
    /// Addresses of nodes or others that lead here.
    #[serde(rename = "externalIPs", deserialize_with = "list")]
    pub external_ips: Vec<String>,
    /// DNS name of an ExternalName Service.
    pub external_name: Option<String>,
    /// Ports.
    #[serde(deserialize_with = "list")]
    pub ports: Vec<ServicePort>,
}

crate::words! {
    /// `Service.spec.type`
    ServiceType { ClusterIP, NodePort, LoadBalancer, ExternalName, } default ClusterIP
}

/// `Service.spec.ports[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePort {
    /// Name; may be empty when there is one port.
    pub name: Option<String>,
    /// Number that others use.
    pub port: u16,
    /// Number or name of the container's port; unset: the same as `port`.
    pub target_port: Option<IntOrString>,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: Option<String>,
    /// `kubernetes.io/h2c`, `kubernetes.io/ws`, `https`, …
    pub app_protocol: Option<String>,
}

/// A number or a word (`intstr.IntOrString`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A number.
    Int(i32),
    /// A word.
    String(String),
}

/// A Secret. `stringData` is merged into `data` while reading, as the API server does.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// Metadata.
    pub metadata: Meta,
    /// `kubernetes.io/tls`, `Opaque`, …
    pub kind: String,
    /// Decoded values.
    pub data: BTreeMap<String, Vec<u8>>,
}
resource!(Secret, "", ["v1"], true);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.data.keys().collect();
        f.debug_struct("Secret")
            .field("metadata", &self.metadata)
            .field("kind", &self.kind)
            .field("keys", &keys)
            .finish()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64::Engine as _;
        use serde::de::Error as _;

        #[derive(Deserialize, Default)]
        #[serde(rename_all = "camelCase", default)]
        struct Raw {
            metadata: Meta,
            #[serde(rename = "type")]
            kind: String,
            #[serde(deserialize_with = "null_as_default")]
            data: BTreeMap<String, Option<String>>,
            #[serde(deserialize_with = "null_as_default")]
            string_data: BTreeMap<String, String>,
        }
        let raw = Raw::deserialize(deserializer)?;
        let mut data = BTreeMap::new();
        for (key, text) in raw.data {
            let text: String = text.unwrap_or_default().split_ascii_whitespace().collect();
            let value = base64::engine::general_purpose::STANDARD
                .decode(text)
                .map_err(|error| D::Error::custom(format_args!("data.{key} is not base64: {error}")))?;
            data.insert(key, value);
        }
        data.extend(
            raw.string_data
                .into_iter()
                .map(|(key, text)| (key, text.into_bytes())),
        );
        Ok(Self {
            metadata: raw.metadata,
            kind: raw.kind,
            data,
        })
    }
}

/// As the API server has it: it can be read again.
impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64::Engine as _;

        #[derive(Serialize)]
        struct Raw<'a> {
            metadata: &'a Meta,
            #[serde(rename = "type")]
            kind: &'a str,
            data: BTreeMap<&'a str, String>,
        }
        let text = |bytes| base64::engine::general_purpose::STANDARD.encode(bytes);
        Raw {
            metadata: &self.metadata,
            kind: &self.kind,
            data: self
                .data
                .iter()
                .map(|(key, value)| (key.as_str(), text(value)))
                .collect(),
        }
        .serialize(serializer)
    }
}

/// A ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigMap {
    /// Metadata.
    pub metadata: Meta,
    /// Values.
    #[serde(deserialize_with = "null_as_default")]
    pub data: BTreeMap<String, String>,
}
resource!(ConfigMap, "", ["v1"], true);

/// A Namespace; only its labels matter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Namespace {
    /// Metadata.
    pub metadata: Meta,
}
resource!(Namespace, "", ["v1"], false);
