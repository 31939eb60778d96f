//! One listener of a Gateway or ListenerSet: protocol, hostname, certificates and kinds of routes.

use super::tls::Secured;
use super::{Holder, ListenerUnit, Speaks, admission};
use crate::certificates::{Problem, covers};
use crate::conditions::Wrong;
use crate::grants::{Referrer, permits};
use crate::hosts::{self, Star};
use crate::input::Key;
use crate::scope::Scope;
use api::gateway::{GROUP, Listener, Protocol, RouteGroupKind, SecretRef, TlsMode};
use ir::{Certificate, CertificateId, ClientValidation, Code, Diagnostic, HostPattern, Origin, TlsPolicy};
use std::sync::Arc;

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

    /// Usable certificates. None of them means that a listener where TLS ends can't be served.
    fn certificates(&mut self, speaks: Option<Speaks>, hostname: &HostPattern) -> Vec<CertificateId> {
        let protocol = &self.listener.protocol;
        match (speaks, self.listener.tls.as_ref()) {
            (Some(Speaks::Https | Speaks::TlsTerminate), Some(tls)) => {
                let mode = tls.mode.clone().unwrap_or_default();
                if mode != TlsMode::Terminate {
                    let message = format!("protocol {protocol} needs TLS mode Terminate, not {mode}");
                    self.tls_mistake("tls.mode", message, "Use mode Terminate");
                    return Vec::new();
                }
                for option in tls.options.keys().filter(|option| *option != TLS_POLICY) {
                    let message = format!("TLS option {option} is not known and has no effect");
                    self.no_effect(&format!("tls.options[{option}]"), message);
                }
                let certificates = self.references(&tls.certificate_refs);
                self.coverage(&certificates, hostname);
                certificates
                    .iter()
                    .map(|certificate| certificate.id.clone())
                    .collect()
            }
            (Some(Speaks::Https | Speaks::TlsTerminate), None) => {
                let message = format!("protocol {protocol} needs tls with at least one certificate");
                self.report(
                    Code::ListenerTlsInvalid,
                    "tls",
                    &message,
                    "Add tls.certificateRefs",
                );
                self.unresolve("InvalidCertificateRef", message);
                Vec::new()
            }
            (Some(Speaks::TlsPassthrough), Some(tls)) => {
                if !tls.certificate_refs.is_empty() {
                    let message = "TLS is passed through, so no certificate of the listener is ever shown";
                    self.no_effect("tls.certificateRefs", message.to_owned());
                }
                Vec::new()
            }
            (Some(Speaks::Http | Speaks::Tcp | Speaks::Udp), Some(_)) => {
                let hint = match speaks {
                    Some(Speaks::Http) => "Use protocol HTTPS, or remove tls",
                    Some(Speaks::Tcp) => "Use protocol TLS, or remove tls",
                    _ => "Remove tls",
                };
                self.tls_mistake("tls", format!("protocol {protocol} has no TLS"), hint);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    /// Versions of TLS. A wrong word is not taken for leave to use old ones.
    fn tls_policy(&mut self) -> TlsPolicy {
        let options = self.listener.tls.as_ref().map(|tls| &tls.options);
        let Some(name) = options.and_then(|options| options.get(TLS_POLICY)) else {
            return self.scope.settings().tls_policy;
        };
        TlsPolicy::named(name).unwrap_or_else(|| {
            let message = format!("there is no TLS policy \"{name}\", so only TLS 1.3 is spoken");
            let field = format!("tls.options[{TLS_POLICY}]");
            self.report(
                Code::TlsPolicyUnknown,
                &field,
                &message,
                "Use modern or intermediate",
            );
            TlsPolicy::Modern
        })
    }

    /// Which clients are let in. If that can't be said, nobody is.
    fn clients(&mut self, speaks: Option<Speaks>, secured: &Secured) -> Option<Arc<ClientValidation>> {
        let ends_here = matches!(speaks, Some(Speaks::Https | Speaks::TlsTerminate));
        let checked = secured.of_port(self.listener.port).filter(|_| ends_here)?;
        if let Some(wrong) = &checked.unresolved {
            self.unresolve(wrong.reason, wrong.message.clone());
        }
        if let Some(wrong) = &checked.refused {
            self.refuse(wrong.reason, wrong.message.clone());
        }
        checked.clients.clone()
    }

    fn tls_mistake(&mut self, field: &str, message: String, hint: &str) {
        self.report(Code::ListenerTlsInvalid, field, &message, hint);
        self.refuse("UnsupportedValue", message);
    }

    fn no_effect(&mut self, field: &str, message: String) {
        let field = self.field(field);
        let diagnostic = Diagnostic::new(Code::GatewayFieldUnsupported, self.origin.clone(), field, message);
        self.scope.report(diagnostic);
    }

    /// A listener for some host whose certificates are all for others.
    fn coverage(&mut self, certificates: &[Arc<Certificate>], hostname: &HostPattern) {
        if *hostname == HostPattern::Any
            || certificates.is_empty()
            || certificates
                .iter()
                .any(|certificate| covers(certificate, hostname))
        {
            return;
        }
        let names: Vec<&str> = certificates
            .iter()
            .flat_map(|certificate| &certificate.names)
            .map(String::as_str)
            .collect();
        let message = format!(
            "the certificate is for {}, not for {hostname}; clients will refuse it",
            names.join(", ")
        );
        self.report(
            Code::CertificateHostMismatch,
            "tls.certificateRefs",
            &message,
            "Refer to a certificate for the listener's hostname",
        );
    }

    fn references(&mut self, references: &[SecretRef]) -> Vec<Arc<Certificate>> {
        if references.is_empty() {
            let message = "no certificate is referred to".to_owned();
            self.report(
                Code::ListenerTlsInvalid,
                "tls.certificateRefs",
                &message,
                "Name a Secret of type kubernetes.io/tls",
            );
            self.unresolve("InvalidCertificateRef", message);
        }
        let mut certificates = Vec::new();
        for (index, reference) in references.iter().enumerate() {
            let field = format!("tls.certificateRefs[{index}]");
            if let Some(certificate) = self.certificate(reference, &field)
                && !certificates.contains(&certificate)
            {
                certificates.push(certificate);
            }
        }
        certificates
    }

    fn certificate(&mut self, reference: &SecretRef, field: &str) -> Option<Arc<Certificate>> {
        let group = reference.group.as_deref().unwrap_or_default();
        let kind = reference.kind.as_deref().unwrap_or("Secret");
        let (kind_of_own, own) = (self.holder.kind(), &self.holder.key().namespace);
        let namespace = reference.namespace.as_deref().unwrap_or(own);
        let key = Key::new(namespace, reference.name.as_str());
        if !group.is_empty() || kind != "Secret" {
            let message = format!("a certificate must be a Secret, not {kind} of group \"{group}\"");
            self.report(Code::ListenerTlsInvalid, field, &message, "Name a Secret");
            self.unresolve("InvalidCertificateRef", message);
            return None;
        }
        let referrer = Referrer {
            group: GROUP,
            kind: kind_of_own,
            namespace: own,
        };
        if !permits(self.scope, referrer, "", "Secret", &key) {
            let message = format!(
                "no ReferenceGrant in namespace {namespace} lets {kind_of_own}s of namespace {own} use Secret {}",
                key.name
            );
            let hint = format!("Create a ReferenceGrant in namespace {namespace}");
            self.report(Code::RefNotPermitted, field, &message, &hint);
            self.unresolve("RefNotPermitted", message);
            return None;
        }
        let loaded = self.scope.certificate(&key);
        match loaded.problem {
            None => {}
            Some(Problem::NotFound) => {
                let message = format!("Secret {key} does not exist");
                self.report(
                    Code::SecretNotFound,
                    field,
                    &message,
                    "Create it, or name one that exists",
                );
                self.unresolve("InvalidCertificateRef", message);
            }
            // What is wrong with the Secret was reported about the Secret.
            Some(Problem::Invalid(reason)) => {
                self.unresolve("InvalidCertificateRef", format!("Secret {key}: {reason}"));
            }
        }
        loaded.certificate
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

/// The key of a listener's `tls.options` that says which versions of TLS are spoken.
const TLS_POLICY: &str = "narthex.dev/tls-policy";
