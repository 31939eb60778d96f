//! Sockets and their listeners, from all Gateways and the Ingress listener together: who gets which address, port
//! and hostname, and who comes too late.

use crate::IngressResult;
use crate::attached::Attached;
use crate::gateway::status::{self, Standing};
use crate::gateway::{GatewayUnit, ListenerUnit, RouteUnit};
use crate::ingress_listeners::{IngressListeners, Ingresses};
use crate::input::{Key, Settings};
use crate::memo::Memo;
use crate::output::{ObjectStatus, share_with};
use ir::{
    Bind, BindAddress, CertificateId, Code, Diagnostic, HostPattern, Layer, List, Listener, Origin, Route,
    TlsHost, Transport,
};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Binds, listeners and statuses of the last translation, handed out again where nothing changed.
#[derive(Debug, Default)]
pub(crate) struct Binds {
    by_address: BTreeMap<BindAddress, Arc<Bind>>,
    listeners: BTreeMap<(Key, usize), Arc<Listener>>,
    statuses: BTreeMap<Key, Arc<ObjectStatus>>,
    attached: Attached,
    ingress: Ingresses,
    /// The last assembly, as long as nothing that goes into it changed.
    assembled: Option<Assembled>,
}

/// What the assembly of all units comes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assembled {
    /// Sorted by address.
    pub binds: Vec<Arc<Bind>>,
    /// Sorted by Gateway.
    pub gateway_statuses: Vec<Arc<ObjectStatus>>,
    pub diagnostics: Vec<Diagnostic>,
}

/// A socket being put together.
struct Socket {
    transport: Transport,
    /// Who has which hostname.
    hostnames: HashMap<HostPattern, Origin>,
    listeners: Vec<Arc<Listener>>,
}

impl Binds {
    /// Says what an Ingress gives now and what it gave before.
    pub fn ingress_changed(&mut self, key: &Key, old: Option<&IngressResult>, new: Option<&IngressResult>) {
        self.ingress.replace(key, old, new);
        self.assembled = None;
    }

    /// Says that a Gateway or the default certificate changed.
    pub fn changed(&mut self) {
        self.assembled = None;
    }

    /// Says what a route gives now and what it gave before.
    pub fn route_changed(&mut self, key: &Key, old: Option<&RouteUnit>, new: Option<&RouteUnit>) {
        if self.attached.replace(key, old, new) {
            self.assembled = None;
        }
    }

    /// Puts the sockets together.
    pub fn assemble(
        &mut self,
        settings: &Settings,
        gateways: &Memo<Key, GatewayUnit>,
        ingresses: &Memo<Key, IngressResult>,
        default_certificates: &[CertificateId],
    ) -> &Assembled {
        if self.assembled.is_none() {
            self.assembled = Some(self.assemble_anew(settings, gateways, ingresses, default_certificates));
        }
        self.assembled.get_or_insert_default()
    }

    fn assemble_anew(
        &mut self,
        settings: &Settings,
        gateways: &Memo<Key, GatewayUnit>,
        ingresses: &Memo<Key, IngressResult>,
        default_certificates: &[CertificateId],
    ) -> Assembled {
        let with_ingress = self.ingress.ours > 0;
        let mut sockets = BTreeMap::new();
        if with_ingress {
            for ip in addresses(settings) {
                for (port, transport) in ingress_ports(settings) {
                    sockets.insert(BindAddress { ip, port }, Socket::new(transport));
                }
            }
        }
        let reserved = if with_ingress {
            ingress_ports(settings).to_vec()
        } else {
            Vec::new()
        };
        let mut assembled = Assembled::default();
        self.gateways(settings, gateways, &reserved, &mut sockets, &mut assembled);
        let ingress = with_ingress.then(|| self.ingress.listeners(ingresses));
        let binds = sockets.into_iter().filter_map(|(address, socket)| {
            let ingress = ingress.filter(|_| reserved.contains(&(address.port, socket.transport)));
            let bind = socket.finish(address, settings, ingress, default_certificates)?;
            Some((address, share_bind(bind, self.by_address.get(&address))))
        });
        let binds: BTreeMap<_, _> = binds.collect();
        assembled.binds = binds.values().cloned().collect();
        self.by_address = binds;
        assembled
    }

    /// A listener of a Gateway with its routes: the last one, if nothing about it changed.
    fn listener(&mut self, position: &(Key, usize), listener: &ListenerUnit) -> Arc<Listener> {
        let previous = self.listeners.get(position);
        let routes = self.attached.list(position);
        if let (Some(previous), None) = (previous, &routes)
            && previous.origin == listener.origin
            && previous.hostname == listener.hostname
            && previous.tls == tls_hosts(listener)
        {
            return Arc::clone(previous);
        }
        let routes = routes.unwrap_or_else(|| self.attached.list_anyway(position));
        match previous {
            // Shorter than to compare all routes: another list of them is another listener.
            Some(previous) if !previous.routes.is_same(&routes) => {
                Arc::new(gateway_listener(listener, routes))
            }
            previous => share_with(gateway_listener(listener, routes), previous),
        }
    }

    /// Hands addresses, ports and hostnames out: the oldest Gateway first, then by namespace and name, then by
    /// the order of its listeners.
    fn gateways(
        &mut self,
        settings: &Settings,
        gateways: &Memo<Key, GatewayUnit>,
        reserved: &[(u16, Transport)],
        sockets: &mut BTreeMap<BindAddress, Socket>,
        assembled: &mut Assembled,
    ) {
        let mut ours: Vec<_> = gateways
            .iter()
            .filter_map(|(key, unit)| Some((key, unit, unit.gateway.as_ref()?)))
            .collect();
        ours.sort_by_key(|(key, _, gateway)| (gateway.metadata.created, *key));
        let mut listeners = BTreeMap::new();
        let mut statuses = BTreeMap::new();
        for (key, unit, gateway) in ours {
            let mut standings = Vec::with_capacity(unit.listeners.len());
            for (index, listener) in unit.listeners.iter().enumerate() {
                let position = (key.clone(), index);
                let mut standing = Standing {
                    conflict: None,
                    attached_routes: self.attached.count(&position),
                    programmed: false,
                };
                if unit.refused.is_none() && listener.refused.is_none() {
                    match claim(unit, listener, reserved, sockets) {
                        Ok(()) if !unit.addresses.is_empty() && listener.can_serve() => {
                            standing.programmed = true;
                            let ir = self.listener(&position, listener);
                            for address in bind_addresses(unit, listener) {
                                if let Some(socket) = sockets.get_mut(&address) {
                                    socket.listeners.push(Arc::clone(&ir));
                                }
                            }
                            listeners.insert(position, ir);
                        }
                        Ok(()) => {}
                        Err(conflict) => {
                            assembled.diagnostics.push(
                                Diagnostic::new(
                                    Code::ListenerConflict,
                                    listener.origin.clone(),
                                    format!("spec.listeners[{index}]"),
                                    conflict.wrong.message.clone(),
                                )
                                .hint(conflict.hint),
                            );
                            standing.conflict = Some(conflict.wrong);
                        }
                    }
                }
                standings.push(standing);
            }
            let status = status::gateway(settings, key, gateway, unit, &standings);
            statuses.insert(key.clone(), share_with(status, self.statuses.get(key)));
        }
        assembled.gateway_statuses = statuses.values().cloned().collect();
        self.listeners = listeners;
        self.statuses = statuses;
        self.attached.forget_empty();
    }
}

/// A listener that came too late.
struct Conflict {
    wrong: crate::conditions::Wrong,
    hint: &'static str,
}

/// Takes the listener's port and hostname on every address of its Gateway, or says who has them already.
fn claim(
    unit: &GatewayUnit,
    listener: &ListenerUnit,
    reserved: &[(u16, Transport)],
    sockets: &mut BTreeMap<BindAddress, Socket>,
) -> Result<(), Conflict> {
    let Some(transport) = listener.transport else {
        return Ok(());
    };
    let speaks = |transport| match transport {
        Transport::Http => "HTTP",
        Transport::Https => "HTTPS",
    };
    let port = listener.port;
    if reserved
        .iter()
        .any(|(other, speaks)| *other == port && *speaks != transport)
    {
        return Err(Conflict {
            wrong: crate::conditions::Wrong::new(
                "ProtocolConflict",
                format!("port {port} speaks {} for Ingress", speaks(other(transport))),
            ),
            hint: "Use another port for the listener, or for Ingress with --http-port and --https-port",
        });
    }
    for address in bind_addresses(unit, listener) {
        let Some(socket) = sockets.get(&address) else {
            continue;
        };
        if socket.transport != transport {
            return Err(Conflict {
                wrong: crate::conditions::Wrong::new(
                    "ProtocolConflict",
                    format!(
                        "{address} speaks {} already, for {}",
                        speaks(socket.transport),
                        socket.first()
                    ),
                ),
                hint: "Use one protocol per port",
            });
        }
        if let Some(owner) = socket.hostnames.get(&listener.hostname) {
            return Err(Conflict {
                wrong: crate::conditions::Wrong::new(
                    "HostnameConflict",
                    format!("{address} with hostname {} belongs to {owner}", listener.hostname),
                ),
                hint: "Give one of the two listeners another port, hostname or address",
            });
        }
    }
    for address in bind_addresses(unit, listener) {
        let socket = sockets.entry(address).or_insert_with(|| Socket::new(transport));
        socket
            .hostnames
            .insert(listener.hostname.clone(), listener.origin.clone());
    }
    Ok(())
}

fn other(transport: Transport) -> Transport {
    match transport {
        Transport::Http => Transport::Https,
        Transport::Https => Transport::Http,
    }
}

fn bind_addresses<'a>(
    unit: &'a GatewayUnit,
    listener: &ListenerUnit,
) -> impl Iterator<Item = BindAddress> + use<'a> {
    let port = listener.port;
    unit.addresses.iter().map(move |&ip| BindAddress { ip, port })
}

fn gateway_listener(listener: &ListenerUnit, routes: List<Route>) -> Listener {
    Listener {
        origin: listener.origin.clone(),
        layer: Layer::Gateway,
        hostname: listener.hostname.clone(),
        tls: tls_hosts(listener),
        routes,
    }
}

fn tls_hosts(listener: &ListenerUnit) -> Vec<TlsHost> {
    if listener.certificates.is_empty() {
        return Vec::new();
    }
    vec![TlsHost {
        hostname: listener.hostname.clone(),
        certificates: listener.certificates.clone(),
    }]
}

impl Socket {
    fn new(transport: Transport) -> Self {
        Self {
            transport,
            hostnames: HashMap::new(),
            listeners: Vec::new(),
        }
    }

    /// Whoever made the socket speak what it speaks, as far as that matters to a reader: the first by name.
    fn first(&self) -> String {
        let owner = self.hostnames.values().min();
        owner.map_or_else(|| "Ingress".to_owned(), Origin::to_string)
    }

    /// `None` if nothing answers there.
    fn finish(
        self,
        address: BindAddress,
        settings: &Settings,
        ingress: Option<&IngressListeners>,
        default_certificates: &[CertificateId],
    ) -> Option<Bind> {
        let mut listeners = self.listeners;
        listeners.sort_by(|a, b| {
            a.hostname
                .specificity(&b.hostname)
                .then_with(|| a.origin.cmp(&b.origin))
        });
        let mut defaults = &[][..];
        if let Some(ingress) = ingress {
            if self.transport == Transport::Https {
                defaults = default_certificates;
            }
            listeners.push(Arc::clone(match self.transport {
                Transport::Http => &ingress.http,
                Transport::Https => &ingress.https,
            }));
        }
        (!listeners.is_empty()).then(|| Bind {
            address,
            transport: self.transport,
            proxy_protocol: settings.proxy_protocol_ports.contains(&address.port),
            listeners,
            default_certificates: defaults.to_vec(),
        })
    }
}

/// Addresses to listen on where nothing else is asked for; `None` stands for all.
pub(crate) fn addresses(settings: &Settings) -> Vec<Option<IpAddr>> {
    if settings.bind.is_empty() {
        return vec![None];
    }
    settings.bind.iter().copied().map(Some).collect()
}

fn ingress_ports(settings: &Settings) -> [(u16, Transport); 2] {
    [
        (settings.http_port, Transport::Http),
        (settings.https_port, Transport::Https),
    ]
}

/// The previous bind if it says the same. Its listeners are compared by pointer, for the sake of their routes.
fn share_bind(new: Bind, previous: Option<&Arc<Bind>>) -> Arc<Bind> {
    let same = previous.filter(|previous| {
        let listeners = previous.listeners.iter().zip(&new.listeners);
        previous.listeners.len() == new.listeners.len()
            && { listeners }.all(|(a, b)| Arc::ptr_eq(a, b))
            && previous.address == new.address
            && previous.transport == new.transport
            && previous.proxy_protocol == new.proxy_protocol
            && previous.default_certificates == new.default_certificates
    });
    same.map_or_else(|| Arc::new(new), Arc::clone)
}
