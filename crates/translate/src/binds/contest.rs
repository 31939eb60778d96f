//! Listeners that compete for addresses, ports and hostnames.

use crate::conditions::Wrong;
use crate::gateway::{GatewayUnit, ListenerUnit, Place, Speaks};
use crate::input::Key;
use crate::ports::{Ports, Target};
use crate::sockets::{Conflict, Socket, bind_addresses, claim};
use crate::stream_listeners::{UdpSockets, claim_udp};
use ir::{BindAddress, Code, Diagnostic, Listener, StreamListener, Transport};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What listeners compete for, and what came of it.
pub(super) struct Contest<'a> {
    pub ports: &'a Ports,
    /// Ports of Ingress, with what they speak.
    pub reserved: &'a [(u16, Transport)],
    pub sockets: &'a mut BTreeMap<BindAddress, Socket>,
    pub udp: UdpSockets,
    pub diagnostics: &'a mut Vec<Diagnostic>,
    pub served: BTreeMap<Place, Arc<Listener>>,
    pub streams: BTreeMap<Place, Arc<StreamListener>>,
}

impl Contest<'_> {
    /// Where we listen for a listener, unless another one has what it asks for; `None`: nowhere. What is wrong is reported.
    pub fn claim(
        &mut self,
        (key, gateway): (&Key, &GatewayUnit),
        listener: &ListenerUnit,
        speaks: Speaks,
        index: usize,
    ) -> Result<Option<Target>, Wrong> {
        let target = self.ports.target(key, (listener.protocol(), listener.port));
        let Some(port) = target.map(|target| target.port) else {
            let message = format!("no port of ours is left for port {}", listener.port);
            let hint = "Widen --gateway-service-ports";
            self.report(Code::GatewayPortsTaken, listener, index, message, hint);
            return Ok(None);
        };
        let claimed = match speaks.transport() {
            Some(transport) => claim(gateway, listener, transport, port, self.reserved, self.sockets),
            None => claim_udp(gateway, listener, port, &mut self.udp),
        };
        match claimed {
            Ok(()) => Ok(target),
            Err(Conflict { wrong, hint }) => {
                self.report(
                    Code::ListenerConflict,
                    listener,
                    index,
                    wrong.message.clone(),
                    hint,
                );
                Err(wrong)
            }
        }
    }

    fn report(&mut self, code: Code, listener: &ListenerUnit, index: usize, message: String, hint: &str) {
        let field = format!("spec.listeners[{index}]");
        let finding = Diagnostic::new(code, listener.origin.clone(), field, message);
        self.diagnostics.push(finding.hint(hint));
    }

    pub fn serve_stream(
        &mut self,
        gateway: &GatewayUnit,
        speaks: Speaks,
        port: u16,
        place: Place,
        ir: Arc<StreamListener>,
    ) {
        for address in bind_addresses(gateway, port) {
            if speaks == Speaks::Udp {
                let socket = self.udp.get_mut(&address);
                if let Some((_, answers)) = socket {
                    *answers = Some(Arc::clone(&ir));
                }
            } else if let Some(socket) = self.sockets.get_mut(&address) {
                socket.streams.push(Arc::clone(&ir));
            }
        }
        self.streams.insert(place, ir);
    }

    pub fn serve(&mut self, gateway: &GatewayUnit, port: u16, place: Place, ir: Arc<Listener>) {
        for address in bind_addresses(gateway, port) {
            if let Some(socket) = self.sockets.get_mut(&address) {
                socket.listeners.push(Arc::clone(&ir));
            }
        }
        self.served.insert(place, ir);
    }
}
