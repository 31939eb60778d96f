//! Values by name, in a table whose changed copy shares all but a little with the one before: of thousands of hosts
//! only those near the changed one are copied.

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::sync::Arc;

/// Values by name. A lookup costs one hash, however many there are.
#[derive(Clone)]
pub(crate) struct Names<V> {
    root: Arc<Node<V>>,
    hasher: RandomState,
}

/// Names are spread over the children by their hash; only leaves hold any.
#[derive(Clone)]
enum Node<V> {
    Leaf(HashTable<(Arc<str>, V)>),
    Inner([Arc<Node<V>>; CHILDREN]),
}

impl<V: Clone> Names<V> {
    pub fn new() -> Self {
        Self {
            root: Arc::new(Node::Leaf(HashTable::new())),
            hasher: RandomState::default(),
        }
    }

    /// The value of a name, to be changed; made if there is none.
    pub fn entry(&mut self, name: &Arc<str>, make: impl FnOnce() -> V) -> &mut V {
        let hash = self.hasher.hash_one(&**name);
        let hasher = &self.hasher;
        let mut node = &mut self.root;
        let mut depth = 0;
        loop {
            split(node, depth, hasher);
            match Arc::make_mut(node) {
                Node::Inner(children) => node = &mut children[child(hash, depth)],
                Node::Leaf(table) => {
                    let found = table.entry(
                        hash,
                        |(known, _)| **known == **name,
                        |(known, _)| hasher.hash_one(&**known),
                    );
                    return &mut found.or_insert_with(|| (Arc::clone(name), make())).into_mut().1;
                }
            }
            depth += 1;
        }
    }

    /// Forgets a name.
    pub fn remove(&mut self, name: &str) {
        if self.get(name).is_none() {
            return;
        }
        let hash = self.hasher.hash_one(name);
        let mut node = &mut self.root;
        let mut depth = 0;
        loop {
            match Arc::make_mut(node) {
                Node::Inner(children) => node = &mut children[child(hash, depth)],
                Node::Leaf(table) => {
                    if let Ok(found) = table.find_entry(hash, |(known, _)| **known == *name) {
                        found.remove();
                    }
                    return;
                }
            }
            depth += 1;
        }
    }
}

impl<V> Names<V> {
    /// The value of a name.
    #[inline]
    pub fn get(&self, name: &str) -> Option<&V> {
        let hash = self.hasher.hash_one(name);
        let mut node = &*self.root;
        let mut depth = 0;
        loop {
            match node {
                Node::Leaf(table) => {
                    let found = table.find(hash, |(known, _)| **known == *name);
                    return found.map(|(_, value)| value);
                }
                Node::Inner(children) => node = &children[child(hash, depth)],
            }
            depth += 1;
        }
    }

    /// Whether there is no name.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(&*self.root, Node::Leaf(table) if table.is_empty())
    }

    /// Every value, in no particular order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        let mut nodes = vec![&*self.root];
        let leaves = std::iter::from_fn(move || {
            loop {
                match nodes.pop()? {
                    Node::Inner(children) => nodes.extend(children.iter().map(|child| &**child)),
                    Node::Leaf(table) => return Some(table),
                }
            }
        });
        leaves.flatten().map(|(_, value)| value)
    }
}

/// Splits a leaf that is full.
fn split<V: Clone>(node: &mut Arc<Node<V>>, depth: u32, hasher: &RandomState) {
    let Node::Leaf(table) = &**node else { return };
    if table.len() < FULL || depth == DEEPEST {
        return;
    }
    let mut tables: [HashTable<(Arc<str>, V)>; CHILDREN] = std::array::from_fn(|_| HashTable::new());
    for entry in table {
        let hash = hasher.hash_one(&*entry.0);
        let hash_of = |(known, _): &(Arc<str>, V)| hasher.hash_one(&**known);
        tables[child(hash, depth)].insert_unique(hash, entry.clone(), hash_of);
    }
    *node = Arc::new(Node::Inner(tables.map(|table| Arc::new(Node::Leaf(table)))));
}

/// Bits that the tables of the leaves don't go by: those use the lowest and the highest.
#[inline]
fn child(hash: u64, depth: u32) -> usize {
    (hash >> (32 + depth * CHILDREN.ilog2())) as usize % CHILDREN
}

const CHILDREN: usize = 16;
/// As large as is cheap to copy: up to some thousand names there is one step to the leaf.
const FULL: usize = 112;
/// Sixteen million leaves.
const DEEPEST: u32 = 6;

#[cfg(test)]
mod tests {
    use super::{FULL, Names};
    use std::sync::Arc;

    #[test]
    fn every_name_is_found_until_it_is_removed_and_copies_are_left_alone() {
        let mut names = Names::new();
        for number in 0..5000 {
            *names.entry(&format!("host-{number}").into(), || 0) = number;
        }
        let before = names.clone();
        for number in (0..5000).step_by(2) {
            names.remove(&format!("host-{number}"));
        }
        for number in 0..5000 {
            let name = format!("host-{number}");
            assert_eq!(names.get(&name), Some(&number).filter(|number| **number % 2 == 1));
            assert_eq!(before.get(&name), Some(&number));
        }
        assert_eq!((names.values().count(), before.values().count()), (2500, 5000));
    }

    #[test]
    fn a_change_copies_one_leaf_however_many_names_there_are() {
        for count in [500, 50_000] {
            let mut names = Names::new();
            for number in 0..count {
                names.entry(&format!("host-{number}").into(), || Arc::new(number));
            }
            let before = names.clone();
            *names.entry(&"host-7".into(), || Arc::new(0)) = Arc::new(0);
            let copied = before
                .values()
                .filter(|value| Arc::strong_count(value) > 1)
                .count();
            assert!(copied < FULL, "{copied} of {count}");
        }
    }
}
