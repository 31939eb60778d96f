//! What a listener says about TLS: certificates, versions, and who is let in.

use super::Look;
use crate::certificates::{Problem, covers};
use crate::gateway::Speaks;
use crate::gateway::tls::Secured;
use crate::grants::{Referrer, permits};
use crate::input::Key;
use api::gateway::{GROUP, SecretRef, TlsMode};
use ir::{Certificate, CertificateId, ClientValidation, Code, Diagnostic, HostPattern, TlsPolicy};
use std::sync::Arc;

impl Look<'_, '_> {
    /// Usable certificates. None of them means that a listener where TLS ends can't be served.
    pub(super) fn certificates(
        &mut self,
        speaks: Option<Speaks>,
        hostname: &HostPattern,
    ) -> Vec<CertificateId> {
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
    pub(super) fn tls_policy(&mut self) -> TlsPolicy {
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
    pub(super) fn clients(
        &mut self,
        speaks: Option<Speaks>,
        secured: &Secured,
    ) -> Option<Arc<ClientValidation>> {
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
}

/// The key of a listener's `tls.options` that says which versions of TLS are spoken.
const TLS_POLICY: &str = "narthex.dev/tls-policy";
