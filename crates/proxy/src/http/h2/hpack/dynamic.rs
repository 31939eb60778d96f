//! The dynamic table of a connection (RFC 7541 §2.3.2): fields that the other side has sent, the newest first.

use crate::http::sections::{FIELD_OVERHEAD, Kind};
use std::collections::VecDeque;

/// Its texts stand one behind the other in one piece of memory; a connection that uses none has none.
#[derive(Debug)]
pub struct Table {
    entries: VecDeque<Entry>,
    /// Texts of the entries, oldest first, behind those of entries that are gone.
    texts: Vec<u8>,
    /// What the entries come to (RFC 7541 §4.1).
    size: usize,
    most: usize,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    start: u32,
    name: u16,
    value: u16,
    kind: Kind,
}

impl Table {
    /// An empty one of at most `most` bytes, which is not more than [`LARGEST`].
    pub fn new(most: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            texts: Vec::new(),
            size: 0,
            most: most.min(LARGEST),
        }
    }

    /// An entry: 0 is the newest.
    #[inline]
    pub fn get(&self, index: usize) -> Option<(Kind, &[u8], &[u8])> {
        let at = self.entries.len().checked_sub(index + 1)?;
        let entry = self.entries.get(at)?;
        let text = self.texts.get(entry.start as usize..)?;
        let (name, rest) = text.split_at_checked(usize::from(entry.name))?;
        Some((entry.kind, name, rest.get(..usize::from(entry.value))?))
    }

    /// Puts one in, for which older ones may have to go (RFC 7541 §4.4).
    pub fn insert(&mut self, kind: Kind, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + FIELD_OVERHEAD;
        if size > self.most {
            return self.shrink(0);
        }
        self.shrink(self.most - size);
        let gone = self
            .entries
            .front()
            .map_or(self.texts.len(), |entry| entry.start as usize);
        // Half of it or more is of no use any more.
        if gone > 0 && gone * 2 >= self.texts.len() {
            self.texts.drain(..gone);
            for entry in &mut self.entries {
                entry.start -= gone as u32;
            }
        }
        self.entries.push_back(Entry {
            start: self.texts.len() as u32,
            name: name.len() as u16,
            value: value.len() as u16,
            kind,
        });
        self.texts.extend_from_slice(name);
        self.texts.extend_from_slice(value);
        self.size += size;
    }

    /// Takes a new limit, of [`LARGEST`] at most.
    pub fn resize(&mut self, most: usize) {
        self.most = most.min(LARGEST);
        self.shrink(self.most);
    }

    fn shrink(&mut self, to: usize) {
        while self.size > to
            && let Some(oldest) = self.entries.pop_front()
        {
            self.size -= usize::from(oldest.name) + usize::from(oldest.value) + FIELD_OVERHEAD;
        }
    }
}

/// What we let the other side use: the value that holds where nothing is said (RFC 9113 §6.5.2).
pub const LARGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first_and_memory_stays_bounded() {
        let mut table = Table::new(LARGEST);
        for number in 0..10_000u32 {
            let value = vec![b'x'; number as usize % 200];
            table.insert(Kind::Malformed, number.to_string().as_bytes(), &value);
            let (_, name, found) = table.get(0).unwrap();
            assert_eq!((name, found), (number.to_string().as_bytes(), &value[..]));
            assert!(table.texts.len() <= 2 * LARGEST + 200 && table.size <= LARGEST);
        }
        let oldest = table.entries.len() - 1;
        assert!(table.get(oldest).is_some() && table.get(oldest + 1).is_none());
        table.insert(Kind::Malformed, b"large", &[b'x'; LARGEST]);
        assert!(table.get(0).is_none(), "RFC 7541 §4.4: it empties the table");
        table.insert(Kind::Malformed, b"a", b"b");
        table.resize(0);
        assert!(table.get(0).is_none());
    }
}
