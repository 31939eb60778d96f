//! Addresses that a Gateway asks for, those of ours that it gets, and what its status says about them (GEP-5093).
//!
//! What it asks for is a list of entries, each of which gets an address of its own or none. There are two sources: where
//! we listen, and the Service in front of the Gateway, if Gateways have one.

use super::front::Front;
use crate::binds;
use crate::conditions::Wrong;
use crate::input::Key;
use crate::pool;
use crate::reached::reached;
use crate::scope::Scope;
use api::core::ServiceType;
use api::extension::{BUNDLE_VERSION, CHANNEL, GATEWAY_CLASSES};
use api::gateway::{AddressType, Gateway, GatewayAddress};
use api::status::LoadBalancerIngress;
use ir::{Code, Diagnostic, Origin};
use std::net::IpAddr;

/// Addresses of a Gateway.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    /// To listen on; `None` stands for all.
    pub usable: Vec<Option<IpAddr>>,
    /// Why the Gateway is not accepted.
    pub refused: Option<Wrong>,
    /// Why it can't be reached.
    pub unusable: Option<Wrong>,
    /// Where it can be reached, for its status.
    pub shown: Vec<GatewayAddress>,
    /// Whether every entry got what it asks for, where the status has a condition about that.
    pub assigned: Option<Result<(), Wrong>>,
    /// What it wants of its Service.
    pub service: FrontAddresses,
}

/// Addresses that the Service in front of a Gateway should have.
#[derive(Debug, Default)]
pub(crate) struct FrontAddresses {
    /// Of its load balancer.
    pub external: Option<IpAddr>,
    /// Inside the cluster.
    pub cluster: Option<IpAddr>,
    /// None but that is asked for.
    pub internal: bool,
}

/// One of `spec.addresses`.
#[derive(Debug)]
struct Entry {
    index: usize,
    /// `None`: any.
    value: Option<IpAddr>,
    reach: Reach,
    /// Why it can't be had, and whether the Gateway can't be served then.
    wrong: Option<(Wrong, bool)>,
}

/// From where an address is to be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Nothing is said about that.
    Default,
    /// From within the cluster: it is a Service's.
    Cluster,
    /// A word that says nothing, for the conformance suite.
    Sentinel,
}

impl Reach {
    fn word(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Cluster => "Cluster",
            Self::Sentinel => SENTINEL,
        }
    }
}

/// An address that an entry can get.
#[derive(Debug)]
struct Candidate {
    kind: AddressType,
    value: String,
    /// It is a Service's address inside the cluster.
    cluster: bool,
}

impl Addresses {
    /// What a Gateway gets. `front`: the Service before it, if Gateways have one.
    pub fn of(scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin, front: Option<&Front>) -> Self {
        let mut found = Self::default();
        let mut entries = entries(scope, gateway, origin, &mut found.refused);
        let through = front.filter(|_| scope.settings().address_pool.is_empty());
        let candidates = match through {
            Some(front) => found.through(scope, origin, front, &mut entries),
            None => found.own(scope, gateway, origin, front, &mut entries),
        };
        found.service = FrontAddresses {
            external: first(&entries, |reach| reach != Reach::Cluster),
            cluster: first(&entries, |reach| reach == Reach::Cluster),
            internal: !entries.is_empty() && entries.iter().all(|entry| entry.reach == Reach::Cluster),
        };
        let told = tells_routability(scope);
        let asked = entries.iter().any(|entry| entry.reach != Reach::Default);
        if entries.is_empty() || (through.is_none() && !asked) {
            let shown = candidates
                .iter()
                .filter(|candidate| !candidate.cluster || through.is_some());
            found.shown = shown.map(|candidate| candidate.shown(Reach::Default)).collect();
        } else {
            // What is inside the cluster is where a Service without a load balancer is reached.
            let inside_will_do = through.is_some() && !has_load_balancer(scope);
            found.shown = assign(&mut entries, &candidates, inside_will_do);
        }
        found.judge(&entries, asked);
        if !told {
            found
                .shown
                .iter_mut()
                .for_each(|address| address.routability = None);
        }
        found.assigned = found.assigned.take().filter(|_| told || asked);
        found
    }

    /// Where it listens and is reached if its clients come to us as they are.
    fn own(
        &mut self,
        scope: &mut Scope<'_>,
        gateway: &Gateway,
        origin: &Origin,
        front: Option<&Front>,
        entries: &mut [Entry],
    ) -> Vec<Candidate> {
        let pool = &scope.settings().address_pool;
        let (mut any, mut inside) = (entries.is_empty(), false);
        for entry in entries.iter_mut() {
            match entry.value {
                _ if entry.wrong.is_some() => {}
                // Its Service has the address, and leads to wherever we listen.
                _ if entry.reach == Reach::Cluster => inside |= front.is_some(),
                None => any = true,
                Some(ip) if pool.is_empty() || pool::contains(pool, ip) => self.usable.push(Some(ip)),
                Some(ip) => {
                    let message = format!("{ip} is not in the pool of addresses");
                    let hint = "Ask for an address of --address-pool, or for none";
                    report(scope, origin, entry.index, "value", &message, hint);
                    entry.wrong = Some((Wrong::new("AddressNotUsable", message), true));
                }
            }
        }
        if any || (inside && self.usable.is_empty()) {
            let wherever = wherever(scope, gateway);
            if wherever.is_empty() {
                self.unusable = Some(Wrong::new(
                    "AddressNotAssigned",
                    "Every address of the pool is taken",
                ));
            }
            self.usable.extend(wherever);
        }
        self.usable.sort_unstable();
        self.usable.dedup();
        let reached = reached(scope);
        let by_number = entries.iter().any(|entry| entry.value.is_some());
        let mut candidates: Vec<_> = if by_number || reached.is_empty() || !pool.is_empty() {
            let specific = self.usable.iter().flatten().filter(|ip| !ip.is_unspecified());
            specific
                .map(|ip| Candidate::new(AddressType::IPAddress, ip.to_string(), false))
                .collect()
        } else {
            let given = reached.into_iter().filter_map(|address| match address {
                LoadBalancerIngress { ip: Some(ip), .. } => Some((AddressType::IPAddress, ip)),
                LoadBalancerIngress { hostname, .. } => Some((AddressType::Hostname, hostname?)),
            });
            given
                .map(|(kind, value)| Candidate::new(kind, value, false))
                .collect()
        };
        let inside = front.into_iter().flat_map(|front| &front.cluster_ips);
        candidates.extend(inside.map(|ip| Candidate::new(AddressType::IPAddress, ip.to_string(), true)));
        candidates
    }

    /// The same if they come through a Service.
    fn through(
        &mut self,
        scope: &mut Scope<'_>,
        origin: &Origin,
        front: &Front,
        entries: &mut [Entry],
    ) -> Vec<Candidate> {
        let service = &front.service;
        self.usable = binds::addresses(scope.settings());
        let inside = |value: &str| {
            let ip: Option<IpAddr> = value.parse().ok();
            ip.is_some_and(|ip| front.cluster_ips.contains(&ip))
        };
        let mut candidates: Vec<_> = front
            .addresses
            .iter()
            .map(|address| {
                let cluster = inside(&address.value);
                Candidate::new(address.kind.clone(), address.value.clone(), cluster)
            })
            .collect();
        for ip in &front.cluster_ips {
            // For a Service without load balancer it is the one that it is reached at.
            if !entries.is_empty() && !candidates.iter().any(|known| known.value == ip.to_string()) {
                candidates.push(Candidate::new(AddressType::IPAddress, ip.to_string(), true));
            }
        }
        let message = if front.foreign {
            format!("Service {service}, which has the name of this Gateway's Service, is not ours")
        } else if front.shown.is_none() {
            format!("There is no Service {service} yet")
        } else if nothing_yet(scope, &candidates, entries) {
            format!("Service {service} has no address yet")
        } else {
            for entry in entries.iter_mut().filter(|entry| entry.wrong.is_none()) {
                let Some(ip) = entry.value else { continue };
                let has = |candidate: &Candidate| candidate.value.parse() == Ok(ip);
                if !candidates.iter().any(has) {
                    let message = format!("Service {service} does not have the address {ip}");
                    let hint = "Ask for an address that the load balancer can give, or for none";
                    report(scope, origin, entry.index, "value", &message, hint);
                    let blocks = entry.reach == Reach::Default;
                    entry.wrong = Some((Wrong::new("AddressNotUsable", message), blocks));
                }
            }
            return candidates;
        };
        self.unusable = Some(Wrong::new("AddressNotAssigned", message));
        candidates
    }

    /// What follows from the entries that got nothing.
    fn judge(&mut self, entries: &[Entry], asked: bool) {
        let mut left: Vec<_> = { entries.iter() }
            .filter_map(|entry| Some((entry.index, entry.wrong.as_ref()?)))
            .collect();
        left.sort_by_key(|(index, _)| *index);
        let some = left.len() < entries.len() || entries.is_empty();
        if let Some((_, (wrong, _))) = left.iter().find(|(_, (_, blocks))| *blocks)
            && (some || !asked)
        {
            self.unusable = Some(wrong.clone());
        }
        let message = { left.iter() }
            .map(|(index, (wrong, _))| format!("spec.addresses[{index}]: {}", wrong.message))
            .collect::<Vec<_>>()
            .join("; ");
        if !some && asked {
            let none = || Wrong::new("AddressNotAssigned", message.clone());
            self.unusable.get_or_insert_with(none);
        }
        self.assigned = Some(match (&self.unusable, left.is_empty(), some) {
            (None, true, _) => Ok(()),
            (_, false, true) => Err(Wrong::new("PartiallyAssigned", message)),
            (Some(wrong), true, _) => Err(Wrong::new("NotAssigned", wrong.message.clone())),
            (_, false, false) => Err(Wrong::new("NotAssigned", message)),
        });
    }
}

impl Candidate {
    fn new(kind: AddressType, value: String, cluster: bool) -> Self {
        Self { kind, value, cluster }
    }

    fn fits(&self, entry: &Entry) -> bool {
        let reaches = entry.reach != Reach::Cluster || self.cluster;
        reaches && entry.value.is_none_or(|ip| self.value.parse() == Ok(ip))
    }

    fn shown(&self, reach: Reach) -> GatewayAddress {
        let reach = match reach {
            Reach::Default if self.cluster => Reach::Cluster,
            reach => reach,
        };
        GatewayAddress {
            kind: self.kind.clone(),
            value: self.value.clone(),
            routability: Some(reach.word().into()),
        }
    }
}

/// Reads the list and reports what can't be understood. A type of address that is not known refuses the Gateway.
fn entries(
    scope: &mut Scope<'_>,
    gateway: &Gateway,
    origin: &Origin,
    refused: &mut Option<Wrong>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (index, address) in gateway.spec.addresses.iter().enumerate() {
        let (kind, text) = (&address.kind, address.value.as_str());
        let mut entry = Entry {
            index,
            value: None,
            reach: Reach::Default,
            wrong: None,
        };
        let (field, message, hint) = match (kind, text.parse()) {
            (AddressType::IPAddress, Ok(ip)) => {
                entry.value = Some(ip);
                ("", String::new(), "")
            }
            (AddressType::IPAddress, Err(_)) if text.is_empty() => ("", String::new(), ""),
            (AddressType::IPAddress, Err(_)) => (
                "value",
                format!("{text} is not an IP address"),
                "Write an address such as 192.0.2.10",
            ),
            (AddressType::Hostname, _) => (
                "type",
                format!("{text} is a host name, and only IP addresses can be listened on"),
                "Use type IPAddress",
            ),
            (kind, _) => (
                "type",
                format!("addresses of type {kind} are not supported"),
                "Use type IPAddress",
            ),
        };
        if !field.is_empty() {
            report(scope, origin, index, field, &message, hint);
            if !matches!(kind, AddressType::IPAddress | AddressType::Hostname) {
                refused.get_or_insert(Wrong::new("UnsupportedAddress", message.clone()));
            }
            entry.wrong = Some((Wrong::new("AddressNotUsable", message), true));
        }
        match address.routability.as_deref() {
            None | Some("") => {}
            Some("Cluster") => entry.reach = Reach::Cluster,
            Some(SENTINEL) => entry.reach = Reach::Sentinel,
            Some(other) => {
                let message = format!("{other} is no routability that can be had here");
                report(
                    scope,
                    origin,
                    index,
                    "routability",
                    &message,
                    "Use Cluster, or none",
                );
                // Not another one in its place, and nobody is asked for it.
                entry.reach = Reach::Sentinel;
                entry.value = None;
                entry.wrong = Some((Wrong::new("AddressNotAssigned", message), false));
            }
        }
        entries.push(entry);
    }
    entries
}

/// Gives each entry an address of its own, as far as there are enough. Those that can take fewest choose first. Those that
/// don't ask for one inside the cluster get such a one only if that will do.
fn assign(entries: &mut [Entry], candidates: &[Candidate], inside_will_do: bool) -> Vec<GatewayAddress> {
    let mut free: Vec<&Candidate> = candidates.iter().collect();
    let mut shown = Vec::new();
    entries.sort_by_key(|entry| {
        let reach = match entry.reach {
            Reach::Cluster => 0,
            Reach::Sentinel => 1,
            Reach::Default => 2,
        };
        (entry.value.is_none(), reach, entry.index)
    });
    for entry in entries.iter_mut().filter(|entry| entry.wrong.is_none()) {
        let fitting = |cluster: bool| {
            free.iter()
                .position(|candidate| candidate.cluster == cluster && candidate.fits(entry))
        };
        // What is inside the cluster is left to those who ask for it, as long as there is something else.
        let other = || inside_will_do.then(|| fitting(true)).flatten();
        match fitting(entry.reach == Reach::Cluster).or_else(other) {
            Some(at) => shown.push((entry.index, free.remove(at).shown(entry.reach))),
            None => {
                let message = match entry.reach {
                    Reach::Cluster => "there is no address of a Service inside the cluster for it",
                    Reach::Default | Reach::Sentinel => "there is no address left for it",
                };
                entry.wrong = Some((Wrong::new("AddressNotAssigned", message), false));
            }
        }
    }
    shown.sort_by_key(|(index, _)| *index);
    shown.into_iter().map(|(_, address)| address).collect()
}

/// Whether Services of Gateways have an address outside of the cluster.
fn has_load_balancer(scope: &Scope<'_>) -> bool {
    let services = scope.settings().gateway_services.as_ref();
    services.is_some_and(|services| services.kind == ServiceType::LoadBalancer)
}

/// Whether a Service has none of the addresses that entries ask for because its load balancer has not answered.
fn nothing_yet(scope: &Scope<'_>, candidates: &[Candidate], entries: &[Entry]) -> bool {
    // One that is asked for by number may be one that the load balancer can't give.
    let outside = { entries.iter() }.all(|entry| entry.reach != Reach::Cluster && entry.value.is_none());
    candidates.is_empty()
        || (outside && has_load_balancer(scope) && candidates.iter().all(|candidate| candidate.cluster))
}

/// Whether the CRDs that are installed have room for it in a status.
pub(crate) fn tells_routability(scope: &mut Scope<'_>) -> bool {
    let Some(definition) = scope.definition(GATEWAY_CLASSES) else {
        return false;
    };
    let annotations = &definition.metadata.annotations;
    let minor = annotations.get(BUNDLE_VERSION).and_then(|version| {
        let minor = version.strip_prefix("v1.")?.split('.').next()?;
        minor.parse::<u32>().ok()
    });
    let experimental = annotations
        .get(CHANNEL)
        .is_some_and(|channel| channel == "experimental");
    experimental && minor.is_some_and(|minor| minor >= 7)
}

fn first(entries: &[Entry], takes: impl Fn(Reach) -> bool) -> Option<IpAddr> {
    let mut asked: Vec<_> = entries.iter().filter(|entry| takes(entry.reach)).collect();
    asked.sort_by_key(|entry| entry.index);
    asked.into_iter().find_map(|entry| entry.value)
}

fn report(scope: &mut Scope<'_>, origin: &Origin, index: usize, field: &str, message: &str, hint: &str) {
    let field = format!("spec.addresses[{index}].{field}");
    let finding = Diagnostic::new(Code::GatewayAddressUnusable, origin.clone(), field, message);
    scope.report(finding.hint(hint));
}

/// Where a Gateway listens that asks for nothing in particular: on its address of the pool if there is one, else wherever
/// the flags say.
fn wherever(scope: &Scope<'_>, gateway: &Gateway) -> Vec<Option<IpAddr>> {
    if scope.settings().address_pool.is_empty() {
        return binds::addresses(scope.settings());
    }
    let assigned = scope.assigned(&Key::of(&gateway.metadata));
    assigned.map(Some).into_iter().collect()
}

const SENTINEL: &str = "testing.x-k8s.io/sentinel";
