//! Sessions (`sessionPersistence`, GEP-1619): keeps a client at the endpoint that it was sent to first.
//!
//! Nothing is remembered here. A token says which backend and which endpoint it was, and since when, sealed so that a client
//! reads no addresses in it. Every worker and every replica reads the tokens of all, as the key comes from what the rule is
//! called. Who knows that could make tokens; but an address counts only while it is one of the backend's endpoints, so a
//! token leads nowhere that the rule does not lead.

use crate::http::h1::Fields;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ir::SessionCarrier;
use std::fmt::{self, Write as _};
use std::iter;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::{SystemTime, UNIX_EPOCH};

/// The sessions of a rule.
pub struct Sessions {
    settings: ir::SessionPersistence,
    key: LessSafeKey,
    /// For each backend of the rule what stands for it in a token.
    backends: Box<[Option<Mark>]>,
}

/// Stands for an upstream. The same in every replica.
type Mark = [u8; 8];

/// Where a client was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Position among the rule's backends.
    pub backend: usize,
    /// The endpoint.
    pub endpoint: SocketAddr,
}

impl Sessions {
    /// Those of a rule, if it has some.
    pub fn of(rule: &ir::Rule) -> Option<Self> {
        let settings = rule.session.as_deref()?.clone();
        let secret = digest(&SHA256, settings.seed.as_bytes());
        let key = UnboundKey::new(&AES_128_GCM, &secret.as_ref()[..KEY]).ok()?;
        let backends = match &rule.action {
            ir::Action::Forward(backends) => backends.iter().map(mark).collect(),
            ir::Action::Answer | ir::Action::Status(_) => return None,
        };
        Some(Self {
            settings,
            key: LessSafeKey::new(key),
            backends,
        })
    }

    /// Where the client of this request was sent before, if it says so and its session is not over.
    pub fn find(&self, fields: &Fields, raw: &[u8]) -> Option<Place> {
        let now = seconds();
        match &self.settings.carrier {
            SessionCarrier::Cookie { name, .. } => cookies(fields, raw)
                .flat_map(|cookies| cookies.split(|byte| *byte == b';'))
                .filter_map(|pair| {
                    let value = pair.trim_ascii().strip_prefix(name.as_bytes())?;
                    value.strip_prefix(b"=")
                })
                // There may be others of that name, of another path or made by an application.
                .take(MOST_TRIED)
                .find_map(|token| self.open(token, now)),
            SessionCarrier::Header(name) => {
                let (_, token) = fields.find_from(raw, name.as_bytes(), 0)?;
                self.open(token, now)
            }
        }
    }

    /// The response's field that tells the client: name and value. `secured`: it came by TLS.
    pub fn field(&self, backend: usize, endpoint: SocketAddr, secured: bool) -> Option<(&str, String)> {
        let token = self.seal(backend, endpoint, seconds())?;
        Some(match &self.settings.carrier {
            SessionCarrier::Header(name) => (name, token),
            SessionCarrier::Cookie {
                name,
                path,
                permanent,
            } => {
                let mut value = format!("{name}={token}; Path={path}; HttpOnly; SameSite=Lax");
                if secured {
                    value.push_str("; Secure");
                }
                if let (true, Some(timeout)) = (permanent, self.settings.absolute_timeout) {
                    // Writing into a string can't fail.
                    let _ = write!(value, "; Max-Age={}", timeout.as_secs().max(1));
                }
                ("Set-Cookie", value)
            }
        })
    }

    fn seal(&self, backend: usize, endpoint: SocketAddr, now: u64) -> Option<String> {
        let mark = self.backends.get(backend)?.as_ref()?;
        let mut text = Vec::with_capacity(LENGTH);
        // Random: two tokens of a rule with the same one would need some 2^48 sessions.
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        text.extend_from_slice(&nonce);
        text.extend_from_slice(&now.to_be_bytes());
        text.extend_from_slice(mark);
        text.extend_from_slice(&six(endpoint.ip()).octets());
        text.extend_from_slice(&endpoint.port().to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut text[NONCE_LEN..]);
        text.extend_from_slice(sealed.ok()?.as_ref());
        Some(URL_SAFE_NO_PAD.encode(text))
    }

    fn open(&self, token: &[u8], now: u64) -> Option<Place> {
        let mut text = [0; LENGTH + 8];
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut text).ok()?;
        let (nonce, sealed) = text.get_mut(..length)?.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = &*self.key.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        let (since, plain) = plain.split_first_chunk()?;
        let (mark, plain) = plain.split_first_chunk::<8>()?;
        let (address, port) = plain.split_first_chunk::<16>()?;
        let since = u64::from_be_bytes(*since);
        let over = |timeout: std::time::Duration| now.saturating_sub(since) >= timeout.as_secs().max(1);
        if self.settings.absolute_timeout.is_some_and(over) {
            return None;
        }
        Some(Place {
            backend: self
                .backends
                .iter()
                .position(|other| other.as_ref() == Some(mark))?,
            endpoint: SocketAddr::new(
                Ipv6Addr::from(*address).to_canonical(),
                u16::from_be_bytes(port.try_into().ok()?),
            ),
        })
    }
}

/// The values of all fields `Cookie`.
fn cookies<'a>(fields: &'a Fields, raw: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut from = 0;
    iter::from_fn(move || {
        let (at, value) = fields.find_from(raw, b"cookie", from)?;
        from = at + 1;
        Some(value)
    })
}

fn mark(backend: &ir::Backend) -> Option<Mark> {
    let ir::Target::Upstream(id) = &backend.target else {
        return None;
    };
    let digest = digest(&SHA256, id.0.as_bytes());
    digest.as_ref().first_chunk().copied()
}

fn six(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            // Not the seed.
            .field("carrier", &self.settings.carrier)
            .finish_non_exhaustive()
    }
}

/// Of AES-128.
const KEY: usize = 16;
/// A token before base64: nonce, time, backend, address, port, tag.
const LENGTH: usize = NONCE_LEN + 8 + 8 + 16 + 2 + 16;
/// Cookies of the name that are looked at: a client could send thousands.
const MOST_TRIED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use ir::{Action, Backend, Origin, PathMatch, Target, Timeouts, UpstreamId};
    use std::time::Duration;

    fn sessions(seed: &str, upstreams: &[&str], absolute_timeout: Option<Duration>) -> Sessions {
        let rule = ir::Rule {
            origin: Origin::new("HTTPRoute", "shop", "cart"),
            index: 0,
            matches: vec![ir::Match {
                path: PathMatch::Prefix(String::new()),
                method: None,
                headers: Vec::new(),
                query: Vec::new(),
            }],
            filters: Vec::new(),
            action: Action::Forward(
                upstreams
                    .iter()
                    .map(|name| Backend {
                        weight: 1,
                        target: Target::Upstream(UpstreamId(format!("shop/{name}:80").into())),
                        filters: Vec::new(),
                    })
                    .collect(),
            ),
            timeouts: Timeouts::default(),
            retry: None,
            session: Some(Box::new(ir::SessionPersistence {
                carrier: SessionCarrier::Header("x-session".into()),
                absolute_timeout,
                seed: seed.into(),
            })),
            grpc: false,
        };
        Sessions::of(&rule).unwrap()
    }

    const V4: &str = "10.0.0.1:8080";

    #[test]
    fn a_token_is_read_by_whoever_has_the_rule_and_by_nobody_else() {
        let sealing = sessions("a", &["one", "two"], None);
        for endpoint in [V4, "[2001:db8::1]:1"] {
            let endpoint = endpoint.parse().unwrap();
            let token = sealing.seal(1, endpoint, 5).unwrap();
            let place = Some(Place { backend: 1, endpoint });
            assert_eq!(sealing.open(token.as_bytes(), 5), place);
            // Another replica, with the backends in another order and one more.
            let other = sessions("a", &["two", "three", "one"], None);
            let place = Some(Place { backend: 0, endpoint });
            assert_eq!(other.open(token.as_bytes(), 5), place);
            assert_eq!(
                sessions("b", &["one", "two"], None).open(token.as_bytes(), 5),
                None
            );
            assert_eq!(sessions("a", &["one"], None).open(token.as_bytes(), 5), None);
            assert_ne!(sealing.seal(1, endpoint, 5).unwrap(), token, "no two are alike");
        }
    }

    #[test]
    fn whatever_is_changed_in_a_token_makes_it_none() {
        let sessions = sessions("a", &["one"], None);
        let token = sessions.seal(0, V4.parse().unwrap(), 5).unwrap();
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(sessions.open(&changed, 5), None, "{at}");
            assert_eq!(sessions.open(&token.as_bytes()[..at], 5), None, "{at}");
        }
        assert_eq!(sessions.open(token.repeat(20).as_bytes(), 5), None);
    }

    #[test]
    fn a_session_is_over_after_its_time() {
        let sessions = sessions("a", &["one"], Some(Duration::from_secs(10)));
        let token = sessions.seal(0, V4.parse().unwrap(), 100).unwrap();
        assert!(sessions.open(token.as_bytes(), 109).is_some());
        assert!(sessions.open(token.as_bytes(), 110).is_none());
        // A clock that is behind that of the replica that gave it.
        assert!(sessions.open(token.as_bytes(), 90).is_some());
    }

    #[test]
    fn a_cookie_says_where_it_may_go_and_for_how_long() {
        let mut sessions = sessions("a", &["one"], Some(Duration::from_secs(60)));
        for (permanent, secured, end) in [
            (false, false, "; Path=/x; HttpOnly; SameSite=Lax"),
            (false, true, "; Path=/x; HttpOnly; SameSite=Lax; Secure"),
            (
                true,
                true,
                "; Path=/x; HttpOnly; SameSite=Lax; Secure; Max-Age=60",
            ),
        ] {
            sessions.settings.carrier = SessionCarrier::Cookie {
                name: "cart".into(),
                path: "/x".into(),
                permanent,
            };
            let (name, value) = sessions.field(0, V4.parse().unwrap(), secured).unwrap();
            let told = value.strip_prefix("cart=").unwrap();
            assert_eq!((name, &told[told.find(';').unwrap()..]), ("Set-Cookie", end));
        }
    }
}
