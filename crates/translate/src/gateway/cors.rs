//! The CORS filter (HTTPCORSFilter, GEP-1767).

use super::matches::is_token;
use super::rule::Look;
use crate::hosts::{self, Star};
use api::gateway;
use ir::{Code, Cors, CorsOrigin, HostPattern};

/// Reads a CORS filter; `None` if something about it was reported.
pub(crate) fn translate(look: &mut Look<'_, '_>, given: &gateway::Cors, field: &str) -> Option<Cors> {
    let mut fine = true;
    let mut allow_origins = Vec::with_capacity(given.allow_origins.len());
    for (index, text) in given.allow_origins.iter().enumerate() {
        if let Some(origin) = origin(text) {
            allow_origins.push(origin);
        } else {
            fine = false;
            look.report(
                Code::FilterInvalid,
                &format!("{field}.allowOrigins[{index}]"),
                format!("\"{text}\" is not an origin"),
                "Write *, or scheme, host and port as in https://app.example.com:8443",
            );
        }
    }
    if given.allow_origins.len() > 1 && given.allow_origins.iter().any(|text| text == "*") {
        fine = false;
        look.report(
            Code::FilterInvalid,
            &format!("{field}.allowOrigins"),
            "* stands for every origin and can't stand beside others",
            "Keep * alone, or name the origins",
        );
    }
    for (name, list) in [
        ("allowMethods", &given.allow_methods),
        ("allowHeaders", &given.allow_headers),
        ("exposeHeaders", &given.expose_headers),
    ] {
        fine &= names(look, list, &format!("{field}.{name}"));
    }
    // The maximum is that of the field, int32; a browser caps it at a day or less anyway.
    let max_age = given.max_age.unwrap_or(5);
    let seconds = u32::try_from(max_age)
        .ok()
        .filter(|&age| age >= 1 && i32::try_from(age).is_ok());
    if seconds.is_none() {
        fine = false;
        look.report(
            Code::FilterInvalid,
            &format!("{field}.maxAge"),
            format!("{max_age} is not a number of seconds from 1"),
            "Leave it out for 5 seconds",
        );
    }
    fine.then(|| Cors {
        allow_origins,
        allow_methods: given.allow_methods.clone(),
        allow_headers: given.allow_headers.clone(),
        expose_headers: given.expose_headers.clone(),
        allow_credentials: given.allow_credentials.unwrap_or(false),
        max_age: seconds.unwrap_or(5),
    })
}

/// Tokens, or `*` alone.
fn names(look: &mut Look<'_, '_>, list: &[String], field: &str) -> bool {
    let mut fine = true;
    for (index, name) in list.iter().enumerate() {
        if !is_token(name) {
            fine = false;
            look.report(
                Code::FilterInvalid,
                &format!("{field}[{index}]"),
                format!("\"{name}\" is not a name"),
                "Use letters, digits and -, or * alone",
            );
        }
    }
    if list.len() > 1 && list.iter().any(|name| name == "*") {
        fine = false;
        look.report(
            Code::FilterInvalid,
            field,
            "* stands for all and can't stand beside others",
            "Keep * alone, or name them",
        );
    }
    fine
}

/// `*`, `https://app.example.com:8443`, `https://*.example.com`, `https://*`.
fn origin(text: &str) -> Option<CorsOrigin> {
    if text == "*" {
        return Some(CorsOrigin {
            scheme: None,
            host: HostPattern::Any,
            port: None,
        });
    }
    let (scheme, rest) = text.split_once("://")?;
    let mut letters = scheme.bytes();
    let fits = letters.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !fits {
        return None;
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse::<u16>().ok().filter(|&port| port != 0)?)),
        None => (rest, None),
    };
    let host = match host {
        "*" => HostPattern::Any,
        host if host.parse::<std::net::Ipv4Addr>().is_ok() => HostPattern::Exact(host.to_owned()),
        host => hosts::parse(host, Star::Labels).ok()?,
    };
    Some(CorsOrigin {
        scheme: Some(scheme.to_ascii_lowercase()),
        host,
        port,
    })
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn origins_have_a_scheme_and_a_host_and_nothing_after_it() {
        for fine in [
            "*",
            "https://app.example.com",
            "http://localhost:3000",
            "https://*.example.com",
            "https://*",
            "http://127.0.0.1:8080",
        ] {
            assert!(origin(fine).is_some(), "{fine}");
        }
        for bad in [
            "",
            "app.example.com",
            "https://",
            "https://app.example.com/",
            "https://a.example.com:0",
            "https://a b",
            "://a",
            "null",
        ] {
            assert!(origin(bad).is_none(), "{bad}");
        }
    }
}
