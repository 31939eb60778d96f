//! `sessionPersistence` (GEP-1619) of an XBackend, of a policy or of a route's rule, as v1.7 and as v1.6 of Gateway API have it.

use serde::{Deserialize, Serialize};

crate::words! {
    /// What carries the session.
    SessionPersistenceType {
        /// A cookie.
        Cookie,
        /// A header of the same name in response and request.
        Header,
    } default Cookie
}

crate::words! {
    /// For how long a client keeps the cookie.
    CookieLifetimeType {
        /// Until it ends itself.
        Session,
        /// Until the absolute timeout.
        Permanent,
    } default Session
}

/// `sessionPersistence`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionPersistence {
    /// What carries it.
    #[serde(rename = "type")]
    pub kind: Option<SessionPersistenceType>,
    /// For `Cookie` (v1.7).
    pub cookie: Option<Box<SessionCookie>>,
    /// For `Header` (v1.7).
    pub header: Option<Box<SessionHeader>>,
    /// After so long a session is none any more, as GEP-2257 writes durations.
    pub absolute_timeout: Option<Box<str>>,
    /// Name of cookie or header (up to v1.6).
    pub session_name: Option<Box<str>>,
    /// Of the cookie (up to v1.6).
    pub cookie_config: Option<Box<SessionCookie>>,
    /// Left out of v1.6 again.
    pub idle_timeout: Option<Box<str>>,
}

/// `sessionPersistence.cookie`; of `cookieConfig`, `lifetimeType` alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionCookie {
    /// Its name.
    pub name: Option<Box<str>>,
    /// Its path; unset: `/`.
    pub path: Option<Box<str>>,
    /// For how long.
    pub lifetime_type: Option<CookieLifetimeType>,
}

/// `sessionPersistence.header`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SessionHeader {
    /// Its name.
    pub name: Option<Box<str>>,
}
