//! Sends plain HTTP to HTTPS, as ingress-nginx's `ssl-redirect` does. Behind a trusted proxy that ended TLS, its
//! `X-Forwarded-Proto` says what the client used, so there is no endless loop.

use super::Request;
use crate::respond::Reply;
use std::fmt::Write as _;

/// The redirect, unless the client used HTTPS.
pub fn reply(status: u16, port: u16, request: &Request<'_>) -> Option<Reply> {
    location(port, request).map(|location| Reply::redirect(status, location))
}

/// Its `Location`.
pub fn location(port: u16, request: &Request<'_>) -> Option<String> {
    if request.scheme == "https" || request.host.is_empty() {
        return None;
    }
    let mut location = format!("https://{}", request.host);
    if port != 443 {
        // Writing to a string can't fail.
        let _ = write!(location, ":{port}");
    }
    location.push_str(request.own_path);
    if let Some(query) = request.query {
        location.push('?');
        location.push_str(query);
    }
    Some(location)
}
