//! GatewayClass: every class that names our controller is accepted.

use super::addresses::tells_routability;
use crate::conditions::{Wrong, check};
use crate::input::{Key, Settings};
use crate::output::{ObjectStatus, Status, share_with};
use crate::scope::Scope;
use api::Resource;
use api::certificates::ClusterTrustBundle;
use api::core::ServiceType;
use api::extension::{BUNDLE_VERSION, GATEWAY_CLASSES};
use api::gateway::GatewayClass;
use api::status::{Condition, GatewayClassStatus, SupportedFeature};
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
    let release = release(scope);
    let bundles = release.is_some() && scope.has_kind(ClusterTrustBundle::KIND);
    let routability = tells_routability(scope);
    let features = features(scope.settings(), release.as_deref(), bundles, routability)
        .into_iter()
        .map(|name| SupportedFeature {
            name: name.to_owned(),
        });
    let mut conditions = vec![check(
        "Accepted",
        "Narthex serves Gateways of this class",
        wrong.as_ref(),
        generation,
    )];
    conditions.extend(release.map(|release| supported_version(&release, generation)));
    let status = GatewayClassStatus {
        conditions,
        supported_features: features.collect(),
    };
    let status = ObjectStatus {
        origin,
        generation,
        status: Status::GatewayClass(Box::new(status)),
    };
    Some(share_with(status, previous))
}

/// The release of Gateway API whose CRDs are installed, where a cluster tells.
fn release(scope: &mut Scope<'_>) -> Option<String> {
    let definition = scope.definition(GATEWAY_CLASSES)?;
    definition
        .metadata
        .annotations
        .get(BUNDLE_VERSION)
        .map(str::to_owned)
}

/// Whether these CRDs are of a release that Narthex was tested with. It serves others as well as it can.
fn supported_version(release: &str, generation: i64) -> Condition {
    let known = RELEASES.iter().any(|known| {
        let rest = release.strip_prefix(known);
        rest.is_some_and(|rest| rest.starts_with('.'))
    });
    let wrong = (!known).then(|| {
        let message = format!(
            "the CRDs are of Gateway API {release}; Narthex was tested with {}, and serves what it understands of others",
            RELEASES.join(" and ")
        );
        Wrong::new("UnsupportedVersion", message)
    });
    let fine = format!("Narthex was tested with the CRDs of Gateway API {release}");
    check("SupportedVersion", &fine, wrong.as_ref(), generation)
}

/// Releases of Gateway API whose conformance suite passes.
const RELEASES: &[&str] = &["v1.6", "v1.7"];

/// What this installation can do: what is built, and what its settings make possible. Sorted.
fn features(
    settings: &Settings,
    release: Option<&str>,
    bundles: bool,
    routability: bool,
) -> Vec<&'static str> {
    let mut features = FEATURES.to_vec();
    let services = settings.gateway_services.as_ref();
    let asks = services.is_some_and(|services| services.kind == ServiceType::LoadBalancer);
    if asks || !settings.address_pool.is_empty() {
        features.extend(WITH_ADDRESSES);
        if routability {
            features.push("GatewayAddressRoutability");
        }
    }
    // One address inside the cluster and one outside: what a Service of another type does not have.
    if asks && routability {
        features.push("GatewayAddressRoutabilityCluster");
    }
    if services.is_some() {
        features.extend(WITH_SERVICES);
    }
    match release {
        Some(release) if release.starts_with("v1.6.") => features.extend(NAMES_OF_1_6),
        // Earlier releases have no such name.
        _ if bundles => features.push("ClusterTrustBundle"),
        _ => {}
    }
    features.sort_unstable();
    features
}

/// Names that release 1.6 had for what `HTTPRouteRetryCodes` names since 1.7.
const NAMES_OF_1_6: &[&str] = &["HTTPRouteRetry", "HTTPRouteRetryBackendTimeout"];

/// Features that need Services of Gateways.
const WITH_SERVICES: &[&str] = &["GatewayInfrastructure"];

/// Features that need addresses to hand out, or somebody to ask for them. Sorted.
const WITH_ADDRESSES: &[&str] = &["GatewayAddressEmpty", "GatewayStaticAddresses"];

/// Features of Gateway API that are built, by their names in its `pkg/features`. Sorted.
pub(crate) const FEATURES: &[&str] = &[
    "BackendTLSPolicy",
    "BackendTLSPolicySANValidation",
    "GRPCRoute",
    "GRPCRouteNamedRouteRule",
    "GRPCRouteRequestHeaderModifier",
    "Gateway",
    "GatewayBackendClientCertificate",
    "GatewayFrontendClientCertificateValidation",
    "GatewayFrontendClientCertificateValidationInsecureFallback",
    "GatewayHTTPListenerIsolation",
    "GatewayHTTPSListenerDetectMisdirectedRequests",
    "GatewayPort8080",
    "GatewayRouteHostnameIntersectionPrecedence",
    "HTTPRoute",
    "HTTPRoute303RedirectStatusCode",
    "HTTPRoute307RedirectStatusCode",
    "HTTPRoute308RedirectStatusCode",
    "HTTPRouteBackendProtocolH2C",
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
    "ListenerSet",
    "ReferenceGrant",
    "TCPRoute",
    "TLSRoute",
    "TLSRouteModeMixed",
    "TLSRouteModeTerminate",
    "UDPRoute",
];

#[cfg(test)]
mod tests {
    use super::FEATURES;

    #[test]
    fn features_are_sorted_and_each_stands_once() {
        assert!(FEATURES.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
