//! Gateway: addresses and listeners, as far as they can be said without looking at other Gateways.

use super::addresses::Addresses;
use super::front::{self, Front};
use super::tls::Secured;
use super::{GatewayUnit, Holder, admission, is_ours, listener};
use crate::conditions::Wrong;
use crate::input::Key;
use crate::scope::Scope;
use crate::selector::serves;
use api::gateway::{DefaultScope, Gateway};
use ir::{Code, Diagnostic, Origin};
use std::sync::Arc;

/// What a Gateway asks for.
pub(crate) fn translate(scope: &mut Scope<'_>, gateway: &Arc<Gateway>) -> GatewayUnit {
    let origin = Key::of(&gateway.metadata).origin("Gateway");
    if !is_ours(scope, gateway) {
        unknown_class(scope, gateway, &origin);
        return GatewayUnit {
            elsewhere: front::is_elsewhere(scope, gateway),
            ..GatewayUnit::foreign()
        };
    }
    let class = refused_class(scope, gateway);
    let parameters = parameters(scope, gateway, &origin);
    let front = Front::look(scope, gateway, &origin);
    let addresses = Addresses::of(scope, gateway, &origin, front.as_ref());
    let secured = Secured::read(scope, gateway);
    allowed_listeners(scope, gateway, &origin);
    default_scope(scope, gateway, &origin);
    let holder = Holder::Gateway(Key::of(&gateway.metadata));
    let listeners = listener::translate_all(scope, &holder, &gateway.spec.listeners, &secured);
    GatewayUnit {
        gateway: Some(Arc::clone(gateway)),
        addresses: addresses.usable,
        refused: class.or(parameters).or(addresses.refused),
        unreachable: addresses.unusable,
        shown: addresses.shown,
        assigned: addresses.assigned,
        service: addresses.service,
        front,
        elsewhere: false,
        listeners,
        insecure: secured.is_insecure(),
        backend: secured.backend,
    }
}

/// A scope that nobody knows takes no routes.
fn default_scope(scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin) {
    if let Some(DefaultScope::Other(other)) = &gateway.spec.default_scope {
        let message = format!("{other} is no scope of default Gateways that is known here");
        let finding = Diagnostic::new(
            Code::GatewayFieldUnsupported,
            origin.clone(),
            "spec.defaultScope",
            message,
        );
        scope.report(finding.hint("Use All or None"));
    }
}

/// A class that does not exist is worth a word; one of another controller is not our business.
fn unknown_class(scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin) {
    let name = &gateway.spec.gateway_class_name;
    if scope.gateway_class(name).is_some() || !serves(scope, &gateway.metadata.namespace) {
        return;
    }
    let message = if name.is_empty() {
        "the Gateway names no class".to_owned()
    } else {
        format!("GatewayClass {name} does not exist")
    };
    let hint = format!(
        "Create a GatewayClass with controllerName {}, or name one that exists",
        scope.settings().gateway_controller
    );
    scope.report(
        Diagnostic::new(
            Code::GatewayClassNotFound,
            origin.clone(),
            "spec.gatewayClassName",
            message,
        )
        .hint(hint),
    );
}

/// A class that is not accepted serves no Gateway: its settings, whatever they were meant to do, are not known.
fn refused_class(scope: &mut Scope<'_>, gateway: &Gateway) -> Option<Wrong> {
    let name = &gateway.spec.gateway_class_name;
    scope.gateway_class(name)?.spec.parameters_ref.as_ref()?;
    Some(Wrong::new(
        "InvalidParameters",
        format!(
            "GatewayClass {name} is not accepted, because its parametersRef names settings that Narthex does not have"
        ),
    ))
}

fn parameters(scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin) -> Option<Wrong> {
    let parameters = gateway.spec.infrastructure.as_ref()?.parameters_ref.as_ref()?;
    let message = format!(
        "parametersRef names {} {}, but Narthex has no settings of that kind",
        parameters.kind, parameters.name
    );
    let field = "spec.infrastructure.parametersRef";
    scope.report(
        Diagnostic::new(
            Code::GatewayParametersInvalid,
            origin.clone(),
            field,
            message.as_str(),
        )
        .hint("Remove parametersRef"),
    );
    Some(Wrong::new("InvalidParameters", message))
}

/// Reports a mistake in who may join the Gateway.
fn allowed_listeners(scope: &mut Scope<'_>, gateway: &Gateway, origin: &Origin) {
    let allowed = gateway.spec.allowed_listeners.as_ref();
    let namespaces = allowed.and_then(|allowed| allowed.namespaces.as_ref());
    if let Some(mistake) = namespaces.and_then(admission::mistake) {
        scope.report(
            Diagnostic::new(
                Code::ListenerSetNotAllowed,
                origin.clone(),
                "spec.allowedListeners.namespaces",
                format!("{mistake}, so no ListenerSet is admitted"),
            )
            .hint("Use All, Same, None, or Selector with a selector"),
        );
    }
}
