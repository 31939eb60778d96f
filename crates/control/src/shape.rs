//! Findings about the shape of files and objects: kinds and fields that are not read, objects that stand twice.

use crate::locations::Place;
use crate::store::Id;
use crate::text::decode::Unread;
use ir::{Code, Diagnostic, Origin, Severity};
use std::path::Path;
use std::sync::Arc;
use translate::Object;

/// An object of a kind that is not read.
#[derive(PartialEq)]
pub(crate) struct Unknown {
    /// `apps/v1`
    pub api_version: String,
    /// The object.
    pub origin: Origin,
    /// Where it stands.
    pub place: Place,
}

impl Unknown {
    /// The finding about its kind.
    pub(crate) fn finding(&self) -> (Diagnostic, Place) {
        let kind = &self.origin.kind;
        let version = &self.api_version;
        let message = format!("{kind} ({version}) is not read; all objects of this kind are left alone");
        let mut diagnostic = Diagnostic::new(Code::UnknownKind, self.origin.clone(), "", message);
        // An old version of a kind that is read is more than other people's business.
        if let Some(read) = version_read(kind, version) {
            diagnostic.severity = Severity::Warning;
            diagnostic.field = "apiVersion".into();
            diagnostic.message = format!("{kind} is read in version {read}, not in {version}");
            diagnostic = diagnostic.hint(format!("Write apiVersion: {read}"));
        }
        (diagnostic, self.place.clone())
    }
}

/// The version that is read of a kind whose other version was met.
fn version_read(kind: &str, version: &str) -> Option<&'static str> {
    let group = version.split_once('/').map_or("", |(group, _)| group);
    match (kind, group) {
        ("Ingress" | "IngressClass", "networking.k8s.io" | "extensions") => Some("networking.k8s.io/v1"),
        ("EndpointSlice", "discovery.k8s.io") => Some("discovery.k8s.io/v1"),
        (
            "GatewayClass" | "Gateway" | "ListenerSet" | "HTTPRoute" | "GRPCRoute" | "TCPRoute" | "UDPRoute"
            | "TLSRoute" | "ReferenceGrant" | "BackendTLSPolicy",
            "gateway.networking.k8s.io" | "networking.x-k8s.io",
        ) => Some("gateway.networking.k8s.io/v1"),
        ("XBackend" | "XBackendTrafficPolicy" | "XTelemetryPolicy", "gateway.networking.x-k8s.io") => {
            Some("gateway.networking.x-k8s.io/v1alpha1")
        }
        ("ClusterTrustBundle", "certificates.k8s.io") => Some("certificates.k8s.io/v1"),
        ("Service" | "Secret" | "ConfigMap" | "Namespace" | "Pod", "") => Some("v1"),
        _ => None,
    }
}

/// A field that a kind does not have.
pub(crate) fn unread_field(file: &Arc<Path>, object: &Object, unread: Unread) -> (Diagnostic, Place) {
    let Unread { path, mark, similar } = unread;
    let kind = object.kind();
    let message = format!("{kind} has no such field; it is ignored");
    let mut diagnostic = Diagnostic::new(Code::UnknownField, object.origin(), path, message);
    if let Some(similar) = similar {
        diagnostic = diagnostic.hint(format!("Write {similar}, if that is what is meant"));
    }
    (diagnostic, Place::new(file, mark))
}

/// An object that stands elsewhere already.
pub(crate) fn duplicate(id: &Id, message: &str) -> Diagnostic {
    Diagnostic::new(Code::DuplicateObject, id.1.origin(id.0), "", message)
        .hint("Remove one of the two, or rename it")
}

/// A file as something that findings are about.
pub(crate) fn file(path: &Path) -> Origin {
    Origin::new("File", "", path.to_string_lossy().as_ref())
}

/// What usually is behind a reason for which a file can't be read.
pub(crate) fn syntax_hint(reason: &str) -> &'static str {
    let found = SYNTAX_HINTS.iter().find(|(part, _)| reason.contains(part));
    found.map_or(
        "Correct the file at this place; nothing of it is read until then",
        |(_, hint)| hint,
    )
}

const SYNTAX_HINTS: &[(&str, &str)] = &[
    ("tab", "Indent with spaces: YAML allows no tabs there"),
    ("UTF-8", "Save the file as UTF-8"),
    (
        "a key must be text",
        "A template with {{ }} must be rendered first, as `helm template` does",
    ),
    (
        "mapping values are not allowed",
        "Compare the indentation with the line above; a value with `: ` in it needs quotes",
    ),
    ("ermission denied", "Let this program read the file: chmod a+r"),
];

#[cfg(test)]
mod tests {
    use super::syntax_hint;

    #[test]
    fn every_reason_not_to_read_a_file_comes_with_what_to_do() {
        assert!(syntax_hint("tabs disallowed within this context").contains("spaces"));
        assert!(syntax_hint("not UTF-8").contains("UTF-8"));
        assert!(syntax_hint("a key must be text").contains("helm template"));
        assert!(!syntax_hint("something else").is_empty());
    }
}
