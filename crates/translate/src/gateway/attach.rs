//! Which listeners a route attaches to, and why not to others. Looks at specs only: a listener that lost a
//! conflict or has no certificate counts its routes all the same.

use super::admission::admits;
use super::holder::Holder;
use super::listener::{fits, is_kind};
use super::{listener_set, our_gateway};
use crate::conditions::Wrong;
use crate::hosts::{self, Star};
use crate::input::Key;
use crate::scope::Scope;
use api::Meta;
use api::gateway::{DefaultScope, FromNamespaces, GROUP, Listener, ParentRef};
use ir::{Code, Diagnostic, HostPattern, Origin};

/// What became of one parentRef to a Gateway of ours, or to a ListenerSet of one.
pub(crate) struct Attachment {
    /// As in the spec.
    pub parent: ParentRef,
    /// The Gateway or ListenerSet.
    pub holder: Holder,
    /// Positions of the listeners attached to.
    pub listeners: Vec<usize>,
    /// Why there are none.
    pub refused: Option<Wrong>,
}

/// A route that wants to attach.
#[derive(Clone, Copy)]
pub(crate) struct Attaching<'r> {
    /// `HTTPRoute`
    pub kind: &'static str,
    /// The route.
    pub origin: &'r Origin,
    pub metadata: &'r Meta,
    pub parents: &'r [ParentRef],
    /// `spec.useDefaultGateways`
    pub defaults: Option<&'r DefaultScope>,
    /// Its own; [`HostPattern::Any`] where it has none.
    pub hostnames: &'r [HostPattern],
}

/// Tries every parentRef, and default Gateways if the route asks for them; those that don't lead to a Gateway of ours are
/// left out.
pub(crate) fn attach(scope: &mut Scope<'_>, route: Attaching<'_>) -> Vec<Attachment> {
    let mut attachments = Vec::new();
    for (index, parent) in route.parents.iter().enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        attachments.extend(attach_to(scope, route, parent, field));
    }
    let defaults = defaults(scope, route);
    if !defaults.is_empty() {
        let all = |scope: &mut Scope<'_>| -> Vec<Attachment> {
            let attached = defaults
                .iter()
                .filter_map(|parent| attach_to(scope, route, parent, DEFAULTS.to_owned()));
            attached.collect()
        };
        // That not every one of them fits is no mistake of the route's; that none does is.
        let told = scope.quietly(true, all);
        attachments.extend(if told.iter().all(|attachment| attachment.refused.is_some()) {
            all(scope)
        } else {
            told
        });
    }
    attachments
}

/// `None` if the parent is not ours.
fn attach_to(
    scope: &mut Scope<'_>,
    route: Attaching<'_>,
    parent: &ParentRef,
    field: String,
) -> Option<Attachment> {
    let mut tried = Try { scope, route, field };
    let (holder, found) = tried.parent(parent)?;
    let found = found.and_then(|listeners| tried.listeners(listeners, &holder, parent, route.hostnames));
    let (listeners, refused) = match found {
        Ok(listeners) => (listeners, None),
        Err(wrong) => (Vec::new(), Some(wrong)),
    };
    Some(Attachment {
        parent: parent.clone(),
        holder,
        listeners,
        refused,
    })
}

/// The default Gateways of ours for a route that asks for them, as if it named them; those that it names itself are left out.
fn defaults(scope: &mut Scope<'_>, route: Attaching<'_>) -> Vec<ParentRef> {
    let origin = route.origin;
    match route.defaults {
        None | Some(DefaultScope::None) => return Vec::new(),
        Some(DefaultScope::All) => {}
        Some(DefaultScope::Other(other)) => {
            let message = format!("{other} is no scope of default Gateways that is known here");
            let finding = Diagnostic::new(Code::RouteFieldUnsupported, origin.clone(), DEFAULTS, message);
            scope.report(finding.hint("Use All or None"));
            return Vec::new();
        }
    }
    let all = scope.default_gateways();
    if all.is_empty() {
        let finding = Diagnostic::new(
            Code::NoDefaultGateway,
            origin.clone(),
            DEFAULTS,
            "the route asks for default Gateways, and there is none",
        );
        scope.report(finding.hint("Set defaultScope: All in a Gateway, or name one in parentRefs"));
    }
    let names = |parent: &ParentRef, key: &Key| {
        parent.group.as_deref().unwrap_or(GROUP) == GROUP
            && parent.kind.as_deref().unwrap_or("Gateway") == "Gateway"
            && *parent.name == *key.name
            && *parent.namespace.as_deref().unwrap_or(&route.metadata.namespace) == *key.namespace
            && parent.section_name.is_none()
            && parent.port.is_none()
    };
    all.iter()
        .filter(|key| !route.parents.iter().any(|parent| names(parent, key)))
        .map(|key| ParentRef {
            group: Some(GROUP.into()),
            kind: Some("Gateway".into()),
            namespace: Some((&*key.namespace).into()),
            name: (&*key.name).into(),
            ..ParentRef::default()
        })
        .collect()
}

const DEFAULTS: &str = "spec.useDefaultGateways";

/// One parentRef being tried.
struct Try<'s, 'a> {
    scope: &'s mut Scope<'a>,
    route: Attaching<'s>,
    field: String,
}

impl<'a> Try<'_, 'a> {
    /// The parent with its listeners, or why it has none for anybody; `None` if it is not ours.
    fn parent(&mut self, parent: &ParentRef) -> Option<(Holder, Result<&'a [Listener], Wrong>)> {
        if parent.group.as_deref().unwrap_or(GROUP) != GROUP {
            return None;
        }
        let namespace = parent.namespace.as_deref();
        let key = Key::new(namespace.unwrap_or(&self.route.metadata.namespace), &*parent.name);
        match parent.kind.as_deref().unwrap_or("Gateway") {
            "Gateway" => self.gateway(key),
            "ListenerSet" => self.listener_set(key),
            // A Service as parent is a mesh's business.
            _ => None,
        }
    }

    fn gateway(&mut self, key: Key) -> Option<(Holder, Result<&'a [Listener], Wrong>)> {
        if let Some(gateway) = our_gateway(self.scope, &key) {
            return Some((Holder::Gateway(key), Ok(&gateway.spec.listeners)));
        }
        if self.scope.gateway(&key).is_none() {
            self.missing(&Holder::Gateway(key));
        }
        None
    }

    fn listener_set(&mut self, key: Key) -> Option<(Holder, Result<&'a [Listener], Wrong>)> {
        let holder = Holder::ListenerSet(key);
        let Some(set) = self.scope.listener_set(holder.key()) else {
            self.missing(&holder);
            return None;
        };
        let membership = listener_set::membership(self.scope, set)?;
        let Some(refused) = membership.refused else {
            return Some((holder, Ok(&set.spec.listeners)));
        };
        let message = format!("{holder} can't be attached to: {}", refused.message);
        self.report(
            Code::RouteNotAllowed,
            &message,
            "Admit the ListenerSet in allowedListeners of the Gateway",
        );
        Some((holder, Err(Wrong::new("NoMatchingParent", message))))
    }

    fn missing(&mut self, holder: &Holder) {
        let hint = format!("Create the {}, or name one that exists", holder.kind());
        self.report(Code::ParentNotFound, &format!("{holder} does not exist"), &hint);
    }

    fn listeners(
        &mut self,
        all: &[Listener],
        holder: &Holder,
        parent: &ParentRef,
        hostnames: &[HostPattern],
    ) -> Result<Vec<usize>, Wrong> {
        let named: Vec<(usize, &Listener)> = all
            .iter()
            .enumerate()
            .filter(|(_, listener)| {
                let section = parent.section_name.as_deref().filter(|name| !name.is_empty());
                section.is_none_or(|name| name == listener.name)
                    && parent.port.is_none_or(|port| port == listener.port)
            })
            .collect();
        if named.is_empty() {
            return Err(self.no_such_listener(all, holder, parent));
        }
        let mut allowed = named.clone();
        allowed.retain(|(_, listener)| self.allows(holder, listener));
        if allowed.is_empty() {
            return Err(self.not_allowed(&named, holder));
        }
        let covered: Vec<usize> = allowed
            .iter()
            .filter(|(_, listener)| covers(listener, hostnames))
            .map(|(index, _)| *index)
            .collect();
        if covered.is_empty() {
            return Err(self.no_hostname(&allowed, holder, hostnames));
        }
        Ok(covered)
    }

    fn allows(&mut self, holder: &Holder, listener: &Listener) -> bool {
        if !fits(&listener.protocol, self.route.kind) {
            return false;
        }
        let allowed = listener.allowed_routes.as_ref();
        let kinds = allowed.map_or(&[][..], |allowed| &allowed.kinds);
        if !kinds.is_empty() && !kinds.iter().any(|kind| is_kind(kind, self.route.kind)) {
            return false;
        }
        admits(
            self.scope,
            allowed.and_then(|allowed| allowed.namespaces.as_ref()),
            FromNamespaces::Same,
            &holder.key().namespace,
            &self.route.metadata.namespace,
        )
    }

    fn no_such_listener(&mut self, all: &[Listener], holder: &Holder, parent: &ParentRef) -> Wrong {
        let name = parent.section_name.as_ref();
        let name = name.map(|name| format!(" named {name}")).unwrap_or_default();
        let port = parent.port.map(|port| format!(" on port {port}"));
        let message = format!("{holder} has no listener{name}{}", port.unwrap_or_default());
        let there: Vec<String> = all
            .iter()
            .map(|listener| format!("{} ({})", listener.name, listener.port))
            .collect();
        let hint = if there.is_empty() {
            format!("Give the {} a listener", holder.kind())
        } else {
            format!("Its listeners are {}", there.join(", "))
        };
        self.report(Code::ParentNotFound, &message, &hint);
        Wrong::new("NoMatchingParent", message)
    }

    fn not_allowed(&mut self, named: &[(usize, &Listener)], holder: &Holder) -> Wrong {
        let message = format!(
            "{} of {holder} {} not admit {}s of namespace {}",
            names(named),
            if named.len() == 1 { "does" } else { "do" },
            self.route.kind,
            self.route.metadata.namespace
        );
        self.report(
            Code::RouteNotAllowed,
            &message,
            "Admit the route's namespace and kind in allowedRoutes of the listener",
        );
        Wrong::new("NotAllowedByListeners", message)
    }

    fn no_hostname(
        &mut self,
        allowed: &[(usize, &Listener)],
        holder: &Holder,
        hostnames: &[HostPattern],
    ) -> Wrong {
        let theirs: Vec<&str> = allowed
            .iter()
            .filter_map(|(_, listener)| listener.hostname.as_deref())
            .collect();
        let ours: Vec<String> = hostnames.iter().map(HostPattern::to_string).collect();
        let message = format!(
            "{} of {holder} {} for {}, which covers none of the route's hostnames {}",
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
        let diagnostic = Diagnostic::new(code, self.route.origin.clone(), self.field.as_str(), message);
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
