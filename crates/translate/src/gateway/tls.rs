//! TLS settings of a whole Gateway (`spec.tls`): which clients are believed, by port, and who we are to backends.

use super::trust::{self, Words};
use crate::conditions::Wrong;
use crate::grants::{Referrer, permits};
use crate::input::Key;
use crate::scope::Scope;
use api::gateway::{FrontendValidation, GROUP, Gateway, SecretRef};
use ir::{Certificate, CertificateId, ClientValidation, Code, Diagnostic, Origin};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a Gateway says about TLS, for all its listeners.
#[derive(Debug, Default)]
pub(crate) struct Secured {
    default: Option<Checked>,
    /// Ports with their own word, which may be that nobody is checked.
    per_port: BTreeMap<u16, Option<Checked>>,
    /// Shown to backends that ask who we are.
    pub identity: Option<CertificateId>,
    /// Whether that was asked for, and why there is none.
    pub backend: Option<Result<(), Wrong>>,
}

/// How clients are checked.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    /// By whom; `None` if that can't be said.
    pub clients: Option<Arc<ClientValidation>>,
    /// Which reference is broken.
    pub unresolved: Option<Wrong>,
    /// Why nobody can be believed.
    pub refused: Option<Wrong>,
}

impl Secured {
    /// Reads a Gateway's settings.
    pub fn read(scope: &mut Scope<'_>, gateway: &Gateway) -> Self {
        let Some(tls) = gateway.spec.tls.as_deref() else {
            return Self::default();
        };
        let origin = Key::of(&gateway.metadata).origin("Gateway");
        let mut secured = Self::default();
        if let Some(frontend) = &tls.frontend {
            let mut read = |validation: Option<&FrontendValidation>, field: &str| {
                validation.map(|validation| checked(scope, gateway, &origin, validation, field))
            };
            let default = frontend.default.as_ref();
            let default = default.and_then(|default| default.validation.as_ref());
            secured.default = read(default, "spec.tls.frontend.default");
            for (index, port) in frontend.per_port.iter().enumerate() {
                let field = format!("spec.tls.frontend.perPort[{index}].tls");
                let validation = read(port.tls.validation.as_ref(), &field);
                secured.per_port.entry(port.port).or_insert(validation);
            }
        }
        let reference = tls
            .backend
            .as_ref()
            .and_then(|backend| backend.client_certificate_ref.as_ref());
        if let Some(reference) = reference {
            secured.backend = Some(match identity(scope, gateway, &origin, reference) {
                Ok(identity) => {
                    secured.identity = Some(identity);
                    Ok(())
                }
                Err(wrong) => Err(wrong),
            });
        }
        secured
    }

    /// How clients of a port are checked.
    pub fn of_port(&self, port: u16) -> Option<&Checked> {
        match self.per_port.get(&port) {
            Some(own) => own.as_ref(),
            None => self.default.as_ref(),
        }
    }

    /// Whether some clients are let in although nobody vouches for them.
    pub fn is_insecure(&self) -> bool {
        let all = self.per_port.values().flatten().chain(&self.default);
        let mut clients = all.filter_map(|checked| checked.clients.as_ref());
        clients.any(|clients| clients.insecure_fallback)
    }
}

fn checked(
    scope: &mut Scope<'_>,
    gateway: &Gateway,
    origin: &Origin,
    validation: &FrontendValidation,
    field: &str,
) -> Checked {
    let referrer = Referrer {
        group: GROUP,
        kind: "Gateway",
        namespace: &gateway.metadata.namespace,
    };
    let refs = format!("{field}.validation.caCertificateRefs");
    let found = trust::authorities(
        scope,
        origin,
        referrer,
        &validation.ca_certificate_refs,
        &refs,
        WORDS,
    );
    let insecure_fallback = match validation.mode.as_deref() {
        None | Some("" | "AllowValidOnly") => false,
        Some("AllowInsecureFallback") => true,
        Some(other) => {
            let message =
                format!("mode {other} is not known, so only clients with a valid certificate are let in");
            let field = format!("{field}.validation.mode");
            let finding = Diagnostic::new(Code::ListenerTlsInvalid, origin.clone(), field, message);
            scope.report(finding.hint("Use AllowValidOnly or AllowInsecureFallback"));
            false
        }
    };
    let refused = found.roots.is_empty().then(|| {
        let message = found.wrong.as_ref().map_or_else(
            || "no certificate of an authority is given".to_owned(),
            |wrong| wrong.message.clone(),
        );
        Wrong::new("NoValidCACertificate", message)
    });
    let clients = refused.is_none().then(|| {
        Arc::new(ClientValidation {
            origin: origin.clone(),
            roots: found.roots.into(),
            revoked: found.revoked.into(),
            insecure_fallback,
        })
    });
    Checked {
        clients,
        unresolved: found.wrong,
        refused,
    }
}

fn identity(
    scope: &mut Scope<'_>,
    gateway: &Gateway,
    origin: &Origin,
    reference: &SecretRef,
) -> Result<CertificateId, Wrong> {
    let referrer = Referrer {
        group: GROUP,
        kind: "Gateway",
        namespace: &gateway.metadata.namespace,
    };
    let (code, wrong) = match read_identity(scope, referrer, reference) {
        Ok(identity) => return Ok(identity.id.clone()),
        Err(wrong) => wrong,
    };
    let field = "spec.tls.backend.clientCertificateRef";
    let finding = Diagnostic::new(code, origin.clone(), field, wrong.message.as_str());
    scope.report(finding.hint("Refer to a Secret of type kubernetes.io/tls"));
    Err(wrong)
}

/// The certificate that is to be shown to backends. It becomes part of the snapshot.
pub(super) fn read_identity(
    scope: &mut Scope<'_>,
    referrer: Referrer<'_>,
    reference: &SecretRef,
) -> Result<Arc<Certificate>, (Code, Wrong)> {
    let kind = reference.kind.as_deref().unwrap_or("Secret");
    let group = reference.group.as_deref().unwrap_or_default();
    let invalid = |message: String| {
        let wrong = Wrong::new("InvalidClientCertificateRef", message);
        (Code::CertificateInvalid, wrong)
    };
    if !group.is_empty() || kind != "Secret" {
        return Err(invalid(format!(
            "a certificate must be a Secret, not {kind} of group \"{group}\""
        )));
    }
    let own = referrer.namespace;
    let namespace = reference.namespace.as_deref().unwrap_or(own);
    let key = Key::new(namespace, reference.name.as_str());
    if !permits(scope, referrer, "", "Secret", &key) {
        let message = format!(
            "no ReferenceGrant in namespace {namespace} lets {}s of namespace {own} use Secret {key}",
            referrer.kind
        );
        return Err((Code::RefNotPermitted, Wrong::new("RefNotPermitted", message)));
    }
    match scope.certificate(&key).certificate {
        Some(certificate) => Ok(certificate),
        None => Err(invalid(format!("Secret {key} gives no usable certificate"))),
    }
}

const WORDS: &Words = &Words {
    invalid: "InvalidCACertificateRef",
    kind: "InvalidCACertificateKind",
};
