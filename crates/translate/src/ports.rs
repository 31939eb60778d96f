//! Ports of ours that the Services of Gateways lead to.
//!
//! Every replica comes to the same answer without asking the others: what a Service shows stays, and a new port begins to
//! look at a place that follows from the Gateway's name and the port that clients use. We listen where a Service shows it
//! and nowhere else, so that replicas that know different things are never in each other's way.

use crate::gateway::{GatewayUnit, ListenerUnit, SetUnit, Speaks};
use crate::input::{Key, Settings};
use crate::output::{MappedPort, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

/// Where we listen for the ports of Gateways.
#[derive(Debug, Default)]
pub(crate) struct Ports {
    /// By Gateway and the port that clients use.
    targets: BTreeMap<Key, BTreeMap<Port, Target>>,
    /// Whether Gateways have ports of ours at all; otherwise we listen on those that they name.
    mapped: bool,
}

/// A port that clients use.
pub(crate) type Port = (Protocol, u16);

/// A port of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target {
    /// Its number.
    pub port: u16,
    /// Whether the Gateway's Service leads there already.
    pub open: bool,
}

impl Ports {
    /// Hands ports out; the oldest Gateway comes first in `gateways`.
    pub fn assign(settings: &Settings, gateways: &[(&Key, &GatewayUnit)], sets: &[(&Key, &SetUnit)]) -> Self {
        let services = settings.gateway_services.as_ref();
        let Some(services) = services.filter(|_| settings.address_pool.is_empty()) else {
            return Self::default();
        };
        let mut asked = Vec::new();
        let mut joined: BTreeMap<&Key, BTreeSet<Port>> = BTreeMap::new();
        for (_, set) in sets {
            let ports = joined.entry(&set.gateway).or_default();
            ports.extend(served(&set.listeners));
        }
        for (key, unit) in gateways {
            let shown = unit.front.as_ref().and_then(|front| front.shown.as_deref());
            let shown = shown.unwrap_or_default();
            let mut ports: BTreeSet<Port> = served(&unit.listeners).collect();
            ports.extend(joined.get(key).into_iter().flatten());
            if unit.refused.is_some() {
                // Its Service stays, and may lead to nobody else.
                ports = shown.iter().map(port_of).collect();
            }
            asked.extend(ports.into_iter().map(|port| {
                let shown = shown.iter().find(|mapped| port_of(mapped) == port);
                Asked {
                    gateway: key,
                    port,
                    shown: shown.map(|mapped| mapped.target),
                }
            }));
        }
        Self {
            targets: targets(settings, &services.ports, &asked),
            mapped: true,
        }
    }

    /// Where we listen for a port of a Gateway; `None`: no port is left.
    pub fn target(&self, gateway: &Key, port: Port) -> Option<Target> {
        if !self.mapped {
            let (_, port) = port;
            return Some(Target { port, open: true });
        }
        self.targets.get(gateway)?.get(&port).copied()
    }

    /// Ports of a Gateway's Service. `listeners` are its own and those that join it from elsewhere. `http3`: a port of HTTPS is
    /// one of UDP too, which leads to the same number of ours.
    pub fn service<'a>(
        &self,
        gateway: &Key,
        listeners: impl Iterator<Item = &'a ListenerUnit>,
        http3: bool,
    ) -> Vec<MappedPort> {
        let (mut ports, mut https) = (BTreeSet::<Port>::new(), BTreeSet::new());
        for listener in listeners.filter(|listener| is_served(listener)) {
            ports.insert((listener.protocol(), listener.port));
            if http3 && listener.speaks == Some(Speaks::Https) {
                https.insert(listener.port);
            }
        }
        https.retain(|port| !ports.contains(&(Protocol::Udp, *port)));
        let ports = ports.into_iter().map(|port| (port, port.0));
        let https = https
            .into_iter()
            .map(|port| ((Protocol::Tcp, port), Protocol::Udp));
        let mapped = ports.chain(https).filter_map(|(port, protocol)| {
            let target = self.target(gateway, port)?.port;
            Some(MappedPort {
                protocol,
                port: port.1,
                target,
            })
        });
        mapped.collect()
    }
}

/// One port that a Gateway needs.
struct Asked<'a> {
    gateway: &'a Key,
    port: Port,
    /// Where its Service leads to.
    shown: Option<u16>,
}

fn targets(
    settings: &Settings,
    range: &RangeInclusive<u16>,
    asked: &[Asked<'_>],
) -> BTreeMap<Key, BTreeMap<Port, Target>> {
    let ingress = [settings.http_port, settings.https_port];
    let usable = |port: &u16| range.contains(port) && !ingress.contains(port);
    let mut taken = BTreeSet::new();
    let mut targets: BTreeMap<Key, BTreeMap<Port, Target>> = BTreeMap::new();
    let mut put = |asked: &Asked<'_>, target| {
        let ports = targets.entry(asked.gateway.clone()).or_default();
        ports.insert(asked.port, target);
    };
    let mut left: Vec<_> = asked.iter().collect();
    // Where two Services show the same, whoever begins to look there comes first: who edits his own Service takes
    // nothing from anybody.
    for at_home in [true, false] {
        left.retain(|asked| {
            let shown = asked.shown.filter(usable);
            let shown = shown.filter(|port| !at_home || Some(*port) == place(asked, range, 0));
            match shown.filter(|port| taken.insert(*port)) {
                Some(port) => put(asked, Target { port, open: true }),
                None => return true,
            }
            false
        });
    }
    for asked in left {
        let mut places = (0..range.len()).map_while(|step| place(asked, range, step));
        if let Some(port) = places.find(|port| usable(port) && taken.insert(*port)) {
            put(asked, Target { port, open: false });
        }
    }
    targets
}

/// Where to look for a port at the nth try.
fn place(asked: &Asked<'_>, range: &RangeInclusive<u16>, step: usize) -> Option<u16> {
    let (protocol, port) = asked.port;
    let start = hash(&format!("{}:{port}/{}", asked.gateway, protocol.as_str()));
    let at = start.checked_add(step as u64)?.checked_rem(range.len() as u64)?;
    range.start().checked_add(u16::try_from(at).ok()?)
}

/// FNV-1a: the same in every release of every program.
pub(crate) fn hash(text: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // Its low bits alone are poor.
    (hash >> 32) ^ (hash & 0xffff_ffff)
}

fn served<'a>(listeners: impl IntoIterator<Item = &'a ListenerUnit>) -> impl Iterator<Item = Port> {
    let served = listeners.into_iter().filter(|listener| is_served(listener));
    served.map(|listener| (listener.protocol(), listener.port))
}

fn port_of(mapped: &MappedPort) -> Port {
    (mapped.protocol, mapped.port)
}

/// Whether a listener needs a port of ours.
fn is_served(listener: &ListenerUnit) -> bool {
    listener.speaks.is_some() && listener.refused.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(gateway: &Key, port: u16, shown: Option<u16>) -> Asked<'_> {
        Asked {
            gateway,
            port: (Protocol::Tcp, port),
            shown,
        }
    }

    fn assign(range: RangeInclusive<u16>, asked: &[Asked<'_>]) -> Vec<(String, u16, u16, bool)> {
        let targets = targets(&Settings::default(), &range, asked);
        let each = targets.iter().flat_map(|(key, ports)| {
            ports
                .iter()
                .map(|((_, port), target)| (key.to_string(), *port, target.port, target.open))
        });
        each.collect()
    }

    #[test]
    fn what_a_service_shows_stays_and_others_come_around_it() {
        let keys = ["a", "b", "c"].map(|name| Key::new("n", name));
        let first: Vec<_> = keys.iter().map(|key| asked(key, 80, None)).collect();
        let before = assign(20000..=20003, &first);
        let ports: BTreeSet<u16> = before.iter().map(|(.., target, _)| *target).collect();
        assert_eq!(ports.len(), 3);
        assert!(before.iter().all(|(.., open)| !open));
        let c = before[2].2;
        let after = assign(
            20000..=20003,
            &[asked(&keys[0], 81, None), asked(&keys[2], 80, Some(c))],
        );
        assert_eq!(after[1], ("n/c".to_owned(), 80, c, true));
        assert_ne!(after[0].2, c);
    }

    #[test]
    fn who_shows_the_port_of_another_does_not_get_it() {
        let (old, young) = (Key::new("n", "old"), Key::new("n", "young"));
        let range = 20000..=29999;
        let home = place(&asked(&young, 80, None), &range, 0);
        let all = assign(range, &[asked(&old, 80, home), asked(&young, 80, home)]);
        assert_eq!(all[1], ("n/young".to_owned(), 80, home.unwrap(), true));
        assert!(!all[0].3 && Some(all[0].2) != home);
    }

    #[test]
    fn ports_of_ingress_and_beyond_the_range_are_nobodys_and_a_range_can_be_used_up() {
        let key = Key::new("n", "a");
        let wanted = [(1, Some(80)), (2, Some(443)), (3, Some(90)), (4, None)];
        let wanted = wanted.map(|(port, shown)| asked(&key, port, shown));
        let all = assign(79..=81, &wanted);
        let targets: Vec<u16> = all.iter().map(|(.., target, _)| *target).collect();
        assert_eq!(BTreeSet::from_iter(targets), BTreeSet::from([79, 81]));
    }
}
