//! Connection ids that tell the workers, and nobody else, whose they are.
//!
//! Six random bytes, the worker's number hidden by a keyed hash of them, and four bytes of another by which an id of ours is
//! known. To who has no key, two ids of one connection have nothing in common (RFC 9000 §9.5).

use quinn::{ConnectionId, ConnectionIdGenerator};
use quinn_proto::InvalidCid;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

/// The key that all workers have.
#[derive(Default, Clone)]
pub struct Signs(Arc<RandomState>);

/// Makes the ids of one worker.
#[derive(Debug)]
pub struct Ids {
    /// The key.
    pub signs: Signs,
    /// The place of its socket.
    pub place: u16,
}

impl Signs {
    /// The worker whose id it is; none: it is no id of ours.
    pub fn worker(&self, id: &[u8]) -> Option<u16> {
        let (random, rest) = id.split_first_chunk::<RANDOM>()?;
        let (hidden, sign) = rest.split_first_chunk::<2>()?;
        let worker = u16::from_be_bytes(*hidden) ^ self.mask(random);
        (*sign == self.sign(random, worker)).then_some(worker)
    }

    /// Which worker's connection a datagram belongs to; none: it does not say.
    pub fn of_datagram(&self, datagram: &[u8]) -> Option<u16> {
        let id = match datagram {
            // RFC 8999 §5.2: the id follows at once, as long as we made it.
            [first, rest @ ..] if first & LONG == 0 => rest.get(..LENGTH)?,
            // §5.1: version, length, id. The client's first choice is no id of ours.
            [_, _, _, _, _, length, rest @ ..] if usize::from(*length) == LENGTH => rest.get(..LENGTH)?,
            _ => return None,
        };
        self.worker(id)
    }

    fn make(&self, worker: u16, random: [u8; RANDOM]) -> [u8; LENGTH] {
        let mut id = [0; LENGTH];
        id[..RANDOM].copy_from_slice(&random);
        id[RANDOM..RANDOM + 2].copy_from_slice(&(worker ^ self.mask(&random)).to_be_bytes());
        id[RANDOM + 2..].copy_from_slice(&self.sign(&random, worker));
        id
    }

    fn mask(&self, random: &[u8; RANDOM]) -> u16 {
        self.0.hash_one((0u8, random)) as u16
    }

    fn sign(&self, random: &[u8; RANDOM], worker: u16) -> [u8; SIGN] {
        (self.0.hash_one((1u8, random, worker)) as u32).to_be_bytes()
    }
}

impl fmt::Debug for Signs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signs")
    }
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut random = [0; RANDOM];
        // Without randomness there would have been no handshake; an id that is not unique is refused by `quinn`.
        let _ = aws_lc_rs::rand::fill(&mut random);
        ConnectionId::new(&self.signs.make(self.place, random))
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        self.signs.worker(id).map(drop).ok_or(InvalidCid)
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

const RANDOM: usize = 6;
const SIGN: usize = 4;
/// All of an id.
pub const LENGTH: usize = RANDOM + 2 + SIGN;
/// Set in the first byte of packets with a long header (RFC 8999 §5.1).
const LONG: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_leads_to_its_worker_and_a_foreign_one_to_none() {
        let (signs, others) = (Signs::default(), Signs::default());
        for worker in [0, 1, 7, 300] {
            let mut ids = Ids {
                signs: signs.clone(),
                place: worker,
            };
            let id = ids.generate_cid();
            assert_eq!(signs.worker(&id), Some(worker));
            assert!(ids.validate(&id).is_ok());
            assert_eq!(others.worker(&id), None);
            let short = [&[0x40][..], &id, &[1, 2, 3]].concat();
            let long = [&[0xc0, 0, 0, 0, 1, LENGTH as u8][..], &id, &[0]].concat();
            assert_eq!(signs.of_datagram(&short), Some(worker));
            assert_eq!(signs.of_datagram(&long), Some(worker));
            for cut in 0..LENGTH {
                assert_eq!(signs.of_datagram(&short[..cut]), None);
                assert_eq!(signs.of_datagram(&long[..cut]), None);
            }
        }
        let of_client = [&[0xc0, 0, 0, 0, 1, 8][..], &[9; 30]].concat();
        assert_eq!(signs.of_datagram(&of_client), None);
    }
}
