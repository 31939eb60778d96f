//! Cross-origin resource sharing (Fetch standard §3.2, HTTPCORSFilter, GEP-1767): answers preflights and says in
//! responses what scripts of other sites may read.
//!
//! Where this filter is, it is the only authority: what the upstream says about CORS is replaced or dropped.

use super::Request;
use crate::http::h1::{Fields, Name, NameSet};
use crate::respond::Reply;
use ir::HostPattern;
use ir::filter::CorsOrigin;

/// A CORS policy with its field values ready.
#[derive(Debug)]
pub struct CompiledCors {
    origins: Box<[CorsOrigin]>,
    any_origin: bool,
    methods: Values,
    headers: Values,
    expose: Values,
    credentials: bool,
    max_age: String,
}

/// A list as a field value.
#[derive(Debug)]
enum Values {
    None,
    Any,
    List(String),
}

/// What a page gets, for as long as the exchange lasts.
#[derive(Debug, Clone)]
pub struct CorsGrant<'p> {
    cors: &'p CompiledCors,
    /// Value of `Access-Control-Allow-Origin`; unset: the page gets nothing.
    origin: Option<Vec<u8>>,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Verdict<'p> {
    /// A preflight: answered here, never forwarded.
    Answer(Reply),
    /// Forwarded; the response gets these fields.
    Forward(CorsGrant<'p>),
}

impl CompiledCors {
    /// Compiles a policy.
    pub fn new(cors: &ir::Cors) -> Self {
        Self {
            origins: cors.allow_origins.clone().into(),
            any_origin: cors
                .allow_origins
                .iter()
                .any(|origin| origin.scheme.is_none() && origin.host == HostPattern::Any),
            methods: Values::new(&cors.allow_methods),
            headers: Values::new(&cors.allow_headers),
            expose: Values::new(&cors.expose_headers),
            credentials: cors.allow_credentials,
            max_age: cors.max_age.to_string(),
        }
    }

    /// Value of `Access-Control-Allow-Origin` for a page, if it may ask.
    fn allowed_origin(&self, origin: &[u8]) -> Option<Vec<u8>> {
        // The literal star is not valid together with credentials (Fetch §3.2.5).
        if self.any_origin && !self.credentials {
            return Some(b"*".to_vec());
        }
        // `null` is what sandboxed pages of anyone send: never with credentials, and no pattern means it.
        (origin != b"null" && (self.any_origin || self.origins.iter().any(|allowed| covers(allowed, origin))))
            .then(|| origin.to_vec())
    }
}

impl Values {
    fn new(list: &[String]) -> Self {
        match list {
            [] => Self::None,
            list if list.iter().any(|value| value == "*") => Self::Any,
            list => Self::List(list.join(", ")),
        }
    }

    /// The field's value. A star means nothing together with credentials, so then what was asked for is named.
    fn value<'a>(&'a self, credentials: bool, asked: Option<&'a [u8]>) -> Option<&'a [u8]> {
        match self {
            Self::None => None,
            Self::Any if credentials => asked,
            Self::Any => Some(b"*"),
            Self::List(list) => Some(list.as_bytes()),
        }
    }
}

/// Decides about a request.
pub fn check<'p>(cors: &'p CompiledCors, request: &Request<'_>) -> Verdict<'p> {
    let origin = request.fields.get(request.raw, Name::Origin);
    let granted = origin.and_then(|origin| cors.allowed_origin(origin));
    let asked_method = request.fields.get(request.raw, Name::AcControlRequestMethod);
    let (b"OPTIONS", Some(_), Some(method)) = (request.method, origin, asked_method) else {
        return Verdict::Forward(CorsGrant {
            cors,
            origin: granted,
        });
    };
    let mut reply = Reply::empty(204);
    if let Some(granted) = &granted {
        reply.field("Access-Control-Allow-Origin", granted);
        if cors.credentials {
            reply.field("Access-Control-Allow-Credentials", b"true");
        }
        if let Some(methods) = cors.methods.value(cors.credentials, Some(method)) {
            reply.field("Access-Control-Allow-Methods", methods);
        }
        let asked = request.fields.get(request.raw, Name::AcControlRequestHeaders);
        if let Some(headers) = cors.headers.value(cors.credentials, asked) {
            reply.field("Access-Control-Allow-Headers", headers);
        }
        // Browsers look for it on the response itself; Gateway API wants it here, too (HTTPCORSFilter.exposeHeaders).
        if let Some(expose) = cors.expose.value(cors.credentials, None) {
            reply.field("Access-Control-Expose-Headers", expose);
        }
        reply.field("Access-Control-Max-Age", cors.max_age.as_bytes());
    }
    if granted.as_deref() != Some(b"*") {
        reply.field(
            "Vary",
            b"Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
        );
    }
    Verdict::Answer(reply)
}

/// Puts the grant's fields on a response.
pub fn allow(grant: &CorsGrant<'_>, fields: &mut Fields, raw: &[u8]) {
    fields.take_out(GRANTS);
    if let Some(origin) = &grant.origin {
        fields.push(b"Access-Control-Allow-Origin", origin);
        if grant.cors.credentials {
            fields.push(b"Access-Control-Allow-Credentials", b"true");
        }
        if let Some(expose) = grant.cors.expose.value(grant.cors.credentials, None) {
            fields.push(b"Access-Control-Expose-Headers", expose);
        }
    }
    // Caches must not hand one site's answer to another (Fetch §3.2.5); only the plain star is the same for all.
    if grant.cors.credentials || !grant.cors.any_origin {
        fields.add(raw, b"Vary", b"Origin");
    }
}

/// Puts the grant's fields on an answer of our own: a page shall see what went wrong, too.
pub fn allow_reply(grant: &CorsGrant<'_>, reply: &mut Reply) {
    if let Some(origin) = &grant.origin {
        reply.field("Access-Control-Allow-Origin", origin);
        if grant.cors.credentials {
            reply.field("Access-Control-Allow-Credentials", b"true");
        }
    }
    if grant.cors.credentials || !grant.cors.any_origin {
        reply.field("Vary", b"Origin");
    }
}

/// Whether an `Origin` value (`scheme://host[:port]`) is covered by a pattern.
fn covers(allowed: &CorsOrigin, origin: &[u8]) -> bool {
    let Ok(origin) = std::str::from_utf8(origin) else {
        return false;
    };
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    if allowed
        .scheme
        .as_ref()
        .is_some_and(|wanted| !wanted.eq_ignore_ascii_case(scheme))
    {
        return false;
    }
    let bracket = authority.rfind(']').unwrap_or(0);
    let (host, port) = match authority[bracket..].find(':') {
        Some(colon) => match authority[bracket + colon + 1..].parse() {
            Ok(port) => (&authority[..bracket + colon], Some(port)),
            Err(_) => return false,
        },
        None => (authority, None),
    };
    if host.is_empty()
        || !host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte))
    {
        return false;
    }
    allowed.host.matches(&host.to_ascii_lowercase())
        && effective_port(scheme, port) == effective_port(scheme, allowed.port)
}

fn effective_port(scheme: &str, port: Option<u16>) -> Option<u16> {
    port.or_else(|| {
        if scheme.eq_ignore_ascii_case("https") {
            Some(443)
        } else if scheme.eq_ignore_ascii_case("http") {
            Some(80)
        } else {
            None
        }
    })
}

/// What an upstream may have granted itself.
const GRANTS: NameSet = NameSet::of(&[
    Name::AcControlAllowCredentials,
    Name::AcControlAllowHeaders,
    Name::AcControlAllowMethods,
    Name::AcControlAllowOrigin,
    Name::AcControlExposeHeaders,
    Name::AcControlMaxAge,
]);

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(scheme: &str, host: HostPattern, port: Option<u16>) -> CorsOrigin {
        CorsOrigin {
            scheme: Some(scheme.into()),
            host,
            port,
        }
    }

    #[test]
    fn an_origin_is_covered_as_a_whole_or_not_at_all() {
        let exact = origin("https", HostPattern::Exact("a.example".into()), None);
        let star = origin(
            "https",
            HostPattern::Wildcard {
                suffix: ".a.example".into(),
                one_label: false,
            },
            Some(8443),
        );
        for (pattern, text, covered) in [
            (&exact, "https://a.example", true),
            (&exact, "https://A.Example:443", true),
            (&exact, "https://a.example:8443", false),
            (&exact, "http://a.example", false),
            (&exact, "xhttps://a.example", false),
            (&exact, "https://a.example.evil", false),
            (&exact, "https://evil/https://a.example", false),
            (&exact, "https://u@a.example", false),
            (&exact, "null", false),
            (&star, "https://x.y.a.example:8443", true),
            (&star, "https://a.example:8443", false),
            (&star, "https://x.a.example", false),
        ] {
            assert_eq!(covers(pattern, text.as_bytes()), covered, "{text}");
        }
    }

    #[test]
    fn a_star_with_credentials_names_the_origin_and_never_null() {
        let mut cors = ir::Cors {
            allow_origins: vec![CorsOrigin {
                scheme: None,
                host: HostPattern::Any,
                port: None,
            }],
            allow_methods: vec!["*".into()],
            allow_headers: vec!["*".into()],
            expose_headers: Vec::new(),
            allow_credentials: false,
            max_age: 5,
        };
        let open = CompiledCors::new(&cors);
        assert_eq!(
            open.allowed_origin(b"https://x.example").as_deref(),
            Some(&b"*"[..])
        );
        cors.allow_credentials = true;
        let careful = CompiledCors::new(&cors);
        assert_eq!(
            careful.allowed_origin(b"https://x.example").as_deref(),
            Some(&b"https://x.example"[..])
        );
        assert_eq!(careful.allowed_origin(b"null"), None);
    }
}
