//! Units of TCPRoutes, UDPRoutes and TLSRoutes, as they are kept from one translation to the next.

use crate::backends::Carrier;
use crate::changes::{Changes, ReadId};
use crate::gateway::stream_route::{self, Given};
use crate::gateway::{Place, RouteUnit};
use crate::input::{Key, Objects};
use crate::memo::Memo;
use crate::output::move_status;
use crate::{Translator, dirty, replace, stream_services};
use ir::StreamRoute;
use std::collections::HashSet;

/// Units by kind.
#[derive(Debug, Default)]
pub(crate) struct StreamRoutes {
    tcp: Memo<Key, RouteUnit<StreamRoute>>,
    udp: Memo<Key, RouteUnit<StreamRoute>>,
    tls: Memo<Key, RouteUnit<StreamRoute>>,
}

impl StreamRoutes {
    /// Listeners of those that looked at something.
    pub fn readers_of<'a>(&'a self, ids: &'a HashSet<ReadId>) -> impl Iterator<Item = &'a Place> {
        [&self.tcp, &self.tls].into_iter().flat_map(move |memo| {
            let keys = memo.readers_of(ids).into_iter();
            let routes = keys.filter_map(move |key| memo.get(&key));
            routes.flat_map(|route| route.attached.iter())
        })
    }
}

/// Translates the routes of one kind that a change concerns.
macro_rules! translate {
    ($self:ident, $objects:ident, $changes:ident, $memo:ident, $field:ident) => {
        for key in dirty(
            &$self.stream_routes.$memo,
            $changes,
            &$changes.$field,
            &$objects.$field,
        ) {
            let previous = $self.stream_routes.$memo.get(&key);
            let result = $objects.$field.get(&key).map(|route| {
                run!($self, $objects, |scope| stream_route::translate(
                    scope,
                    &Given::from(&**route),
                    previous
                ))
            });
            let new = result.as_ref().map(|(unit, _)| unit);
            $self.binds.stream_route_changed(previous, new);
            let status = |unit: Option<&RouteUnit<StreamRoute>>| unit.and_then(|unit| unit.status.clone());
            move_status(
                &mut $self.statuses,
                status(previous).as_ref(),
                status(new).as_ref(),
            );
            replace(&mut $self.stream_routes.$memo, &mut $self.ledger, key, result);
        }
    };
}

impl Translator {
    /// The ConfigMaps of ports that flags name.
    pub(crate) fn port_services(&mut self, objects: &Objects, changes: &Changes) {
        for (carrier, key) in [
            (Carrier::Tcp, self.settings.tcp_services.clone()),
            (Carrier::Udp, self.settings.udp_services.clone()),
        ] {
            let Some(key) = key else { continue };
            let known = self.port_services.get(&carrier).is_some();
            let concerned =
                changes.all || !known || !self.port_services.readers_of(&changes.reads).is_empty();
            if concerned {
                let (services, left) = run!(self, objects, |scope| stream_services::translate(
                    scope, &key, carrier
                ));
                self.binds.port_services_changed(carrier, services);
                replace(
                    &mut self.port_services,
                    &mut self.ledger,
                    carrier,
                    Some(((), left)),
                );
            }
        }
    }

    /// TCPRoutes, UDPRoutes and TLSRoutes.
    pub(crate) fn stream_routes(&mut self, objects: &Objects, changes: &Changes) {
        translate!(self, objects, changes, tcp, tcp_routes);
        translate!(self, objects, changes, udp, udp_routes);
        translate!(self, objects, changes, tls, tls_routes);
    }
}
