//! Which Ingresses are ours: `ingressClassName`, the older annotation, the default class, or no class at all.
//!
//! An IngressClass whose controller is ours makes its Ingresses ours, whenever it is created. Without any
//! IngressClass object (a directory on a laptop rarely has one) nobody else can be meant, so an Ingress without
//! class, or with our own name as class, is served too. A class named by `--ingress-class` needs no object.

use super::annotations::distance;
use crate::input::Key;
use crate::scope::Scope;
use api::networking::{CLASS_ANNOTATION, DEFAULT_CLASS_ANNOTATION, Ingress, IngressClass};
use ir::{Code, Diagnostic};

/// Why an Ingress is left alone; `None` if it is ours.
pub(super) fn not_ours(scope: &mut Scope<'_>, ingress: &Ingress) -> Option<Diagnostic> {
    let spec = ingress.spec.ingress_class_name.as_deref();
    let annotation = ingress.metadata.annotations.get(CLASS_ANNOTATION);
    let (name, field) = match (spec, annotation) {
        // The API server refuses an Ingress with two different ones; the field is the newer.
        (Some(name), _) if !name.is_empty() => (name, "spec.ingressClassName".to_owned()),
        (_, Some(name)) if !name.is_empty() => (name, format!("metadata.annotations[{CLASS_ANNOTATION:?}]")),
        _ => return by_default(scope, ingress),
    };
    let settings = scope.settings();
    if let Some(only) = &settings.ingress_class
        && only != name
    {
        let message = format!("class {name} is not served, only {only} is (--ingress-class)");
        return Some(unknown(ingress, field, &message));
    }
    let classes = scope.ingress_classes();
    match classes.get(&Key::new("", name)) {
        Some(class) if class.spec.controller == settings.ingress_controller => None,
        Some(class) => {
            let controller = &class.spec.controller;
            let message = format!("class {name} belongs to the controller {controller}");
            Some(unknown(ingress, field, &message))
        }
        None if settings.ingress_class.as_deref() == Some(name) => None,
        None if classes.is_empty() && name == OUR_NAME => None,
        None => {
            let message = format!("there is no IngressClass {name}");
            let mut ours: Vec<&str> = classes
                .values()
                .filter(|class| class.spec.controller == settings.ingress_controller)
                .map(|class| &*class.metadata.name)
                .collect();
            if classes.is_empty() {
                ours.push(OUR_NAME);
            }
            let meant = ours.into_iter().find(|ours| distance(ours, name) <= 2);
            let hint = match meant {
                Some(meant) => format!("Did you mean {meant}?"),
                None => format!(
                    "Create an IngressClass {name} with controller {}, or run with --ingress-class {name}",
                    settings.ingress_controller
                ),
            };
            Some(unknown(ingress, field, &message).hint(hint))
        }
    }
}

fn by_default(scope: &mut Scope<'_>, ingress: &Ingress) -> Option<Diagnostic> {
    let settings = scope.settings();
    let classes = scope.ingress_classes();
    let is_default = |class: &IngressClass| {
        let annotation = class.metadata.annotations.get(DEFAULT_CLASS_ANNOTATION);
        annotation.is_some_and(|value| value == "true")
    };
    let mut defaults = classes.values().filter(|class| is_default(class));
    let serves_class = |class: &IngressClass| match &settings.ingress_class {
        Some(only) => *only == *class.metadata.name,
        None => true,
    };
    let ours =
        defaults.any(|class| class.spec.controller == settings.ingress_controller && serves_class(class));
    if ours || settings.watch_ingress_without_class || classes.is_empty() {
        return None;
    }
    let message = "the Ingress names no class, and no class of ours is the default one";
    let name = classes
        .values()
        .find(|class| class.spec.controller == settings.ingress_controller)
        .map_or(OUR_NAME, |class| &class.metadata.name);
    let origin = Key::of(&ingress.metadata).origin("Ingress");
    let finding = Diagnostic::new(
        Code::IngressClassMissing,
        origin,
        "spec.ingressClassName",
        message,
    );
    Some(finding.hint(format!("Set ingressClassName: {name}")))
}

fn unknown(ingress: &Ingress, field: String, message: &str) -> Diagnostic {
    let origin = Key::of(&ingress.metadata).origin("Ingress");
    Diagnostic::new(
        Code::IngressClassUnknown,
        origin,
        field,
        format!("{message}; the Ingress is left alone"),
    )
}

/// The class that our own manifests create.
const OUR_NAME: &str = "narthex";
