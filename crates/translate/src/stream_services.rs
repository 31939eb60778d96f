//! The `tcp-services` and `udp-services` ConfigMaps of ingress-nginx: an entry `"9000": shop/db:5432` forwards a port to a
//! port of a Service, as a TCPRoute on a listener of its own would.

use crate::backends::{BackendError, Carrier, PortRef, Usage, resolve};
use crate::input::Key;
use crate::scope::Scope;
use ir::{
    Code, Diagnostic, HostPattern, Origin, ProxyProtocol, StreamBackend, StreamListener, StreamRoute,
    StreamTarget, StreamTls,
};
use std::sync::Arc;

/// One entry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PortService {
    /// Port to listen on.
    pub port: u16,
    /// For TCP or UDP.
    pub carrier: Carrier,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: bool,
    /// Who answers there.
    pub listener: Arc<StreamListener>,
}

/// Reads the ConfigMap that a flag names.
pub(crate) fn translate(scope: &mut Scope<'_>, key: &Key, carrier: Carrier) -> Vec<PortService> {
    let origin = key.origin("ConfigMap");
    let Some(map) = scope.config_map(key) else {
        let finding = Diagnostic::new(
            Code::PortServicesNotFound,
            origin,
            "",
            format!("ConfigMap {key} does not exist, so none of its ports is served"),
        );
        scope.report(finding.hint("Create it, or leave the flag that names it out"));
        return Vec::new();
    };
    let mut services = Vec::new();
    for (port, value) in &map.data {
        match entry(scope, &origin, port, value, carrier) {
            Ok(service) => services.push(service),
            Err(message) => {
                let field = format!("data[{port:?}]");
                let finding = Diagnostic::new(Code::PortServiceInvalid, origin.clone(), field, message);
                scope.report(
                    finding.hint(
                        "Write PORT: \"NAMESPACE/SERVICE:PORT\", for TCP perhaps with :PROXY behind it",
                    ),
                );
            }
        }
    }
    services.sort_by_key(|service| service.port);
    services
}

fn entry(
    scope: &mut Scope<'_>,
    origin: &Origin,
    port: &str,
    value: &str,
    carrier: Carrier,
) -> Result<PortService, String> {
    let number: u16 = port
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or("the key is not a port")?;
    let mut parts = value.trim().split(':');
    let (service, target) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let (namespace, name) = service
        .split_once('/')
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
        .ok_or_else(|| format!("{value:?} names no Service"))?;
    // The first says what clients send, the second what the backend gets.
    let proxy: Vec<bool> = parts.map(|part| part.eq_ignore_ascii_case("PROXY")).collect();
    if proxy.len() > 2 || (carrier == Carrier::Udp && !proxy.is_empty()) {
        return Err(format!("{value:?} has more parts than such an entry has"));
    }
    let key = Key::new(namespace, name);
    let wanted = match target.parse() {
        Ok(number) => PortRef::Number(number),
        Err(_) => PortRef::Name(target),
    };
    let target = match resolve(scope, &key, wanted, Usage::Stream(carrier)) {
        Ok(id) => StreamTarget::Upstream(id),
        Err(error) => {
            let reason = match &error {
                BackendError::NotFound => format!("Service {key} does not exist"),
                BackendError::PortNotFound { ports } if ports.is_empty() => {
                    format!("Service {key} has no port {target}")
                }
                BackendError::PortNotFound { ports } => {
                    format!("Service {key} has no port {target}; its ports are {ports}")
                }
                BackendError::UnsupportedProtocol { .. } | BackendError::Invalid { .. } => error.to_string(),
            };
            let field = format!("data[{port:?}]");
            let code = match error {
                BackendError::NotFound => Code::BackendNotFound,
                _ => Code::BackendPortNotFound,
            };
            scope.report(
                Diagnostic::new(code, origin.clone(), field, reason.as_str())
                    .hint("Name a Service and a port of it that exist"),
            );
            StreamTarget::Broken { reason }
        }
    };
    let route = StreamRoute {
        origin: origin.clone(),
        rule: port.into(),
        created: 0,
        hostnames: vec![HostPattern::Any],
        proxy_protocol: proxy
            .get(1)
            .copied()
            .unwrap_or(false)
            .then_some(ProxyProtocol::V1),
        backends: vec![StreamBackend { weight: 1, target }],
    };
    Ok(PortService {
        port: number,
        carrier,
        proxy_protocol: proxy.first().copied().unwrap_or(false),
        listener: Arc::new(StreamListener {
            clients: None,
            tls_policy: ir::TlsPolicy::default(),
            origin: origin.section(port),
            hostname: HostPattern::Any,
            tls: StreamTls::None,
            routes: std::iter::once(Arc::new(route)).collect(),
        }),
    })
}
