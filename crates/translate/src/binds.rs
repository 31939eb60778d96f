//! Sockets and their listeners, from all Gateways, ListenerSets and the Ingress listener together: who gets which address, port
//! and hostname, and who comes too late.

mod contest;
mod merged;

use crate::IngressResult;
use crate::attached::Attached;
use crate::backends::Carrier;
use crate::conditions::Wrong;
use crate::gateway::status::{self, Standing};
use crate::gateway::{GatewayUnit, Holder, ListenerUnit, Place, RouteUnit, SetUnit, Speaks};
use crate::ingress_listeners::Ingresses;
use crate::input::{Key, Settings};
use crate::memo::Memo;
use crate::output::{ObjectStatus, Services, share_with};
use crate::ports::Ports;
use crate::sockets::{Socket, share_bind};
use crate::stream_listeners::{self, StreamListeners, UdpSockets};
use crate::stream_services::PortService;
use contest::Contest;
use ir::{
    Bind, BindAddress, CertificateId, Diagnostic, Layer, List, Listener, Route, StreamRoute, TlsHost,
    Transport, UdpBind,
};
use merged::{Merged, services};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Binds, listeners and statuses of the last translation, handed out again where nothing changed.
#[derive(Debug, Default)]
pub(crate) struct Binds {
    by_address: BTreeMap<BindAddress, Arc<Bind>>,
    listeners: BTreeMap<Place, Arc<Listener>>,
    statuses: BTreeMap<Holder, Arc<ObjectStatus>>,
    attached: Attached<Route>,
    streams: StreamListeners,
    port_services: BTreeMap<Carrier, Vec<PortService>>,
    ingress: Ingresses,
    services: Arc<Services>,
    /// The last assembly, as long as nothing that goes into it changed.
    assembled: Option<Assembled>,
}

/// What the assembly of all units comes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assembled {
    /// Sorted by address.
    pub binds: Vec<Arc<Bind>>,
    /// Likewise, for UDP.
    pub udp: Vec<Arc<UdpBind>>,
    /// Of Gateways and ListenerSets, sorted.
    pub gateway_statuses: Vec<Arc<ObjectStatus>>,
    pub services: Arc<Services>,
    pub diagnostics: Vec<Diagnostic>,
}

impl Binds {
    /// Says what an Ingress gives now and what it gave before.
    pub fn ingress_changed(&mut self, key: &Key, old: Option<&IngressResult>, new: Option<&IngressResult>) {
        self.ingress.replace(key, old, new);
        self.assembled = None;
    }

    /// Says that a Gateway, a ListenerSet or the default certificate changed.
    pub fn changed(&mut self) {
        self.assembled = None;
    }

    /// Says what a route gives now and what it gave before.
    pub fn route_changed(&mut self, old: Option<&RouteUnit>, new: Option<&RouteUnit>) {
        if self.attached.replace(old, new) {
            self.assembled = None;
        }
    }

    /// The same for a TCPRoute, UDPRoute or TLSRoute.
    pub fn stream_route_changed(
        &mut self,
        old: Option<&RouteUnit<StreamRoute>>,
        new: Option<&RouteUnit<StreamRoute>>,
    ) {
        if self.streams.replace(old, new) {
            self.assembled = None;
        }
    }

    /// Says what the ConfigMap of TCP or UDP ports gives now.
    pub fn port_services_changed(&mut self, carrier: Carrier, services: Vec<PortService>) {
        if self.port_services.get(&carrier) != Some(&services) {
            self.port_services.insert(carrier, services);
            self.assembled = None;
        }
    }

    /// Puts the sockets together.
    pub fn assemble(
        &mut self,
        settings: &Settings,
        gateways: &Memo<Key, GatewayUnit>,
        listener_sets: &Memo<Key, Option<SetUnit>>,
        ingresses: &Memo<Key, IngressResult>,
        default_certificates: &[CertificateId],
    ) -> &Assembled {
        if self.assembled.is_none() {
            self.assembled =
                Some(self.assemble_anew(settings, gateways, listener_sets, ingresses, default_certificates));
        }
        self.assembled.get_or_insert_default()
    }

    fn assemble_anew(
        &mut self,
        settings: &Settings,
        gateways: &Memo<Key, GatewayUnit>,
        listener_sets: &Memo<Key, Option<SetUnit>>,
        ingresses: &Memo<Key, IngressResult>,
        default_certificates: &[CertificateId],
    ) -> Assembled {
        let with_ingress = self.ingress.ours > 0;
        let mut sockets = BTreeMap::new();
        if with_ingress {
            for ip in addresses(settings) {
                for (port, transport) in ingress_ports(settings) {
                    sockets.insert(BindAddress { ip, port }, Socket::new(transport, None));
                }
            }
        }
        let reserved = if with_ingress {
            ingress_ports(settings).to_vec()
        } else {
            Vec::new()
        };
        let mut assembled = Assembled::default();
        let mut udp = UdpSockets::new();
        for service in self.port_services.values().flatten() {
            stream_listeners::claim_port(
                service,
                settings,
                &mut sockets,
                &mut udp,
                &mut assembled.diagnostics,
            );
        }
        self.gateways(
            settings,
            gateways,
            listener_sets,
            &reserved,
            (&mut sockets, udp),
            &mut assembled,
        );
        let ingress = with_ingress.then(|| self.ingress.listeners(ingresses, settings.tls_policy));
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
    fn listener(&mut self, place: &Place, listener: &ListenerUnit) -> Arc<Listener> {
        let previous = self.listeners.get(place);
        let routes = self.attached.list(place);
        if let (Some(previous), None) = (previous, &routes)
            && says_the_same(previous, listener)
        {
            return Arc::clone(previous);
        }
        let routes = routes.unwrap_or_else(|| self.attached.list_anyway(place));
        match previous {
            // Shorter than to compare all routes: another list of them is another listener.
            Some(previous) if !previous.routes.is_same(&routes) => {
                Arc::new(gateway_listener(listener, routes))
            }
            previous => share_with(gateway_listener(listener, routes), previous),
        }
    }

    /// Hands addresses, ports and hostnames out. Listeners of Gateways come first, so that nobody who may add a ListenerSet
    /// can take anything from them; the oldest object comes first, then by namespace and name, then the order of its
    /// listeners.
    fn gateways(
        &mut self,
        settings: &Settings,
        gateways: &Memo<Key, GatewayUnit>,
        listener_sets: &Memo<Key, Option<SetUnit>>,
        reserved: &[(u16, Transport)],
        (sockets, udp): (&mut BTreeMap<BindAddress, Socket>, UdpSockets),
        assembled: &mut Assembled,
    ) {
        let mut ours: Vec<_> = gateways
            .iter()
            .filter_map(|(key, unit)| Some((key, unit, unit.gateway.as_ref()?)))
            .collect();
        ours.sort_by_key(|(key, _, gateway)| (gateway.metadata.created, *key));
        let mut sets: Vec<_> = listener_sets
            .iter()
            .filter_map(|(key, unit)| Some((key, unit.as_ref()?)))
            .collect();
        sets.sort_by_key(|(key, unit)| (unit.set.metadata.created, *key));
        let units: Vec<_> = ours.iter().map(|(key, unit, _)| (*key, *unit)).collect();
        let mut contest = Contest {
            ports: &Ports::assign(settings, &units, &sets),
            reserved,
            sockets,
            udp,
            diagnostics: &mut assembled.diagnostics,
            served: BTreeMap::new(),
            streams: BTreeMap::new(),
        };
        let mut merged = BTreeMap::new();
        for (key, unit, gateway) in ours {
            let holder = Holder::Gateway(key.clone());
            let standings = self.stand(
                &holder,
                (key, unit),
                &unit.listeners,
                unit.refused.is_none(),
                &mut contest,
            );
            merged.insert(key, Merged::new(unit, gateway, standings));
        }
        for (key, set) in sets {
            let Some(gateway) = merged.get_mut(&set.gateway) else {
                continue;
            };
            let accepted = status::is_accepted(gateway.unit, &gateway.standings);
            let holder = Holder::ListenerSet(key.clone());
            let listeners = self.stand(
                &holder,
                (&set.gateway, gateway.unit),
                &set.listeners,
                accepted,
                &mut contest,
            );
            gateway.join(key, set, listeners, accepted);
        }
        self.listeners = contest.served;
        self.streams.keep(contest.streams);
        assembled.udp = self.streams.udp(contest.udp, settings);
        let services = services(settings, gateways, &merged, contest.ports);
        self.services = share_with(services, Some(&self.services));
        assembled.services = Arc::clone(&self.services);
        let mut statuses = BTreeMap::new();
        for (key, gateway) in &merged {
            for (holder, status) in gateway.statuses(key) {
                let status = share_with(status, self.statuses.get(&holder));
                statuses.insert(holder, status);
            }
        }
        assembled.gateway_statuses = statuses.values().cloned().collect();
        self.statuses = statuses;
        self.attached.forget_empty();
    }

    /// Lets the listeners of a Gateway or ListenerSet claim what they ask for on the Gateway's addresses. `accepted` is
    /// whether the Gateway is.
    fn stand(
        &mut self,
        holder: &Holder,
        (key, gateway): (&Key, &GatewayUnit),
        listeners: &[ListenerUnit],
        accepted: bool,
        contest: &mut Contest<'_>,
    ) -> Vec<Standing> {
        let mut standings = Vec::with_capacity(listeners.len());
        for (index, listener) in listeners.iter().enumerate() {
            let place = holder.place(index);
            let mut standing = Standing {
                conflict: None,
                attached_routes: self.attached.count(&place) + self.streams.count(&place),
                programmed: false,
                waits: None,
            };
            if let Some(speaks) = listener.speaks
                && accepted
                && listener.refused.is_none()
            {
                match contest.claim((key, gateway), listener, speaks, index) {
                    Ok(Some(target)) if !gateway.addresses.is_empty() && listener.can_serve() => {
                        if !target.open {
                            let message = "The Gateway's Service does not have the port yet";
                            standing.waits = Some(Wrong::new("Pending", message));
                        } else if matches!(speaks, Speaks::Http | Speaks::Https) {
                            standing.programmed = true;
                            let ir = self.listener(&place, listener);
                            contest.serve(gateway, target.port, place, ir);
                        } else {
                            standing.programmed = true;
                            let ir = self.streams.listener(&place, listener);
                            contest.serve_stream(gateway, speaks, target.port, place, ir);
                        }
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => {
                        let message = "No port of ours is left for it";
                        standing.waits = Some(Wrong::new("NoResources", message));
                    }
                    Err(conflict) => standing.conflict = Some(conflict),
                }
            }
            standings.push(standing);
        }
        standings
    }
}

fn gateway_listener(listener: &ListenerUnit, routes: List<Route>) -> Listener {
    Listener {
        clients: listener.clients.clone(),
        identity: listener.identity.clone(),
        tls_policy: listener.tls_policy,
        origin: listener.origin.clone(),
        layer: Layer::Gateway,
        hostname: listener.hostname.clone(),
        tls: tls_hosts(listener),
        routes,
    }
}

/// Whether a listener of the last snapshot is what one is now, but for its routes. Named one by one, so that none is forgotten.
fn says_the_same(previous: &Listener, now: &ListenerUnit) -> bool {
    let Listener {
        origin,
        layer: _,
        hostname,
        tls,
        clients,
        identity,
        tls_policy,
        routes: _,
    } = previous;
    *origin == now.origin
        && *hostname == now.hostname
        && *clients == now.clients
        && *identity == now.identity
        && *tls_policy == now.tls_policy
        && *tls == tls_hosts(now)
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
