//! Remembers what each unit of translation came to, and which units must be looked at again after a change.
//!
//! There may be a unit for each of many thousand routes, so units are numbered, and what they read is remembered by
//! hash: two reads with the same one only mean that a unit is translated once too often.

use crate::changes::ReadId;
use crate::scope::Kept;
use std::collections::btree_map::Entry;
use std::collections::hash_map;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};

/// Results by unit, with an index from what was read to who read it.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    numbers: hashbrown::HashTable<u32>,
    /// In runs, so that many units take no more room than they need, and don't move.
    units: Vec<Vec<Option<Unit<K, V>>>>,
    free: Vec<u32>,
    readers: HashMap<ReadId, Readers>,
    hasher: RandomState,
}

/// One unit's result and what it left behind.
#[derive(Debug)]
pub(crate) struct Unit<K, V> {
    pub key: K,
    pub value: V,
    pub kept: Kept,
}

/// Numbers of units. Most things are read by one or by very many.
#[derive(Debug)]
enum Readers {
    One(u32),
    Many(Box<Numbers>),
}

/// Many numbers, most of them close to others: by every 64th number, a bit for each from there on.
#[derive(Debug, Default)]
struct Numbers(BTreeMap<u32, u64>);

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            numbers: hashbrown::HashTable::new(),
            units: Vec::new(),
            free: Vec::new(),
            readers: HashMap::new(),
            hasher: RandomState::new(),
        }
    }
}

impl<K: Ord + Hash + Clone, V> Memo<K, V> {
    /// Units that read something that changed.
    pub fn readers_of(&self, changed: &HashSet<ReadId>) -> BTreeSet<K> {
        let mut dirty = BTreeSet::new();
        for read in changed {
            match self.readers.get(read) {
                None => {}
                Some(Readers::One(number)) => dirty.extend(self.key_of(*number)),
                Some(Readers::Many(numbers)) => {
                    dirty.extend(numbers.iter().filter_map(|number| self.key_of(number)));
                }
            }
        }
        dirty
    }

    /// The result of a unit.
    pub fn get(&self, key: &K) -> Option<&V> {
        let number = self.number(key)?;
        self.unit(number).map(|unit| &unit.value)
    }

    /// Every result, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.units
            .iter()
            .flatten()
            .flatten()
            .map(|unit| (&unit.key, &unit.value))
    }

    /// Remembers a result; hands back what was there before.
    pub fn put(&mut self, key: K, value: V, kept: Kept) -> Option<Unit<K, V>> {
        let old = self.take(&key);
        let number = self.free.pop().unwrap_or_else(|| self.add());
        for read in &kept.reads {
            match self.readers.entry(*read) {
                hash_map::Entry::Vacant(entry) => {
                    entry.insert(Readers::One(number));
                }
                hash_map::Entry::Occupied(mut entry) => entry.get_mut().add(number),
            }
        }
        let hash = self.hasher.hash_one(&key);
        *place(&mut self.units, number) = Some(Unit { key, value, kept });
        let Self {
            numbers,
            units,
            hasher,
            ..
        } = self;
        numbers.insert_unique(hash, number, |number| {
            let unit = units[*number as usize / RUN][*number as usize % RUN].as_ref();
            unit.map_or(0, |unit| hasher.hash_one(&unit.key))
        });
        old
    }

    /// Forgets a unit.
    pub fn take(&mut self, key: &K) -> Option<Unit<K, V>> {
        let number = self.number(key)?;
        let entry = self
            .numbers
            .find_entry(self.hasher.hash_one(key), |other| *other == number);
        if let Ok(entry) = entry {
            entry.remove();
        }
        let unit = place(&mut self.units, number).take()?;
        for read in &unit.kept.reads {
            if let hash_map::Entry::Occupied(mut entry) = self.readers.entry(*read)
                && entry.get_mut().remove(number)
            {
                entry.remove();
            }
        }
        self.free.push(number);
        Some(unit)
    }

    fn number(&self, key: &K) -> Option<u32> {
        let same = |number: &u32| self.unit(*number).is_some_and(|unit| unit.key == *key);
        self.numbers.find(self.hasher.hash_one(key), same).copied()
    }

    fn key_of(&self, number: u32) -> Option<K> {
        self.unit(number).map(|unit| unit.key.clone())
    }

    fn unit(&self, number: u32) -> Option<&Unit<K, V>> {
        self.units[number as usize / RUN][number as usize % RUN].as_ref()
    }

    /// A place for one more unit.
    fn add(&mut self) -> u32 {
        if self.units.last().is_none_or(|last| last.len() == RUN) {
            // The first run grows as a list does: most memos have few units.
            let room = if self.units.is_empty() { 0 } else { RUN };
            self.units.push(Vec::with_capacity(room));
        }
        let before = (self.units.len() - 1) * RUN;
        let last = self.units.last_mut().map_or(0, |last| {
            last.push(None);
            last.len() - 1
        });
        (before + last) as u32
    }
}

fn place<T>(units: &mut [Vec<T>], number: u32) -> &mut T {
    &mut units[number as usize / RUN][number as usize % RUN]
}

/// Units in a run.
const RUN: usize = 64;

impl Readers {
    fn add(&mut self, number: u32) {
        match self {
            Self::One(first) => {
                let mut numbers = Numbers::default();
                numbers.insert(*first);
                numbers.insert(number);
                *self = Self::Many(Box::new(numbers));
            }
            Self::Many(numbers) => numbers.insert(number),
        }
    }

    /// Whether none is left.
    fn remove(&mut self, number: u32) -> bool {
        match self {
            Self::One(only) => *only == number,
            Self::Many(numbers) => {
                numbers.remove(number);
                numbers.0.is_empty()
            }
        }
    }
}

impl Numbers {
    fn insert(&mut self, number: u32) {
        *self.0.entry(number / 64).or_default() |= 1 << (number % 64);
    }

    fn remove(&mut self, number: u32) {
        if let Entry::Occupied(mut entry) = self.0.entry(number / 64) {
            *entry.get_mut() &= !(1 << (number % 64));
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = u32> {
        let bits = |(at, mask): (&u32, &u64)| {
            let (at, mask) = (*at, *mask);
            (0..64)
                .filter(move |bit| mask & (1 << bit) != 0)
                .map(move |bit| at * 64 + bit)
        };
        self.0.iter().flat_map(bits)
    }
}

/// A sorted set whose members are put in by several units, and stay until the last one takes its own out.
#[derive(Debug)]
pub(crate) struct Counted<K, V> {
    members: BTreeMap<K, (V, usize)>,
}

impl<K, V> Default for Counted<K, V> {
    fn default() -> Self {
        Self {
            members: BTreeMap::new(),
        }
    }
}

impl<K: Ord, V> Counted<K, V> {
    /// Puts a member in; the newest value is kept. Whether it was not there before.
    pub fn add(&mut self, key: K, value: V) -> bool {
        match self.members.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert((value, 1));
                true
            }
            Entry::Occupied(mut entry) => {
                let member = entry.get_mut();
                *member = (value, member.1 + 1);
                false
            }
        }
    }

    /// Takes a member out once. Whether it is gone now.
    pub fn drop_one(&mut self, key: &K) -> bool {
        let Some((_, count)) = self.members.get_mut(key) else {
            return false;
        };
        *count -= 1;
        let gone = *count == 0;
        if gone {
            self.members.remove(key);
        }
        gone
    }

    /// The value of a member.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.members.get(key).map(|(value, _)| value)
    }

    /// A member as it stands here.
    pub fn member(&self, key: &K) -> Option<&K> {
        self.members.get_key_value(key).map(|(member, _)| member)
    }

    /// Every member, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.members.iter().map(|(key, (value, _))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::Numbers;

    #[test]
    fn numbers_come_back_in_order_until_they_are_removed() {
        let mut numbers = Numbers::default();
        for number in [700, 0, 63, 64, 65, 63, u32::MAX] {
            numbers.insert(number);
        }
        numbers.remove(64);
        numbers.remove(128);
        assert!(numbers.iter().eq([0, 63, 65, 700, u32::MAX]));
        for number in [0, 63, 65, 700, u32::MAX] {
            numbers.remove(number);
        }
        assert!(numbers.0.is_empty());
    }
}
