//! What a rule's filters do to this very request: redirects with their `Location`, rewrites with the new path.

use super::answer::FilterShown;
use super::request::Request;
use super::words;
use ir::{Filter, Match, PathMatch};
use proxy::filter::{https_redirect, order, redirect, rewrite};

/// A request as filters see it.
pub struct Seen<'a> {
    /// The request.
    pub request: &'a Request,
    /// Host as matched.
    pub host: &'a str,
    /// Port that the client connects to.
    pub port: u16,
    /// Path as matched.
    pub path: &'a str,
    /// Path in the client's spelling, as it is forwarded if nothing rewrites it.
    pub forward: &'a str,
    /// The match that held.
    pub matched: &'a Match,
}

/// What the filters do.
#[derive(Default)]
pub struct Effects {
    /// Each, in the order in which they run.
    pub shown: Vec<FilterShown>,
    /// Status and `Location`, if one of them redirects.
    pub redirect: Option<(u16, String)>,
    /// Status, if one of them answers otherwise.
    pub answered: Option<u16>,
}

/// Runs through filters until one answers.
pub fn run(filters: &[Filter], seen: &Seen<'_>) -> Effects {
    let mut ordered: Vec<&Filter> = filters.iter().collect();
    ordered.sort_by_key(|filter| order::place(filter));
    let mut effects = Effects::default();
    for filter in ordered {
        let effect = match filter {
            Filter::HttpsRedirect { status, .. } | Filter::Redirect(ir::Redirect { status, .. }) => {
                match location(filter, seen) {
                    Some(location) => {
                        let text = format!("answers {status} with Location: {location}");
                        effects.redirect.get_or_insert((*status, location));
                        text
                    }
                    None => "does nothing: the request is HTTPS already".into(),
                }
            }
            Filter::Rewrite(change) => {
                let path = change.path.as_ref().map(|change| {
                    let changed = rewrite::changed_path(change, seen.path, prefix(seen.matched));
                    format!("path becomes {changed}")
                });
                let host = change
                    .hostname
                    .as_ref()
                    .map(|host| format!("host becomes {host}"));
                host.into_iter().chain(path).collect::<Vec<_>>().join(", ")
            }
            Filter::Cors(_) if is_preflight(seen.request) => {
                effects.answered = Some(204);
                format!("answers the preflight request; {}", words::filter(filter))
            }
            other => words::filter(other),
        };
        effects.shown.push(FilterShown {
            name: filter.name().into(),
            effect,
        });
        if effects.redirect.is_some() || effects.answered.is_some() {
            break;
        }
    }
    effects
}

/// The `Location` of a redirect; `None` if it does not apply to this request.
fn location(filter: &Filter, seen: &Seen<'_>) -> Option<String> {
    let request = proxy::filter::Request {
        raw: b"",
        method: seen.request.method.as_bytes(),
        fields: &mut proxy::http::h1::Fields::default(),
        scheme: seen.request.scheme(),
        host: seen.host,
        port: seen.port,
        path: seen.path,
        own_path: seen.forward,
        query: seen.request.query.as_deref(),
        prefix: prefix(seen.matched),
    };
    match filter {
        Filter::HttpsRedirect { port, .. } => https_redirect::location(*port, &request),
        Filter::Redirect(redirect) => Some(redirect::location(redirect, &request)),
        _ => None,
    }
}

fn prefix(matched: &Match) -> Option<&str> {
    match &matched.path {
        PathMatch::Prefix(prefix) => Some(prefix),
        PathMatch::Exact(_) | PathMatch::Regex(_) => None,
    }
}

/// A browser's question whether it may ask (Fetch §3.2.2).
fn is_preflight(request: &Request) -> bool {
    let has = |wanted: &str| {
        request
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(wanted))
    };
    request.method == "OPTIONS" && has("origin") && has("access-control-request-method")
}
