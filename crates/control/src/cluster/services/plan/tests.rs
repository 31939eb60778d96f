//! What is written, given what is there.

use super::*;
use crate::cluster::services::made::Made;
use std::collections::HashSet;
use translate::Protocol;

const OWNER: &str = "narthex.dev_gateway-controller";

fn wanted(ports: &[(u16, u16)], before: Option<&[(u16, u16)]>) -> GatewayService {
    let mapped = |ports: &[(u16, u16)]| {
        let ports = ports.iter().map(|&(port, target)| MappedPort {
            protocol: Protocol::Tcp,
            port,
            target,
        });
        ports.collect::<Vec<_>>()
    };
    GatewayService {
        origin: key("front-narthex").origin("Service"),
        gateway: key("front").origin("Gateway"),
        kind: ServiceType::LoadBalancer,
        labels: BTreeMap::from([(translate::OWNER_LABEL.to_owned(), OWNER.to_owned())]),
        annotations: BTreeMap::new(),
        ports: mapped(ports),
        address: None,
        cluster_ip: None,
        endpoints: Vec::new(),
        before: before.map(mapped),
    }
}

fn key(name: &str) -> Key {
    Key::new("shop", name)
}

/// A cluster with a Gateway and a Pod of ours.
fn cluster() -> Made {
    let made = Made::new("narthex.dev/gateway-controller", Key::new("system", "narthex"));
    made.see(
        "Gateway",
        &key("front"),
        &json!({"metadata": {"name": "front", "uid": "g1"}}),
    );
    let pods = json!({
        "metadata": {"name": "narthex-x", "namespace": "system", "labels": {SERVICE_NAME_LABEL: "narthex"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 80}],
        "endpoints": [{"addresses": ["10.1.0.2"], "conditions": {"ready": true}, "nodeName": "n1",
            "targetRef": {"kind": "Pod", "name": "narthex-1"}}],
    });
    made.see("EndpointSlice", &Key::new("system", "narthex-x"), &pods);
    made
}

fn plan_for(made: &Made, wanted: GatewayService) -> Plan {
    made.plan(&Services {
        wanted: vec![wanted],
        elsewhere: BTreeSet::new(),
    })
}

/// Writes everything into the cluster, as the API server would.
fn act(made: &Made, plan: Plan) -> Vec<String> {
    let acts = plan.steps.into_iter().map(|step| {
        let (verb, object) = match step.what {
            What::Create(object) => ("create", Some(object)),
            What::Replace(object) => ("replace", Some(object)),
            What::Delete { .. } => ("delete", None),
        };
        match object {
            Some(object) => {
                let mut object = serde_json::to_value(object).unwrap();
                if object["metadata"]["uid"].is_null() {
                    object["metadata"]["uid"] = format!("uid-{}", step.key.name).into();
                }
                made.see(step.kind, &step.key, &object);
            }
            None => made.forget(step.kind, &step.key),
        }
        format!("{verb} {} {}", step.kind, step.key.name)
    });
    acts.collect()
}

fn there(made: &Made, kind: &str, name: &str) -> Value {
    made.object(kind, &key(name))
}

#[test]
fn a_service_is_made_then_led_to_our_pods_and_then_left_alone() {
    let made = cluster();
    let ports = [(80, 20001), (443, 20002)];
    assert_eq!(
        act(&made, plan_for(&made, wanted(&ports, None))),
        ["create Service front-narthex"]
    );
    let service = there(&made, "Service", "front-narthex");
    assert_eq!(service["spec"]["externalTrafficPolicy"], "Local");
    assert_eq!(service["spec"]["ports"][1]["targetPort"], 20002);
    assert!(service["spec"].get("selector").is_none());
    let owner = json!([{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "name": "front",
        "uid": "g1", "controller": true}]);
    assert_eq!(service["metadata"]["ownerReferences"], owner);
    let seen = wanted(&ports, Some(&ports));
    assert_eq!(
        act(&made, plan_for(&made, seen.clone())),
        ["create EndpointSlice front-narthex-ipv4"]
    );
    let slice = there(&made, "EndpointSlice", "front-narthex-ipv4");
    assert_eq!(
        slice["endpoints"],
        json!([{"addresses": ["10.1.0.2"], "conditions": {"ready": true}, "nodeName": "n1"}])
    );
    assert_eq!(
        slice["ports"][0],
        json!({"name": "tcp-80", "port": 20001, "protocol": "TCP"})
    );
    assert!(plan_for(&made, seen).steps.is_empty());
}

#[test]
fn an_address_inside_the_cluster_is_asked_for_once_and_without_a_load_balancer_nothing_is_said_about_one() {
    let made = cluster();
    let ports = [(80, 20001)];
    let inner = |before: Option<&[(u16, u16)]>, ip: &str| GatewayService {
        kind: ServiceType::ClusterIP,
        cluster_ip: Some(ip.parse().unwrap()),
        ..wanted(&ports, before)
    };
    act(&made, plan_for(&made, inner(None, "10.96.0.9")));
    let service = there(&made, "Service", "front-narthex");
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.9");
    assert!(service["spec"].get("externalTrafficPolicy").is_none());
    // It can't be changed: it is left as it is.
    act(&made, plan_for(&made, inner(Some(&ports), "10.96.0.10")));
    let service = there(&made, "Service", "front-narthex");
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.9");
    // Another Gateway's Service becomes one for the cluster alone.
    let made = cluster();
    act(&made, plan_for(&made, wanted(&ports, None)));
    act(&made, plan_for(&made, inner(Some(&ports), "10.96.0.9")));
    let service = there(&made, "Service", "front-narthex");
    assert_eq!(service["spec"]["type"], "ClusterIP");
    assert!(service["spec"].get("externalTrafficPolicy").is_none());
}

#[test]
fn what_others_write_in_it_stays_and_what_we_gave_and_nobody_wants_any_more_goes() {
    let made = cluster();
    let ports = [(80, 20001)];
    let mut first = wanted(&ports, None);
    first.labels.insert("team".into(), "shop".into());
    first.annotations.insert("dns".into(), "a.example".into());
    first.address = Some([203, 0, 113, 9].into());
    act(&made, plan_for(&made, first));
    let mut service = there(&made, "Service", "front-narthex");
    assert_eq!(service["metadata"]["labels"]["team"], "shop");
    assert_eq!(service["spec"]["loadBalancerIP"], "203.0.113.9");
    service["metadata"]["labels"]["theirs"] = "x".into();
    service["metadata"]["finalizers"] = json!(["lb.example/cleanup"]);
    service["spec"]["ports"][0]["nodePort"] = 30001.into();
    service["spec"]["selector"] = json!({"app": "elsewhere"});
    made.see("Service", &key("front-narthex"), &service);
    act(
        &made,
        plan_for(&made, wanted(&[(80, 20001), (81, 20005)], Some(&ports))),
    );
    let service = there(&made, "Service", "front-narthex");
    let labels = &service["metadata"]["labels"];
    assert!(labels["team"].is_null() && labels["theirs"] == "x", "{labels}");
    assert!(service["metadata"]["annotations"]["dns"].is_null());
    assert!(service["spec"]["loadBalancerIP"].is_null() && service["spec"]["selector"].is_null());
    assert_eq!(service["metadata"]["finalizers"], json!(["lb.example/cleanup"]));
    assert_eq!(service["spec"]["ports"][0]["nodePort"], 30001);
    assert_eq!(service["spec"]["ports"][1]["targetPort"], 20005);
}

#[test]
fn a_translation_that_saw_another_service_than_there_is_writes_nothing() {
    let made = cluster();
    act(&made, plan_for(&made, wanted(&[(80, 20001)], None)));
    for before in [None, Some(&[(80, 20009)][..])] {
        assert!(plan_for(&made, wanted(&[(80, 20002)], before)).steps.is_empty());
    }
    // Nor does one that saw a Service that is gone.
    made.forget("Service", &key("front-narthex"));
    let ports = [(80, 20001)];
    assert!(plan_for(&made, wanted(&ports, Some(&ports))).steps.is_empty());
}

#[test]
fn pods_that_come_and_go_are_followed_and_to_know_of_none_changes_nothing() {
    let made = cluster();
    let ports = [(80, 20001)];
    act(&made, plan_for(&made, wanted(&ports, None)));
    let seen = wanted(&ports, Some(&ports));
    act(&made, plan_for(&made, seen.clone()));
    let pods = Key::new("system", "narthex-x");
    let mut slice = made.object("pods", &pods);
    slice["endpoints"][0]["conditions"] = json!({"ready": false, "terminating": true});
    slice["endpoints"]
        .as_array_mut()
        .unwrap()
        .push(json!({"addresses": ["10.1.0.1"]}));
    made.see("EndpointSlice", &pods, &slice);
    assert_eq!(
        act(&made, plan_for(&made, seen.clone())),
        ["replace EndpointSlice front-narthex-ipv4"]
    );
    let ours = there(&made, "EndpointSlice", "front-narthex-ipv4");
    assert_eq!(ours["endpoints"][0]["addresses"], json!(["10.1.0.1"]));
    assert_eq!(ours["endpoints"][1]["conditions"]["terminating"], true);
    made.forget("EndpointSlice", &pods);
    let plan = plan_for(&made, seen);
    assert!(plan.steps.is_empty() && plan.without_endpoints);
}

#[test]
fn with_addresses_of_the_gateway_the_service_leads_there() {
    let made = cluster();
    let ports = [(80, 80)];
    let mut service = wanted(&ports, None);
    service.endpoints = vec![[192, 0, 2, 1].into(), "2001:db8::1".parse().unwrap()];
    act(&made, plan_for(&made, service.clone()));
    service.before = Some(service.ports.clone());
    let acts = act(&made, plan_for(&made, service.clone()));
    assert_eq!(acts.len(), 2, "{acts:?}");
    service.endpoints.pop();
    assert_eq!(
        act(&made, plan_for(&made, service)),
        ["delete EndpointSlice front-narthex-ipv6"]
    );
}

#[test]
fn the_service_of_a_gateway_that_is_made_anew_gets_its_new_owner_and_one_that_is_going_gets_nothing() {
    let made = cluster();
    let ports = [(80, 20001)];
    act(&made, plan_for(&made, wanted(&ports, None)));
    let seen = wanted(&ports, Some(&ports));
    act(&made, plan_for(&made, seen.clone()));
    made.see(
        "Gateway",
        &key("front"),
        &json!({"metadata": {"name": "front", "uid": "g2"}}),
    );
    assert_eq!(
        act(&made, plan_for(&made, seen.clone())),
        ["replace Service front-narthex"]
    );
    let owners = there(&made, "Service", "front-narthex")["metadata"]["ownerReferences"].clone();
    assert_eq!(owners[0]["uid"], "g2");
    assert_eq!(owners.as_array().unwrap().len(), 1);
    let going =
        json!({"metadata": {"name": "front", "uid": "g2", "deletionTimestamp": "2026-01-01T00:00:00Z"}});
    made.see("Gateway", &key("front"), &going);
    made.forget("Service", &key("front-narthex"));
    assert!(plan_for(&made, wanted(&ports, None)).steps.is_empty());
}

#[test]
fn a_service_goes_if_its_gateway_is_elsewhere_or_has_another_and_stays_while_nothing_is_said_about_it() {
    let made = cluster();
    act(&made, plan_for(&made, wanted(&[(80, 20001)], None)));
    let none = Services::default();
    assert!(made.plan(&none).steps.is_empty());
    let elsewhere = Services {
        elsewhere: BTreeSet::from([key("front")]),
        ..Services::default()
    };
    assert!(matches!(
        made.plan(&elsewhere).steps[..],
        [Step {
            what: What::Delete { .. },
            ..
        }]
    ));
    let mut renamed = wanted(&[(80, 20002)], None);
    renamed.origin = key("front-other").origin("Service");
    let acts = act(&made, plan_for(&made, renamed));
    assert_eq!(
        acts,
        ["create Service front-other", "delete Service front-narthex"]
    );
}

#[test]
fn a_service_without_our_label_is_not_looked_at_and_what_a_list_does_not_tell_is_gone() {
    let made = cluster();
    let foreign = json!({"metadata": {"name": "front-narthex", "uid": "x", "labels": {"app": "mine"}}});
    made.see("Service", &key("front-narthex"), &foreign);
    assert!(there(&made, "Service", "front-narthex").is_null());
    act(&made, plan_for(&made, wanted(&[(80, 20001)], None)));
    made.keep("Service", Some("elsewhere"), &HashSet::new());
    assert!(!there(&made, "Service", "front-narthex").is_null());
    made.keep("Service", None, &HashSet::new());
    assert!(there(&made, "Service", "front-narthex").is_null());
}
