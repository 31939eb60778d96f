//! Where the admin listener's answers come from.

use admin::{OpenSocket, PlacedDiagnostic, Readiness, Source};
use control::State;
use proxy::DataPlane;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use telemetry::Telemetry;

/// The state of control and data plane, as the admin listener asks for it.
pub struct AdminSource {
    state: Arc<State>,
    data_plane: Arc<DataPlane>,
    telemetry: Arc<Telemetry>,
    draining: AtomicBool,
}

impl AdminSource {
    /// Of these parts.
    pub fn new(state: Arc<State>, data_plane: Arc<DataPlane>, telemetry: Arc<Telemetry>) -> Self {
        Self {
            state,
            data_plane,
            telemetry,
            draining: AtomicBool::new(false),
        }
    }

    /// From now on readiness says no, so that nobody sends new connections.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

impl Source for AdminSource {
    fn readiness(&self) -> Readiness {
        if self.draining.load(Ordering::Relaxed) {
            Readiness::Draining
        } else if self.state.is_ready() {
            Readiness::Ready
        } else {
            Readiness::Starting
        }
    }

    fn generation(&self) -> u64 {
        self.state.live().generation
    }

    fn snapshot(&self) -> Option<Arc<ir::Snapshot>> {
        let live = self.state.live();
        (live.generation > 0).then(|| Arc::clone(&live.snapshot))
    }

    fn statuses(&self) -> Value {
        let live = self.state.live();
        let objects = live.statuses.iter().map(|status| {
            let mut value = json(&**status);
            value["generation"] = status.generation.into();
            value
        });
        objects.collect()
    }

    fn diagnostics(&self) -> Vec<PlacedDiagnostic> {
        let live = self.state.live();
        let placed = live.diagnostics.iter().map(|diagnostic| {
            let place = live.locations.place(diagnostic);
            PlacedDiagnostic {
                diagnostic: diagnostic.clone(),
                file: place.as_ref().map(|place| place.file.display().to_string()),
                line: place.map(|place| place.line),
            }
        });
        placed.collect()
    }

    fn sockets(&self) -> Vec<OpenSocket> {
        let open = self.data_plane.local_addresses().into_iter();
        open.map(|(bind, address)| OpenSocket { bind, address }).collect()
    }

    fn upstreams(&self) -> Value {
        self.data_plane.upstreams().iter().map(json).collect()
    }

    fn telemetry(&self) -> Arc<Telemetry> {
        Arc::clone(&self.telemetry)
    }
}

fn json<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("our own types are always JSON")
}
