//! The Secret that keys of session tickets are derived from (`--tls-ticket-secret`).

use crate::scope::Scope;
use ir::{Code, Diagnostic, TicketSecret};
use std::sync::Arc;

/// What the flag's Secret holds, if it is of use.
pub(crate) fn secret(scope: &mut Scope<'_>) -> Option<Arc<TicketSecret>> {
    let key = scope.settings().ticket_secret.as_ref()?;
    let origin = key.origin("Secret");
    let report = |scope: &mut Scope<'_>, field: &str, message: String| {
        let finding = Diagnostic::new(Code::TicketSecretInvalid, origin.clone(), field, message);
        let hint = format!(
            "Make it with `kubectl -n {} create secret generic {} --from-literal=key=$(openssl rand -base64 48)`",
            key.namespace, key.name
        );
        scope.report(finding.hint(&hint));
    };
    let Some(secret) = scope.secret(key) else {
        report(
            scope,
            "",
            "it does not exist, so session tickets are not shared".into(),
        );
        return None;
    };
    let mut read = |entry: &str, needed: bool| match secret.data.get(entry) {
        Some(value) if value.len() >= SHORTEST => Some(value.clone()),
        Some(_) => {
            let message = format!("{entry} has fewer than {SHORTEST} bytes, so it is not used");
            report(scope, &format!("data.{entry}"), message);
            None
        }
        None if needed => {
            report(
                scope,
                "data",
                format!("there is no entry {entry}, so session tickets are not shared"),
            );
            None
        }
        None => None,
    };
    Some(Arc::new(TicketSecret {
        current: read("key", true)?,
        previous: read("previous", false),
    }))
}

/// What RFC 5869 §3.1 calls enough for a key of this length.
const SHORTEST: usize = 32;
