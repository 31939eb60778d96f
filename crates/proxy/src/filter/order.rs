//! The order in which filters run. Users' lists say which filters there are, not when they run: an order that can be
//! written wrong will be.

use super::CompiledFilter;

/// Position of a filter's kind, with the reason for it.
pub fn place(filter: &CompiledFilter) -> u8 {
    match filter {
        // First: nothing else may look at a request that should not have come in the clear.
        CompiledFilter::HttpsRedirect { .. } => 0,
        // Before anything that may refuse: a browser shows an answer, also a refusal, only with these fields on it,
        // and a preflight carries no credentials that others could check.
        CompiledFilter::Cors(_) => 1,
        // Before edits: a redirect is about the request as the client sent it.
        CompiledFilter::Redirect(_) => 2,
        // Before the rewrite, so that a `Host` set here gives way to the rewrite's host name.
        CompiledFilter::RequestHeaders(_) => 3,
        // The last word on where the request goes.
        CompiledFilter::Rewrite(_) => 4,
        // Behind all edits: the copy is what the backend gets.
        CompiledFilter::Mirror(_) => 5,
        // Runs on the response.
        CompiledFilter::ResponseHeaders(_) => 6,
    }
}
