//! Which listeners an HTTPRoute attaches to, and why not to others. Looks at specs only: a listener that lost a
//! conflict or has no certificate counts its routes all the same.

use super::listener::is_http_route;
use super::our_gateway;
use crate::conditions::Wrong;
use crate::hosts::{self, Star};
use crate::input::Key;
use crate::scope::Scope;
use crate::selector;
use api::gateway::{FromNamespaces, GROUP, Gateway, HTTPRoute, Listener, ParentRef, Protocol};
use ir::{Code, Diagnostic, HostPattern, Origin};

/// What became of one parentRef to a Gateway of ours.
pub(crate) struct Attachment {
    /// As in the spec.
    pub parent: ParentRef,
    /// The Gateway.
    pub gateway: Key,
    /// Positions of the listeners attached to.
    pub listeners: Vec<usize>,
    /// Why there are none.
    pub refused: Option<Wrong>,
}

/// Tries every parentRef; those that don't refer to a Gateway of ours are left out.
pub(crate) fn attach(scope: &mut Scope<'_>, route: &HTTPRoute, hostnames: &[HostPattern]) -> Vec<Attachment> {
    let origin = Key::of(&route.metadata).origin("HTTPRoute");
    let mut attachments = Vec::new();
    for (index, parent) in route.spec.parent_refs.iter().enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        let group = parent.group.as_deref().unwrap_or(GROUP);
        let kind = parent.kind.as_deref().unwrap_or("Gateway");
        if group != GROUP || kind != "Gateway" {
            // A Service as parent is a mesh's business; a ListenerSet would be ours.
            if group == GROUP && kind == "ListenerSet" {
                scope.report(Diagnostic::new(
                    Code::RouteFieldUnsupported,
                    origin.clone(),
                    field,
                    "ListenerSets are not served yet, so the route does not attach there",
                ));
            }
            continue;
        }
        let namespace = parent.namespace.as_deref().unwrap_or(&route.metadata.namespace);
        let key = Key::new(namespace, &*parent.name);
        let Some(gateway) = our_gateway(scope, &key) else {
            if scope.gateway(&key).is_none() {
                let message = format!("Gateway {key} does not exist");
                scope.report(
                    Diagnostic::new(Code::ParentNotFound, origin.clone(), field, message)
                        .hint("Create the Gateway, or name one that exists"),
                );
            }
            continue;
        };
        let tried = Try {
            scope,
            route,
            origin: &origin,
            field,
        };
        let found = tried.listeners(gateway, &key, parent, hostnames);
        let (listeners, refused) = match found {
            Ok(listeners) => (listeners, None),
            Err(wrong) => (Vec::new(), Some(wrong)),
        };
        attachments.push(Attachment {
            parent: parent.clone(),
            gateway: Key::of(&gateway.metadata),
            listeners,
            refused,
        });
    }
    attachments
}

/// One parentRef being tried.
struct Try<'s, 'a> {
    scope: &'s mut Scope<'a>,
    route: &'s HTTPRoute,
    origin: &'s Origin,
    field: String,
}

impl Try<'_, '_> {
    fn listeners(
        mut self,
        gateway: &Gateway,
        key: &Key,
        parent: &ParentRef,
        hostnames: &[HostPattern],
    ) -> Result<Vec<usize>, Wrong> {
        let named: Vec<(usize, &Listener)> = gateway
            .spec
            .listeners
            .iter()
            .enumerate()
            .filter(|(_, listener)| {
                let section = parent.section_name.as_deref().filter(|name| !name.is_empty());
                section.is_none_or(|name| name == listener.name)
                    && parent.port.is_none_or(|port| port == listener.port)
            })
            .collect();
        if named.is_empty() {
            return Err(self.no_such_listener(gateway, key, parent));
        }
        let mut allowed = named.clone();
        allowed.retain(|(_, listener)| self.allows(gateway, listener));
        if allowed.is_empty() {
            return Err(self.not_allowed(&named, key));
        }
        let covered: Vec<usize> = allowed
            .iter()
            .filter(|(_, listener)| covers(listener, hostnames))
            .map(|(index, _)| *index)
            .collect();
        if covered.is_empty() {
            return Err(self.no_hostname(&allowed, key, hostnames));
        }
        Ok(covered)
    }

    fn allows(&mut self, gateway: &Gateway, listener: &Listener) -> bool {
        if !matches!(listener.protocol, Protocol::Http | Protocol::Https) {
            return false;
        }
        let Some(allowed) = &listener.allowed_routes else {
            return self.route.metadata.namespace == gateway.metadata.namespace;
        };
        if !allowed.kinds.is_empty() && !allowed.kinds.iter().any(is_http_route) {
            return false;
        }
        let namespaces = allowed.namespaces.as_ref();
        let from = namespaces.and_then(|namespaces| namespaces.from.clone());
        match from.unwrap_or_default() {
            FromNamespaces::All => true,
            FromNamespaces::Same => self.route.metadata.namespace == gateway.metadata.namespace,
            FromNamespaces::Selector => {
                let selector = namespaces.and_then(|namespaces| namespaces.selector.as_ref());
                selector.is_some_and(|selector| {
                    selector::takes(self.scope, selector, &self.route.metadata.namespace)
                })
            }
            FromNamespaces::None | FromNamespaces::Other(_) => false,
        }
    }

    fn no_such_listener(&mut self, gateway: &Gateway, key: &Key, parent: &ParentRef) -> Wrong {
        let name = parent.section_name.as_ref();
        let name = name.map(|name| format!(" named {name}")).unwrap_or_default();
        let port = parent.port.map(|port| format!(" on port {port}"));
        let message = format!("Gateway {key} has no listener{name}{}", port.unwrap_or_default());
        let there: Vec<String> = gateway
            .spec
            .listeners
            .iter()
            .map(|listener| format!("{} ({})", listener.name, listener.port))
            .collect();
        let hint = if there.is_empty() {
            "Give the Gateway a listener".to_owned()
        } else {
            format!("Its listeners are {}", there.join(", "))
        };
        self.report(Code::ParentNotFound, &message, &hint);
        Wrong::new("NoMatchingParent", message)
    }

    fn not_allowed(&mut self, named: &[(usize, &Listener)], key: &Key) -> Wrong {
        let message = format!(
            "{} of Gateway {key} {} not admit HTTPRoutes of namespace {}",
            names(named),
            if named.len() == 1 { "does" } else { "do" },
            self.route.metadata.namespace
        );
        self.report(
            Code::RouteNotAllowed,
            &message,
            "Admit the route's namespace and kind in allowedRoutes of the listener",
        );
        Wrong::new("NotAllowedByListeners", message)
    }

    fn no_hostname(&mut self, allowed: &[(usize, &Listener)], key: &Key, hostnames: &[HostPattern]) -> Wrong {
        let theirs: Vec<&str> = allowed
            .iter()
            .filter_map(|(_, listener)| listener.hostname.as_deref())
            .collect();
        let ours: Vec<String> = hostnames.iter().map(HostPattern::to_string).collect();
        let message = format!(
            "{} of Gateway {key} {} for {}, which covers none of the route's hostnames {}",
            names(allowed),
            if allowed.len() == 1 { "is" } else { "are" },
            theirs.join(", "),
            ours.join(", ")
        );
        self.report(
            Code::RouteHostnameMismatch,
            &message,
            "Change the hostname of the route or of the listener",
        );
        Wrong::new("NoMatchingListenerHostname", message)
    }

    fn report(&mut self, code: Code, message: &str, hint: &str) {
        let diagnostic = Diagnostic::new(code, self.origin.clone(), self.field.as_str(), message);
        self.scope.report(diagnostic.hint(hint));
    }
}

/// `listener web` or `listeners web, tls`.
fn names(listeners: &[(usize, &Listener)]) -> String {
    let names: Vec<&str> = listeners
        .iter()
        .map(|(_, listener)| listener.name.as_str())
        .collect();
    let word = if names.len() == 1 { "listener" } else { "listeners" };
    format!("{word} {}", names.join(", "))
}

fn covers(listener: &Listener, hostnames: &[HostPattern]) -> bool {
    let Some(text) = listener.hostname.as_deref().filter(|text| !text.is_empty()) else {
        return true;
    };
    hosts::parse(text, Star::Labels)
        .is_ok_and(|pattern| hostnames.iter().any(|hostname| hostname.intersects(&pattern)))
}
