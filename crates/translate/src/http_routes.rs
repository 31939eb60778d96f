//! Units of HTTPRoutes and GRPCRoutes, as they are kept from one translation to the next.

use crate::changes::Changes;
use crate::gateway::{RouteUnit, grpc_route, route};
use crate::input::Objects;
use crate::output::move_status;
use crate::{Translator, dirty, replace};
use api::Resource;
use api::gateway::{GRPCRoute, HTTPRoute};

/// Translates the routes of one kind that a change concerns.
macro_rules! translate {
    ($self:ident, $objects:ident, $changes:ident, $memo:ident, $field:ident, $kind:ident, $as_http:expr) => {
        for key in dirty(&$self.$memo, $changes, &$changes.$field, &$objects.$field) {
            let previous = $self.$memo.get(&key);
            let result = $objects.$field.get(&key).map(|object| {
                run!($self, $objects, |scope| {
                    let as_http = $as_http;
                    let http = as_http(&mut *scope, &**object);
                    route::translate(scope, ($kind::KIND, &*http), previous)
                })
            });
            let new = result.as_ref().map(|(unit, _)| unit);
            $self.binds.route_changed(previous, new);
            let status = |unit: Option<&RouteUnit>| unit.and_then(|unit| unit.status.clone());
            move_status(
                &mut $self.statuses,
                status(previous).as_ref(),
                status(new).as_ref(),
            );
            replace(&mut $self.$memo, &mut $self.ledger, key, result);
        }
    };
}

impl Translator {
    /// HTTPRoutes, and GRPCRoutes as such.
    pub(crate) fn http_routes(&mut self, objects: &Objects, changes: &Changes) {
        translate!(
            self,
            objects,
            changes,
            routes,
            http_routes,
            HTTPRoute,
            |_, route| route
        );
        translate!(
            self,
            objects,
            changes,
            grpc_routes,
            grpc_routes,
            GRPCRoute,
            |scope, route| { Box::new(grpc_route::as_http(scope, route)) }
        );
    }
}
