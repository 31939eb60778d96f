//! Fields that Kubernetes objects have although Narthex reads them not, so that a finding "no such field" is never
//! raised about one of them.

use std::cmp::min;

/// Fields by the name of the type that they are missing from.
const UNREAD: &[(&str, &[&str])] = &[
    (
        "TracingConfig",
        &[
            "provider",
            "samplingRate",
            "parentBasedSampling",
            "serviceName",
            "spanName",
            "attributes",
        ],
    ),
    (
        "Meta",
        &[
            "uid",
            "resourceVersion",
            "selfLink",
            "managedFields",
            "ownerReferences",
            "finalizers",
            "generateName",
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "clusterName",
            "initializers",
        ],
    ),
    (
        "ServiceSpec",
        &[
            "selector",
            "ipFamilies",
            "ipFamilyPolicy",
            "ipFamily",
            "sessionAffinity",
            "sessionAffinityConfig",
            "externalTrafficPolicy",
            "internalTrafficPolicy",
            "externalIPs",
            "loadBalancerIP",
            "loadBalancerSourceRanges",
            "loadBalancerClass",
            "allocateLoadBalancerNodePorts",
            "healthCheckNodePort",
            "publishNotReadyAddresses",
            "trafficDistribution",
            "topologyKeys",
        ],
    ),
    ("ServicePort", &["nodePort"]),
    (
        "Endpoint",
        &[
            "hostname",
            "nodeName",
            "targetRef",
            "zone",
            "hints",
            "topology",
            "deprecatedTopology",
        ],
    ),
    (
        "PodMeta",
        &[
            "annotations",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "generation",
            "selfLink",
            "managedFields",
            "ownerReferences",
            "finalizers",
            "generateName",
            "deletionGracePeriodSeconds",
        ],
    ),
    (
        "PodStatus",
        &[
            "containerStatuses",
            "ephemeralContainerStatuses",
            "extendedResourceClaimStatus",
            "hostIP",
            "hostIPs",
            "initContainerStatuses",
            "message",
            "nominatedNodeName",
            "observedGeneration",
            "qosClass",
            "reason",
            "resize",
            "resourceClaimStatuses",
            "startTime",
        ],
    ),
    (
        "PodCondition",
        &[
            "lastProbeTime",
            "lastTransitionTime",
            "message",
            "observedGeneration",
            "reason",
        ],
    ),
    ("ClusterTrustBundleSpec", &["signerName"]),
    ("IngressClassSpec", &["parameters"]),
    ("GatewayClassSpec", &["description"]),
    ("GatewaySpec", &["backendTLS", "defaultScope"]),
    ("Infrastructure", &["labels", "annotations"]),
    ("ListenerTls", &["frontendValidation"]),
    ("HttpRouteSpec", &["useDefaultGateways"]),
    ("StreamRouteSpec", &["useDefaultGateways"]),
    ("TlsRouteSpec", &["useDefaultGateways"]),
    // The objects themselves.
    ("Secret", &["immutable"]),
    ("ConfigMap", &["immutable", "binaryData"]),
    ("Namespace", &["spec"]),
    ("Raw", &["immutable"]),
    ("RawPod", &["spec"]),
];

/// Fields of every object, whatever its kind.
const OF_OBJECTS: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];

const OBJECTS: [&str; 23] = [
    "Service",
    "EndpointSlice",
    "Secret",
    "Raw",
    "ConfigMap",
    "Namespace",
    "Ingress",
    "IngressClass",
    "GatewayClass",
    "Gateway",
    "ListenerSet",
    "HTTPRoute",
    "GRPCRoute",
    "BackendTLSPolicy",
    "XBackend",
    "XBackendTrafficPolicy",
    "XTelemetryPolicy",
    "ClusterTrustBundle",
    "RawPod",
    "TCPRoute",
    "UDPRoute",
    "TLSRoute",
    "ReferenceGrant",
];

/// Whether a field that a type lacks is one that Kubernetes has.
pub(super) fn is_unread(name: &str, field: &str) -> bool {
    (OBJECTS.contains(&name) && OF_OBJECTS.contains(&field))
        || UNREAD
            .iter()
            .any(|(of, fields)| *of == name && fields.contains(&field))
}

/// The field that was probably meant.
pub(super) fn similar(field: &str, fields: &'static [&'static str]) -> Option<&'static str> {
    // Longer than any that is known; comparing takes the product of the lengths.
    if field.len() > 64 {
        return None;
    }
    fields
        .iter()
        .map(|known| {
            (
                distance(&field.to_ascii_lowercase(), &known.to_ascii_lowercase()),
                *known,
            )
        })
        .filter(|(distance, known)| *distance <= 2 && *distance * 2 < known.len())
        .min()
        .map(|(_, known)| known)
}

/// Letters to insert, delete or replace (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, byte_a) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, byte_b) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(byte_a != byte_b);
            diagonal = row[j + 1];
            row[j + 1] = min(replaced, min(row[j], row[j + 1]) + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, similar};

    #[test]
    fn a_misspelt_field_finds_the_one_that_was_meant() {
        let fields = &["hostnames", "parentRefs", "rules"];
        assert_eq!(similar("hostname", fields), Some("hostnames"));
        assert_eq!(similar("parentrefs", fields), Some("parentRefs"));
        assert_eq!(similar("ruels", fields), Some("rules"));
        assert_eq!(similar("backends", fields), None);
        assert_eq!(distance("abc", ""), 3);
    }
}
