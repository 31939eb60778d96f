//! Says once that the API server does not answer, and once that it does again, however many watches notice.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the last that was heard of the API server was a failure; shared by all watches.
#[derive(Debug, Clone, Default)]
pub(super) struct Contact {
    lost: Arc<AtomicBool>,
}

impl Contact {
    /// A watch broke off.
    pub fn lost(&self, error: &dyn Error) {
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                error = causes(error),
                "a watch of the API server broke off; what is known of the cluster stays in use, and it is tried again"
            );
        }
    }

    /// Something came from the API server.
    pub fn found(&self) {
        if self.lost.load(Ordering::Relaxed) && self.lost.swap(false, Ordering::Relaxed) {
            tracing::info!("the API server answers again");
        }
    }
}

/// An error with what led to it, each thing once: the outermost alone rarely says more than "client error".
pub(super) fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(cause) = inner {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        inner = cause.source();
    }
    text
}
