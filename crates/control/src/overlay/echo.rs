//! Backends without endpoints, for which the built-in echo answers (`--echo`).

use super::{PortName, Slices, add, named, selecting};
use crate::EchoAddresses;
use api::core::ServiceType;
use api::discovery::{SERVICE_NAME_LABEL, XBACKEND_NAME_LABEL};
use ir::{Code, Diagnostic};
use std::collections::BTreeSet;
use std::sync::Arc;
use translate::Objects;

/// Services without endpoints.
pub(super) fn services(
    echo: &dyn EchoAddresses,
    objects: &Objects,
    slices: &mut Slices,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let served: BTreeSet<(Arc<str>, String)> = slices
        .values()
        .filter(|slice| !slice.endpoints.is_empty())
        .filter_map(|slice| {
            Some((
                Arc::clone(&slice.metadata.namespace),
                named(slice, SERVICE_NAME_LABEL)?.to_owned(),
            ))
        })
        .collect();
    for (key, service) in &objects.services {
        let external = service.spec.kind == ServiceType::ExternalName;
        if external || served.contains(&(Arc::clone(&key.namespace), key.name.to_string())) {
            continue;
        }
        for port in &service.spec.ports {
            match echo.address(&key.namespace, &key.name, port.port) {
                Ok(address) => add(
                    slices,
                    &(key.clone(), SERVICE_NAME_LABEL),
                    PortName::of(port),
                    &[address],
                ),
                Err(error) => {
                    let message = format!("the built-in echo can't listen for port {}: {error}", port.port);
                    let origin = key.origin("Service");
                    diagnostics.push(Diagnostic::new(Code::EndpointInvalid, origin, "", message));
                }
            }
        }
    }
}

/// XBackends that select Pods of which there is none.
pub(super) fn x_backends(
    echo: &dyn EchoAddresses,
    objects: &Objects,
    slices: &mut Slices,
    diagnostics: &mut Vec<Diagnostic>,
) {
    for (key, backend) in &objects.x_backends {
        let (Some(selector), Some(port)) = (&backend.spec.endpoint_selector, selecting(backend)) else {
            continue;
        };
        let is_selected = |pod: &api::pod::Pod| {
            let own = &pod.metadata.labels;
            let mut wanted = selector.match_labels.iter();
            pod.metadata.namespace == key.namespace
                && wanted.all(|(name, value)| own.get(name) == Some(value.as_str()))
        };
        let owner = (key.clone(), XBACKEND_NAME_LABEL);
        let has_slice = slices
            .iter()
            .any(|(at, slice)| at.namespace == key.namespace && named(slice, owner.1) == Some(&*key.name));
        if has_slice || objects.pods.values().any(|pod| is_selected(pod)) {
            continue;
        }
        match echo.address(&key.namespace, &key.name, port) {
            Ok(address) => add(slices, &owner, PortName(""), &[address]),
            Err(error) => {
                let message = format!("the built-in echo can't listen for port {port}: {error}");
                let origin = key.origin("XBackend");
                diagnostics.push(Diagnostic::new(Code::EndpointInvalid, origin, "", message));
            }
        }
    }
}
