//! Stream listeners with their routes, and the UDP sockets, kept from one translation to the next. TCP sockets are put
//! together with those of HTTP in `sockets.rs`.

use crate::attached::Attached;
use crate::backends::Carrier;
use crate::binds;
use crate::conditions::Wrong;
use crate::gateway::{GatewayUnit, ListenerUnit, Place, RouteUnit, Speaks};
use crate::input::Settings;
use crate::output::share_with;
use crate::sockets::{Conflict, Socket, bind_addresses};
use crate::stream_services::PortService;
use ir::{
    BindAddress, Code, Diagnostic, HostPattern, Origin, StreamListener, StreamRoute, StreamTls, Transport,
    UdpBind,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What was handed out last.
#[derive(Debug, Default)]
pub(crate) struct StreamListeners {
    attached: Attached<StreamRoute>,
    listeners: BTreeMap<Place, Arc<StreamListener>>,
    udp: BTreeMap<BindAddress, Arc<UdpBind>>,
}

/// UDP sockets being put together: who has them, and who answers there.
pub(crate) type UdpSockets = BTreeMap<BindAddress, (Origin, Option<Arc<StreamListener>>)>;

impl StreamListeners {
    /// Replaces what a route gave before by what it gives now. Whether that makes a difference.
    pub fn replace(
        &mut self,
        old: Option<&RouteUnit<StreamRoute>>,
        new: Option<&RouteUnit<StreamRoute>>,
    ) -> bool {
        self.attached.replace(old, new)
    }

    /// Accepted routes of a listener.
    pub fn count(&self, place: &Place) -> i32 {
        self.attached.count(place)
    }

    /// A listener with its routes: the last one, if nothing about it changed.
    pub fn listener(&mut self, place: &Place, listener: &ListenerUnit) -> Arc<StreamListener> {
        let previous = self.listeners.get(place);
        let routes = self.attached.list(place);
        let unchanged = routes.is_none();
        let routes = routes.unwrap_or_else(|| self.attached.list_anyway(place));
        let new = StreamListener {
            origin: listener.origin.clone(),
            hostname: listener.hostname.clone(),
            clients: listener.clients.clone(),
            tls_policy: listener.tls_policy,
            tls: match listener.speaks {
                Some(Speaks::TlsPassthrough) => StreamTls::Passthrough,
                Some(Speaks::TlsTerminate) => StreamTls::Terminate(listener.certificates.clone()),
                _ => StreamTls::None,
            },
            routes,
        };
        match previous {
            Some(previous)
                if unchanged
                    && previous.origin == new.origin
                    && previous.hostname == new.hostname
                    && previous.clients == new.clients
                    && previous.tls_policy == new.tls_policy
                    && previous.tls == new.tls =>
            {
                Arc::clone(previous)
            }
            _ => Arc::new(new),
        }
    }

    /// Remembers the listeners that are served, and forgets all others.
    pub fn keep(&mut self, served: BTreeMap<Place, Arc<StreamListener>>) {
        self.listeners = served;
        self.attached.forget_empty();
    }

    /// The UDP sockets, sorted by address.
    pub fn udp(&mut self, sockets: UdpSockets, settings: &Settings) -> Vec<Arc<UdpBind>> {
        let binds = sockets.into_iter().filter_map(|(address, (_, listener))| {
            let bind = UdpBind {
                address,
                listener: listener?,
                idle_timeout: settings.udp_idle_timeout,
            };
            Some((address, share_with(bind, self.udp.get(&address))))
        });
        self.udp = binds.collect();
        self.udp.values().cloned().collect()
    }
}

/// Takes the listener's port on every address of its Gateway, or says who has it already.
pub(crate) fn claim_udp(
    unit: &GatewayUnit,
    listener: &ListenerUnit,
    port: u16,
    sockets: &mut UdpSockets,
) -> Result<(), Conflict> {
    for address in bind_addresses(unit, port) {
        if let Some((owner, _)) = sockets.get(&address) {
            return Err(Conflict {
                wrong: Wrong::new(
                    "ProtocolConflict",
                    format!("UDP port {address} belongs to {owner}"),
                ),
                hint: "Give one of the two listeners another port or address",
            });
        }
    }
    for address in bind_addresses(unit, port) {
        sockets.insert(address, (listener.origin.clone(), None));
    }
    Ok(())
}

/// Takes the port of a ConfigMap's entry wherever the flags say to listen: before Gateways, as Ingress does.
pub(crate) fn claim_port(
    service: &PortService,
    settings: &Settings,
    sockets: &mut BTreeMap<BindAddress, Socket>,
    udp: &mut UdpSockets,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let origin = &service.listener.origin;
    for ip in binds::addresses(settings) {
        let address = BindAddress {
            ip,
            port: service.port,
        };
        if service.carrier == Carrier::Udp {
            udp.insert(address, (origin.clone(), Some(Arc::clone(&service.listener))));
            continue;
        }
        if sockets.contains_key(&address) {
            let field = format!("data[\"{}\"]", service.port);
            let finding = Diagnostic::new(
                Code::PortServiceInvalid,
                origin.object(),
                field,
                format!("port {} belongs to Ingress", service.port),
            );
            diagnostics
                .push(finding.hint("Use another port, or move Ingress with --http-port and --https-port"));
            continue;
        }
        let mut socket = Socket::new(Transport::Tcp, None);
        socket.proxy_protocol = service.proxy_protocol;
        socket.hostnames.insert(HostPattern::Any, origin.clone());
        socket.streams.push(Arc::clone(&service.listener));
        sockets.insert(address, socket);
    }
}
