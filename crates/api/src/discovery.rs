//! discovery.k8s.io: EndpointSlice.

use crate::meta::{Meta, list, null_as_default, resource};
use serde::{Deserialize, Serialize};

/// Label that names the XBackend of a slice that belongs to no Service: those that stand for endpoints of flags have it.
pub const XBACKEND_NAME_LABEL: &str = "narthex.dev/xbackend-name";

/// Label that names the Service of a slice.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";

/// An EndpointSlice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointSlice {
    /// Metadata; the Service is named by the label [`SERVICE_NAME_LABEL`].
    pub metadata: Meta,
    /// `IPv4`, `IPv6` or `FQDN`.
    pub address_type: AddressType,
    /// Endpoints.
    #[serde(deserialize_with = "list")]
    pub endpoints: Vec<Endpoint>,
    /// Ports of every endpoint of the slice.
    #[serde(deserialize_with = "list")]
    pub ports: Vec<EndpointPort>,
}
resource!(EndpointSlice, "discovery.k8s.io", ["v1"], true);

crate::words! {
    /// `EndpointSlice.addressType`
    AddressType { IPv4, IPv6, FQDN, } default IPv4
}

/// `EndpointSlice.endpoints[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoint {
    /// Addresses; the first one is used.
    #[serde(deserialize_with = "list")]
    pub addresses: Vec<String>,
    /// State.
    #[serde(deserialize_with = "null_as_default")]
    pub conditions: Conditions,
}

/// State of an endpoint; `None` means what the API says it means.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Conditions {
    /// Takes traffic. Unset: yes.
    pub ready: Option<bool>,
    /// Answers, perhaps while terminating. Unset: as `ready`.
    pub serving: Option<bool>,
    /// On its way out. Unset: no.
    pub terminating: Option<bool>,
}

/// `EndpointSlice.ports[]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EndpointPort {
    /// Equals the name of the Service's port; empty or unset for an unnamed port.
    pub name: Option<String>,
    /// Number; unset: all ports (not usable here).
    pub port: Option<u16>,
    /// `TCP` by default.
    pub protocol: Option<String>,
    /// As on the Service.
    pub app_protocol: Option<String>,
}
