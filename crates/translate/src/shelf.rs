//! Objects of one kind. A shelf remembers which of its objects changed lately, so that whoever looked at it before need
//! not look at all of them again.

use crate::input::Key;
use api::Resource;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Deref;
use std::sync::Arc;

/// Objects of one kind by key; read it as the map it is.
#[derive(Debug)]
pub struct Shelf<T> {
    objects: BTreeMap<Key, Arc<T>>,
    /// Tells this shelf from all others, its clones included.
    identity: Arc<()>,
    /// Keys of the latest changes.
    changes: VecDeque<Key>,
    /// Changes before those.
    forgotten: u64,
}

/// Up to where somebody has seen the changes of a shelf.
#[derive(Debug)]
pub(crate) struct Mark {
    identity: Arc<()>,
    seen: u64,
}

impl<T: Resource + PartialEq> Shelf<T> {
    /// Puts an object in, unless there is an equal one, which then keeps its `Arc`. Whether that changed anything.
    pub fn insert(&mut self, mut object: T) -> bool {
        let key = Key::of(object.meta());
        if let Some(there) = self.objects.get_mut(&key) {
            if **there == object {
                return false;
            }
            // The key of the map is the one that everything else shares its text with.
            object.meta_mut().name = Arc::clone(&there.meta().name);
            object.meta_mut().namespace = Arc::clone(&there.meta().namespace);
            object.share_with(there);
            *there = Arc::new(object);
            self.note(key);
            return true;
        }
        // Most objects have a neighbour in their namespace: one text is enough for all of them.
        let neighbour = self.objects.range(..&key).next_back();
        let neighbour = neighbour.filter(|(other, _)| other.namespace == key.namespace);
        if let Some((other, there)) = neighbour {
            object.meta_mut().namespace = Arc::clone(&other.namespace);
            object.share_with(there);
        }
        let key = Key::of(object.meta());
        self.objects.insert(key.clone(), Arc::new(object));
        self.note(key);
        true
    }
}

impl<T> Shelf<T> {
    /// Takes an object out; `false` if there is none.
    pub fn remove(&mut self, key: &Key) -> bool {
        let removed = self.objects.remove(key).is_some();
        if removed {
            self.note(key.clone());
        }
        removed
    }

    /// Replaces everything, noting what is not the same allocation as before.
    pub fn become_like(&mut self, other: &BTreeMap<Key, Arc<T>>) {
        let gone = self.objects.keys().filter(|key| !other.contains_key(*key));
        let gone: Vec<Key> = gone.cloned().collect();
        for key in gone {
            self.remove(&key);
        }
        for (key, object) in other {
            let same = self
                .objects
                .get(key)
                .is_some_and(|there| Arc::ptr_eq(there, object));
            if !same {
                self.objects.insert(key.clone(), Arc::clone(object));
                self.note(key.clone());
            }
        }
    }

    /// Keys of what changed since the mark, which is moved to now; some may stand there twice, or be as they were.
    /// `None`: that is not known, so anything may have changed.
    pub(crate) fn since(&self, mark: &mut Option<Mark>) -> Option<impl Iterator<Item = &Key>> {
        let now = self.forgotten + self.changes.len() as u64;
        let before = mark.replace(Mark {
            identity: Arc::clone(&self.identity),
            seen: now,
        });
        let before = before.filter(|mark| Arc::ptr_eq(&mark.identity, &self.identity))?;
        let from = usize::try_from(before.seen.checked_sub(self.forgotten)?).ok()?;
        Some(self.changes.range(from..))
    }

    fn note(&mut self, key: Key) {
        self.changes.push_back(key);
        // Nobody has looked yet, or it is cheaper by now to look at everything.
        if Arc::strong_count(&self.identity) == 1 {
            self.forgotten += self.changes.len() as u64;
            self.changes.clear();
        } else if self.changes.len() > LEAST_REMEMBERED.max(self.objects.len() / 8) {
            self.changes.pop_front();
            self.forgotten += 1;
        }
    }
}

impl<T> Deref for Shelf<T> {
    type Target = BTreeMap<Key, Arc<T>>;

    fn deref(&self) -> &Self::Target {
        &self.objects
    }
}

impl<'a, T> IntoIterator for &'a Shelf<T> {
    type Item = (&'a Key, &'a Arc<T>);
    type IntoIter = std::collections::btree_map::Iter<'a, Key, Arc<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.objects.iter()
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            identity: Arc::default(),
            changes: VecDeque::new(),
            forgotten: 0,
        }
    }
}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self {
            objects: self.objects.clone(),
            ..Self::default()
        }
    }
}

const LEAST_REMEMBERED: usize = 256;

#[cfg(test)]
mod tests {
    use super::{LEAST_REMEMBERED, Shelf};
    use crate::input::Key;
    use api::core::Service;
    use api::gateway::HTTPRoute;
    use std::sync::Arc;

    fn service(name: &str, port: u16) -> Service {
        let value = serde_json::json!({"metadata": {"name": name, "namespace": "x"}, "spec": {"ports": [{"port": port}]}});
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_neighbour_that_says_the_same_says_it_with_the_same_allocation() {
        let route = |name: &str, gateway: &str, path: &str| -> HTTPRoute {
            let value = serde_json::json!({"metadata": {"name": name, "namespace": "x"}, "spec": {
                "parentRefs": [{"name": gateway}], "rules": [{"matches": [{"path": {"value": path}}]}]}});
            serde_json::from_value(value).unwrap()
        };
        let mut shelf = Shelf::default();
        for (name, gateway, path) in [("a", "g", "/"), ("b", "g", "/b"), ("c", "h", "/b")] {
            assert!(shelf.insert(route(name, gateway, path)));
        }
        let specs: Vec<_> = shelf.values().map(|route| &route.spec).collect();
        let same_parents = |a: usize, b: usize| Arc::ptr_eq(&specs[a].parent_refs, &specs[b].parent_refs);
        let same_matches =
            |a: usize, b: usize| Arc::ptr_eq(&specs[a].rules[0].matches, &specs[b].rules[0].matches);
        assert!(same_parents(0, 1) && !same_parents(1, 2));
        assert!(!same_matches(0, 1) && same_matches(1, 2));
        assert!(!shelf.insert(route("b", "g", "/b")), "nothing changed");
    }

    fn told(shelf: &Shelf<Service>, mark: &mut Option<super::Mark>) -> Option<Vec<String>> {
        let keys = shelf.since(mark)?;
        Some(keys.map(|key| key.name.to_string()).collect())
    }

    #[test]
    fn what_came_changed_or_went_is_told_and_nothing_else() {
        let mut shelf = Shelf::default();
        for name in ["a", "b", "c"] {
            shelf.insert(service(name, 80));
        }
        let mut mark = None;
        assert_eq!(told(&shelf, &mut mark), None, "everything is new");
        assert_eq!(told(&shelf, &mut mark).unwrap(), [""; 0]);
        assert!(shelf.insert(service("b", 81)));
        assert!(!shelf.insert(service("c", 80)));
        shelf.remove(&Key::new("x", "a"));
        shelf.insert(service("d", 80));
        assert_eq!(told(&shelf, &mut mark).unwrap(), ["b", "a", "d"]);
        assert_eq!(told(&shelf.clone(), &mut mark), None, "another shelf");
    }

    #[test]
    fn more_changes_than_are_remembered_are_no_known_changes() {
        let mut shelf = Shelf::default();
        let mut mark = None;
        told(&shelf, &mut mark);
        for round in 0..=LEAST_REMEMBERED as u16 {
            shelf.insert(service("a", round));
        }
        assert_eq!(told(&shelf, &mut mark), None);
    }

    #[test]
    fn objects_of_a_namespace_share_its_name() {
        let mut shelf = Shelf::default();
        for name in ["a", "b"] {
            shelf.insert(service(name, 80));
        }
        let mut keys = shelf.keys();
        assert!(Arc::ptr_eq(
            &keys.next().unwrap().namespace,
            &keys.next().unwrap().namespace
        ));
    }
}
