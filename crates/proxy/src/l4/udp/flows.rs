//! The flows of a UDP socket: found by their addresses, bounded in number, gone when idle. Sans-I/O: told the time.
//!
//! A flow begins as a stranger: anybody can send a datagram with a forged address. It is settled once its client has
//! spoken again after an answer. When the table is full the longest silent stranger goes first, and a settled flow only
//! when there are no strangers, so that a flood of forged addresses does not cost anybody their conversation.

use crate::time::Instant;
use hashbrown::HashMap;
use std::hash::Hash;
use std::time::Duration;

/// Flows by key, each with a value.
#[derive(Debug)]
pub struct Flows<K, V> {
    by_key: HashMap<K, u32, foldhash::fast::RandomState>,
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
    /// Strangers and settled ones, each the longest silent first.
    lists: [List; 2],
    capacity: usize,
}

/// A flow, as long as it is in the table. Not given to another one after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowId {
    slot: u32,
    generation: u32,
}

#[derive(Debug)]
struct Slot<K, V> {
    generation: u32,
    entry: Option<Entry<K, V>>,
}

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    value: V,
    last: Instant,
    standing: Standing,
    before: u32,
    behind: u32,
}

/// How far a flow is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It may be forged.
    Stranger,
    /// Its client hears us.
    Settled,
}

#[derive(Debug, Clone, Copy)]
struct List {
    first: u32,
    last: u32,
}

const NONE: u32 = u32::MAX;

impl<K: Copy + Eq + Hash, V> Flows<K, V> {
    /// An empty table for so many flows.
    pub fn new(capacity: usize) -> Self {
        Self {
            by_key: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            lists: [List {
                first: NONE,
                last: NONE,
            }; 2],
            capacity: capacity.clamp(1, NONE as usize),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The flow of this key.
    pub fn find(&self, key: &K) -> Option<FlowId> {
        let slot = *self.by_key.get(key)?;
        Some(FlowId {
            slot,
            generation: self.slots[slot as usize].generation,
        })
    }

    /// Its value.
    pub fn get(&self, id: FlowId) -> Option<&V> {
        self.entry(id).map(|entry| &entry.value)
    }

    /// How far it is trusted.
    pub fn standing(&self, id: FlowId) -> Option<Standing> {
        self.entry(id).map(|entry| entry.standing)
    }

    /// Something passed.
    pub fn touch(&mut self, id: FlowId, now: Instant) {
        if let Some(entry) = self.entry(id) {
            let standing = entry.standing;
            self.place(id.slot, standing, now);
        }
    }

    /// Its client has shown that it hears us.
    pub fn settle(&mut self, id: FlowId) {
        if let Some(entry) = self.entry(id) {
            let last = entry.last;
            self.place(id.slot, Standing::Settled, last);
        }
    }

    /// Adds a flow, whose key must not be there, and takes out another one if the table is full.
    pub fn insert(&mut self, key: K, value: V, now: Instant) -> (FlowId, Option<V>) {
        let gone = if self.len() >= self.capacity {
            self.evict()
        } else {
            None
        };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                entry: None,
            });
            self.slots.len() as u32 - 1
        });
        self.slots[slot as usize].entry = Some(Entry {
            key,
            value,
            last: now,
            standing: Standing::Stranger,
            before: NONE,
            behind: NONE,
        });
        self.by_key.insert(key, slot);
        self.append(slot);
        let id = FlowId {
            slot,
            generation: self.slots[slot as usize].generation,
        };
        (id, gone)
    }

    /// Takes a flow out.
    pub fn remove(&mut self, id: FlowId) -> Option<V> {
        self.entry(id)?;
        self.detach(id.slot);
        let slot = &mut self.slots[id.slot as usize];
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.by_key.remove(&entry.key);
        Some(entry.value)
    }

    /// Takes out the flow that is missed least.
    pub fn evict(&mut self) -> Option<V> {
        let lists = self.lists.iter().map(|list| list.first);
        let slot = lists.into_iter().find(|first| *first != NONE)?;
        let generation = self.slots[slot as usize].generation;
        self.remove(FlowId { slot, generation })
    }

    /// Takes out what was silent for `idle`.
    pub fn expire(&mut self, now: Instant, idle: Duration) -> Vec<V> {
        let mut gone = Vec::new();
        for list in 0..self.lists.len() {
            while let Some(slot) = self.slots.get(self.lists[list].first as usize)
                && let Some(entry) = &slot.entry
                && now.saturating_duration_since(entry.last) >= idle
            {
                let id = FlowId {
                    slot: self.lists[list].first,
                    generation: slot.generation,
                };
                gone.extend(self.remove(id));
            }
        }
        gone
    }

    /// Takes out everything.
    pub fn clear(&mut self) -> Vec<V> {
        let mut gone = Vec::with_capacity(self.len());
        while let Some(value) = self.evict() {
            gone.push(value);
        }
        gone
    }

    /// Flows of which something was heard since. Looks at no others.
    pub fn heard_since(&self, since: Instant) -> usize {
        let of = |list: &List| {
            let mut count = 0;
            let mut at = list.last;
            while let Some(entry) = self.slots.get(at as usize).and_then(|slot| slot.entry.as_ref())
                && entry.last >= since
            {
                count += 1;
                at = entry.before;
            }
            count
        };
        self.lists.iter().map(of).sum()
    }

    fn entry(&self, id: FlowId) -> Option<&Entry<K, V>> {
        let slot = self.slots.get(id.slot as usize)?;
        slot.entry.as_ref().filter(|_| slot.generation == id.generation)
    }

    /// Moves an entry to the end of a list.
    fn place(&mut self, slot: u32, standing: Standing, last: Instant) {
        self.detach(slot);
        if let Some(entry) = &mut self.slots[slot as usize].entry {
            entry.standing = standing;
            entry.last = last;
        }
        self.append(slot);
    }

    fn append(&mut self, slot: u32) {
        let Some(entry) = &mut self.slots[slot as usize].entry else {
            return;
        };
        let list = &mut self.lists[entry.standing as usize];
        let before = std::mem::replace(&mut list.last, slot);
        entry.before = before;
        entry.behind = NONE;
        if before == NONE {
            list.first = slot;
        } else if let Some(before) = &mut self.slots[before as usize].entry {
            before.behind = slot;
        }
    }

    fn detach(&mut self, slot: u32) {
        let Some(entry) = &self.slots[slot as usize].entry else {
            return;
        };
        let (before, behind, standing) = (entry.before, entry.behind, entry.standing);
        let list = &mut self.lists[standing as usize];
        if before == NONE {
            list.first = behind;
        }
        if behind == NONE {
            list.last = before;
        }
        if before != NONE
            && let Some(entry) = &mut self.slots[before as usize].entry
        {
            entry.behind = behind;
        }
        if behind != NONE
            && let Some(entry) = &mut self.slots[behind as usize].entry
        {
            entry.before = before;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_flow_lasts_as_long_as_something_passes() {
        let (start, idle) = (Instant::now(), Duration::from_secs(10));
        let mut flows = Flows::new(9);
        let (one, _) = flows.insert(1, "one", start);
        let (two, _) = flows.insert(2, "two", start);
        flows.touch(one, at(start, 5));
        assert_eq!(flows.expire(at(start, 10), idle), ["two"]);
        assert_eq!((flows.find(&1), flows.find(&2)), (Some(one), None));
        assert_eq!(flows.get(two), None);
        flows.settle(one);
        assert_eq!(flows.expire(at(start, 14), idle), [""; 0]);
        assert_eq!(flows.expire(at(start, 15), idle), ["one"]);
        assert!(flows.is_empty());
    }

    #[test]
    fn strangers_make_room_before_settled_flows_and_the_longest_silent_first() {
        let start = Instant::now();
        let mut flows = Flows::new(3);
        let (settled, _) = flows.insert(1, 1, start);
        flows.settle(settled);
        flows.insert(2, 2, at(start, 1));
        flows.insert(3, 3, at(start, 2));
        assert_eq!(flows.insert(4, 4, at(start, 3)).1, Some(2));
        let three = flows.find(&3).unwrap();
        flows.touch(three, at(start, 4));
        assert_eq!(flows.insert(5, 5, at(start, 5)).1, Some(4));
        for key in [3, 5] {
            let id = flows.find(&key).unwrap();
            flows.settle(id);
        }
        assert_eq!(flows.insert(6, 6, at(start, 6)).1, Some(1), "none is a stranger");
        assert_eq!(flows.len(), 3);
    }

    #[test]
    fn the_name_of_a_flow_that_is_gone_means_no_other() {
        let start = Instant::now();
        let mut flows = Flows::new(1);
        let (old, _) = flows.insert(1, 1, start);
        let (new, _) = flows.insert(2, 2, start);
        assert_eq!((flows.get(old), flows.get(new)), (None, Some(&2)));
        flows.touch(old, at(start, 100));
        flows.settle(old);
        assert_eq!(flows.remove(old), None);
        assert_eq!(flows.expire(at(start, 50), Duration::from_secs(50)), [2]);
    }

    #[test]
    fn those_that_were_heard_lately_are_counted() {
        let start = Instant::now();
        let mut flows = Flows::new(9);
        for key in 0..5 {
            let (id, _) = flows.insert(key, key, at(start, key));
            if key % 2 == 0 {
                flows.settle(id);
            }
        }
        assert_eq!(flows.heard_since(at(start, 3)), 2);
        assert_eq!(flows.heard_since(start), 5);
        assert_eq!(flows.clear().len(), 5);
    }
}
