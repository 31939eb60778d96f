//! Sessions (`sessionPersistence`, GEP-1619) of a rule, an XBackend or a policy, in the shape of v1.7 or that of v1.6.

use super::durations;
use super::matches::is_token;
use super::rule::Look;
use crate::scope::Scope;
use api::gateway::{
    CookieLifetimeType, HttpRouteRule, SessionPersistence as Given, SessionPersistenceType as Type,
};
use aws_lc_rs::digest::{SHA256, digest};
use ir::{Backend, Code, Diagnostic, Origin, SessionCarrier, SessionPersistence};
use std::fmt::Write as _;
use std::sync::Arc;

/// Reads how the rule at `index` keeps clients at one endpoint. What can't be understood is reported, and the rule works
/// without: half of a session would be a surprise.
pub(crate) fn of_rule(
    look: &mut Look<'_, '_>,
    index: usize,
    rule: &HttpRouteRule,
) -> Option<Arc<SessionPersistence>> {
    let given = rule.session_persistence.as_deref()?;
    let field = format!("{}.sessionPersistence", look.field);
    let holder = Holder {
        origin: look.origin.object(),
        field: &field,
        // Names of objects differ within a cluster, and the time tells an object from one that had its name before.
        seed: format!("{}@{}", look.origin, look.route.metadata.created),
    };
    let session = of_object(look.scope, given, &holder, true)?;
    look.name_of_session(index, &session);
    Some(Arc::new(session))
}

/// Says which of a rule's backends have sessions by one name although each has its own.
pub(crate) fn names_of_backends(look: &mut Look<'_, '_>, backends: &[Backend]) {
    for (index, backend) in backends.iter().enumerate() {
        let Some(session) = &backend.session else { continue };
        let clashes = |other: &Backend| {
            let other = other.session.as_ref();
            other.is_some_and(|other| {
                other.seed != session.seed && same_name(&other.carrier, &session.carrier)
            })
        };
        if let Some(before) = backends[..index].iter().position(clashes) {
            look.report(
                Code::SessionNameRepeated,
                &format!("backendRefs[{index}]"),
                format!("the sessions of backendRefs[{before}] have the same name"),
                "Give each backend's sessions a name of their own, or none",
            );
        }
    }
}

/// Whose sessions they are.
pub(crate) struct Holder<'h> {
    pub origin: Origin,
    /// Where they stand.
    pub field: &'h str,
    /// Tells them from those of others.
    pub seed: String,
}

/// Reads how clients are kept. What can't be understood is reported, if `tell`.
pub(crate) fn of_object(
    scope: &mut Scope<'_>,
    given: &Given,
    holder: &Holder<'_>,
    tell: bool,
) -> Option<SessionPersistence> {
    let mut report = |code: Code, field: &str, message: String, hint: &str| {
        if tell {
            let field = format!("{}{field}", holder.field);
            scope.report(Diagnostic::new(code, holder.origin.clone(), field, message).hint(hint));
        }
    };
    if let Some(timeout) = &given.idle_timeout {
        let message = format!("idleTimeout {timeout} is not honoured: it is no field any more");
        report(
            Code::RouteFieldUnsupported,
            ".idleTimeout",
            message,
            "Use absoluteTimeout",
        );
    }
    let translated = timeout(given).and_then(|absolute_timeout| {
        Ok(SessionPersistence {
            carrier: carrier(given, &holder.seed)?,
            absolute_timeout,
            seed: holder.seed.as_str().into(),
        })
    });
    match translated {
        Ok(session) => Some(session),
        Err(Mistake { field, message, hint }) => {
            report(Code::SessionInvalid, field, message, hint);
            None
        }
    }
}

struct Mistake {
    field: &'static str,
    message: String,
    hint: &'static str,
}

fn mistake<T>(field: &'static str, message: impl Into<String>, hint: &'static str) -> Result<T, Mistake> {
    Err(Mistake {
        field,
        message: message.into(),
        hint,
    })
}

fn timeout(given: &Given) -> Result<Option<std::time::Duration>, Mistake> {
    let Some(text) = given.absolute_timeout.as_deref() else {
        return Ok(None);
    };
    match durations::parse(text) {
        Some(timeout) if !timeout.is_zero() => Ok(Some(timeout)),
        _ => mistake(
            ".absoluteTimeout",
            format!("\"{text}\" is not a duration above 0"),
            "Write it as 30m, 12h or 24h",
        ),
    }
}

fn carrier(given: &Given, seed: &str) -> Result<SessionCarrier, Mistake> {
    let of_now = given.cookie.is_some() || given.header.is_some();
    if of_now && (given.session_name.is_some() || given.cookie_config.is_some()) {
        return mistake(
            "",
            "sessionName and cookieConfig are what cookie and header were before v1.7, and both are set",
            "Keep cookie or header",
        );
    }
    match given.kind.clone().unwrap_or_default() {
        Type::Cookie if given.header.is_some() => mistake(
            ".header",
            "header is set, but the session is in a cookie",
            "Set type to Header, or remove header",
        ),
        Type::Cookie => cookie(given, seed),
        Type::Header if given.cookie.is_some() || given.cookie_config.is_some() => mistake(
            ".cookie",
            "cookie is set, but the session is in a header",
            "Set type to Cookie, or remove cookie",
        ),
        Type::Header => header(given),
        Type::Other(other) => mistake(
            ".type",
            format!("{other} is no type of session that is known here"),
            "Use Cookie or Header",
        ),
    }
}

fn cookie(given: &Given, seed: &str) -> Result<SessionCarrier, Mistake> {
    let old = given.cookie_config.as_deref();
    let cookie = given.cookie.as_deref();
    let (field, name) = match (
        cookie.and_then(|cookie| cookie.name.as_deref()),
        &given.session_name,
    ) {
        (Some(name), _) => (".cookie.name", Some(name)),
        (None, name) => (".sessionName", name.as_deref()),
    };
    let name = match name {
        Some(name) if is_token(name) => name.to_owned(),
        Some(name) => {
            return mistake(
                field,
                format!("\"{name}\" is no name of a cookie"),
                "Use letters, digits, - and _",
            );
        }
        None => own_name(seed),
    };
    let path = cookie.and_then(|cookie| cookie.path.as_deref()).unwrap_or("/");
    let fits = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b';';
    if !path.starts_with('/') || path.len() > LONGEST_PATH || !path.bytes().all(fits) {
        return mistake(
            ".cookie.path",
            format!("\"{path}\" is no path of a cookie"),
            "Begin it with / and leave out semicolons",
        );
    }
    let lifetime = cookie
        .and_then(|cookie| cookie.lifetime_type.clone())
        .or_else(|| old?.lifetime_type.clone());
    let permanent = match lifetime.unwrap_or_default() {
        CookieLifetimeType::Session => false,
        CookieLifetimeType::Permanent if given.absolute_timeout.is_some() => true,
        CookieLifetimeType::Permanent => {
            return mistake(
                ".absoluteTimeout",
                "a Permanent cookie has no absoluteTimeout, so nobody knows how long it lasts",
                "Set absoluteTimeout, or lifetimeType to Session",
            );
        }
        CookieLifetimeType::Other(other) => {
            return mistake(
                ".cookie.lifetimeType",
                format!("{other} is no lifetime of a cookie that is known here"),
                "Use Session or Permanent",
            );
        }
    };
    Ok(SessionCarrier::Cookie {
        name,
        path: path.to_owned(),
        permanent,
    })
}

fn header(given: &Given) -> Result<SessionCarrier, Mistake> {
    let named = given.header.as_deref().and_then(|header| header.name.as_deref());
    let (field, name) = match (named, &given.session_name) {
        (Some(name), _) => (".header.name", Some(name)),
        (None, name) => (".header", name.as_deref()),
    };
    let Some(name) = name else {
        return mistake(
            field,
            "a session in a header needs the header's name",
            "Set header.name",
        );
    };
    let name = name.to_ascii_lowercase();
    if !is_token(&name) || TAKEN.contains(&name.as_str()) {
        return mistake(
            field,
            format!("\"{name}\" is no header that a session can be in"),
            "Use a name of your own, such as x-session",
        );
    }
    Ok(SessionCarrier::Header(name))
}

/// Whether a client could not tell one from the other.
fn same_name(one: &SessionCarrier, other: &SessionCarrier) -> bool {
    match (one, other) {
        (
            SessionCarrier::Cookie { name, path, .. },
            SessionCarrier::Cookie {
                name: other,
                path: other_path,
                ..
            },
        ) => name == other && path == other_path,
        (SessionCarrier::Header(name), SessionCarrier::Header(other)) => name == other,
        _ => false,
    }
}

/// A name that no other rule has.
fn own_name(seed: &str) -> String {
    let digest = digest(&SHA256, seed.as_bytes());
    digest.as_ref()[..4]
        .iter()
        .fold(String::from("session-"), |mut name, byte| {
            // Writing into a string can't fail.
            let _ = write!(name, "{byte:02x}");
            name
        })
}

impl Look<'_, '_> {
    fn name_of_session(&mut self, index: usize, session: &SessionPersistence) {
        let rules = &self.route.spec.rules[..index];
        let same = |rule: &HttpRouteRule| {
            let given = rule.session_persistence.as_deref();
            let other = given.and_then(|given| carrier(given, "").ok());
            other.is_some_and(|other| same_name(&session.carrier, &other))
        };
        if let Some(before) = rules.iter().position(same) {
            self.report(
                Code::SessionNameRepeated,
                "sessionPersistence",
                format!("spec.rules[{before}] has a session of this name too"),
                "Give each rule's session a name of its own, or none",
            );
        }
    }
}

/// As the CRD has it.
const LONGEST_PATH: usize = 1024;
/// What has a meaning of its own in HTTP.
const TAKEN: [&str; 9] = [
    "connection",
    "content-length",
    "cookie",
    "host",
    "keep-alive",
    "set-cookie",
    "te",
    "transfer-encoding",
    "upgrade",
];
