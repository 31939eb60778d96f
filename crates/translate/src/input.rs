//! What goes into a translation: Kubernetes objects by kind and key, and the settings that flags gave.

use crate::own_annotations::PREFIX;
use crate::shelf::Shelf;
use api::backend::{XBackend, XBackendTrafficPolicy};
use api::certificates::ClusterTrustBundle;
use api::core::{ConfigMap, Namespace, Secret, Service, ServiceType};
use api::discovery::EndpointSlice;
use api::extension::CustomResourceDefinition;
use api::gateway::{
    GRPCRoute, Gateway, GatewayClass, HTTPRoute, LabelSelector, ReferenceGrant, TCPRoute, TLSRoute, UDPRoute,
};
use api::listener_set::ListenerSet;
use api::networking::{Ingress, IngressClass};
use api::pod::Pod;
use api::policy::BackendTLSPolicy;
use api::telemetry::XTelemetryPolicy;
use api::{Meta, Resource, Texts};
use ipnet::IpNet;
use ir::Origin;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

/// Namespace and name; the namespace of cluster-scoped objects is empty.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Namespace, or empty.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
}

impl Key {
    /// `namespace/name`.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
        }
    }

    /// Key of the object with this metadata.
    pub fn of(meta: &Meta) -> Self {
        Self {
            namespace: Arc::clone(&meta.namespace),
            name: Arc::clone(&meta.name),
        }
    }

    /// The object of this key as a place that findings point at.
    pub fn origin(&self, kind: &str) -> Origin {
        let known = KINDS.iter().find(|known| ***known == *kind);
        let kind: Arc<str> = known.map_or_else(|| kind.into(), Arc::clone);
        Origin::new(kind, Arc::clone(&self.namespace), Arc::clone(&self.name))
    }
}

/// Kinds that stand in very many origins, each as one text.
static KINDS: LazyLock<[Arc<str>; 5]> =
    LazyLock::new(|| ["HTTPRoute", "Ingress", "Service", "Gateway", "ListenerSet"].map(Into::into));

/// `namespace/name`, or `name` alone.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a name of an ExternalName Service resolved to, found out by whoever may do I/O.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Addresses, in any order.
    pub addresses: Vec<IpAddr>,
    /// Why there are none, or why they may be old.
    pub error: Option<String>,
}

/// Settings that hold for the whole translation.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Port of the Ingress listener for plain HTTP.
    pub http_port: u16,
    /// Port of the Ingress listener for HTTPS.
    pub https_port: u16,
    /// Addresses to listen on; empty: all.
    pub bind: Vec<IpAddr>,
    /// `spec.controllerName` of GatewayClasses that are ours.
    pub gateway_controller: String,
    /// `spec.controller` of IngressClasses that are ours.
    pub ingress_controller: String,
    /// Name of the one class to serve; unset: every class of our controller.
    pub ingress_class: Option<String>,
    /// Serve Ingresses that name no class although no class is the default. Where no IngressClass exists at all
    /// (files on a laptop rarely have one) they are served in any case.
    pub watch_ingress_without_class: bool,
    /// Labels of namespaces whose Gateways, routes and Ingresses are served; unset: of all.
    pub namespace_selector: Option<LabelSelector>,
    /// ConfigMap of TCP ports, as ingress-nginx has it.
    pub tcp_services: Option<Key>,
    /// ConfigMap of UDP ports, likewise.
    pub udp_services: Option<Key>,
    /// Versions of TLS that clients may use, where a listener does not say otherwise.
    pub tls_policy: ir::TlsPolicy,
    /// Secret that keys of session tickets are derived from; unset: each replica has its own.
    pub ticket_secret: Option<Key>,
    /// Secret with the certificate for hosts that have none.
    pub default_certificate: Option<Key>,
    /// Certificate to use when `default_certificate` is unset or unusable (self-signed, made at start).
    pub fallback_certificate: Option<ir::Certificate>,
    /// Ports on which each connection must begin with a PROXY protocol header.
    pub proxy_protocol_ports: Vec<u16>,
    /// Whether an ExternalName may resolve to a loopback or link-local address.
    pub allow_local_external_names: bool,
    /// Settings of the downstream side.
    pub http: ir::HttpSettings,
    /// How long a UDP flow lasts after its last datagram.
    pub udp_idle_timeout: Duration,
    /// Settings of upstreams that nothing else sets.
    pub upstream: ir::UpstreamSettings,
    /// Addresses of which each Gateway gets one that asks for none; empty: all listen on `bind`.
    pub address_pool: Vec<IpNet>,
    /// Addresses at which we can be reached, for the status of Gateways and Ingresses.
    pub status_addresses: Vec<IpAddr>,
    /// Service whose addresses those are instead.
    pub publish_service: Option<Key>,
    /// Each Gateway has a Service of its own; unset: none has.
    pub gateway_services: Option<GatewayServices>,
}

/// What the Services of Gateways are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayServices {
    /// Their type.
    pub kind: ServiceType,
    /// Ports of ours that they lead to, one for each port of each Gateway.
    pub ports: RangeInclusive<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            http_port: 80,
            https_port: 443,
            bind: Vec::new(),
            gateway_controller: "narthex.dev/gateway-controller".into(),
            ingress_controller: "narthex.dev/ingress-controller".into(),
            ingress_class: None,
            watch_ingress_without_class: false,
            namespace_selector: None,
            tcp_services: None,
            udp_services: None,
            tls_policy: ir::TlsPolicy::default(),
            ticket_secret: None,
            default_certificate: None,
            fallback_certificate: None,
            proxy_protocol_ports: Vec::new(),
            allow_local_external_names: false,
            http: ir::HttpSettings::default(),
            // DNS takes a moment; QUIC and WireGuard say something at least every 30 s. Envoy 60 s, nginx 10 min.
            udp_idle_timeout: Duration::from_secs(60),
            upstream: ir::UpstreamSettings::default(),
            address_pool: Vec::new(),
            status_addresses: Vec::new(),
            publish_service: None,
            gateway_services: None,
        }
    }
}

/// Writes an object with its version and kind.
fn write_line<T: Resource + Serialize>(object: &T, out: &mut impl std::io::Write) -> std::io::Result<()> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Whole<'a, T> {
        api_version: String,
        kind: &'static str,
        #[serde(flatten)]
        object: &'a T,
    }
    let version = T::VERSIONS.first().copied().unwrap_or("v1");
    let api_version = match T::GROUP {
        "" => version.to_owned(),
        group => format!("{group}/{version}"),
    };
    let kind = T::KIND;
    serde_json::to_writer(
        &mut *out,
        &Whole {
            api_version,
            kind,
            object,
        },
    )?;
    out.write_all(b"\n")
}

/// Declares [`Objects`] and [`Object`] with one row per kind.
macro_rules! kinds {
    ($($field:ident: $kind:ident,)*) => {
        /// Everything a source holds, by kind. An object that did not change keeps its `Arc`.
        #[derive(Debug, Clone, Default)]
        pub struct Objects {
            $(#[doc = concat!("`", stringify!($kind), "` objects.")] pub $field: Shelf<$kind>,)*
            /// Answers for the names in [`crate::Translation::external_names`].
            pub resolved: BTreeMap<String, Resolved>,
            /// Kinds that the API server does not have, as far as anybody asks about them.
            pub absent: BTreeSet<&'static str>,
        }

        impl Objects {
            /// Puts an object in, unless there is an equal one, which then keeps its `Arc`. Whether that changed anything.
            pub fn insert(&mut self, object: Object) -> bool {
                match object { $(Object::$kind(object) => self.$field.insert(object),)* }
            }

            /// A copy of an object.
            pub fn get(&self, kind: &str, key: &Key) -> Option<Object> {
                $(if kind == $kind::KIND {
                    return self.$field.get(key).map(|object| Object::$kind((**object).clone()));
                })*
                None
            }

            /// Writes every object as a line of JSON that [`Object::from_value`] reads again.
            ///
            /// # Errors
            /// Those of the writer.
            pub fn write_lines(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
                $(for object in self.$field.values() {
                    write_line::<$kind>(object, out)?;
                })*
                Ok(())
            }

            /// Removes an object; `false` if there is none, or the kind is not one of ours.
            pub fn remove(&mut self, kind: &str, key: &Key) -> bool {
                $(if kind == $kind::KIND { return self.$field.remove(key); })*
                false
            }
        }

        /// An object of one of the kinds that are read.
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[allow(clippy::large_enum_variant)] // short-lived: it goes straight into `Objects`
        pub enum Object {
            $(#[doc = concat!("A ", stringify!($kind), ".")] $kind($kind),)*
        }

        impl Object {
            /// Decodes an object of a kind that is read; `None` for any other kind or version.
            ///
            /// A namespaced object without a namespace gets `default`, as `kubectl apply` would do.
            pub fn decode<'de, D: Deserializer<'de>>(
                api_version: &str,
                kind: &str,
                deserializer: D,
            ) -> Result<Option<Self>, D::Error> {
                let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
                $(if kind == $kind::KIND && group == $kind::GROUP && $kind::VERSIONS.contains(&version) {
                    return complete::<$kind, D>(deserializer).map(|object| Some(Self::$kind(object)));
                })*
                Ok(None)
            }

            /// The object's metadata.
            pub fn meta(&self) -> &Meta {
                match self { $(Self::$kind(object) => object.meta(),)* }
            }

            /// The object's metadata, for sources that complete it.
            pub fn meta_mut(&mut self) -> &mut Meta {
                match self { $(Self::$kind(object) => object.meta_mut(),)* }
            }

            /// `HTTPRoute`
            pub fn kind(&self) -> &'static str {
                match self { $(Self::$kind(_) => $kind::KIND,)* }
            }
        }
    };
}

kinds! {
    services: Service,
    endpoint_slices: EndpointSlice,
    secrets: Secret,
    config_maps: ConfigMap,
    namespaces: Namespace,
    ingresses: Ingress,
    ingress_classes: IngressClass,
    gateway_classes: GatewayClass,
    gateways: Gateway,
    listener_sets: ListenerSet,
    http_routes: HTTPRoute,
    grpc_routes: GRPCRoute,
    tcp_routes: TCPRoute,
    udp_routes: UDPRoute,
    tls_routes: TLSRoute,
    reference_grants: ReferenceGrant,
    backend_tls_policies: BackendTLSPolicy,
    x_backends: XBackend,
    x_backend_traffic_policies: XBackendTrafficPolicy,
    x_telemetry_policies: XTelemetryPolicy,
    pods: Pod,
    cluster_trust_bundles: ClusterTrustBundle,
    definitions: CustomResourceDefinition,
}

impl Object {
    /// Decodes an object from its whole JSON or YAML value, which names its own version and kind.
    pub fn from_value(value: &serde_json::Value) -> Result<Option<Self>, serde_json::Error> {
        let word = |field: &str| {
            value
                .get(field)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
        };
        Self::decode(word("apiVersion"), word("kind"), value)
    }

    /// Namespace and name.
    pub fn key(&self) -> Key {
        Key::of(self.meta())
    }

    /// The object as a place that findings point at.
    pub fn origin(&self) -> Origin {
        self.key().origin(self.kind())
    }
}

fn complete<'de, T: Resource + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut object = T::deserialize(deserializer)?;
    if object.meta().name.is_empty() {
        return Err(serde::de::Error::custom("metadata.name is missing"));
    }
    if !T::NAMESPACED {
        object.meta_mut().namespace = "".into();
    } else if object.meta().namespace.is_empty() {
        object.meta_mut().namespace = "default".into();
    }
    let meta = object.meta_mut();
    // The whole object once more, which nobody reads.
    meta.annotations
        .retain(|name| name != "kubectl.kubernetes.io/last-applied-configuration");
    if T::KIND == HTTPRoute::KIND {
        // There may be many thousands, and nothing depends on what is written on them but our own annotations.
        meta.labels = Texts::default();
        meta.annotations.retain(|name| name.starts_with(PREFIX));
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::{Key, Object, Objects};
    use serde_json::json;

    #[test]
    fn a_namespaced_object_without_namespace_is_in_default() {
        let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}});
        let object = Object::from_value(&value).unwrap().unwrap();
        assert_eq!(object.key(), Key::new("default", "web"));
    }

    #[test]
    fn both_versions_of_a_route_are_read_and_other_kinds_are_not() {
        let route = |version: &str| {
            let value = json!({"apiVersion": version, "kind": "HTTPRoute", "metadata": {"name": "r"}});
            Object::from_value(&value).unwrap()
        };
        assert!(route("gateway.networking.k8s.io/v1").is_some());
        assert!(route("gateway.networking.k8s.io/v1beta1").is_some());
        assert!(route("gateway.networking.k8s.io/v2").is_none());
        assert!(route("example.com/v1").is_none());
    }

    #[test]
    fn an_object_without_a_name_is_an_error() {
        let value = json!({"apiVersion": "v1", "kind": "Service", "metadata": {}});
        assert!(Object::from_value(&value).is_err());
    }

    #[test]
    fn what_was_inserted_can_be_removed() {
        let value =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}});
        let object = Object::from_value(&value).unwrap().unwrap();
        let key = object.key();
        let mut objects = Objects::default();
        objects.insert(object);
        assert!(objects.remove("Secret", &key));
        assert!(!objects.remove("Secret", &key));
    }
}
