//! The CORS filter (HTTPCORSFilter, GEP-1767).

use super::matches::is_token;
use super::rule::Look;
use crate::hosts::{self, Star};
use api::gateway;
use ir::{Code, Cors, CorsOrigin, HostPattern};

/// Reads a CORS filter and reports what is wrong with it; the error is the first of these.
pub(crate) fn translate(look: &mut Look<'_, '_>, given: &gateway::Cors, field: &str) -> Result<Cors, String> {
    let mut list = Reports {
        look,
        field,
        first: None,
    };
    let allow_origins = list.origins(&given.allow_origins);
    list.names("allowMethods", &given.allow_methods);
    list.names("allowHeaders", &given.allow_headers);
    list.names("exposeHeaders", &given.expose_headers);
    let max_age = list.seconds(given.max_age);
    match list.first {
        Some(first) => Err(first),
        None => Ok(Cors {
            allow_origins,
            allow_methods: given.allow_methods.clone(),
            allow_headers: given.allow_headers.clone(),
            expose_headers: given.expose_headers.clone(),
            allow_credentials: given.allow_credentials.unwrap_or(false),
            max_age,
        }),
    }
}

/// A CORS filter being read.
struct Reports<'l, 's, 'a> {
    look: &'l mut Look<'s, 'a>,
    field: &'l str,
    first: Option<String>,
}

impl Reports<'_, '_, '_> {
    fn origins(&mut self, list: &[String]) -> Vec<CorsOrigin> {
        let mut origins = Vec::with_capacity(list.len());
        for (index, text) in list.iter().enumerate() {
            match origin(text) {
                Some(origin) => origins.push(origin),
                None => self.report(
                    &format!("allowOrigins[{index}]"),
                    format!("\"{text}\" is not an origin"),
                    "Write *, or scheme, host and port as in https://app.example.com:8443",
                ),
            }
        }
        self.star_alone("allowOrigins", list);
        origins
    }

    /// Tokens, or `*` alone.
    fn names(&mut self, field: &str, list: &[String]) {
        for (index, name) in list.iter().enumerate() {
            if !is_token(name) {
                self.report(
                    &format!("{field}[{index}]"),
                    format!("\"{name}\" is not a name"),
                    "Use letters, digits and -, or * alone",
                );
            }
        }
        self.star_alone(field, list);
    }

    fn star_alone(&mut self, field: &str, list: &[String]) {
        if list.len() > 1 && list.iter().any(|entry| entry == "*") {
            self.report(
                field,
                "* stands for all and can't stand beside others".to_owned(),
                "Keep * alone, or name them",
            );
        }
    }

    /// The field is an int32 from 1; browsers cap it at a day or less anyway.
    fn seconds(&mut self, given: Option<i64>) -> u32 {
        let given = given.unwrap_or(5);
        match u32::try_from(given) {
            Ok(seconds) if (1..=i32::MAX.unsigned_abs()).contains(&seconds) => seconds,
            _ => {
                self.report(
                    "maxAge",
                    format!("{given} is not a number of seconds from 1"),
                    "Leave it out for 5 seconds",
                );
                5
            }
        }
    }

    fn report(&mut self, field: &str, message: String, hint: &str) {
        let field = format!("{}.{field}", self.field);
        self.look
            .report(Code::FilterInvalid, &field, message.as_str(), hint);
        self.first.get_or_insert(message);
    }
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
        host if host.parse::<std::net::Ipv4Addr>().is_ok() => HostPattern::Exact(host.into()),
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
