//! The table of UDP flows.

use crate::bytes::Bytes;
use proxy::l4::udp::flows::{FlowId, Flows, Standing};
use std::time::Duration;
use tokio::time::Instant;

/// A table of flows against a plain list: the same flows are there, the same ones make room, the same ones expire.
pub fn flows(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let capacity = 1 + bytes.below(9);
    let mut flows: Flows<u8, u32> = Flows::new(capacity);
    let mut model = Model::default();
    let mut now = Instant::now();
    let mut number = 0;
    while !bytes.0.is_empty() {
        now += Duration::from_secs(bytes.below(4) as u64);
        let key = bytes.next() % 16;
        let found = flows.find(&key);
        assert_eq!(found.is_some(), model.at(key).is_some(), "key {key}");
        match (bytes.below(6), found) {
            (0, None) => {
                number += 1;
                let gone = (model.all.len() >= capacity).then(|| model.evict());
                let (id, evicted) = flows.insert(key, number, now);
                assert_eq!(evicted, gone);
                model.all.push(Known::new(key, number, id, now));
            }
            (1, Some(id)) => {
                flows.touch(id, now);
                model.renew(key, None, now);
            }
            (2, Some(id)) => {
                // As it is used: whoever is settled has just spoken.
                flows.settle(id);
                flows.touch(id, now);
                model.renew(key, Some(Standing::Settled), now);
            }
            (3, Some(id)) => {
                let known = model.take(key);
                assert_eq!(flows.remove(id), known.as_ref().map(|known| known.value));
                model.gone.extend(known.map(|known| known.id));
            }
            (4, _) => {
                let idle = Duration::from_secs(1 + bytes.below(12) as u64);
                let mut expired = flows.expire(now, idle);
                let mut expected = model.expire(now, idle);
                expired.sort_unstable();
                expected.sort_unstable();
                assert_eq!(expired, expected);
            }
            _ => assert_eq!(flows.heard_since(now), model.heard_since(now)),
        }
        model.check(&flows);
    }
}

#[derive(Default)]
struct Model {
    /// In the order in which they were last heard.
    all: Vec<Known>,
    /// Names of some that are gone.
    gone: Vec<FlowId>,
}

struct Known {
    key: u8,
    value: u32,
    id: FlowId,
    standing: Standing,
    last: Instant,
}

impl Known {
    fn new(key: u8, value: u32, id: FlowId, last: Instant) -> Self {
        Self {
            key,
            value,
            id,
            standing: Standing::Stranger,
            last,
        }
    }
}

impl Model {
    fn at(&self, key: u8) -> Option<usize> {
        self.all.iter().position(|known| known.key == key)
    }

    fn take(&mut self, key: u8) -> Option<Known> {
        let at = self.at(key)?;
        Some(self.all.remove(at))
    }

    fn renew(&mut self, key: u8, standing: Option<Standing>, now: Instant) {
        if let Some(mut known) = self.take(key) {
            known.standing = standing.unwrap_or(known.standing);
            known.last = now;
            self.all.push(known);
        }
    }

    fn evict(&mut self) -> u32 {
        let stranger = self
            .all
            .iter()
            .position(|known| known.standing == Standing::Stranger);
        let known = self.all.remove(stranger.unwrap_or(0));
        self.gone.push(known.id);
        known.value
    }

    fn expire(&mut self, now: Instant, idle: Duration) -> Vec<u32> {
        let mut expired = Vec::new();
        let gone = &mut self.gone;
        self.all.retain(|known| {
            let stays = now - known.last < idle;
            if !stays {
                expired.push(known.value);
                gone.push(known.id);
            }
            stays
        });
        expired
    }

    fn heard_since(&self, since: Instant) -> usize {
        self.all.iter().filter(|known| known.last >= since).count()
    }

    fn check(&self, flows: &Flows<u8, u32>) {
        assert_eq!(flows.len(), self.all.len());
        for known in &self.all {
            assert_eq!(flows.find(&known.key), Some(known.id));
            assert_eq!(flows.get(known.id), Some(&known.value));
            assert_eq!(flows.standing(known.id), Some(known.standing));
        }
        assert!(self.gone.iter().rev().take(8).all(|id| flows.get(*id).is_none()));
    }
}
