//! What `narthex run` does between control, data plane and admin, with ports moved to free ones on loopback.

use admin::{OpenSocket, PlacedDiagnostic, Readiness, Source};
use control::{ApplyReport, Publish, Published, State};
use ir::{Bind, BindAddress, Snapshot, UdpBind};
use proxy::DataPlane;
use serde_json::Value;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use telemetry::Telemetry;

/// Which address of the objects is open where.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    open: Mutex<HashMap<BindAddress, SocketAddr>>,
    udp: Mutex<HashMap<BindAddress, SocketAddr>>,
}

impl Ports {
    /// Where a port of the objects is open.
    pub(crate) fn address(&self, port: u16) -> SocketAddr {
        match self.find(port) {
            Some(address) => address,
            None => panic!("nothing listens on port {port}"),
        }
    }

    /// Where a UDP port of the objects is open.
    pub(crate) fn udp_address(&self, port: u16) -> SocketAddr {
        let open = self.udp.lock().unwrap_or_else(PoisonError::into_inner);
        let found = open.iter().find(|(bind, _)| bind.port == port);
        found.map_or_else(
            || panic!("nothing listens on UDP port {port}"),
            |(_, address)| *address,
        )
    }

    pub(crate) fn find(&self, port: u16) -> Option<SocketAddr> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .find(|(bind, _)| bind.port == port)
            .map(|(_, address)| *address)
    }
}

/// Publishes to the data plane, each bind moved to a free port of a loopback address of its own.
pub(crate) struct ToLoopback {
    pub(crate) data_plane: Arc<DataPlane>,
    pub(crate) ports: Arc<Ports>,
    /// Binds as they came and as they were moved. What did not change stays the same allocation, as in `run`.
    pub(crate) moved: HashMap<BindAddress, (Arc<Bind>, Arc<Bind>)>,
}

impl ToLoopback {
    fn move_bind(&mut self, bind: &Arc<Bind>) -> Arc<Bind> {
        let number = self.moved.len() as u32 + 1;
        let address = match self.moved.get(&bind.address) {
            Some((before, moved)) if Arc::ptr_eq(before, bind) => return Arc::clone(moved),
            Some((_, moved)) => moved.address,
            None => BindAddress {
                ip: Some(IpAddr::V4(Ipv4Addr::from(
                    u32::from(Ipv4Addr::new(127, 0, 0, 0)) + number,
                ))),
                port: 0,
            },
        };
        let moved = Arc::new(Bind {
            address,
            ..Bind::clone(bind)
        });
        self.moved
            .insert(bind.address, (Arc::clone(bind), Arc::clone(&moved)));
        moved
    }
}

impl Publish for ToLoopback {
    async fn publish(&mut self, published: Published) -> ApplyReport {
        let binds: Vec<_> = published
            .snapshot
            .binds
            .iter()
            .map(|bind| self.move_bind(bind))
            .collect();
        let udp = published.snapshot.udp.iter().map(|bind| {
            // A port of its own for each; the address stays the same, so that flows do.
            let ip = Some(IpAddr::V4(Ipv4Addr::new(
                127,
                0,
                (bind.address.port >> 8) as u8,
                bind.address.port as u8,
            )));
            Arc::new(UdpBind {
                address: BindAddress { ip, port: 0 },
                ..UdpBind::clone(bind)
            })
        });
        let udp: Vec<_> = udp.collect();
        let snapshot = Snapshot {
            binds,
            udp,
            ..Snapshot::clone(&published.snapshot)
        };
        let applied = self.data_plane.publish(&snapshot, published.generation).await;
        let local: HashMap<_, _> = self.data_plane.local_addresses().into_iter().collect();
        let open = published.snapshot.binds.iter().zip(&snapshot.binds);
        let open = open.filter_map(|(bind, moved)| Some((bind.address, *local.get(&moved.address)?)));
        *self.ports.open.lock().unwrap_or_else(PoisonError::into_inner) = open.collect();
        let local: HashMap<_, _> = self.data_plane.local_udp_addresses().into_iter().collect();
        let open = published.snapshot.udp.iter().zip(&snapshot.udp);
        let open = open.filter_map(|(bind, moved)| Some((bind.address, *local.get(&moved.address)?)));
        *self.ports.udp.lock().unwrap_or_else(PoisonError::into_inner) = open.collect();
        ApplyReport {
            failed_binds: applied
                .failed
                .iter()
                .map(|failure| (failure.name(), failure.error.to_string()))
                .collect(),
        }
    }
}

/// What the admin listener shows.
pub(crate) struct Shown {
    pub(crate) state: Arc<State>,
    pub(crate) data_plane: Arc<DataPlane>,
    pub(crate) ports: Arc<Ports>,
    pub(crate) telemetry: Arc<Telemetry>,
}

impl Source for Shown {
    fn readiness(&self) -> Readiness {
        if self.state.is_ready() {
            Readiness::Ready
        } else {
            Readiness::Starting
        }
    }

    fn generation(&self) -> u64 {
        self.state.live().generation
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        let live = self.state.live();
        (live.generation > 0).then(|| Arc::clone(&live.snapshot))
    }

    fn statuses(&self) -> Value {
        serde_json::to_value(&self.state.live().statuses).expect("statuses are JSON")
    }

    fn diagnostics(&self) -> Vec<PlacedDiagnostic> {
        let live = self.state.live();
        live.diagnostics
            .iter()
            .map(|diagnostic| {
                let place = live.locations.field(&diagnostic.origin, &diagnostic.field);
                PlacedDiagnostic {
                    diagnostic: diagnostic.clone(),
                    file: place.as_ref().map(|place| place.file.display().to_string()),
                    line: place.as_ref().map(|place| place.line),
                }
            })
            .collect()
    }

    fn sockets(&self) -> Vec<OpenSocket> {
        let open = self.ports.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .map(|(bind, address)| OpenSocket {
                bind: *bind,
                address: *address,
            })
            .collect()
    }

    fn upstreams(&self) -> Value {
        serde_json::to_value(self.data_plane.upstreams()).expect("figures are JSON")
    }

    fn telemetry(&self) -> Arc<Telemetry> {
        Arc::clone(&self.telemetry)
    }
}
