//! From what should be there and what is there to what has to be written. No I/O.

use super::made::There;
use api::Resource as _;
use api::core::{Service, ServiceType};
use api::discovery::{EndpointSlice, SERVICE_NAME_LABEL};
use kube::api::DynamicObject;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use translate::{GIVEN, GatewayService, Key, MappedPort, Services, mapped_ports};

/// What has to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In any order.
    pub steps: Vec<Step>,
    /// Nobody knows where our own Pods are.
    pub without_endpoints: bool,
}

/// One write.
#[derive(Debug)]
pub(super) struct Step {
    /// `Service` or `EndpointSlice`
    pub kind: &'static str,
    /// Which one.
    pub key: Key,
    /// What becomes of it.
    pub what: What,
}

/// What becomes of an object.
#[derive(Debug)]
pub(super) enum What {
    /// It is not there yet.
    Create(DynamicObject),
    /// As it was seen, with its version, and ours in it.
    Replace(DynamicObject),
    /// As it was seen and not otherwise.
    Delete {
        uid: Option<String>,
        resource_version: Option<String>,
    },
}

/// Compares. `owner` is the value of our label.
pub(super) fn plan(owner: &str, services: &Services, there: &There) -> Plan {
    let mut plan = Plan::default();
    let mut names: BTreeMap<Key, &str> = BTreeMap::new();
    for wanted in &services.wanted {
        let key = Key::new(&*wanted.origin.namespace, &*wanted.origin.name);
        let gateway = Key::new(&*wanted.gateway.namespace, &*wanted.gateway.name);
        names.insert(gateway.clone(), &wanted.origin.name);
        let Some(uid) = there.gateways.get(&gateway) else {
            continue;
        };
        match (there.services.get(&key), &wanted.before) {
            (None, None) => plan.put(Service::KIND, &key, None, service(wanted, uid, &json!({}))),
            (Some(is), Some(before)) if !is_going(is) && ports(is) == *before => {
                plan.put(Service::KIND, &key, Some(is), service(wanted, uid, is));
                plan.slices(owner, &key, wanted, is, there);
            }
            // One side has not heard of what the other has: it will.
            _ => {}
        }
    }
    for (key, is) in &there.services {
        let Some(gateway) = gateway_of(is).map(|name| Key::new(key.namespace.clone(), name)) else {
            continue;
        };
        let renamed = names.get(&gateway).is_some_and(|name| **name != *key.name);
        if (renamed || services.elsewhere.contains(&gateway)) && !is_going(is) {
            plan.delete(Service::KIND, key, is);
        }
    }
    plan
}

impl Plan {
    fn put(&mut self, kind: &'static str, key: &Key, is: Option<&Value>, becomes: Value) {
        if is == Some(&becomes) {
            return;
        }
        // It is an object with metadata: that is what it was made from.
        let Ok(object) = serde_json::from_value(becomes) else {
            return;
        };
        self.steps.push(Step {
            kind,
            key: key.clone(),
            what: match is {
                Some(_) => What::Replace(object),
                None => What::Create(object),
            },
        });
    }

    fn delete(&mut self, kind: &'static str, key: &Key, is: &Value) {
        let word = |field: &str| is["metadata"][field].as_str().map(str::to_owned);
        self.steps.push(Step {
            kind,
            key: key.clone(),
            what: What::Delete {
                uid: word("uid"),
                resource_version: word("resourceVersion"),
            },
        });
    }

    /// The EndpointSlices of a Service that is there: one for each family of addresses.
    fn slices(&mut self, owner: &str, service: &Key, wanted: &GatewayService, is: &Value, there: &There) {
        // A Service always has one, be it empty. To know of none is to know nothing.
        if wanted.endpoints.is_empty() && there.pods.is_empty() {
            self.without_endpoints = true;
            return;
        }
        let mut names = BTreeSet::new();
        for family in ["IPv4", "IPv6"] {
            let endpoints = if wanted.endpoints.is_empty() {
                of_pods(there, family)
            } else {
                of_addresses(&wanted.endpoints, family)
            };
            if endpoints.is_empty() {
                continue;
            }
            let name = format!("{}-{}", service.name, family.to_lowercase());
            let key = Key::new(service.namespace.clone(), name.as_str());
            names.insert(name);
            let known = there.slices.get(&key).filter(|known| !is_going(known));
            let becomes = slice(owner, &key, service, is, family, endpoints, known);
            self.put(EndpointSlice::KIND, &key, known, becomes);
        }
        for (key, known) in &there.slices {
            let of = known["metadata"]["labels"][SERVICE_NAME_LABEL].as_str();
            let same = of == Some(&*service.name) && key.namespace == service.namespace;
            if same && !names.contains(&*key.name) && !is_going(known) {
                self.delete(EndpointSlice::KIND, key, known);
            }
        }
    }
}

/// A Service as it should be. What others have written in it stays.
fn service(wanted: &GatewayService, gateway_uid: &str, is: &Value) -> Value {
    let given = Given::of(is);
    let mut becomes = is.clone();
    if !is.is_object() || is.as_object().is_some_and(Map::is_empty) {
        becomes = json!({"apiVersion": "v1", "kind": "Service", "metadata": {
            "namespace": &*wanted.origin.namespace, "name": &*wanted.origin.name,
        }, "spec": {}});
        if matches!(wanted.kind, ServiceType::LoadBalancer | ServiceType::NodePort) {
            // The client's address stays what it is. Whoever wants it otherwise changes it: it is not set again.
            becomes["spec"]["externalTrafficPolicy"] = "Local".into();
        }
        // It can't be changed later.
        if let Some(ip) = wanted.cluster_ip {
            becomes["spec"]["clusterIP"] = ip.to_string().into();
        }
    }
    let metadata = &mut becomes["metadata"];
    put_texts(&mut metadata["labels"], &given.labels, &wanted.labels);
    let mut annotations = wanted.annotations.clone();
    annotations.insert(GIVEN.to_owned(), Given::from(wanted).text());
    put_texts(&mut metadata["annotations"], &given.annotations, &annotations);
    let own = json!({"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "name": &*wanted.gateway.name, "uid": gateway_uid, "controller": true});
    put_owner(&mut metadata["ownerReferences"], &own);
    let spec = &mut becomes["spec"];
    spec["type"] = wanted.kind.as_str().into();
    spec["ports"] = wanted
        .ports
        .iter()
        .map(|mapped| port(*mapped, &is["spec"]["ports"]))
        .collect();
    if let Some(spec) = spec.as_object_mut() {
        // With one, Kubernetes would choose the endpoints.
        spec.remove("selector");
        if wanted.kind == ServiceType::ClusterIP {
            spec.remove("externalTrafficPolicy");
        }
        match wanted.address {
            Some(ip) => drop(spec.insert("loadBalancerIP".into(), ip.to_string().into())),
            None if given.address => drop(spec.remove("loadBalancerIP")),
            None => {}
        }
    }
    becomes
}

/// A port, with what the API server has added to it.
fn port(mapped: MappedPort, before: &Value) -> Value {
    let before = before.as_array().into_iter().flatten();
    let protocol = mapped.protocol.as_str();
    let same = |port: &&Value| port["port"] == mapped.port && port["protocol"] == protocol;
    let mut port = before
        .into_iter()
        .find(same)
        .cloned()
        .unwrap_or_else(|| json!({}));
    port["name"] = format!("{}-{}", protocol.to_lowercase(), mapped.port).into();
    port["port"] = mapped.port.into();
    port["protocol"] = protocol.into();
    port["targetPort"] = mapped.target.into();
    port
}

/// Keys that we gave to a Service and may take back, as it says itself.
#[derive(Default)]
struct Given {
    labels: BTreeSet<String>,
    annotations: BTreeSet<String>,
    address: bool,
}

impl Given {
    fn of(service: &Value) -> Self {
        let text = service["metadata"]["annotations"][GIVEN].as_str();
        let said: Value = text
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let keys = |field: &str| {
            let keys = said[field].as_array().into_iter().flatten();
            keys.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            labels: keys("labels"),
            annotations: keys("annotations"),
            address: said["address"] == true,
        }
    }

    fn from(wanted: &GatewayService) -> Self {
        Self {
            labels: wanted.labels.keys().cloned().collect(),
            annotations: wanted.annotations.keys().cloned().collect(),
            address: wanted.address.is_some(),
        }
    }

    fn text(&self) -> String {
        json!({"labels": self.labels, "annotations": self.annotations, "address": self.address}).to_string()
    }
}

fn put_texts(texts: &mut Value, given_before: &BTreeSet<String>, wanted: &BTreeMap<String, String>) {
    if !texts.is_object() {
        *texts = json!({});
    }
    if let Some(texts) = texts.as_object_mut() {
        texts.retain(|key, _| !given_before.contains(key) || wanted.contains_key(key));
        for (key, value) in wanted {
            texts.insert(key.clone(), value.as_str().into());
        }
    }
}

/// Puts our owner in the place of an earlier one of its kind: a Gateway that was made anew has another uid.
fn put_owner(owners: &mut Value, own: &Value) {
    let before = owners.as_array().into_iter().flatten();
    if before.clone().any(|owner| owner == own) {
        return;
    }
    let others = before.filter(|owner| owner["kind"] != own["kind"] && owner["controller"] != true);
    *owners = others.cloned().chain([own.clone()]).collect();
}

fn slice(
    owner: &str,
    key: &Key,
    service: &Key,
    is: &Value,
    family: &str,
    endpoints: Vec<Value>,
    known: Option<&Value>,
) -> Value {
    let mut becomes = known.cloned().unwrap_or_else(|| {
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"namespace": &*key.namespace, "name": &*key.name}})
    });
    let labels = [(SERVICE_NAME_LABEL, &*service.name), (SLICE_OWNER_LABEL, owner)];
    let labels = labels.map(|(label, value)| (label.to_owned(), value.to_owned()));
    put_texts(
        &mut becomes["metadata"]["labels"],
        &BTreeSet::new(),
        &labels.into(),
    );
    let own = json!({"apiVersion": "v1", "kind": "Service", "name": &*service.name,
        "uid": is["metadata"]["uid"], "controller": true});
    put_owner(&mut becomes["metadata"]["ownerReferences"], &own);
    let ports =
        is["spec"]["ports"].as_array().into_iter().flatten().map(
            |port| json!({"name": port["name"], "port": port["targetPort"], "protocol": port["protocol"]}),
        );
    becomes["ports"] = ports.collect();
    becomes["endpoints"] = endpoints.into();
    becomes
}

/// Our own Pods. What the API server says about each of them stays, without the Pod: it is in another namespace.
fn of_pods(there: &There, family: &str) -> Vec<Value> {
    let slices = there.pods.values().filter(|slice| slice["addressType"] == family);
    let endpoints = slices.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten());
    let mut endpoints: Vec<Value> = endpoints
        .filter_map(|endpoint| {
            let fields = ["addresses", "conditions", "nodeName", "zone"];
            let known = fields.map(|field| Some((field.to_owned(), endpoint.get(field)?.clone())));
            let kept: Map<String, Value> = known.into_iter().flatten().collect();
            kept.contains_key("addresses").then_some(Value::Object(kept))
        })
        .collect();
    endpoints.sort_by_cached_key(|endpoint| endpoint["addresses"].to_string());
    endpoints.dedup_by(|a, b| a["addresses"] == b["addresses"]);
    endpoints.truncate(MOST_ENDPOINTS);
    endpoints
}

fn of_addresses(addresses: &[IpAddr], family: &str) -> Vec<Value> {
    let fitting = addresses.iter().filter(|ip| ip.is_ipv4() == (family == "IPv4"));
    let ready = json!({"ready": true, "serving": true, "terminating": false});
    let endpoints = fitting.map(|ip| json!({"addresses": [ip.to_string()], "conditions": ready}));
    endpoints.collect()
}

fn ports(service: &Value) -> Vec<MappedPort> {
    let service = serde_json::from_value::<Service>(service.clone());
    service.map(|service| mapped_ports(&service)).unwrap_or_default()
}

/// The name of the Gateway that owns a Service.
fn gateway_of(service: &Value) -> Option<&str> {
    let owners = service["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["kind"] == "Gateway")?["name"].as_str()
}

fn is_going(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The label that tells who looks after an EndpointSlice.
pub(super) const SLICE_OWNER_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// The API server takes no more in one slice.
const MOST_ENDPOINTS: usize = 1000;

#[cfg(test)]
mod tests;
