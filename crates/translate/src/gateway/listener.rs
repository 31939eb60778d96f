//! One listener of a Gateway or ListenerSet: protocol, hostname, certificates and kinds of routes.

mod tls;

use super::tls::Secured;
use super::{Holder, ListenerUnit, Speaks, admission};
use crate::conditions::Wrong;
use crate::hosts::{self, Star};
use crate::scope::Scope;
use api::gateway::{GROUP, Listener, Protocol, RouteGroupKind, TlsMode};
use ir::{Code, Diagnostic, HostPattern, Origin};

/// Reads the listeners of a Gateway or ListenerSet.
pub(crate) fn translate_all(
    scope: &mut Scope<'_>,
    holder: &Holder,
    listeners: &[Listener],
    secured: &Secured,
) -> Vec<ListenerUnit> {
    (0..listeners.len())
        .map(|index| translate(scope, holder, listeners, index, secured))
        .collect()
}

fn translate(
    scope: &mut Scope<'_>,
    holder: &Holder,
    listeners: &[Listener],
    index: usize,
    secured: &Secured,
) -> ListenerUnit {
    let listener = &listeners[index];
    let mut look = Look {
        scope,
        holder,
        before: &listeners[..index],
        listener,
        index,
        origin: holder.origin().section(listener.name.as_str()),
        refused: None,
        unresolved: None,
    };
    let speaks = look.speaks();
    let hostname = look.hostname();
    look.name_and_port();
    let kinds = look.kinds();
    look.namespaces();
    look.filters();
    let certificates = look.certificates(speaks, &hostname);
    let clients = look.clients(speaks, secured);
    let tls_policy = look.tls_policy();
    ListenerUnit {
        origin: look.origin,
        name: listener.name.clone(),
        port: listener.port,
        speaks,
        hostname,
        certificates,
        clients,
        tls_policy,
        identity: secured.identity.clone(),
        kinds,
        refused: look.refused,
        unresolved: look.unresolved,
    }
}

/// A listener being looked at, with the first reason found against it.
struct Look<'s, 'a> {
    scope: &'s mut Scope<'a>,
    holder: &'s Holder,
    /// Listeners of the same object that come first.
    before: &'s [Listener],
    listener: &'s Listener,
    index: usize,
    origin: Origin,
    refused: Option<Wrong>,
    unresolved: Option<Wrong>,
}

impl Look<'_, '_> {
    fn speaks(&mut self) -> Option<Speaks> {
        let mode = self.listener.tls.as_ref().and_then(|tls| tls.mode.clone());
        match &self.listener.protocol {
            Protocol::Http => Some(Speaks::Http),
            Protocol::Https => Some(Speaks::Https),
            Protocol::Tls if mode == Some(TlsMode::Passthrough) => Some(Speaks::TlsPassthrough),
            Protocol::Tls => Some(Speaks::TlsTerminate),
            Protocol::Tcp => Some(Speaks::Tcp),
            Protocol::Udp => Some(Speaks::Udp),
            other @ Protocol::Other(_) => {
                let message = format!("protocol {other} is not supported");
                self.report(
                    Code::ListenerProtocolUnsupported,
                    "protocol",
                    &message,
                    "Use HTTP, HTTPS, TLS, TCP or UDP",
                );
                self.refuse("UnsupportedProtocol", message);
                None
            }
        }
    }

    fn hostname(&mut self) -> HostPattern {
        let Some(text) = self.listener.hostname.as_deref().filter(|text| !text.is_empty()) else {
            return HostPattern::Any;
        };
        if matches!(self.listener.protocol, Protocol::Tcp | Protocol::Udp) {
            // The API server checks this too, for Gateways.
            let message = format!("protocol {} knows no host names", self.listener.protocol);
            self.report(Code::ListenerInvalid, "hostname", &message, "Remove hostname");
            self.refuse("UnsupportedValue", message);
            return HostPattern::Any;
        }
        hosts::parse(text, Star::Labels).unwrap_or_else(|error| {
            let message = format!("hostname \"{text}\" {error}");
            self.report(
                Code::ListenerInvalid,
                "hostname",
                &message,
                "Write a name such as shop.example.com or *.example.com",
            );
            self.refuse("UnsupportedValue", message);
            HostPattern::Any
        })
    }

    fn name_and_port(&mut self) {
        if self.listener.port == 0 {
            let message = "port 0 is not a port that clients can reach".to_owned();
            self.report(
                Code::ListenerInvalid,
                "port",
                &message,
                "Give a port from 1 to 65535",
            );
            self.refuse("PortUnavailable", message);
        }
        let name = &self.listener.name;
        if name.is_empty() || self.before.iter().any(|other| other.name == *name) {
            let message = if name.is_empty() {
                "the listener has no name".to_owned()
            } else {
                format!("a listener before this one has the name {name} too")
            };
            self.report(
                Code::ListenerInvalid,
                "name",
                &message,
                "Give each listener a name of its own",
            );
            self.refuse("UnsupportedValue", message);
        }
    }

    /// Kinds of routes that the listener serves: those of its protocol, narrowed to those it names.
    fn kinds(&mut self) -> Vec<RouteGroupKind> {
        let fitting = fitting(&self.listener.protocol);
        let served = |kind: &&str| RouteGroupKind {
            group: Some(GROUP.to_owned()),
            kind: (*kind).to_owned(),
        };
        if fitting.is_empty() {
            return Vec::new();
        }
        let allowed = self.listener.allowed_routes.as_ref();
        let asked = allowed.map_or(&[][..], |allowed| &allowed.kinds);
        if asked.is_empty() {
            return fitting.iter().map(served).collect();
        }
        let mut kinds = Vec::new();
        for (index, kind) in asked.iter().enumerate() {
            if let Some(fits) = fitting.iter().find(|fitting| is_kind(kind, fitting)) {
                let served = served(fits);
                if !kinds.contains(&served) {
                    kinds.push(served);
                }
                continue;
            }
            let message = format!(
                "a listener of protocol {} can't serve routes of kind {}",
                self.listener.protocol, kind.kind
            );
            self.report(
                Code::ListenerRouteKindInvalid,
                &format!("allowedRoutes.kinds[{index}]"),
                &message,
                &format!("Name {} only, or leave kinds out", fitting.join(" and ")),
            );
            self.unresolve("InvalidRouteKinds", message);
        }
        kinds
    }

    fn namespaces(&mut self) {
        let allowed = self.listener.allowed_routes.as_ref();
        let Some(namespaces) = allowed.and_then(|allowed| allowed.namespaces.as_ref()) else {
            return;
        };
        if let Some(mistake) = admission::mistake(namespaces) {
            self.report(
                Code::ListenerInvalid,
                "allowedRoutes.namespaces",
                &format!("{mistake}, so no route is admitted"),
                "Use All, Same, None, or Selector with a selector",
            );
        }
    }

    /// Filters that run before a route is looked for. A filter that can't be applied must not be skipped, for it may be
    /// there to keep somebody out; so the listener is refused.
    fn filters(&mut self) {
        let filters = self.listener.filters.as_ref();
        if filters.is_none_or(|filters| filters.requests.is_empty()) {
            return;
        }
        // The API server checks this for Gateways only: the CRD of ListenerSets lacks the rule.
        let message = match &self.listener.protocol {
            Protocol::Http | Protocol::Https => "filters of listeners are not supported yet".to_owned(),
            other => format!("a listener of protocol {other} can't have filters"),
        };
        self.report(
            Code::ListenerInvalid,
            "filters",
            &message,
            "Remove filters, or apply them in the rules of routes",
        );
        self.refuse("UnsupportedValue", message);
    }

    fn field(&self, field: &str) -> String {
        format!("spec.listeners[{}].{field}", self.index)
    }

    fn report(&mut self, code: Code, field: &str, message: &str, hint: &str) {
        let field = self.field(field);
        self.scope
            .report(Diagnostic::new(code, self.origin.clone(), field, message).hint(hint));
    }

    /// The first reason stands in the condition; all of them are diagnostics.
    fn refuse(&mut self, reason: &'static str, message: String) {
        self.refused.get_or_insert(Wrong::new(reason, message));
    }

    fn unresolve(&mut self, reason: &'static str, message: String) {
        self.unresolved.get_or_insert(Wrong::new(reason, message));
    }
}

/// Whether routes of a kind can attach to listeners of a protocol at all.
pub(crate) fn fits(protocol: &Protocol, kind: &str) -> bool {
    fitting(protocol).contains(&kind)
}

/// The kinds of routes that a protocol is for.
fn fitting(protocol: &Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::Http | Protocol::Https => &["HTTPRoute", "GRPCRoute"],
        Protocol::Tls => &["TLSRoute"],
        Protocol::Tcp => &["TCPRoute"],
        Protocol::Udp => &["UDPRoute"],
        Protocol::Other(_) => &[],
    }
}

/// Whether a kind of route is this one.
pub(crate) fn is_kind(kind: &RouteGroupKind, name: &str) -> bool {
    kind.kind == name && kind.group.as_deref().unwrap_or(GROUP) == GROUP
}
