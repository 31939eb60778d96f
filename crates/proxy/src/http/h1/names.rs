//! Field names that the data plane acts on. Everything else is [`Name::Other`] and passes through.

/// A field name that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "each is the field of that name")]
pub enum Name {
    Other,
    Accept,
    AcControlAllowCredentials,
    AcControlAllowHeaders,
    AcControlAllowMethods,
    AcControlAllowOrigin,
    AcControlExposeHeaders,
    AcControlMaxAge,
    AcControlRequestHeaders,
    AcControlRequestMethod,
    Connection,
    ContentLength,
    ContentType,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    Origin,
    Proxy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Referer,
    Server,
    SetCookie,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
    Vary,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XForwardedScheme,
    XRealIp,
    XRequestId,
    XScheme,
}

impl Name {
    /// Finds out what a name as it stands in a message means.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let [first, ..] = name else { return Self::Other };
        // The length and the first letter leave one or two candidates.
        let candidates: &[(&[u8], Self)] = match (name.len(), first | 0x20) {
            (2, b't') => &[(b"te", Self::Te)],
            (4, b'h') => &[(b"host", Self::Host)],
            (4, b'd') => &[(b"date", Self::Date)],
            (4, b'v') => &[(b"vary", Self::Vary)],
            (5, b'p') => &[(b"proxy", Self::Proxy)],
            (6, b'a') => &[(b"accept", Self::Accept)],
            (6, b'e') => &[(b"expect", Self::Expect)],
            (6, b'o') => &[(b"origin", Self::Origin)],
            (6, b's') => &[(b"server", Self::Server)],
            (7, b'r') => &[(b"referer", Self::Referer)],
            (7, b't') => &[(b"trailer", Self::Trailer)],
            (7, b'u') => &[(b"upgrade", Self::Upgrade)],
            (8, b'x') => &[(b"x-scheme", Self::XScheme)],
            (9, b'f') => &[(b"forwarded", Self::Forwarded)],
            (9, b'x') => &[(b"x-real-ip", Self::XRealIp)],
            (10, b'c') => &[(b"connection", Self::Connection)],
            (10, b'k') => &[(b"keep-alive", Self::KeepAlive)],
            (10, b's') => &[(b"set-cookie", Self::SetCookie)],
            (10, b'u') => &[(b"user-agent", Self::UserAgent)],
            (12, b'c') => &[(b"content-type", Self::ContentType)],
            (12, b'x') => &[(b"x-request-id", Self::XRequestId)],
            (14, b'c') => &[(b"content-length", Self::ContentLength)],
            (14, b'h') => &[(b"http2-settings", Self::Http2Settings)],
            (15, b'x') => &[(b"x-forwarded-for", Self::XForwardedFor)],
            (16, b'p') => &[(b"proxy-connection", Self::ProxyConnection)],
            (16, b'x') => &[
                (b"x-forwarded-host", Self::XForwardedHost),
                (b"x-forwarded-port", Self::XForwardedPort),
            ],
            (17, b't') => &[(b"transfer-encoding", Self::TransferEncoding)],
            (17, b'x') => &[(b"x-forwarded-proto", Self::XForwardedProto)],
            (18, b'p') => &[(b"proxy-authenticate", Self::ProxyAuthenticate)],
            (18, b'x') => &[(b"x-forwarded-scheme", Self::XForwardedScheme)],
            (19, b'p') => &[(b"proxy-authorization", Self::ProxyAuthorization)],
            (22, b'a') => &[(b"access-control-max-age", Self::AcControlMaxAge)],
            (27, b'a') => &[(b"access-control-allow-origin", Self::AcControlAllowOrigin)],
            (28, b'a') => &[
                (b"access-control-allow-headers", Self::AcControlAllowHeaders),
                (b"access-control-allow-methods", Self::AcControlAllowMethods),
            ],
            (29, b'a') => &[
                (b"access-control-request-method", Self::AcControlRequestMethod),
                (b"access-control-expose-headers", Self::AcControlExposeHeaders),
            ],
            (30, b'a') => &[(b"access-control-request-headers", Self::AcControlRequestHeaders)],
            (32, b'a') => &[(
                b"access-control-allow-credentials",
                Self::AcControlAllowCredentials,
            )],
            _ => &[],
        };
        for (text, known) in candidates {
            // As good as `eq_ignore_ascii_case` for what may stand in a name, and without a branch per byte: no
            // other character of a token becomes one of these by the bit that makes letters small.
            let differing = name
                .iter()
                .zip(*text)
                .fold(0, |all, (byte, wanted)| all | ((byte | 0x20) ^ wanted));
            if differing == 0 {
                return *known;
            }
        }
        Self::Other
    }

    /// Whether a name is a known one misspelt with underscores. Servers that hand fields over as environment
    /// variables (CGI, WSGI) can't tell `X_Forwarded_For` from `X-Forwarded-For`, so such a field is a forgery or
    /// an accident. Other names with underscores pass: unlike nginx we don't need to drop them all.
    pub fn is_disguised(name: &[u8]) -> bool {
        const LONGEST: usize = 32;
        if name.len() > LONGEST || !name.contains(&b'_') {
            return false;
        }
        let mut plain = [0; LONGEST];
        let plain = &mut plain[..name.len()];
        plain.copy_from_slice(name);
        for byte in &mut *plain {
            if *byte == b'_' {
                *byte = b'-';
            }
        }
        Self::of(plain) != Self::Other
    }

    /// Fields that concern one connection only and never pass through (RFC 9110 §7.6.1, and the two of proxy
    /// authentication, which are for the next hop alone). Framing fields are written anew, so they are here too.
    /// `Proxy` is no field at all: CGI turns it into `HTTP_PROXY`, by which a client could choose the proxy that a
    /// backend's own requests take (CVE-2016-5385).
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::Proxy
                | Self::ProxyConnection
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
                | Self::Http2Settings
        )
    }

    /// Fields that `Connection` can't take away: they are ours to judge, and dropping them would change how the
    /// message is read (RFC 9110 §7.6.1 forbids listing end-to-end fields).
    pub fn is_protected(self) -> bool {
        matches!(
            self,
            Self::Host
                | Self::ContentLength
                | Self::ContentType
                | Self::Date
                | Self::Forwarded
                | Self::SetCookie
                | Self::Vary
                | Self::XForwardedFor
                | Self::XForwardedHost
                | Self::XForwardedPort
                | Self::XForwardedProto
                | Self::XForwardedScheme
                | Self::XRealIp
                | Self::XRequestId
                | Self::XScheme
        )
    }
}

/// Fields that must not come in a trailer section (RFC 9110 §6.5.1): framing, routing, authentication, request
/// modifiers, response control, and those that say how to read the content. Dropped when relayed.
pub fn forbidden_in_trailer(name: &[u8]) -> bool {
    const MORE: &[&[u8]] = &[
        b"age",
        b"authorization",
        b"cache-control",
        b"content-encoding",
        b"content-range",
        b"cookie",
        b"expires",
        b"if-match",
        b"if-modified-since",
        b"if-none-match",
        b"if-range",
        b"if-unmodified-since",
        b"location",
        b"max-forwards",
        b"pragma",
        b"range",
        b"retry-after",
        b"warning",
        b"www-authenticate",
    ];
    Name::of(name) != Name::Other
        || Name::is_disguised(name)
        || MORE.iter().any(|forbidden| name.eq_ignore_ascii_case(forbidden))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Name::of(b"Transfer-ENCODING"), Name::TransferEncoding);
        assert_eq!(Name::of(b"x-forwarded-port"), Name::XForwardedPort);
        assert_eq!(Name::of(b"X-Forwarded-Pork"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
    }

    #[test]
    fn only_underscored_doubles_of_known_names_are_disguised() {
        assert!(Name::is_disguised(b"X_Forwarded_For") && Name::is_disguised(b"Content_Length"));
        assert!(!Name::is_disguised(b"my_field") && !Name::is_disguised(b"X-Forwarded-For"));
    }
}
