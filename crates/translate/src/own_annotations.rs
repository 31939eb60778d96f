//! Annotations of our own on routes and Ingresses, for what no field of theirs can say.

use crate::gateway::durations;
use crate::input::Key;
use crate::scope::Scope;
use api::Meta;
use ir::{Code, Diagnostic};
use std::time::Duration;

/// What they say about a route as a whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnAnnotations {
    /// How long an upgraded connection may be without a byte.
    pub tunnel_idle: Option<Duration>,
}

impl OwnAnnotations {
    /// Reads them. What can't be understood is reported and not applied.
    pub fn read(scope: &mut Scope<'_>, kind: &str, metadata: &Meta) -> Self {
        let mut own = Self::default();
        for (annotation, value) in metadata.annotations.iter() {
            let Some(name) = annotation.strip_prefix(PREFIX) else {
                continue;
            };
            let (message, hint) = match (name, durations::parse(value)) {
                (TUNNEL_IDLE, Some(idle)) if !idle.is_zero() => {
                    own.tunnel_idle = Some(idle);
                    continue;
                }
                (TUNNEL_IDLE, _) => (
                    format!("\"{value}\" is not a duration above 0"),
                    "Write it as 90s, 10m or 12h".to_owned(),
                ),
                _ => (
                    format!("{annotation} is not an annotation of {kind}s"),
                    format!("Known is {PREFIX}{TUNNEL_IDLE}"),
                ),
            };
            let field = format!("metadata.annotations[{annotation:?}]");
            let origin = Key::of(metadata).origin(kind);
            let finding = Diagnostic::new(Code::AnnotationInvalid, origin, field, message);
            scope.report(finding.hint(hint));
        }
        own
    }
}

/// Of every annotation of ours.
pub(crate) const PREFIX: &str = "narthex.dev/";
const TUNNEL_IDLE: &str = "tunnel-idle-timeout";
