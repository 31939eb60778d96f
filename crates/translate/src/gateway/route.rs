//! HTTPRoute: where it attaches, its rules and its status.

use super::RouteUnit;
use crate::scope::Scope;
use api::gateway::HTTPRoute;

/// Translates one HTTPRoute.
pub(crate) fn translate(scope: &mut Scope<'_>, route: &HTTPRoute, previous: Option<&RouteUnit>) -> RouteUnit {
    let _ = (scope, route, previous);
    RouteUnit {
        route: None,
        attached: Vec::new(),
        status: None,
    }
}
