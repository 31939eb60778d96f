//! From which namespaces routes may attach to a listener, and ListenerSets may join a Gateway.

use crate::scope::Scope;
use crate::selector;
use api::gateway::{AdmittedNamespaces, FromNamespaces};
use std::sync::Arc;

/// Whether an object of namespace `guest` is admitted by one of namespace `own`. `unset` is what counts where nothing is said.
pub(crate) fn admits(
    scope: &mut Scope<'_>,
    namespaces: Option<&AdmittedNamespaces>,
    unset: FromNamespaces,
    own: &Arc<str>,
    guest: &Arc<str>,
) -> bool {
    let from = namespaces.and_then(|namespaces| namespaces.from.clone());
    match from.unwrap_or(unset) {
        FromNamespaces::All => true,
        FromNamespaces::Same => own == guest,
        FromNamespaces::Selector => {
            let selector = namespaces.and_then(|namespaces| namespaces.selector.as_ref());
            selector.is_some_and(|selector| selector::takes(scope, selector, guest))
        }
        FromNamespaces::None | FromNamespaces::Other(_) => false,
    }
}

/// What is wrong with such a setting, so that nobody is admitted who should be.
pub(crate) fn mistake(namespaces: &AdmittedNamespaces) -> Option<String> {
    match &namespaces.from {
        Some(FromNamespaces::Other(word)) => Some(format!("from can't be {word}")),
        Some(FromNamespaces::Selector) if namespaces.selector.is_none() => {
            Some("from is Selector, but selector is missing".to_owned())
        }
        _ => None,
    }
}
