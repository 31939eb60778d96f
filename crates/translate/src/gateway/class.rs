//! GatewayClass: every class that names our controller is accepted.

use crate::conditions::{Wrong, check};
use crate::input::{Key, Settings};
use crate::output::{ObjectStatus, Status, share_with};
use crate::scope::Scope;
use api::gateway::GatewayClass;
use api::status::{GatewayClassStatus, SupportedFeature};
use ir::{Code, Diagnostic};
use std::sync::Arc;

/// Status of a class; `None` if it belongs to another controller.
pub(crate) fn translate(
    scope: &mut Scope<'_>,
    class: &GatewayClass,
    previous: Option<&Arc<ObjectStatus>>,
) -> Option<Arc<ObjectStatus>> {
    if class.spec.controller_name != scope.settings().gateway_controller {
        return None;
    }
    let origin = Key::of(&class.metadata).origin("GatewayClass");
    let generation = class.metadata.generation;
    let wrong = class.spec.parameters_ref.as_ref().map(|parameters| {
        let message = format!(
            "parametersRef names {} {}, but Narthex has no settings of that kind",
            parameters.kind, parameters.name
        );
        scope.report(
            Diagnostic::new(
                Code::GatewayParametersInvalid,
                origin.clone(),
                "spec.parametersRef",
                &message,
            )
            .hint("Remove parametersRef"),
        );
        Wrong::new("InvalidParameters", message)
    });
    let features = features(scope.settings())
        .into_iter()
        .map(|name| SupportedFeature {
            name: name.to_owned(),
        });
    let status = GatewayClassStatus {
        conditions: vec![check(
            "Accepted",
            "Narthex serves Gateways of this class",
            wrong.as_ref(),
            generation,
        )],
        supported_features: features.collect(),
    };
    let status = ObjectStatus {
        origin,
        generation,
        status: Status::GatewayClass(Box::new(status)),
    };
    Some(share_with(status, previous))
}

/// What this installation can do: what is built, and what its settings make possible. Sorted.
fn features(settings: &Settings) -> Vec<&'static str> {
    let mut features = FEATURES.to_vec();
    if !settings.address_pool.is_empty() {
        features.extend(WITH_A_POOL);
        features.sort_unstable();
    }
    features
}

/// Features that need addresses to hand out. Sorted.
const WITH_A_POOL: &[&str] = &["GatewayAddressEmpty", "GatewayStaticAddresses"];

/// Features of Gateway API that are built, by their names in its `pkg/features`. Sorted.
pub(crate) const FEATURES: &[&str] = &[
    "Gateway",
    "GatewayHTTPListenerIsolation",
    "GatewayPort8080",
    "GatewayRouteHostnameIntersectionPrecedence",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolWebSocket",
    "HTTPRouteBackendRequestHeaderModification",
    "HTTPRouteBackendTimeout",
    "HTTPRouteBackendURLRewrite",
    "HTTPRouteCORS",
    "HTTPRouteDestinationPortMatching",
    "HTTPRouteHostRewrite",
    "HTTPRouteMethodMatching",
    "HTTPRouteNamedRouteRule",
    "HTTPRouteParentRefPort",
    "HTTPRoutePathRedirect",
    "HTTPRoutePathRewrite",
    "HTTPRoutePortRedirect",
    "HTTPRouteQueryParamMatching",
    "HTTPRouteRequestMirror",
    "HTTPRouteRequestMultipleMirrors",
    "HTTPRouteRequestPercentageMirror",
    "HTTPRouteRequestTimeout",
    "HTTPRouteResponseHeaderModification",
    "HTTPRouteRetryCodes",
    "HTTPRouteRetryConnectionError",
    "HTTPRouteSchemeRedirect",
    "ReferenceGrant",
];

#[cfg(test)]
mod tests {
    use super::FEATURES;

    #[test]
    fn features_are_sorted_and_each_stands_once() {
        assert!(FEATURES.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
