//! Where this installation can be reached from outside, for the statuses of Ingresses and Gateways.

use crate::input::Key;
use crate::scope::Scope;
use api::core::{Service, ServiceType};
use api::status::LoadBalancerIngress;

/// The addresses that a flag gives, else those of the Service that a flag names.
pub(crate) fn reached(scope: &mut Scope<'_>) -> Vec<LoadBalancerIngress> {
    let settings = scope.settings();
    if !settings.status_addresses.is_empty() {
        return settings.status_addresses.iter().map(by_number).collect();
    }
    let service = settings.publish_service.as_ref();
    let service = service.and_then(|key: &Key| scope.service(key));
    service.map(|service| of(service)).unwrap_or_default()
}

/// Addresses of a Service, by its type: as `--publish-service` of ingress-nginx has it.
pub(crate) fn of(service: &Service) -> Vec<LoadBalancerIngress> {
    let spec = &service.spec;
    let external = || spec.external_ips.iter().map(by_number);
    let own = || spec.cluster_ip.iter().filter(|ip| *ip != "None").map(by_number);
    match spec.kind {
        ServiceType::ExternalName => spec.external_name.iter().map(|name| by_name(name)).collect(),
        ServiceType::LoadBalancer => {
            let given = service.status.load_balancer.ingress.iter();
            let given = given.map(|address| LoadBalancerIngress {
                ip: address.ip.clone(),
                hostname: address.hostname.clone(),
            });
            given.chain(external()).collect()
        }
        ServiceType::NodePort if !spec.external_ips.is_empty() => external().collect(),
        _ => own().collect(),
    }
}

fn by_number(ip: &impl ToString) -> LoadBalancerIngress {
    LoadBalancerIngress {
        ip: Some(ip.to_string()),
        hostname: None,
    }
}

fn by_name(name: &str) -> LoadBalancerIngress {
    LoadBalancerIngress {
        ip: None,
        hostname: Some(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_type_of_service_is_reached_where_ingress_nginx_says() {
        let shown = |spec: serde_json::Value| {
            let service = json!({"metadata": {"name": "s"}, "spec": spec, "status": {"loadBalancer": {"ingress": [
                {"ip": "203.0.113.1", "ports": []}, {"hostname": "lb.example"}]}}});
            let service: Service = serde_json::from_value(service).unwrap();
            let texts = of(&service).into_iter();
            let texts: Vec<_> = texts
                .filter_map(|address| address.ip.or(address.hostname))
                .collect();
            texts.join(" ")
        };
        let outside = json!(["198.51.100.7"]);
        for (spec, expected) in [
            (
                json!({"type": "LoadBalancer", "clusterIP": "10.0.0.1"}),
                "203.0.113.1 lb.example",
            ),
            (
                json!({"type": "LoadBalancer", "externalIPs": outside}),
                "203.0.113.1 lb.example 198.51.100.7",
            ),
            (json!({"type": "NodePort", "clusterIP": "10.0.0.1"}), "10.0.0.1"),
            (
                json!({"type": "NodePort", "clusterIP": "10.0.0.1", "externalIPs": outside}),
                "198.51.100.7",
            ),
            (json!({"type": "ClusterIP", "clusterIP": "10.0.0.1"}), "10.0.0.1"),
            (json!({"type": "ClusterIP", "clusterIP": "None"}), ""),
            (
                json!({"type": "ExternalName", "externalName": "edge.example"}),
                "edge.example",
            ),
        ] {
            assert_eq!(shown(spec.clone()), expected, "{spec}");
        }
    }
}
