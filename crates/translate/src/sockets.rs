//! One socket: which listeners claim it, and what becomes of it.

use crate::conditions::Wrong;
use crate::gateway::{GatewayUnit, ListenerUnit, Speaks};
use crate::ingress_listeners::IngressListeners;
use crate::input::Settings;
use ir::{Bind, BindAddress, CertificateId, HostPattern, Listener, Origin, StreamListener, Transport};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A socket being put together.
pub(crate) struct Socket {
    /// What it speaks.
    pub transport: Transport,
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
    pub fn new(transport: Transport) -> Self {
        Self {
            transport,
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
        (!listeners.is_empty() || !streams.is_empty()).then(|| Bind {
            address,
            transport: self.transport,
            proxy_protocol: self.proxy_protocol || settings.proxy_protocol_ports.contains(&address.port),
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

/// Takes the listener's port and hostname on every address of its Gateway, or says who has them already.
pub(crate) fn claim(
    unit: &GatewayUnit,
    listener: &ListenerUnit,
    transport: Transport,
    reserved: &[(u16, Transport)],
    sockets: &mut BTreeMap<BindAddress, Socket>,
) -> Result<(), Conflict> {
    let port = listener.port;
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
    for address in bind_addresses(unit, listener) {
        let Some(socket) = sockets.get(&address) else {
            continue;
        };
        if socket.transport != transport {
            return Err(other_protocol(address, socket));
        }
        let Some(owner) = socket.hostnames.get(&listener.hostname) else {
            continue;
        };
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
    for address in bind_addresses(unit, listener) {
        let socket = sockets.entry(address).or_insert_with(|| Socket::new(transport));
        socket
            .hostnames
            .insert(listener.hostname.clone(), listener.origin.clone());
    }
    Ok(())
}

fn other_protocol(address: BindAddress, socket: &Socket) -> Conflict {
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

/// Where a listener listens.
pub(crate) fn bind_addresses<'a>(
    unit: &'a GatewayUnit,
    listener: &ListenerUnit,
) -> impl Iterator<Item = BindAddress> + use<'a> {
    let port = listener.port;
    unit.addresses.iter().map(move |&ip| BindAddress { ip, port })
}

/// The previous bind if it says the same. Its listeners are compared by pointer, for the sake of their routes.
pub(crate) fn share_bind(new: Bind, previous: Option<&Arc<Bind>>) -> Arc<Bind> {
    let same = previous.filter(|previous| {
        let listeners = previous.listeners.iter().zip(&new.listeners);
        previous.listeners.len() == new.listeners.len()
            && { listeners }.all(|(a, b)| Arc::ptr_eq(a, b))
            && previous.address == new.address
            && previous.transport == new.transport
            && previous.proxy_protocol == new.proxy_protocol
            && previous.default_certificates == new.default_certificates
            && previous.streams.len() == new.streams.len()
            && { previous.streams.iter().zip(&new.streams) }.all(|(a, b)| Arc::ptr_eq(a, b))
    });
    same.map_or_else(|| Arc::new(new), Arc::clone)
}
