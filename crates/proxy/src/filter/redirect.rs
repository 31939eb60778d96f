//! Answers with a redirect (HTTPRequestRedirectFilter).

use super::{Request, rewrite};
use crate::respond::Reply;
use std::fmt::Write as _;

/// The redirect.
pub fn reply(redirect: &ir::Redirect, request: &Request<'_>) -> Reply {
    Reply::redirect(redirect.status, location(redirect, request))
}

/// The `Location`: absolute, as RFC 9110 §10.2.2 has always been understood by everyone.
pub fn location(redirect: &ir::Redirect, request: &Request<'_>) -> String {
    let scheme = redirect.scheme.as_deref().unwrap_or(request.scheme);
    let host = redirect.hostname.as_deref().unwrap_or(request.host);
    // HTTPRequestRedirectFilter.port: given, it counts; else a given scheme brings its well-known port; else it is
    // the listener's.
    let port = match (redirect.port, redirect.scheme.as_deref()) {
        (Some(port), _) => Some(port),
        (None, Some("http" | "https")) => None,
        (None, _) => Some(request.port),
    };
    let well_known = match scheme {
        "http" => 80,
        "https" => 443,
        _ => 0,
    };
    let mut location = format!("{scheme}://{host}");
    if let Some(port) = port
        && port != well_known
    {
        // Writing to a string can't fail.
        let _ = write!(location, ":{port}");
    }
    match &redirect.path {
        Some(change) => location.push_str(&rewrite::changed_path(change, request.path, request.prefix)),
        None => location.push_str(request.own_path),
    }
    if let Some(query) = request.query {
        location.push('?');
        location.push_str(query);
    }
    location
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::h1::Fields;

    #[test]
    fn the_port_follows_scheme_and_listener() {
        // Rows of the conformance test HTTPRouteRedirectPortAndScheme.
        for (listener, scheme, to_scheme, to_port, expected) in [
            (80, "http", None, None, "http://a.example/p?q"),
            (8080, "http", None, None, "http://a.example:8080/p?q"),
            (443, "https", None, None, "https://a.example/p?q"),
            (80, "http", Some("https"), None, "https://a.example/p?q"),
            (8080, "http", Some("https"), None, "https://a.example/p?q"),
            (443, "https", Some("http"), None, "http://a.example/p?q"),
            (8080, "http", Some("http"), None, "http://a.example/p?q"),
            (80, "http", None, Some(8083), "http://a.example:8083/p?q"),
            (80, "http", Some("https"), Some(443), "https://a.example/p?q"),
            (
                80,
                "http",
                Some("https"),
                Some(8443),
                "https://a.example:8443/p?q",
            ),
            (443, "https", Some("http"), Some(80), "http://a.example/p?q"),
            (443, "https", None, Some(80), "https://a.example:80/p?q"),
        ] {
            let redirect = ir::Redirect {
                scheme: to_scheme.map(Into::into),
                hostname: None,
                port: to_port,
                path: None,
                status: 302,
            };
            let request = Request {
                raw: b"",
                method: b"GET",
                fields: &mut Fields::default(),
                scheme,
                host: "a.example",
                port: listener,
                path: "/p",
                own_path: "/p",
                query: Some("q"),
                prefix: None,
            };
            assert_eq!(location(&redirect, &request), expected);
        }
    }
}
