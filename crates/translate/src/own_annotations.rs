//! Annotations of our own on routes and Ingresses, for what no field of theirs can say.

use crate::gateway::durations;
use crate::scope::Scope;
use ir::{Code, Diagnostic, Origin};
use std::collections::BTreeMap;
use std::time::Duration;

/// What they say about a route as a whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnAnnotations {
    /// How long an upgraded connection may be without a byte.
    pub tunnel_idle: Option<Duration>,
}

impl OwnAnnotations {
    /// Reads them. What can't be understood is reported and not applied.
    pub fn read(scope: &mut Scope<'_>, origin: &Origin, annotations: &BTreeMap<String, String>) -> Self {
        let mut own = Self::default();
        for (annotation, value) in annotations {
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
                    format!("{annotation} is not an annotation of {}s", origin.kind),
                    format!("Known is {PREFIX}{TUNNEL_IDLE}"),
                ),
            };
            let field = format!("metadata.annotations[{annotation:?}]");
            let finding = Diagnostic::new(Code::AnnotationInvalid, origin.clone(), field, message);
            scope.report(finding.hint(hint));
        }
        own
    }
}

/// Of every annotation of ours.
pub(crate) const PREFIX: &str = "narthex.dev/";
const TUNNEL_IDLE: &str = "tunnel-idle-timeout";
