//! Sockets and their listeners, from all Gateways and the Ingress listener together.

use crate::IngressResult;
use crate::gateway::{GatewayUnit, RouteUnit};
use crate::input::{Key, Settings};
use crate::memo::Memo;
use crate::output::ObjectStatus;
use ir::{
    Bind, BindAddress, CertificateId, Diagnostic, HostPattern, Layer, Listener, Origin, TlsHost, Transport,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Binds and listeners of the last translation, to be handed out again where nothing changed.
#[derive(Debug, Default)]
pub(crate) struct Binds {
    binds: BTreeMap<BindAddress, Arc<Bind>>,
    ingress: Option<IngressListeners>,
}

/// What the assembly of all units comes to.
#[derive(Debug, Default)]
pub(crate) struct Assembled {
    pub binds: Vec<Arc<Bind>>,
    pub gateway_statuses: Vec<Arc<ObjectStatus>>,
    pub diagnostics: Vec<Diagnostic>,
}

/// The Ingress listener, plain and with TLS: the same routes.
#[derive(Debug)]
struct IngressListeners {
    http: Arc<Listener>,
    https: Arc<Listener>,
}

impl Binds {
    /// Says that some Ingress changed, so that the Ingress listener has to be put together again.
    pub fn ingress_changed(&mut self) {
        self.ingress = None;
    }

    /// Puts the sockets together.
    pub fn assemble(
        &mut self,
        settings: &Settings,
        gateways: &Memo<Key, GatewayUnit>,
        routes: &Memo<Key, RouteUnit>,
        ingresses: &Memo<Key, IngressResult>,
        default_certificates: &[CertificateId],
    ) -> Assembled {
        let _ = (gateways, routes);
        let mut binds = BTreeMap::new();
        if ingresses.iter().any(|(_, result)| result.ours()) {
            let ingress = self.ingress.get_or_insert_with(|| ingress_listeners(ingresses));
            for ip in addresses(settings) {
                for (port, transport) in [
                    (settings.http_port, Transport::Http),
                    (settings.https_port, Transport::Https),
                ] {
                    let address = BindAddress { ip, port };
                    let (listener, default_certificates) = match transport {
                        Transport::Http => (&ingress.http, Vec::new()),
                        Transport::Https => (&ingress.https, default_certificates.to_vec()),
                    };
                    let bind = Bind {
                        address,
                        transport,
                        proxy_protocol: settings.proxy_protocol_ports.contains(&port),
                        listeners: vec![Arc::clone(listener)],
                        default_certificates,
                    };
                    binds.insert(address, share(bind, self.binds.get(&address)));
                }
            }
        }
        self.binds.clone_from(&binds);
        Assembled {
            binds: binds.into_values().collect(),
            ..Assembled::default()
        }
    }
}

/// Addresses to listen on where nothing else is asked for; `None` stands for all.
pub(crate) fn addresses(settings: &Settings) -> Vec<Option<IpAddr>> {
    if settings.bind.is_empty() {
        return vec![None];
    }
    settings.bind.iter().copied().map(Some).collect()
}

fn ingress_listeners(ingresses: &Memo<Key, IngressResult>) -> IngressListeners {
    let mut results: Vec<_> = ingresses.iter().filter(|(_, result)| result.ours()).collect();
    results.sort_by_key(|(key, result)| (result.created, *key));
    let mut routes = Vec::new();
    let mut tls: Vec<TlsHost> = Vec::new();
    for (_, result) in results {
        routes.extend(result.routes.iter().map(Arc::clone));
        for host in result.unit.iter().flat_map(|unit| &unit.tls) {
            match tls.iter_mut().find(|known| known.hostname == host.hostname) {
                Some(known) => known.certificates.extend(host.certificates.iter().cloned()),
                None => tls.push(host.clone()),
            }
        }
    }
    let listener = |tls| {
        Arc::new(Listener {
            origin: Origin::new("Narthex", "", "ingress"),
            layer: Layer::Ingress,
            hostname: HostPattern::Any,
            tls,
            routes: routes.clone(),
        })
    };
    IngressListeners {
        http: listener(Vec::new()),
        https: listener(tls),
    }
}

fn share<T: PartialEq>(new: T, previous: Option<&Arc<T>>) -> Arc<T> {
    match previous {
        Some(previous) if **previous == new => Arc::clone(previous),
        _ => Arc::new(new),
    }
}
