//! ListenerSet: which Gateway it joins, and its listeners as far as they can be said without looking at others.

use super::admission::admits;
use super::tls::Secured;
use super::{Holder, SetUnit, is_ours, listener};
use crate::conditions::Wrong;
use crate::input::Key;
use crate::scope::Scope;
use crate::selector::serves;
use api::gateway::{FromNamespaces, GROUP, Gateway};
use api::listener_set::ListenerSet;
use ir::{Code, Diagnostic};
use std::sync::Arc;

/// What a ListenerSet asks for; `None` if its Gateway is not ours.
pub(crate) fn translate(scope: &mut Scope<'_>, set: &Arc<ListenerSet>) -> Option<SetUnit> {
    let holder = Holder::ListenerSet(Key::of(&set.metadata));
    let Some(membership) = membership(scope, set) else {
        no_gateway(scope, set, &holder);
        return None;
    };
    let listeners = match &membership.refused {
        None => {
            // What is wrong with it is the Gateway's to say.
            let secured = scope.quietly(true, |scope| Secured::read(scope, membership.gateway));
            listener::translate_all(scope, &holder, &set.spec.listeners, &secured)
        }
        Some(wrong) => {
            let diagnostic = Diagnostic::new(
                Code::ListenerSetNotAllowed,
                holder.origin(),
                "spec.parentRef",
                wrong.message.as_str(),
            );
            scope.report(diagnostic.hint(
                "Admit the namespace of the ListenerSet in allowedListeners of the Gateway, or name another Gateway",
            ));
            Vec::new()
        }
    };
    Some(SetUnit {
        set: Arc::clone(set),
        gateway: Key::of(&membership.gateway.metadata),
        refused: membership.refused,
        listeners,
    })
}

/// A ListenerSet and the Gateway of ours that it names.
pub(crate) struct Membership<'a> {
    /// The Gateway.
    pub gateway: &'a Arc<Gateway>,
    /// Why the ListenerSet may not join it.
    pub refused: Option<Wrong>,
}

/// Whether a ListenerSet may join the Gateway that it names; `None` if that is not ours, or the namespace is not served.
pub(crate) fn membership<'a>(scope: &mut Scope<'a>, set: &ListenerSet) -> Option<Membership<'a>> {
    let key = parent(set).filter(|_| serves(scope, &set.metadata.namespace))?;
    let gateway = scope.gateway(&key)?;
    if !is_ours(scope, gateway) {
        return None;
    }
    let allowed = gateway.spec.allowed_listeners.as_ref();
    let own = &set.metadata.namespace;
    let admitted = admits(
        scope,
        allowed.and_then(|allowed| allowed.namespaces.as_ref()),
        FromNamespaces::None,
        &key.namespace,
        own,
    );
    let refused = (!admitted).then(|| {
        let message = format!("Gateway {key} does not admit ListenerSets of namespace {own}");
        Wrong::new("NotAllowed", message)
    });
    Some(Membership { gateway, refused })
}

/// The Gateway that a ListenerSet names; `None` if it names something else.
fn parent(set: &ListenerSet) -> Option<Key> {
    let parent = &set.spec.parent_ref;
    if parent.group.as_deref().unwrap_or(GROUP) != GROUP
        || parent.kind.as_deref().unwrap_or("Gateway") != "Gateway"
    {
        return None;
    }
    let namespace = parent.namespace.as_deref().unwrap_or(&set.metadata.namespace);
    Some(Key::new(namespace, parent.name.as_str()))
}

/// A Gateway that does not exist is worth a word; one of another controller is not our business.
fn no_gateway(scope: &mut Scope<'_>, set: &ListenerSet, holder: &Holder) {
    let Some(key) = parent(set).filter(|key| scope.gateway(key).is_none()) else {
        return;
    };
    if !serves(scope, &set.metadata.namespace) {
        return;
    }
    let message = format!("Gateway {key} does not exist");
    scope.report(
        Diagnostic::new(Code::ParentNotFound, holder.origin(), "spec.parentRef", message)
            .hint("Create the Gateway, or name one that exists"),
    );
}
