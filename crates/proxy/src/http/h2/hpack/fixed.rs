//! The static table (RFC 7541 Appendix A): fields that both sides know.

use crate::http::h1::Name;
use crate::http::sections::Kind;

/// Names, values, and what they are; the first has the index 1.
#[rustfmt::skip]
pub const TABLE: [(&str, &str, Kind); 61] = [
    (":authority", "", Kind::Authority),
    (":method", "GET", Kind::Method),
    (":method", "POST", Kind::Method),
    (":path", "/", Kind::Path),
    (":path", "/index.html", Kind::Path),
    (":scheme", "http", Kind::Scheme),
    (":scheme", "https", Kind::Scheme),
    (":status", "200", Kind::Status),
    (":status", "204", Kind::Status),
    (":status", "206", Kind::Status),
    (":status", "304", Kind::Status),
    (":status", "400", Kind::Status),
    (":status", "404", Kind::Status),
    (":status", "500", Kind::Status),
    ("accept-charset", "", field(Name::Other)),
    ("accept-encoding", "gzip, deflate", field(Name::Other)),
    ("accept-language", "", field(Name::Other)),
    ("accept-ranges", "", field(Name::Other)),
    ("accept", "", field(Name::Accept)),
    ("access-control-allow-origin", "", field(Name::AcControlAllowOrigin)),
    ("age", "", field(Name::Other)),
    ("allow", "", field(Name::Other)),
    ("authorization", "", field(Name::Other)),
    ("cache-control", "", field(Name::Other)),
    ("content-disposition", "", field(Name::Other)),
    ("content-encoding", "", field(Name::Other)),
    ("content-language", "", field(Name::Other)),
    ("content-length", "", field(Name::ContentLength)),
    ("content-location", "", field(Name::Other)),
    ("content-range", "", field(Name::Other)),
    ("content-type", "", field(Name::ContentType)),
    ("cookie", "", field(Name::Other)),
    ("date", "", field(Name::Date)),
    ("etag", "", field(Name::Other)),
    ("expect", "", field(Name::Expect)),
    ("expires", "", field(Name::Other)),
    ("from", "", field(Name::Other)),
    ("host", "", field(Name::Host)),
    ("if-match", "", field(Name::Other)),
    ("if-modified-since", "", field(Name::Other)),
    ("if-none-match", "", field(Name::Other)),
    ("if-range", "", field(Name::Other)),
    ("if-unmodified-since", "", field(Name::Other)),
    ("last-modified", "", field(Name::Other)),
    ("link", "", field(Name::Other)),
    ("location", "", field(Name::Other)),
    ("max-forwards", "", field(Name::Other)),
    ("proxy-authenticate", "", field(Name::ProxyAuthenticate)),
    ("proxy-authorization", "", field(Name::ProxyAuthorization)),
    ("range", "", field(Name::Other)),
    ("referer", "", field(Name::Referer)),
    ("refresh", "", field(Name::Other)),
    ("retry-after", "", field(Name::Other)),
    ("server", "", field(Name::Server)),
    ("set-cookie", "", field(Name::SetCookie)),
    ("strict-transport-security", "", field(Name::Other)),
    ("transfer-encoding", "", Kind::Malformed),
    ("user-agent", "", field(Name::UserAgent)),
    ("vary", "", field(Name::Vary)),
    ("via", "", field(Name::Other)),
    ("www-authenticate", "", field(Name::Other)),
];

/// The index of a name, if it stands there; 0 else. `name` may be in any case.
#[inline]
pub fn index(known: Name, name: &[u8]) -> usize {
    match known {
        Name::Accept => 19,
        Name::AcControlAllowOrigin => 20,
        Name::ContentLength => 28,
        Name::ContentType => 31,
        Name::Date => 33,
        Name::Expect => 35,
        Name::Host => 38,
        Name::ProxyAuthenticate => 48,
        Name::ProxyAuthorization => 49,
        Name::Referer => 51,
        Name::Server => 54,
        Name::SetCookie => 55,
        Name::UserAgent => 58,
        Name::Vary => 59,
        Name::Other => index_of_other(name),
        _ => 0,
    }
}

/// Those that mean nothing to us.
fn index_of_other(name: &[u8]) -> usize {
    // By length first, so that most are compared with one or none.
    let rows = usize::from(BY_LENGTH.get(name.len()).copied().unwrap_or_default());
    let (mut at, end) = (rows, TABLE.len());
    while at > 0 && at <= end {
        let (text, _, kind) = TABLE[at - 1];
        if kind == field(Name::Other) && text.as_bytes().eq_ignore_ascii_case(name) {
            return at;
        }
        at = usize::from(NEXT[at - 1]);
    }
    0
}

/// By length of a name the first row of that length, and by row the next one.
static BY_LENGTH: [u8; 32] = {
    let mut first = [0; 32];
    let mut row = TABLE.len();
    while row > 0 {
        first[TABLE[row - 1].0.len()] = row as u8;
        row -= 1;
    }
    first
};
static NEXT: [u8; TABLE.len()] = {
    let mut next = [0; TABLE.len()];
    let mut row = 0;
    while row < TABLE.len() {
        let mut later = row + 1;
        while later < TABLE.len() && TABLE[later].0.len() != TABLE[row].0.len() {
            later += 1;
        }
        if later < TABLE.len() {
            next[row] = later as u8 + 1;
        }
        row += 1;
    }
    next
};

const fn field(name: Name) -> Kind {
    Kind::Field(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_what_it_would_be_found_out_to_be() {
        for (name, value, kind) in TABLE {
            assert_eq!(kind, Kind::of(name.as_bytes(), value.as_bytes()), "{name}");
        }
    }

    #[test]
    fn every_name_of_a_field_is_found() {
        for (at, (name, _, kind)) in (1..).zip(TABLE) {
            if let Kind::Field(known) = kind {
                assert_eq!(index(known, name.as_bytes()), at, "{name}");
                assert_eq!(index(known, name.to_ascii_uppercase().as_bytes()), at, "{name}");
            }
        }
        assert_eq!(index(Name::Other, b"x-own"), 0);
        assert_eq!(index(Name::Other, &[b'x'; 100]), 0);
        assert_eq!(index(Name::XRealIp, b"x-real-ip"), 0);
    }
}
