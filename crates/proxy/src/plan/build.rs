//! Compiles a snapshot, keeping what the last one already had. Runs beside the workers, never on one.

use super::filters::Filters;
use super::rule::{Action, Backend, CompiledRoute, CompiledRule, Target};
use super::{Plan, PlanSocket, PlanUdp};
use crate::connection::SocketSlot;
use crate::filter::CompiledFilter;
use crate::l4::{CompiledStream, Streams};
use crate::sessions::Sessions;
use crate::tls::client::same_identity;
use crate::tls::{BrokenCertificate, Certificates, Keys, TlsBind, TlsSettings};
use crate::upstream::{Cells, UpstreamCell};
use hashbrown::HashMap;
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::sync::Arc;
use telemetry::{RouteLabels, Telemetry};

/// Builds one plan after another.
#[derive(Debug)]
pub struct Builder {
    telemetry: Arc<Telemetry>,
    tls: TlsSettings,
    keys: Keys,
    /// What `keys` were made from.
    certificates: Arc<BTreeMap<ir::CertificateId, Arc<ir::Certificate>>>,
    cells: Cells,
    /// Those that the plan being built has and the last one had not, by the address of the route's allocation, which
    /// the compiled route keeps alive: listeners of several sockets have routes in common.
    routes: HashMap<usize, Arc<CompiledRoute>, foldhash::fast::RandomState>,
    filters: Filters,
    compiled: u64,
    slots: HashMap<(ir::BindAddress, ir::Transport, bool), SocketSlot, foldhash::fast::RandomState>,
}

/// A plan, and what could not be compiled.
#[derive(Debug)]
pub struct Built {
    /// The plan.
    pub plan: Arc<Plan>,
    /// Certificates that can't be used.
    pub broken: Vec<BrokenCertificate>,
}

impl Builder {
    /// A builder that has built nothing yet.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self {
            telemetry,
            tls: TlsSettings::new(),
            keys: Keys::default(),
            certificates: Arc::default(),
            cells: Cells::default(),
            compiled: 0,
            routes: HashMap::default(),
            filters: Filters::new(),
            slots: HashMap::default(),
        }
    }

    /// Compiles a snapshot. Every part that `previous` has from the same nodes is shared with it.
    pub fn build(&mut self, snapshot: &ir::Snapshot, generation: u64, previous: &Plan) -> Built {
        let upstreams = self.cells.update(&snapshot.upstreams, &self.telemetry);
        self.tls.share_tickets(snapshot.tickets.as_ref());
        if !Arc::ptr_eq(&self.certificates, &snapshot.certificates) {
            self.keys = self.keys.update(&snapshot.certificates);
            self.certificates = Arc::clone(&snapshot.certificates);
        }
        let mut broken = self.keys.broken();
        let mut sockets: Vec<Option<Arc<PlanSocket>>> = vec![None; self.slots.len()];
        for bind in &snapshot.binds {
            let slot = self.slot(bind);
            let index = slot.0 as usize;
            if sockets.len() <= index {
                sockets.resize(index + 1, None);
            }
            let before = previous.sockets.get(index).and_then(Option::as_ref);
            let http3 = snapshot
                .http
                .http3
                .as_ref()
                .filter(|_| snapshot.serves_http3(bind));
            match self.socket(bind, slot, http3, before) {
                Ok(socket) => sockets[index] = Some(socket),
                Err(reason) => broken.push(BrokenCertificate {
                    id: ir::CertificateId(bind.address.to_string().into()),
                    reason: reason.to_string(),
                }),
            }
        }
        self.routes = HashMap::default();
        let udp = { snapshot.udp.iter() }
            .map(|bind| self.udp(bind, previous))
            .collect();
        let plan = Plan {
            generation,
            http: Arc::clone(&snapshot.http),
            sockets,
            udp,
            upstreams,
        };
        Built {
            plan: Arc::new(plan),
            broken,
        }
    }

    /// Forgets what only old plans had. Called when they are gone.
    pub fn prune(&mut self) {
        self.cells.prune();
    }

    /// How many routes were compiled since the start.
    pub fn compiled(&self) -> u64 {
        self.compiled
    }

    fn slot(&mut self, bind: &ir::Bind) -> SocketSlot {
        let next = SocketSlot(self.slots.len() as u32);
        *self
            .slots
            .entry((bind.address, bind.transport, bind.proxy_protocol))
            .or_insert(next)
    }

    fn socket(
        &mut self,
        bind: &Arc<ir::Bind>,
        slot: SocketSlot,
        http3: Option<&ir::Http3>,
        before: Option<&Arc<PlanSocket>>,
    ) -> Result<Arc<PlanSocket>, rustls::Error> {
        let tls = match bind.transport {
            ir::Transport::Https if terminates(bind) => Some(self.tls_bind(bind, http3, before)?),
            _ => None,
        };
        let identities = self.identities(bind);
        if let Some(before) = before
            && is_same(&before.bind, bind)
            && before.tls.as_ref().map(Arc::as_ptr) == tls.as_ref().map(Arc::as_ptr)
            && same_identities(&before.identities, &identities)
        {
            return Ok(Arc::clone(before));
        }
        let streams = self.streams(bind, before);
        let before = before.map(|before| &before.router);
        let router = router::Socket::build(bind, before, &mut |route: &Arc<ir::Route>| self.route(route));
        Ok(Arc::new(PlanSocket {
            slot,
            bind: Arc::clone(bind),
            router,
            identities,
            tls,
            streams,
        }))
    }

    /// What each listener shows to upstreams. Empty where none shows anything, as nearly everywhere.
    fn identities(&self, bind: &ir::Bind) -> Box<[Option<Arc<CertifiedKey>>]> {
        if bind.listeners.iter().all(|listener| listener.identity.is_none()) {
            return Box::default();
        }
        let keys = bind.listeners.iter().map(|listener| {
            let id = listener.identity.as_ref()?;
            self.keys.usable(id)
        });
        keys.collect()
    }

    fn streams(&mut self, bind: &ir::Bind, before: Option<&Arc<PlanSocket>>) -> Option<Arc<Streams>> {
        if bind.streams.is_empty() {
            return None;
        }
        let before = before.and_then(|before| before.streams.as_deref());
        Some(Arc::new(Streams::build(bind, before, &mut |route| {
            self.stream(route)
        })))
    }

    fn udp(&mut self, bind: &Arc<ir::UdpBind>, previous: &Plan) -> Arc<PlanUdp> {
        let mut known = previous.udp.iter();
        let before = known.find(|known| known.bind.address == bind.address);
        match before {
            Some(before) if before.bind == *bind => Arc::clone(before),
            before => Arc::new(PlanUdp {
                bind: Arc::clone(bind),
                routes: router::StreamRoutes::build(
                    &bind.listener,
                    before.map(|before| &before.routes),
                    &mut |route| self.stream(route),
                ),
            }),
        }
    }

    fn stream(&mut self, route: &ir::StreamRoute) -> Arc<CompiledStream> {
        let labels = RouteLabels {
            kind: &route.origin.kind,
            namespace: &route.origin.namespace,
            name: &route.origin.name,
            rule: &route.rule,
        };
        let metrics = self.telemetry.stream(&labels);
        Arc::new(CompiledStream::new(route, metrics, |id| self.cell(id)))
    }

    fn tls_bind(
        &self,
        bind: &ir::Bind,
        http3: Option<&ir::Http3>,
        before: Option<&Arc<PlanSocket>>,
    ) -> Result<Arc<TlsBind>, rustls::Error> {
        let before = before.and_then(|before| before.tls.as_ref());
        let certificates = Certificates::build(bind, &self.keys, before.map(|tls| &tls.certificates));
        match before {
            Some(before)
                if Arc::ptr_eq(&before.certificates, &certificates)
                    && self.tls.is_still(before, bind)
                    && before.http3.as_ref() == http3 =>
            {
                Ok(Arc::clone(before))
            }
            _ => self
                .tls
                .bind(bind, certificates, http3, before.map(|before| &**before))
                .map(Arc::new),
        }
    }

    fn route(&mut self, route: &Arc<ir::Route>) -> Arc<CompiledRoute> {
        let address = Arc::as_ptr(route).addr();
        if let Some(known) = self.routes.get(&address) {
            return Arc::clone(known);
        }
        self.compiled += 1;
        let rules = route.rules.iter().map(|rule| self.rule(rule)).collect();
        let compiled = Arc::new(CompiledRoute {
            route: Arc::clone(route),
            rules,
        });
        self.routes.insert(address, Arc::clone(&compiled));
        compiled
    }

    fn rule(&mut self, rule: &ir::Rule) -> CompiledRule {
        let origin = &rule.origin;
        let labels = RouteLabels {
            kind: &origin.kind,
            namespace: &origin.namespace,
            name: &origin.name,
            rule: origin.section.as_deref().unwrap_or_default(),
        };
        CompiledRule {
            filters: self.filters(&rule.filters),
            action: self.action(&rule.action),
            timeouts: rule.timeouts.clone(),
            retry: rule.retry.clone(),
            grpc: rule.grpc,
            metrics: self.telemetry.route(&labels),
        }
    }

    fn filters(&mut self, filters: &Arc<[ir::Filter]>) -> Arc<[CompiledFilter]> {
        let Self {
            filters: shared,
            cells,
            telemetry,
            ..
        } = self;
        shared.get(filters, &mut |id| cells.get(id, telemetry))
    }

    fn action(&mut self, action: &ir::Action) -> Action {
        let backends = match action {
            ir::Action::Answer => return Action::Answer,
            ir::Action::Status(status) => return Action::Status(*status),
            ir::Action::Forward(backends) => backends,
        };
        let mut total: u32 = 0;
        let mut compile = |backend: &ir::Backend| {
            // Gateway API allows a weight of a million at most; anything beyond the sum's range loses its share only.
            total = total.saturating_add(backend.weight);
            Backend {
                upto: total,
                filters: self.filters(&backend.filters),
                target: match &backend.target {
                    ir::Target::Upstream(id) => Target::Upstream(self.cell(id)),
                    ir::Target::Broken { status, .. } => Target::Broken(*status),
                },
                sessions: sessions(backend),
            }
        };
        let backends = backends
            .iter()
            .filter(|backend| backend.weight > 0)
            .map(&mut compile)
            .collect();
        Action::Forward {
            backends,
            total_weight: total,
        }
    }

    fn cell(&mut self, id: &ir::UpstreamId) -> Arc<UpstreamCell> {
        self.cells.get(id, &self.telemetry)
    }
}

fn sessions(backend: &ir::Backend) -> Option<Box<Sessions>> {
    match (&backend.session, &backend.target) {
        (Some(settings), ir::Target::Upstream(id)) => Sessions::new(settings, id).map(Box::new),
        _ => None,
    }
}

fn same_identities(a: &[Option<Arc<CertifiedKey>>], b: &[Option<Arc<CertifiedKey>>]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(a, b)| same_identity(a.as_ref(), b.as_ref()))
}

/// Whether TLS ends here for some name.
fn terminates(bind: &ir::Bind) -> bool {
    let mut streams = bind.streams.iter();
    !bind.listeners.is_empty() || streams.any(|stream| matches!(stream.tls, ir::StreamTls::Terminate(_)))
}

/// Whether two binds say the same. Routes are compared by pointer, and only where the lists differ.
fn is_same(a: &Arc<ir::Bind>, b: &Arc<ir::Bind>) -> bool {
    let same_listener = |(a, b): (&Arc<ir::Listener>, &Arc<ir::Listener>)| {
        let same = Arc::ptr_eq(a, b)
            || (a.origin == b.origin
                && a.layer == b.layer
                && a.hostname == b.hostname
                && a.tls == b.tls
                && a.identity == b.identity
                && a.tls_policy == b.tls_policy
                && a.clients == b.clients);
        let difference = a.routes.since(&b.routes);
        same && difference.gone.is_empty() && difference.new.is_empty()
    };
    Arc::ptr_eq(a, b)
        || (a.address == b.address
            && a.transport == b.transport
            && a.proxy_protocol == b.proxy_protocol
            && a.default_certificates == b.default_certificates
            && a.streams == b.streams
            && a.listeners.len() == b.listeners.len()
            && a.listeners.iter().zip(&b.listeners).all(same_listener))
}
