//! The order in which filters run. Users' lists say which filters there are, not when they run: an order that can be
//! written wrong will be.

use ir::Filter;

/// Position of a filter's kind, with the reason for it.
pub fn place(filter: &Filter) -> u8 {
    match filter {
        // First: nothing else may look at a request that should not have come in the clear.
        Filter::HttpsRedirect { .. } => 0,
        // Before anything that may refuse: a browser shows an answer, also a refusal, only with these fields on it,
        // and a preflight carries no credentials that others could check.
        Filter::Cors(_) => 1,
        // Before edits: a redirect is about the request as the client sent it.
        Filter::Redirect(_) => 2,
        // Before the rewrite, so that a `Host` set here gives way to the rewrite's host name.
        Filter::RequestHeaders(_) => 3,
        // The last word on where the request goes.
        Filter::Rewrite(_) => 4,
        // Behind all edits: the copy is what the backend gets.
        Filter::Mirror(_) => 5,
        // Runs on the response.
        Filter::ResponseHeaders(_) => 6,
    }
}
