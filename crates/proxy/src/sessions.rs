//! Sessions (`sessionPersistence`, GEP-1619): among a backend's endpoints, keeps a client at the one that it was sent to first.
//!
//! Nothing is remembered here. A token says which endpoint of which backend it was, and since when, sealed so that a client
//! reads no addresses in it. Every worker and every replica reads the tokens of all, as the key comes from what the rule (or
//! the backend) is called. Who knows that could make tokens; but an address counts only while it is one of the backend's
//! endpoints, so a token leads nowhere that the rule does not lead.
//!
//! Which backend a request goes to is not decided here: weights do that, for everybody. So where several backends have
//! sessions by one name, a token holds an endpoint for each of them.

use crate::http::h1::Fields;
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ir::{SessionCarrier, SessionPersistence, UpstreamId};
use smallvec::SmallVec;
use std::fmt::{self, Write as _};
use std::iter;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// The sessions of one backend of a rule.
pub struct Sessions {
    settings: Arc<SessionPersistence>,
    key: LessSafeKey,
    mark: Mark,
}

/// Stands for an upstream. The same in every replica.
type Mark = [u8; 8];

/// What a client's token says, as far as it is not over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    places: SmallVec<[Place; 1]>,
}

/// Where a client was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// When, in seconds since 1970.
    since: u64,
    backend: Mark,
    endpoint: SocketAddr,
}

impl Sessions {
    /// Those of a backend of this name.
    pub fn new(settings: &Arc<SessionPersistence>, upstream: &UpstreamId) -> Option<Self> {
        let secret = digest(&SHA256, settings.seed.as_bytes());
        let key = UnboundKey::new(&AES_128_GCM, &secret.as_ref()[..KEY]).ok()?;
        let mark = digest(&SHA256, upstream.0.as_bytes());
        Some(Self {
            settings: Arc::clone(settings),
            key: LessSafeKey::new(key),
            mark: *mark.as_ref().first_chunk()?,
        })
    }

    /// What the client of this request knows.
    pub fn find(&self, fields: &Fields, raw: &[u8]) -> Known {
        let now = seconds();
        let mut known = Known::default();
        match &self.settings.carrier {
            SessionCarrier::Cookie { name, .. } => cookies(fields, raw)
                .flat_map(|cookies| cookies.split(|byte| *byte == b';'))
                .filter_map(|pair| {
                    let value = pair.trim_ascii().strip_prefix(name.as_bytes())?;
                    value.strip_prefix(b"=")
                })
                // There may be others of that name, of another path or made by an application.
                .take(MOST_TRIED)
                .filter_map(|token| self.open(token, now))
                .for_each(|more| known.learn(more)),
            SessionCarrier::Header(name) => fields
                .find_from(raw, name.as_bytes(), 0)
                .and_then(|(_, token)| self.open(token, now))
                .into_iter()
                .for_each(|more| known.learn(more)),
        }
        known
    }

    /// The endpoint of this backend that the client was sent to before. It may be gone.
    pub fn endpoint(&self, known: &Known) -> Option<SocketAddr> {
        let mut places = known.places.iter();
        places
            .find(|place| place.backend == self.mark)
            .map(|place| place.endpoint)
    }

    /// The response's field that tells the client where it is now: name and value. `secured`: it came by TLS.
    pub fn field(&self, known: &Known, endpoint: SocketAddr, secured: bool) -> Option<(&str, String)> {
        let token = self.seal(known, endpoint, seconds())?;
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

    /// A token for this endpoint, beside what the client knows of other backends.
    fn seal(&self, known: &Known, endpoint: SocketAddr, now: u64) -> Option<String> {
        let own = Place {
            since: now,
            backend: self.mark,
            endpoint,
        };
        let others = known.places.iter().filter(|place| place.backend != self.mark);
        let places = iter::once(&own).chain(others).take(MOST_PLACES);
        let mut text = Vec::with_capacity(NONCE_LEN + PLACE + TAG);
        // Random: two tokens of a rule with the same one would need some 2^48 sessions.
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        text.extend_from_slice(&nonce);
        for place in places {
            text.extend_from_slice(&place.since.to_be_bytes());
            text.extend_from_slice(&place.backend);
            text.extend_from_slice(&six(place.endpoint.ip()).octets());
            text.extend_from_slice(&place.endpoint.port().to_be_bytes());
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let sealed = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::empty(), &mut text[NONCE_LEN..]);
        text.extend_from_slice(sealed.ok()?.as_ref());
        Some(URL_SAFE_NO_PAD.encode(text))
    }

    fn open(&self, token: &[u8], now: u64) -> Option<Known> {
        let mut text = [0; LONGEST + 8];
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut text).ok()?;
        let (nonce, sealed) = text.get_mut(..length)?.split_first_chunk_mut::<NONCE_LEN>()?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = &*self.key.open_in_place(nonce, Aad::empty(), sealed).ok()?;
        let is_over = |place: &Place| {
            let age = now.saturating_sub(place.since);
            let timeout = self.settings.absolute_timeout;
            timeout.is_some_and(|timeout| age >= timeout.as_secs().max(1))
        };
        let places = plain.chunks_exact(PLACE).filter_map(Place::read);
        Some(Known {
            places: places.filter(|place| !is_over(place)).collect(),
        })
    }
}

impl Known {
    /// Takes in what another token says: of each backend, where the client was sent last.
    fn learn(&mut self, more: Self) {
        for place in more.places {
            match { self.places.iter_mut() }.find(|known| known.backend == place.backend) {
                None => self.places.push(place),
                Some(known) if known.since < place.since => *known = place,
                Some(_) => {}
            }
        }
    }
}

impl Place {
    fn read(text: &[u8]) -> Option<Self> {
        let (since, text) = text.split_first_chunk()?;
        let (backend, text) = text.split_first_chunk()?;
        let (address, port) = text.split_first_chunk::<16>()?;
        Some(Self {
            since: u64::from_be_bytes(*since),
            backend: *backend,
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
/// A place in a token: time, backend, address, port.
const PLACE: usize = 8 + 8 + 16 + 2;
/// Places in a token: as many as a rule has backends, or a policy targets, at most (`maxItems`). The oldest goes.
const MOST_PLACES: usize = 16;
/// Of AES-GCM.
const TAG: usize = 16;
/// A token before base64.
const LONGEST: usize = NONCE_LEN + MOST_PLACES * PLACE + TAG;
/// Cookies of the name that are looked at: a client could send thousands.
const MOST_TRIED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn sessions(seed: &str, upstream: &str, absolute_timeout: Option<Duration>) -> Sessions {
        let settings = SessionPersistence {
            carrier: SessionCarrier::Header("x-session".into()),
            absolute_timeout,
            seed: seed.into(),
        };
        Sessions::new(&Arc::new(settings), &UpstreamId(upstream.into())).unwrap()
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    const V4: &str = "10.0.0.1:8080";

    #[test]
    fn a_token_is_read_by_whoever_has_the_rule_and_by_nobody_else() {
        let sealing = sessions("a", "one", None);
        for endpoint in [V4, "[2001:db8::1]:1"] {
            let endpoint = at(endpoint);
            let token = sealing.seal(&Known::default(), endpoint, 5).unwrap();
            // Another replica.
            let same = sessions("a", "one", None);
            let known = same.open(token.as_bytes(), 5).unwrap();
            assert_eq!(same.endpoint(&known), Some(endpoint));
            let other_backend = sessions("a", "two", None);
            let known = other_backend.open(token.as_bytes(), 5).unwrap();
            assert_eq!(other_backend.endpoint(&known), None);
            assert_eq!(sessions("b", "one", None).open(token.as_bytes(), 5), None);
            let again = sealing.seal(&Known::default(), endpoint, 5).unwrap();
            assert_ne!(again, token, "no two are alike");
        }
    }

    #[test]
    fn a_token_holds_an_endpoint_for_each_backend_up_to_a_limit() {
        let name = |number: usize| format!("backend-{number}");
        let endpoint = |number: usize| at(&format!("10.0.0.{number}:80"));
        let mut token = None::<String>;
        for number in 1..=MOST_PLACES + 1 {
            let backend = sessions("a", &name(number), None);
            let known = token.and_then(|token| backend.open(token.as_bytes(), 5));
            let known = known.unwrap_or_default();
            assert_eq!(backend.endpoint(&known), None);
            token = backend.seal(&known, endpoint(number), 5);
        }
        let token = token.unwrap();
        for number in 1..=MOST_PLACES + 1 {
            let backend = sessions("a", &name(number), None);
            let known = backend.open(token.as_bytes(), 5).unwrap();
            let expected = (number > 1).then(|| endpoint(number));
            assert_eq!(backend.endpoint(&known), expected, "the oldest went");
        }
    }

    #[test]
    fn of_several_tokens_the_newest_place_of_each_backend_counts() {
        let place = |since, backend, port| Place {
            since,
            backend: [backend; 8],
            endpoint: SocketAddr::new([10, 0, 0, 1].into(), port),
        };
        let mut known = Known::default();
        for places in [
            vec![],
            vec![place(5, 1, 1), place(5, 2, 2)],
            vec![place(4, 1, 3), place(6, 2, 4), place(1, 3, 5)],
        ] {
            known.learn(Known {
                places: places.into(),
            });
        }
        let expected = [place(5, 1, 1), place(6, 2, 4), place(1, 3, 5)];
        assert_eq!(known.places.as_slice(), expected);
    }

    #[test]
    fn whatever_is_changed_in_a_token_makes_it_none() {
        let sessions = sessions("a", "one", None);
        let token = sessions.seal(&Known::default(), at(V4), 5).unwrap();
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
        let sessions = sessions("a", "one", Some(Duration::from_secs(10)));
        let token = sessions.seal(&Known::default(), at(V4), 100).unwrap();
        let held = |now| sessions.endpoint(&sessions.open(token.as_bytes(), now).unwrap());
        assert!(held(109).is_some());
        assert!(held(110).is_none());
        // A clock that is behind that of the replica that gave it.
        assert!(held(90).is_some());
    }

    #[test]
    fn a_cookie_says_where_it_may_go_and_for_how_long() {
        for (permanent, secured, end) in [
            (false, false, "; Path=/x; HttpOnly; SameSite=Lax"),
            (false, true, "; Path=/x; HttpOnly; SameSite=Lax; Secure"),
            (
                true,
                true,
                "; Path=/x; HttpOnly; SameSite=Lax; Secure; Max-Age=60",
            ),
        ] {
            let settings = SessionPersistence {
                carrier: SessionCarrier::Cookie {
                    name: "cart".into(),
                    path: "/x".into(),
                    permanent,
                },
                absolute_timeout: Some(Duration::from_secs(60)),
                seed: "a".into(),
            };
            let sessions = Sessions::new(&Arc::new(settings), &UpstreamId("one".into())).unwrap();
            let field = sessions.field(&Known::default(), at(V4), secured);
            let (name, value) = field.unwrap();
            let told = value.strip_prefix("cart=").unwrap();
            assert_eq!((name, &told[told.find(';').unwrap()..]), ("Set-Cookie", end));
        }
    }
}
