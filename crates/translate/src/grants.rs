//! ReferenceGrant: which objects may refer into another namespace.

use crate::input::Key;
use crate::scope::Scope;
use std::sync::Arc;

/// Who refers to something.
#[derive(Debug, Clone, Copy)]
pub struct Referrer<'a> {
    /// API group, `gateway.networking.k8s.io`.
    pub group: &'a str,
    /// Kind, `HTTPRoute`.
    pub kind: &'a str,
    /// Namespace of the object that refers.
    pub namespace: &'a str,
}

/// Whether an object may refer to another. Within a namespace it always may; into another one only if a
/// ReferenceGrant there says so. Whether the target exists plays no part: an error must not tell.
pub fn permits(scope: &mut Scope<'_>, from: Referrer<'_>, group: &str, kind: &str, target: &Key) -> bool {
    if from.namespace == &*target.namespace {
        return true;
    }
    let namespace: Arc<str> = Arc::clone(&target.namespace);
    scope.grants(&namespace).any(|grant| {
        let spec = &grant.spec;
        let referrer = spec.from.iter().any(|allowed| {
            allowed.group == from.group && allowed.kind == from.kind && allowed.namespace == from.namespace
        });
        let referred = spec.to.iter().any(|allowed| {
            // An empty name means the same as none: every object of the kind.
            let name = allowed.name.as_deref().filter(|name| !name.is_empty());
            allowed.group == group && allowed.kind == kind && name.is_none_or(|name| name == &*target.name)
        });
        referrer && referred
    })
}
