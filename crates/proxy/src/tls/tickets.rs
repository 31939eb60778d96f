//! Session tickets that every replica can read: keys derived from a secret that all of them have, changed by the clock.
//!
//! A key is good for six hours to seal and, to read, for the six before and after: clocks differ, and a ticket lives as long as
//! it is said to. What a ticket opens is part of its key: one that was given under another rule about clients, or for nobody's
//! check, is garbage here.

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::rand;
use ir::TicketSecret;
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Makes and reads tickets.
pub struct SharedTickets {
    secret: Arc<TicketSecret>,
    /// What its tickets open.
    purpose: Vec<u8>,
    clock: fn() -> u64,
    keys: ArcSwap<Keys>,
}

/// The keys of an epoch and its neighbours.
struct Keys {
    epoch: u64,
    /// To seal first.
    all: Vec<Key>,
}

struct Key {
    /// First in each ticket, so that a reader knows the key. Says nothing about it.
    name: [u8; NAME],
    key: LessSafeKey,
}

impl SharedTickets {
    /// Tickets for this purpose, with keys of this secret.
    pub fn new(secret: &Arc<TicketSecret>, purpose: &[u8]) -> Self {
        Self::with_clock(secret, purpose, seconds)
    }

    fn with_clock(secret: &Arc<TicketSecret>, purpose: &[u8], clock: fn() -> u64) -> Self {
        let epoch = clock() / EPOCH;
        Self {
            keys: ArcSwap::from_pointee(Keys::derive(secret, purpose, epoch)),
            secret: Arc::clone(secret),
            purpose: purpose.to_vec(),
            clock,
        }
    }

    /// Those of now.
    fn keys(&self) -> Arc<Keys> {
        let epoch = (self.clock)() / EPOCH;
        let keys = self.keys.load_full();
        if keys.epoch == epoch {
            return keys;
        }
        // Two threads may do it at once, and come to the same.
        let keys = Arc::new(Keys::derive(&self.secret, &self.purpose, epoch));
        self.keys.store(Arc::clone(&keys));
        keys
    }
}

impl ProducesTickets for SharedTickets {
    fn enabled(&self) -> bool {
        true
    }

    /// A key is read for an epoch at least after its last ticket.
    fn lifetime(&self) -> u32 {
        EPOCH as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys();
        let key = keys.all.first()?;
        // Random: NIST SP 800-38D §8.3 allows 2^32 of them with one key, which is 200,000 tickets a second for an epoch.
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut sealed = plain.to_vec();
        let tag = key
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(key.name),
                &mut sealed,
            )
            .ok()?;
        Some([&key.name[..], &nonce, &sealed, tag.as_ref()].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let keys = self.keys();
        let key = keys.all.iter().find(|key| key.name == *name)?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = { key.key.open_in_place(nonce, Aad::from(key.name), &mut sealed) }
            .ok()?
            .len();
        sealed.truncate(length);
        Some(sealed)
    }
}

impl fmt::Debug for SharedTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTickets").finish_non_exhaustive()
    }
}

impl Keys {
    fn derive(secret: &TicketSecret, purpose: &[u8], epoch: u64) -> Self {
        let secrets = [Some(&secret.current), secret.previous.as_ref()];
        let epochs = [Some(epoch), epoch.checked_sub(1), epoch.checked_add(1)];
        let of = |secret: &Vec<u8>| {
            let keys = epochs.iter().flatten();
            let keys: Vec<Key> = keys
                .filter_map(|epoch| Key::derive(secret, purpose, *epoch))
                .collect();
            keys
        };
        Self {
            epoch,
            all: secrets.into_iter().flatten().flat_map(of).collect(),
        }
    }
}

impl Key {
    /// HKDF (RFC 5869): the name and the key from one stream.
    fn derive(secret: &[u8], purpose: &[u8], epoch: u64) -> Option<Self> {
        let epoch = epoch.to_be_bytes();
        let info = [LABEL, &epoch[..], purpose];
        let mut stream = [0; NAME + KEY];
        let prk = Salt::new(HKDF_SHA256, LABEL).extract(secret);
        prk.expand(&info, Length(NAME + KEY))
            .ok()?
            .fill(&mut stream)
            .ok()?;
        let (name, key) = stream.split_first_chunk::<NAME>()?;
        Some(Self {
            name: *name,
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?),
        })
    }
}

/// So many bytes.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn seconds() -> u64 {
    // Before 1970 there were no tickets.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// How long a key is used: as rustls's own, and half of what RFC 8446 §4.6.1 lets a ticket live at most is far away.
const EPOCH: u64 = 6 * 60 * 60;
const NAME: usize = 16;
const KEY: usize = 32;
const LABEL: &[u8] = b"narthex session ticket 1";

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(current: &[u8], previous: Option<&[u8]>) -> Arc<TicketSecret> {
        Arc::new(TicketSecret {
            current: current.to_vec(),
            previous: previous.map(<[u8]>::to_vec),
        })
    }

    fn at<const EPOCHS: u64>() -> u64 {
        EPOCHS * EPOCH + 5
    }

    const ONE: &[u8] = &[1; 32];
    const TWO: &[u8] = &[2; 32];

    #[test]
    fn replicas_read_each_others_tickets() {
        let [a, b] = [(); 2].map(|()| SharedTickets::with_clock(&secret(ONE, None), b"open", at::<100>));
        let ticket = a.encrypt(b"session").unwrap();
        assert_eq!(b.decrypt(&ticket).unwrap(), b"session");
        assert_ne!(ticket, a.encrypt(b"session").unwrap(), "no two are alike");
    }

    #[test]
    fn tickets_of_the_neighbouring_epochs_are_read_and_no_others() {
        let secret = secret(ONE, None);
        let given = SharedTickets::with_clock(&secret, b"open", at::<100>)
            .encrypt(b"session")
            .unwrap();
        for (clock, read) in [
            (at::<98> as fn() -> u64, false),
            (at::<99>, true),
            (at::<101>, true),
            (at::<102>, false),
        ] {
            let tickets = SharedTickets::with_clock(&secret, b"open", clock);
            assert_eq!(
                tickets.decrypt(&given).is_some(),
                read,
                "epoch {}",
                clock() / EPOCH
            );
        }
    }

    #[test]
    fn keys_follow_the_clock() {
        use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
        static NOW: AtomicU64 = AtomicU64::new(10 * EPOCH);
        let tickets = SharedTickets::with_clock(&secret(ONE, None), b"open", || NOW.load(Relaxed));
        let old = tickets.encrypt(b"session").unwrap();
        NOW.store(11 * EPOCH, Relaxed);
        assert!(tickets.decrypt(&old).is_some());
        let new = tickets.encrypt(b"session").unwrap();
        assert_ne!(old[..NAME], new[..NAME], "another key");
        NOW.store(12 * EPOCH, Relaxed);
        assert!(tickets.decrypt(&old).is_none() && tickets.decrypt(&new).is_some());
    }

    #[test]
    fn a_new_secret_reads_the_old_ones_tickets_while_it_is_named() {
        let old = SharedTickets::with_clock(&secret(ONE, None), b"open", at::<7>)
            .encrypt(b"session")
            .unwrap();
        let both = SharedTickets::with_clock(&secret(TWO, Some(ONE)), b"open", at::<7>);
        assert!(both.decrypt(&old).is_some());
        let new = both.encrypt(b"session").unwrap();
        let alone = SharedTickets::with_clock(&secret(TWO, None), b"open", at::<7>);
        assert!(alone.decrypt(&old).is_none() && alone.decrypt(&new).is_some());
    }

    #[test]
    fn a_ticket_for_one_purpose_serves_no_other() {
        let secret = secret(ONE, None);
        let ticket = SharedTickets::with_clock(&secret, b"open", at::<7>)
            .encrypt(b"session")
            .unwrap();
        assert!(
            SharedTickets::with_clock(&secret, b"checked", at::<7>)
                .decrypt(&ticket)
                .is_none()
        );
    }

    #[test]
    fn garbage_is_refused() {
        let tickets = SharedTickets::new(&secret(ONE, None), b"open");
        let good = tickets.encrypt(b"session").unwrap();
        for length in 0..good.len() {
            assert!(tickets.decrypt(&good[..length]).is_none(), "{length} bytes of it");
        }
        for index in 0..good.len() {
            let mut bent = good.clone();
            bent[index] ^= 1;
            assert!(tickets.decrypt(&bent).is_none(), "byte {index} changed");
        }
        assert!(tickets.decrypt(&[good, vec![0]].concat()).is_none());
    }
}
