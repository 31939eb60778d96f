//! Field names that the data plane acts on. Everything else is [`Name::Other`] and passes through.

macro_rules! names {
    ($($name:ident $text:literal,)*) => {
        /// A field name that means something here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "each is the field of that name")]
        pub enum Name {
            Other,
            $($name,)*
        }

        /// The names, in small letters, in the order of their numbers.
        const ROWS: &[Row] = &[Row::new("", Name::Other), $(Row::new($text, Name::$name),)*];
    };
}

names! {
    Accept "accept",
    AcControlAllowCredentials "access-control-allow-credentials",
    AcControlAllowHeaders "access-control-allow-headers",
    AcControlAllowMethods "access-control-allow-methods",
    AcControlAllowOrigin "access-control-allow-origin",
    AcControlExposeHeaders "access-control-expose-headers",
    AcControlMaxAge "access-control-max-age",
    AcControlRequestHeaders "access-control-request-headers",
    AcControlRequestMethod "access-control-request-method",
    Connection "connection",
    ContentLength "content-length",
    ContentType "content-type",
    Date "date",
    Expect "expect",
    Forwarded "forwarded",
    Host "host",
    Http2Settings "http2-settings",
    KeepAlive "keep-alive",
    Origin "origin",
    Proxy "proxy",
    ProxyAuthenticate "proxy-authenticate",
    ProxyAuthorization "proxy-authorization",
    ProxyConnection "proxy-connection",
    Referer "referer",
    Server "server",
    SetCookie "set-cookie",
    Te "te",
    Trailer "trailer",
    TransferEncoding "transfer-encoding",
    Upgrade "upgrade",
    UserAgent "user-agent",
    Vary "vary",
    XForwardedClientCert "x-forwarded-client-cert",
    XForwardedFor "x-forwarded-for",
    XForwardedHost "x-forwarded-host",
    XForwardedPort "x-forwarded-port",
    XForwardedProto "x-forwarded-proto",
    XForwardedScheme "x-forwarded-scheme",
    XRealIp "x-real-ip",
    XRequestId "x-request-id",
    XScheme "x-scheme",
}

impl Name {
    /// Finds out what a name as it stands in a message means.
    ///
    /// Control characters count for others (CR for a dash): who asks has made sure that there are none.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        let ends = Ends::of(name);
        let row = &ROWS[usize::from(PLACES[ends.place(MULTIPLIER)])];
        if row.text.len() == name.len() && row.ends == ends && (name.len() <= 16 || is_same(name, row.text)) {
            row.name
        } else {
            Self::Other
        }
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

/// A set of names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NameSet(u64);

impl NameSet {
    /// Fields that concern one connection only and never pass through (RFC 9110 §7.6.1, and the two of proxy
    /// authentication, which are for the next hop alone). Framing fields are written anew, so they are here too.
    /// `Proxy` is no field at all: CGI turns it into `HTTP_PROXY`, by which a client could choose the proxy that a
    /// backend's own requests take (CVE-2016-5385).
    pub const HOP_BY_HOP: Self = Self::of(&[
        Name::Connection,
        Name::KeepAlive,
        Name::Proxy,
        Name::ProxyConnection,
        Name::ProxyAuthenticate,
        Name::ProxyAuthorization,
        Name::Te,
        Name::TransferEncoding,
        Name::Upgrade,
        Name::Http2Settings,
    ]);

    /// These names.
    pub const fn of(names: &[Name]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < names.len() {
            bits |= 1 << names[at] as u8;
            at += 1;
        }
        Self(bits)
    }

    /// Puts a name in.
    #[inline]
    pub fn add(&mut self, name: Name) {
        self.0 |= 1 << name as u8;
    }

    /// Puts a name in if it is in `other`.
    #[inline]
    pub fn add_if(&mut self, name: Name, other: Self) {
        self.0 |= other.0 & (1 << name as u8);
    }

    /// Whether a name is in.
    #[inline]
    pub fn has(self, name: Name) -> bool {
        self.0 & (1 << name as u8) != 0
    }

    /// Whether a name is in both.
    #[inline]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

// A name is a bit of a set.
const _: () = assert!(ROWS.len() <= 64);

/// A known name, made ready for being compared.
struct Row {
    text: &'static [u8],
    ends: Ends,
    name: Name,
}

/// The first and the last bytes of a name, in small letters, eight each if it is long enough: of a name of up to sixteen
/// they are all of it.
#[derive(Clone, Copy)]
struct Ends {
    first: u64,
    last: u64,
    len: u64,
}

impl PartialEq for Ends {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        (self.first ^ other.first) | (self.last ^ other.last) == 0
    }
}

impl Ends {
    #[inline]
    const fn of(name: &[u8]) -> Self {
        let (first, last) = match (name.first_chunk(), name.last_chunk()) {
            (Some(first), Some(last)) => (u64::from_le_bytes(*first), u64::from_le_bytes(*last)),
            _ => match (name.first_chunk(), name.last_chunk()) {
                (Some(first), Some(last)) => (
                    u32::from_le_bytes(*first) as u64,
                    u32::from_le_bytes(*last) as u64,
                ),
                _ => match name {
                    [] => (0, 0),
                    [a] => (*a as u64, 0),
                    [a, b] => (*a as u64, *b as u64),
                    [a, b, c, ..] => (*a as u64, (*b as u64) << 8 | *c as u64),
                },
            },
        };
        Self {
            first: first | SMALL,
            last: last | SMALL,
            len: name.len() as u64,
        }
    }

    /// A place among those of [`PLACES`].
    #[inline]
    const fn place(self, multiplier: u64) -> usize {
        ((self.first ^ self.last.rotate_left(7) ^ self.len).wrapping_mul(multiplier) >> 56) as usize
    }
}

impl Row {
    const fn new(text: &'static str, name: Name) -> Self {
        Self {
            text: text.as_bytes(),
            ends: Ends::of(text.as_bytes()),
            name,
        }
    }
}

/// Whether a name is the one in small letters, of the same length. No other character of a token becomes one of these
/// by the bit that makes letters small.
fn is_same(name: &[u8], small: &[u8]) -> bool {
    let differing = name
        .iter()
        .zip(small)
        .fold(0, |all, (byte, wanted)| all | ((byte | 0x20) ^ wanted));
    differing == 0
}

/// The bit that makes letters small, in every byte.
const SMALL: u64 = 0x2020_2020_2020_2020;
/// Gives each known name a place of its own. Found by the compiler.
const MULTIPLIER: u64 = {
    let mut multiplier: u64 = 0x9e37_79b9_7f4a_7c15;
    while !is_perfect(multiplier) {
        multiplier = multiplier.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(2);
    }
    multiplier
};
/// At the place of a name its row, elsewhere the row of no name.
static PLACES: [u8; 256] = {
    let mut places = [0; 256];
    let mut row = 1;
    while row < ROWS.len() {
        places[ROWS[row].ends.place(MULTIPLIER)] = row as u8;
        row += 1;
    }
    places
};

const fn is_perfect(multiplier: u64) -> bool {
    let mut taken = [false; 256];
    let mut row = 1;
    while row < ROWS.len() {
        let place = ROWS[row].ends.place(multiplier);
        if taken[place] {
            return false;
        }
        taken[place] = true;
        row += 1;
    }
    true
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

    fn of_slowly(name: &[u8]) -> Name {
        let row = ROWS[1..].iter().find(|row| row.text.eq_ignore_ascii_case(name));
        row.map_or(Name::Other, |row| row.name)
    }

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(Name::of(b"Transfer-ENCODING"), Name::TransferEncoding);
        assert_eq!(Name::of(b"x-forwarded-port"), Name::XForwardedPort);
        assert_eq!(Name::of(b"X-Forwarded-Pork"), Name::Other);
        assert_eq!(Name::of(b""), Name::Other);
        for row in &ROWS[1..] {
            assert_eq!(Name::of(row.text), row.name);
            assert_eq!(Name::of(&row.text.to_ascii_uppercase()), row.name);
            for at in 0..row.text.len() {
                let mut other = row.text.to_vec();
                other[at] = b'9';
                assert_eq!(Name::of(&other), Name::Other);
                assert_eq!(Name::of(&row.text[at..][1..]), of_slowly(&row.text[at..][1..]));
            }
        }
    }

    #[test]
    fn only_underscored_doubles_of_known_names_are_disguised() {
        assert!(Name::is_disguised(b"X_Forwarded_For") && Name::is_disguised(b"Content_Length"));
        assert!(!Name::is_disguised(b"my_field") && !Name::is_disguised(b"X-Forwarded-For"));
    }
}
