//! EndpointSlices that stand for the endpoints of flags (`--endpoint`) and of the built-in echo (`--echo`). They join
//! the slices of the files before translation, which cannot tell them apart.

mod echo;

use crate::{EchoAddresses, StaticEndpoint};
use api::Meta;
use api::backend::XBackend;
use api::core::{Service, ServicePort};
use api::discovery::{
    AddressType, Conditions, Endpoint, EndpointPort, EndpointSlice, SERVICE_NAME_LABEL, XBACKEND_NAME_LABEL,
};
use ir::{Code, Diagnostic, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use translate::{Key, Objects, Shelf};

/// Slices by key, as translation takes them.
pub(crate) type Slices = BTreeMap<Key, Arc<EndpointSlice>>;

/// Endpoints that come from elsewhere than EndpointSlices.
pub(crate) struct Overlay<'a> {
    endpoints: Vec<StaticEndpoint>,
    echo: Option<&'a dyn EchoAddresses>,
}

/// What the overlay makes of the slices of the files.
#[derive(Debug, Default)]
pub(crate) struct Overlaid {
    /// All slices.
    pub slices: Shelf<EndpointSlice>,
    /// Flags that name nothing.
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Overlay<'a> {
    /// Endpoints of flags, and the echo if it is asked for.
    pub(crate) fn new(endpoints: Vec<StaticEndpoint>, echo: Option<&'a dyn EchoAddresses>) -> Self {
        Self { endpoints, echo }
    }

    /// Whether there is nothing to add.
    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.echo.is_none()
    }

    /// Brings the slices with what is added up to date. What equals the last ones keeps its `Arc`.
    pub(crate) fn apply(&self, objects: &Objects, overlaid: &mut Overlaid) {
        overlaid.diagnostics.clear();
        let mut slices: Slices = (*objects.endpoint_slices).clone();
        for (owner, ports) in self.endpoints_by_owner(objects, &mut overlaid.diagnostics) {
            hide(&mut slices, &owner, &ports.keys().copied().collect::<Vec<_>>());
            for (port, addresses) in ports {
                add(&mut slices, &owner, port, &addresses);
            }
        }
        if let Some(echo) = self.echo {
            echo::services(echo, objects, &mut slices, &mut overlaid.diagnostics);
            echo::x_backends(echo, objects, &mut slices, &mut overlaid.diagnostics);
        }
        for (key, slice) in &mut slices {
            if let Some(old) = overlaid.slices.get(key)
                && old == slice
            {
                *slice = Arc::clone(old);
            }
        }
        overlaid.slices.become_like(&slices);
    }

    fn endpoints_by_owner<'o>(
        &self,
        objects: &'o Objects,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> BTreeMap<Owner, BTreeMap<PortName<'o>, Vec<SocketAddr>>> {
        let mut owners: BTreeMap<Owner, BTreeMap<PortName<'o>, Vec<SocketAddr>>> = BTreeMap::new();
        let mut put = |owner: Owner, port: PortName<'o>, endpoint: &StaticEndpoint| {
            let ports = owners.entry(owner).or_default();
            ports.entry(port).or_default().extend(&endpoint.addresses);
        };
        for endpoint in &self.endpoints {
            let key = Key::new(endpoint.namespace.as_str(), endpoint.service.as_str());
            let selected = objects
                .x_backends
                .get(&key)
                .and_then(|backend| selecting(backend));
            let Some(service) = objects.services.get(&key) else {
                if let Some(number) = selected
                    && endpoint.port == number.to_string()
                {
                    put((key, XBACKEND_NAME_LABEL), PortName(""), endpoint);
                    continue;
                }
                let message = format!("--endpoint names Service {key}, which does not exist");
                diagnostics.push(
                    finding(Code::BackendNotFound, endpoint, message)
                        .hint("Write --endpoint namespace/service:port=ADDRESS with a Service that exists"),
                );
                continue;
            };
            let Some(port) = port(service, &endpoint.port) else {
                let message = format!(
                    "--endpoint names port {} of Service {key}, which has no such port",
                    endpoint.port
                );
                diagnostics
                    .push(finding(Code::BackendPortNotFound, endpoint, message).hint(ports_hint(service)));
                continue;
            };
            put((key, SERVICE_NAME_LABEL), PortName::of(port), endpoint);
        }
        owners
    }
}

/// What slices belong to: the object, and the label that names it.
type Owner = (Key, &'static str);

/// The port of an XBackend that selects Pods.
fn selecting(backend: &XBackend) -> Option<u16> {
    backend.spec.endpoint_selector.as_ref()?;
    backend.spec.port.number
}

/// A Service's port as slices name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct PortName<'a>(&'a str);

impl<'a> PortName<'a> {
    fn of(port: &'a ServicePort) -> Self {
        Self(port.name.as_deref().unwrap_or(""))
    }

    fn names(self, port: &EndpointPort) -> bool {
        port.name.as_deref().unwrap_or("") == self.0
    }
}

fn port<'s>(service: &'s Service, wanted: &str) -> Option<&'s ServicePort> {
    let number = wanted.parse::<u16>().ok();
    service
        .spec
        .ports
        .iter()
        .find(|port| number == Some(port.port) || (number.is_none() && port.name.as_deref() == Some(wanted)))
}

/// Takes ports of a Service out of the slices of the files.
fn hide(slices: &mut Slices, (service, label): &Owner, names: &[PortName<'_>]) {
    let of_service: Vec<Key> = slices
        .iter()
        .filter(|(key, slice)| {
            key.namespace == service.namespace && named(slice, label) == Some(&*service.name)
        })
        .map(|(key, _)| key.clone())
        .collect();
    for key in of_service {
        let Some(slice) = slices.get(&key) else { continue };
        let hidden = |port: &EndpointPort| names.iter().any(|name| name.names(port));
        if !slice.ports.iter().any(hidden) {
            continue;
        }
        let mut rest = EndpointSlice::clone(slice);
        rest.ports.retain(|port| !hidden(port));
        if rest.ports.is_empty() {
            slices.remove(&key);
        } else {
            slices.insert(key, Arc::new(rest));
        }
    }
}

/// Adds slices for one port of a Service: one per number and family, as a slice has one number per port.
fn add(slices: &mut Slices, (service, label): &Owner, name: PortName<'_>, addresses: &[SocketAddr]) {
    let mut groups: BTreeMap<(bool, u16), BTreeSet<String>> = BTreeMap::new();
    for address in addresses {
        let group = (address.is_ipv6(), address.port());
        groups.entry(group).or_default().insert(address.ip().to_string());
    }
    for ((ipv6, number), addresses) in groups {
        let family = if ipv6 { "6" } else { "4" };
        // Uppercase letters are not allowed in names of objects: this can't be one of the user's.
        let of = if *label == SERVICE_NAME_LABEL {
            ""
        } else {
            "XBACKEND-"
        };
        let slice_name = format!("{}-{}-{number}-IPv{family}-{of}NARTHEX", service.name, name.0);
        let key = Key::new(Arc::clone(&service.namespace), slice_name);
        let metadata = Meta {
            name: Arc::clone(&key.name),
            namespace: Arc::clone(&key.namespace),
            labels: BTreeMap::from([((*label).to_owned(), service.name.to_string())]).into(),
            ..Meta::default()
        };
        let slice = EndpointSlice {
            metadata,
            address_type: if ipv6 {
                AddressType::IPv6
            } else {
                AddressType::IPv4
            },
            endpoints: addresses.into_iter().map(ready).collect(),
            ports: vec![EndpointPort {
                name: Some(name.0.to_owned()),
                port: Some(number),
                ..EndpointPort::default()
            }],
        };
        slices.insert(key, Arc::new(slice));
    }
}

fn named<'s>(slice: &'s EndpointSlice, label: &str) -> Option<&'s str> {
    slice.metadata.labels.get(label)
}

fn ready(address: String) -> Endpoint {
    Endpoint {
        addresses: vec![address],
        conditions: Conditions::default(),
    }
}

fn finding(code: Code, endpoint: &StaticEndpoint, message: String) -> Diagnostic {
    let name = format!("{}/{}:{}", endpoint.namespace, endpoint.service, endpoint.port);
    Diagnostic::new(
        code,
        Origin::new("Narthex", "", name).section("--endpoint"),
        "",
        message,
    )
}

fn ports_hint(service: &Service) -> String {
    let ports: Vec<String> = service
        .spec
        .ports
        .iter()
        .map(|port| match &port.name {
            Some(name) => format!("{} ({name})", port.port),
            None => port.port.to_string(),
        })
        .collect();
    match ports.as_slice() {
        [] => "Give the Service a port".into(),
        ports => format!("Its ports are {}", ports.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Overlaid, Overlay, Slices};
    use crate::{EchoAddresses, StaticEndpoint};
    use std::net::SocketAddr;
    use std::sync::Arc;
    use translate::{Object, Objects};

    struct Echo;

    impl EchoAddresses for Echo {
        fn address(&self, namespace: &str, service: &str, port: u16) -> std::io::Result<SocketAddr> {
            let sum: u16 = namespace.bytes().chain(service.bytes()).map(u16::from).sum();
            Ok(SocketAddr::from(([127, 0, 0, 1], 10_000 + sum + port)))
        }
    }

    fn objects(documents: &[serde_json::Value]) -> Objects {
        let mut objects = Objects::default();
        for document in documents {
            objects.insert(Object::from_value(document).unwrap().unwrap());
        }
        objects
    }

    fn service(name: &str, ports: &serde_json::Value) -> serde_json::Value {
        serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}})
    }

    fn slice(service: &str, port: &str) -> serde_json::Value {
        serde_json::json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{service}-1"), "labels": {"kubernetes.io/service-name": service}},
            "endpoints": [{"addresses": ["10.0.0.1"]}],
            "ports": [{"name": port, "port": 8080}, {"name": "other", "port": 9090}],
        })
    }

    fn shown(slices: &Slices) -> Vec<String> {
        let mut lines = Vec::new();
        for slice in slices.values() {
            for port in &slice.ports {
                for endpoint in &slice.endpoints {
                    let service = slice.metadata.labels.get("kubernetes.io/service-name").unwrap();
                    let name = port.name.as_deref().unwrap_or("");
                    lines.push(format!(
                        "{service}#{name} {}:{}",
                        endpoint.addresses[0],
                        port.port.unwrap()
                    ));
                }
            }
        }
        lines.sort();
        lines
    }

    fn applied(overlay: &Overlay<'_>, objects: &Objects) -> Overlaid {
        let mut overlaid = Overlaid::default();
        overlay.apply(objects, &mut overlaid);
        overlaid
    }

    fn endpoint(text: &str) -> StaticEndpoint {
        text.parse().unwrap()
    }

    #[test]
    fn an_endpoint_replaces_the_slices_of_its_port_by_name_or_number() {
        let ports = serde_json::json!([{"name": "http", "port": 80}, {"name": "other", "port": 81}]);
        let objects = objects(&[service("web", &ports), slice("web", "http")]);
        for port in ["80", "http"] {
            let text = format!("default/web:{port}=127.0.0.1:1,127.0.0.1:2,[::1]:1");
            let overlay = Overlay::new(vec![endpoint(&text)], None);
            let overlaid = applied(&overlay, &objects);
            assert!(overlaid.diagnostics.is_empty());
            assert_eq!(
                shown(&overlaid.slices),
                [
                    "web#http 127.0.0.1:1",
                    "web#http 127.0.0.1:2",
                    "web#http ::1:1",
                    "web#other 10.0.0.1:9090"
                ]
            );
        }
    }

    #[test]
    fn an_endpoint_that_names_nothing_is_a_finding() {
        let objects = objects(&[service("web", &serde_json::json!([{"port": 80}]))]);
        let endpoints = vec![
            endpoint("shop/web:80=127.0.0.1:1"),
            endpoint("default/web:81=127.0.0.1:1"),
        ];
        let overlaid = applied(&Overlay::new(endpoints, None), &objects);
        let messages: Vec<_> = overlaid
            .diagnostics
            .iter()
            .map(|finding| finding.message.as_str())
            .collect();
        assert_eq!(
            messages,
            [
                "--endpoint names Service shop/web, which does not exist",
                "--endpoint names port 81 of Service default/web, which has no such port",
            ]
        );
        assert_eq!(overlaid.diagnostics[1].hint.as_deref(), Some("Its ports are 80"));
    }

    #[test]
    fn services_without_endpoints_are_echoed_and_others_are_not() {
        let ports = serde_json::json!([{"name": "http", "port": 80}]);
        let mut objects = objects(&[
            service("web", &ports),
            service("api", &ports),
            slice("web", "http"),
        ]);
        let overlay = Overlay::new(Vec::new(), Some(&Echo));
        let mut overlaid = applied(&overlay, &objects);
        assert_eq!(shown(&overlaid.slices).len(), 3);
        assert!(shown(&overlaid.slices)[0].starts_with("api#http 127.0.0.1:1"));
        let first = overlaid.slices.clone();
        overlay.apply(&objects, &mut overlaid);
        let both = first.values().zip(overlaid.slices.values());
        assert!({ both }.all(|(a, b)| Arc::ptr_eq(a, b)));
        objects.insert(Object::from_value(&slice("api", "http")).unwrap().unwrap());
        overlay.apply(&objects, &mut overlaid);
        assert!(
            shown(&overlaid.slices)
                .iter()
                .all(|line| line.contains("10.0.0.1"))
        );
    }
}
