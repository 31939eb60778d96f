//! Gateways with the ListenerSets that joined them, and what they come to: statuses and Services.

use crate::gateway::front;
use crate::gateway::overlap::Overlaps;
use crate::gateway::set_status::{self, SetStanding};
use crate::gateway::status::{self, Standing};
use crate::gateway::{GatewayUnit, Holder, SetUnit};
use crate::input::{Key, Settings};
use crate::memo::Memo;
use crate::output::{ObjectStatus, Services};
use crate::ports::Ports;
use api::gateway::Gateway;
use std::collections::BTreeMap;

/// A Gateway of ours with the ListenerSets that name it.
pub(super) struct Merged<'a> {
    pub unit: &'a GatewayUnit,
    gateway: &'a Gateway,
    pub standings: Vec<Standing>,
    sets: Vec<(&'a Key, &'a SetUnit, SetStanding)>,
    overlaps: Overlaps<'a>,
    /// How many of them are accepted.
    attached: i32,
}

impl<'a> Merged<'a> {
    pub fn new(unit: &'a GatewayUnit, gateway: &'a Gateway, standings: Vec<Standing>) -> Self {
        let mut overlaps = Overlaps::default();
        overlaps.add_served(&unit.listeners, &standings);
        Self {
            unit,
            gateway,
            standings,
            sets: Vec::new(),
            overlaps,
            attached: 0,
        }
    }

    pub fn join(&mut self, key: &'a Key, set: &'a SetUnit, listeners: Vec<Standing>, gateway_accepted: bool) {
        self.overlaps.add_served(&set.listeners, &listeners);
        let standing = SetStanding {
            gateway_accepted,
            listeners,
        };
        self.attached += i32::from(set_status::refusal(set, &standing).is_none());
        self.sets.push((key, set, standing));
    }

    /// Its status and theirs.
    pub fn statuses(&self, key: &Key) -> impl Iterator<Item = (Holder, ObjectStatus)> {
        let own = status::gateway(
            key,
            self.gateway,
            self.unit,
            &self.standings,
            &self.overlaps,
            self.attached,
        );
        let sets = self.sets.iter().map(|(key, set, standing)| {
            let status = set_status::listener_set(key, set, self.unit, standing, &self.overlaps);
            (Holder::ListenerSet((*key).clone()), status)
        });
        std::iter::once((Holder::Gateway(key.clone()), own)).chain(sets)
    }
}

/// The Services that Gateways should have.
pub(super) fn services(
    settings: &Settings,
    gateways: &Memo<Key, GatewayUnit>,
    merged: &BTreeMap<&Key, Merged<'_>>,
    ports: &Ports,
) -> Services {
    let wanted = merged.iter().filter_map(|(key, gateway)| {
        let joined = gateway.sets.iter().flat_map(|(_, set, _)| &set.listeners);
        let ports = ports.service(
            key,
            gateway.unit.listeners.iter().chain(joined),
            settings.http.http3.is_some(),
        );
        front::wanted(settings, key, gateway.unit, ports)
    });
    let elsewhere = gateways.iter().filter(|(_, unit)| unit.elsewhere);
    Services {
        wanted: wanted.collect(),
        elsewhere: elsewhere.map(|(key, _)| key.clone()).collect(),
    }
}
