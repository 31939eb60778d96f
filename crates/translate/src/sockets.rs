//! One socket: which listeners claim it, and what becomes of it.

use crate::conditions::Wrong;
use crate::gateway::{GatewayUnit, ListenerUnit, Speaks};
use crate::ingress_listeners::IngressListeners;
use crate::input::Settings;
use ir::{
    Bind, BindAddress, CertificateId, Code, Diagnostic, HostPattern, Listener, Origin, Snapshot,
    StreamListener, Transport,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A socket being put together.
pub(crate) struct Socket {
    /// What it speaks.
    pub transport: Transport,
    /// The port that clients connect to, if it is another one.
    public_port: Option<u16>,
    /// Who has which hostname.
    pub hostnames: HashMap<HostPattern, Origin>,
    /// Gateway listeners that are served there.
    pub listeners: Vec<Arc<Listener>>,
    /// Whether connections begin with a PROXY protocol header, whatever the flags say.
    pub proxy_protocol: bool,
    /// Stream listeners that are served there.
    pub streams: Vec<Arc<StreamListener>>,
}

impl Socket {
    /// One without listeners.
    pub fn new(transport: Transport, public_port: Option<u16>) -> Self {
        Self {
            transport,
            public_port,
            hostnames: HashMap::new(),
            listeners: Vec::new(),
            proxy_protocol: false,
            streams: Vec::new(),
        }
    }

    /// Whoever made the socket speak what it speaks, as far as that matters to a reader: the first by name.
    fn first(&self) -> String {
        let owner = self.hostnames.values().min();
        owner.map_or_else(|| "Ingress".to_owned(), Origin::to_string)
    }

    /// Its address as clients have it.
    fn address(&self, BindAddress { ip, port }: BindAddress) -> BindAddress {
        let port = self.public_port.unwrap_or(port);
        BindAddress { ip, port }
    }

    /// `None` if nothing answers there.
    pub fn finish(
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
        let mut streams = self.streams;
        streams.sort_by(|a, b| {
            a.hostname
                .specificity(&b.hostname)
                .then_with(|| a.origin.cmp(&b.origin))
        });
        let mut defaults = &[][..];
        match (ingress, self.transport) {
            (Some(ingress), Transport::Http) => listeners.push(Arc::clone(&ingress.http)),
            (Some(ingress), Transport::Https) => {
                defaults = default_certificates;
                listeners.push(Arc::clone(&ingress.https));
            }
            _ => {}
        }
        let port = self.public_port.unwrap_or(address.port);
        (!listeners.is_empty() || !streams.is_empty()).then(|| Bind {
            address,
            public_port: self.public_port,
            transport: self.transport,
            proxy_protocol: self.proxy_protocol || settings.proxy_protocol_ports.contains(&port),
            listeners,
            default_certificates: defaults.to_vec(),
            streams,
        })
    }
}

/// A listener that came too late.
pub(crate) struct Conflict {
    /// What stands in the conditions.
    pub wrong: Wrong,
    /// What to do about it.
    pub hint: &'static str,
}

/// Takes the listener's port and hostname on every address of its Gateway, or says who has them already. `port` is where
/// we listen for it.
pub(crate) fn claim(
    unit: &GatewayUnit,
    listener: &ListenerUnit,
    transport: Transport,
    port: u16,
    reserved: &[(u16, Transport)],
    sockets: &mut BTreeMap<BindAddress, Socket>,
) -> Result<(), Conflict> {
    let mut reserved = reserved.iter();
    if let Some((_, speaks)) = reserved.find(|(other, speaks)| *other == port && *speaks != transport) {
        return Err(Conflict {
            wrong: Wrong::new(
                "ProtocolConflict",
                format!("port {port} speaks {} for Ingress", speaks_word(*speaks)),
            ),
            hint: "Use another port for the listener, or for Ingress with --http-port and --https-port",
        });
    }
    for address in bind_addresses(unit, port) {
        let Some(socket) = sockets.get(&address) else {
            continue;
        };
        if socket.transport != transport {
            return Err(other_protocol(address, socket));
        }
        let Some(owner) = socket.hostnames.get(&listener.hostname) else {
            continue;
        };
        let address = socket.address(address);
        if listener.speaks == Some(Speaks::Tcp) {
            return Err(Conflict {
                wrong: Wrong::new(
                    "ProtocolConflict",
                    format!("TCP port {address} belongs to {owner}"),
                ),
                hint: "Give one of the two listeners another port or address",
            });
        }
        return Err(Conflict {
            wrong: Wrong::new(
                "HostnameConflict",
                format!("{address} with hostname {} belongs to {owner}", listener.hostname),
            ),
            hint: "Give one of the two listeners another port, hostname or address",
        });
    }
    let public_port = (port != listener.port).then_some(listener.port);
    for address in bind_addresses(unit, port) {
        let socket = sockets
            .entry(address)
            .or_insert_with(|| Socket::new(transport, public_port));
        socket
            .hostnames
            .insert(listener.hostname.clone(), listener.origin.clone());
    }
    Ok(())
}

fn other_protocol(address: BindAddress, socket: &Socket) -> Conflict {
    let address = socket.address(address);
    let message = format!(
        "{address} speaks {} already, for {}",
        speaks_word(socket.transport),
        socket.first()
    );
    Conflict {
        wrong: Wrong::new("ProtocolConflict", message),
        hint: "Use one protocol per port",
    }
}

fn speaks_word(transport: Transport) -> &'static str {
    match transport {
        Transport::Http => "HTTP",
        Transport::Https => "HTTPS",
        Transport::Tcp => "TCP",
    }
}

/// Where a port of ours is, for a Gateway.
pub(crate) fn bind_addresses(unit: &GatewayUnit, port: u16) -> impl Iterator<Item = BindAddress> {
    unit.addresses.iter().map(move |&ip| BindAddress { ip, port })
}

/// The previous bind if it says the same. Its listeners are compared by pointer, for the sake of their routes.
pub(crate) fn share_bind(new: Bind, previous: Option<&Arc<Bind>>) -> Arc<Bind> {
    let same = previous.filter(|previous| {
        let listeners = previous.listeners.iter().zip(&new.listeners);
        previous.listeners.len() == new.listeners.len()
            && { listeners }.all(|(a, b)| Arc::ptr_eq(a, b))
            && previous.address == new.address
            && previous.public_port == new.public_port
            && previous.transport == new.transport
            && previous.proxy_protocol == new.proxy_protocol
            && previous.default_certificates == new.default_certificates
            && previous.streams.len() == new.streams.len()
            && { previous.streams.iter().zip(&new.streams) }.all(|(a, b)| Arc::ptr_eq(a, b))
    });
    same.map_or_else(|| Arc::new(new), Arc::clone)
}

/// Where `--http3` has no effect.
pub(crate) fn without_http3(snapshot: &Snapshot) -> impl Iterator<Item = Diagnostic> {
    snapshot.binds.iter().filter_map(|bind| {
        let found = |origin: &Origin, because: &str, hint: &str| {
            let message = format!(
                "HTTPS on port {} is not served over HTTP/3, {because}",
                bind.port()
            );
            Diagnostic::new(Code::Http3NotServed, origin.clone(), "", message).hint(hint)
        };
        if let Some(udp) = snapshot.in_the_way_of_http3(bind) {
            let because = "as this listener has the UDP port";
            return Some(found(
                &udp.listener.origin,
                because,
                "choose another port for one of the two",
            ));
        }
        let checks = snapshot.checks_instead_of_http3(bind);
        let listener = bind
            .listeners
            .iter()
            .find(|listener| checks && listener.clients.is_some())?;
        let because = "as this listener checks certificates of clients";
        Some(found(
            &listener.origin,
            because,
            "give listeners that do so a port of their own",
        ))
    })
}
