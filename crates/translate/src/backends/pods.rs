//! Endpoints that are Pods, found by their labels.

use super::slices;
use crate::input::Key;
use crate::scope::Scope;
use api::Resource;
use api::pod::Pod;
use ir::{Code, Diagnostic, Endpoint, Origin};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

/// Pods of a namespace that have all these labels and are ready; if there are none, those that still serve while they
/// terminate: the same as Kubernetes makes of the selector of a Service.
pub(crate) fn endpoints(
    scope: &mut Scope<'_>,
    origin: &Origin,
    namespace: &Arc<str>,
    labels: &BTreeMap<String, String>,
    port: u16,
) -> Vec<Endpoint> {
    let (mut ready, mut terminating) = (BTreeSet::new(), BTreeSet::new());
    let (mut selected, mut unready) = (0_usize, 0_usize);
    let pods: Vec<_> = scope.pods(namespace).filter(|pod| has(pod, labels)).collect();
    for pod in pods {
        if pod.is_over() {
            continue;
        }
        selected += 1;
        if !pod.is_ready() {
            unready += 1;
            continue;
        }
        let usable = if pod.terminating {
            &mut terminating
        } else {
            &mut ready
        };
        usable.extend(addresses(scope, pod).map(|ip| SocketAddr::new(ip, port)));
    }
    let usable = if ready.is_empty() { terminating } else { ready };
    if usable.is_empty() {
        let readable = scope.has_kind(Pod::KIND);
        let why = match (selected, unready) {
            _ if !readable => format!("the Pods of namespace {namespace} may not be read"),
            (0, _) => format!("no Pod of namespace {namespace} has the labels {}", shown(labels)),
            (1, 1) => "its one Pod is not ready".to_owned(),
            (all, unready) if all == unready => format!("none of its {all} Pods is ready"),
            _ => "no Pod of it that is ready has a usable address".to_owned(),
        };
        let message = format!("it has no endpoint: {why}; requests for it are answered with 503");
        let finding = Diagnostic::new(Code::NoEndpoints, origin.clone(), SELECTOR, message);
        scope.report(match selected {
            _ if !readable => finding.hint(RIGHTS),
            0 => finding.hint(HINT),
            _ => finding,
        });
    }
    let endpoints = usable.into_iter();
    endpoints.map(|address| Endpoint { address, weight: 1 }).collect()
}

fn has(pod: &Pod, labels: &BTreeMap<String, String>) -> bool {
    let own = &pod.metadata.labels;
    labels
        .iter()
        .all(|(name, value)| own.get(name) == Some(value.as_str()))
}

/// A Pod's first address: its others lead to the same.
fn addresses(scope: &mut Scope<'_>, pod: &Pod) -> impl Iterator<Item = std::net::IpAddr> + use<> {
    let first = pod.status.pod_ips.first().map(|address| address.ip.as_str());
    let text = pod.status.pod_ip.as_deref().or(first);
    let address = text.and_then(|text| match slices::address(text) {
        Ok(ip) => Some(ip),
        Err(reason) => {
            let origin = Key::of(&pod.metadata).origin("Pod");
            let message = format!("{text:?} {reason}; the Pod is left out");
            scope.report(Diagnostic::new(
                Code::EndpointInvalid,
                origin,
                "status.podIP",
                message,
            ));
            None
        }
    });
    address.into_iter()
}

/// `app=web, tier=front`
fn shown(labels: &BTreeMap<String, String>) -> String {
    let labels = labels.iter().map(|(name, value)| format!("{name}={value}"));
    labels.collect::<Vec<_>>().join(", ")
}

const SELECTOR: &str = "spec.endpointSelector.matchLabels";
const RIGHTS: &str = "Give Narthex the rights of deploy/kustomize/select-pods";
const HINT: &str =
    "Check that running Pods have these labels; in files, add the Pods, or run with --endpoint or --echo";
