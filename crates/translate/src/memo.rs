//! Remembers what each unit of translation came to, and which units must be looked at again after a change.

use crate::changes::Read;
use crate::scope::Left;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::Hash;

/// Results by unit, with an index from what was read to who read it.
#[derive(Debug)]
pub(crate) struct Memo<K, V> {
    units: BTreeMap<K, Unit<V>>,
    readers: HashMap<Read, BTreeSet<K>>,
}

/// One unit's result and what it left behind.
#[derive(Debug)]
pub(crate) struct Unit<V> {
    pub value: V,
    pub left: Left,
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            units: BTreeMap::new(),
            readers: HashMap::new(),
        }
    }
}

impl<K: Ord + Hash + Clone, V> Memo<K, V> {
    /// Units that read something that changed.
    pub fn readers_of(&self, changed: &HashSet<Read>) -> BTreeSet<K> {
        let mut dirty = BTreeSet::new();
        for read in changed {
            if let Some(readers) = self.readers.get(read) {
                dirty.extend(readers.iter().cloned());
            }
        }
        dirty
    }

    /// The result of a unit.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.units.get(key).map(|unit| &unit.value)
    }

    /// Every result, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.units.iter().map(|(key, unit)| (key, &unit.value))
    }

    /// Remembers a result; hands back what was there before.
    pub fn put(&mut self, key: K, value: V, left: Left) -> Option<Unit<V>> {
        let old = self.take(&key);
        for read in &left.reads {
            self.readers.entry(read.clone()).or_default().insert(key.clone());
        }
        self.units.insert(key, Unit { value, left });
        old
    }

    /// Forgets a unit.
    pub fn take(&mut self, key: &K) -> Option<Unit<V>> {
        let unit = self.units.remove(key)?;
        for read in &unit.left.reads {
            if let Some(readers) = self.readers.get_mut(read) {
                readers.remove(key);
                if readers.is_empty() {
                    self.readers.remove(read);
                }
            }
        }
        Some(unit)
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

    /// Every member, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.members.iter().map(|(key, (value, _))| (key, value))
    }
}
