//! A list of shared nodes that shares its own structure too: a changed copy has all but a few pages in common with the
//! one before, so that a change costs the same among many nodes as among few, and what is different between two copies
//! is found without looking at what they have in common.

use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::slice;
use std::sync::Arc;

/// Nodes in an order that whoever builds the list decides. Cheap to clone.
///
/// Methods that take a `place` need the nodes in its order; it tells how a node compares with what is meant, as for
/// [`slice::binary_search_by`], and is equal for one node at most.
pub struct List<T> {
    /// A tree whose leaves all have the same depth.
    root: Arc<Page<T>>,
    /// Levels above the leaves.
    height: u32,
    len: usize,
}

enum Page<T> {
    Leaf(Vec<Arc<T>>),
    /// None of them is empty.
    Inner(Vec<Arc<Page<T>>>),
}

/// What is different between two lists, told by pointer.
#[derive(Debug)]
pub struct Difference<'a, T> {
    /// Nodes of the old list that are not in the new one.
    pub gone: Vec<&'a Arc<T>>,
    /// Nodes of the new list that were not in the old one.
    pub new: Vec<&'a Arc<T>>,
}

impl<T> List<T> {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Every node, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter {
            pages: vec![slice::from_ref(&self.root).iter()],
            leaf: [].iter(),
            left: self.len,
        }
    }

    /// Whether both are the same in memory. If not, they may still hold the same nodes.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.root, &other.root)
    }

    /// The node at a place.
    pub fn find(&self, place: impl Fn(&T) -> Ordering) -> Option<&Arc<T>> {
        let mut page = &self.root;
        loop {
            match &**page {
                Page::Inner(pages) => page = &pages[child(pages, &place)],
                Page::Leaf(nodes) => {
                    let at = nodes.binary_search_by(|node| place(node)).ok()?;
                    return Some(&nodes[at]);
                }
            }
        }
    }

    /// Puts a node at a place, instead of the one that is there.
    pub fn insert(&mut self, place: impl Fn(&T) -> Ordering, node: Arc<T>) {
        let put = put(&mut self.root, &place, node);
        self.len += usize::from(put.more);
        if let Some(page) = put.split {
            let below = std::mem::replace(&mut self.root, Arc::new(Page::Leaf(Vec::new())));
            self.root = Arc::new(Page::Inner(vec![below, page]));
            self.height += 1;
        }
    }

    /// Takes the node at a place out. Whether there was one.
    pub fn remove(&mut self, place: impl Fn(&T) -> Ordering) -> bool {
        if self.find(&place).is_none() {
            return false;
        }
        take(&mut self.root, &place);
        self.len -= 1;
        loop {
            let only = match &*self.root {
                Page::Inner(pages) if pages.is_empty() => Arc::new(Page::Leaf(Vec::new())),
                Page::Inner(pages) if pages.len() == 1 => Arc::clone(&pages[0]),
                _ => return true,
            };
            self.height = if self.len == 0 { 0 } else { self.height - 1 };
            self.root = only;
        }
    }

    /// What is different from an older list. The cost follows the size of the difference if one was made from the other.
    pub fn since<'a>(&'a self, old: &'a Self) -> Difference<'a, T> {
        let (mut gone, mut new) = (vec![&old.root], vec![&self.root]);
        let (mut height, mut height_of_new) = (old.height, self.height);
        loop {
            match height.cmp(&height_of_new) {
                Ordering::Less => {
                    new = pages_of(&new);
                    height_of_new -= 1;
                }
                Ordering::Greater => {
                    gone = pages_of(&gone);
                    height -= 1;
                }
                Ordering::Equal => {
                    cancel(&mut gone, &mut new);
                    if height == 0 {
                        break;
                    }
                    (gone, new) = (pages_of(&gone), pages_of(&new));
                    height -= 1;
                    height_of_new -= 1;
                }
            }
        }
        let (mut gone, mut new) = (nodes_of(&gone), nodes_of(&new));
        cancel(&mut gone, &mut new);
        Difference { gone, new }
    }
}

impl<T> Page<T> {
    /// Of a page that is not empty.
    fn first(&self) -> Option<&T> {
        match self {
            Self::Leaf(nodes) => nodes.first().map(|node| &**node),
            Self::Inner(pages) => pages.first()?.first(),
        }
    }
}

/// A copy with room for one more: it is made to be changed.
impl<T> Clone for Page<T> {
    fn clone(&self) -> Self {
        fn with_room<N: Clone>(nodes: &[N]) -> Vec<N> {
            let mut copy = Vec::with_capacity(nodes.len() + 1);
            copy.extend_from_slice(nodes);
            copy
        }
        match self {
            Self::Leaf(nodes) => Self::Leaf(with_room(nodes)),
            Self::Inner(pages) => Self::Inner(with_room(pages)),
        }
    }
}

/// The page that a place is in, or would be.
fn child<T>(pages: &[Arc<Page<T>>], place: &impl Fn(&T) -> Ordering) -> usize {
    let before = |page: &Arc<Page<T>>| page.first().is_some_and(|first| place(first).is_le());
    pages.partition_point(before).saturating_sub(1)
}

struct Put<T> {
    /// The page that comes behind the one that was changed.
    split: Option<Arc<Page<T>>>,
    /// Whether there is one node more than before.
    more: bool,
}

fn put<T>(page: &mut Arc<Page<T>>, place: &impl Fn(&T) -> Ordering, node: Arc<T>) -> Put<T> {
    match Arc::make_mut(page) {
        Page::Leaf(nodes) => match nodes.binary_search_by(|node| place(node)) {
            Ok(at) => {
                nodes[at] = node;
                Put {
                    split: None,
                    more: false,
                }
            }
            Err(at) => Put {
                split: squeeze(nodes, at, node).map(|nodes| Arc::new(Page::Leaf(nodes))),
                more: true,
            },
        },
        Page::Inner(pages) => {
            let at = child(pages, place);
            let below = put(&mut pages[at], place, node);
            let split = below.split.and_then(|page| squeeze(pages, at + 1, page));
            Put {
                split: split.map(|pages| Arc::new(Page::Inner(pages))),
                more: below.more,
            }
        }
    }
}

/// Inserts; what does not fit comes back.
fn squeeze<N>(items: &mut Vec<N>, at: usize, item: N) -> Option<Vec<N>> {
    if items.len() < PAGE {
        items.insert(at, item);
        return None;
    }
    if at == items.len() {
        // Most lists grow in order: full pages stay full.
        return Some(vec![item]);
    }
    let mut behind = items.split_off(PAGE / 2);
    if at > items.len() {
        behind.insert(at - items.len(), item);
    } else {
        items.insert(at, item);
    }
    Some(behind)
}

/// Takes out the node at a place, which is there.
fn take<T>(page: &mut Arc<Page<T>>, place: &impl Fn(&T) -> Ordering) {
    match Arc::make_mut(page) {
        Page::Leaf(nodes) => {
            if let Ok(at) = nodes.binary_search_by(|node| place(node)) {
                nodes.remove(at);
            }
        }
        Page::Inner(pages) => {
            let at = child(pages, place);
            take(&mut pages[at], place);
            if pages[at].first().is_none() {
                pages.remove(at);
            }
        }
    }
}

fn pages_of<'a, T>(pages: &[&'a Arc<Page<T>>]) -> Vec<&'a Arc<Page<T>>> {
    let below = pages.iter().map(|page| match &***page {
        Page::Inner(pages) => &pages[..],
        Page::Leaf(_) => &[],
    });
    below.flatten().collect()
}

fn nodes_of<'a, T>(pages: &[&'a Arc<Page<T>>]) -> Vec<&'a Arc<T>> {
    let nodes = pages.iter().map(|page| match &***page {
        Page::Leaf(nodes) => &nodes[..],
        Page::Inner(_) => &[],
    });
    nodes.flatten().collect()
}

/// Takes out what is in both.
fn cancel<N>(a: &mut Vec<&Arc<N>>, b: &mut Vec<&Arc<N>>) {
    if a.is_empty() || b.is_empty() {
        return;
    }
    let all = |nodes: &[&Arc<N>]| nodes.iter().map(|node| Arc::as_ptr(node)).collect::<HashSet<_>>();
    let (in_a, in_b) = (all(a), all(b));
    a.retain(|node| !in_b.contains(&Arc::as_ptr(node)));
    b.retain(|node| !in_a.contains(&Arc::as_ptr(node)));
}

/// Keeps the order in which nodes come.
impl<T> FromIterator<Arc<T>> for List<T> {
    fn from_iter<I: IntoIterator<Item = Arc<T>>>(nodes: I) -> Self {
        let mut list = Self::default();
        for node in nodes {
            list.insert(|_| Ordering::Less, node);
        }
        list
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self {
            root: Arc::new(Page::Leaf(Vec::new())),
            height: 0,
            len: 0,
        }
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            ..*self
        }
    }
}

impl<T: PartialEq> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || (self.len == other.len && self.iter().eq(other))
    }
}

impl<T: Eq> Eq for List<T> {}

impl<T: Hash> Hash for List<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.len);
        self.iter().for_each(|node| node.hash(state));
    }
}

impl<T: Serialize> Serialize for List<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<T: fmt::Debug> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a, T> IntoIterator for &'a List<T> {
    type Item = &'a Arc<T>;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// Nodes of a [`List`], in order.
pub struct Iter<'a, T> {
    pages: Vec<slice::Iter<'a, Arc<Page<T>>>>,
    leaf: slice::Iter<'a, Arc<T>>,
    left: usize,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a Arc<T>;

    fn next(&mut self) -> Option<&'a Arc<T>> {
        loop {
            if let Some(node) = self.leaf.next() {
                self.left -= 1;
                return Some(node);
            }
            match self.pages.last_mut()?.next().map(|page| &**page) {
                Some(Page::Leaf(nodes)) => self.leaf = nodes.iter(),
                Some(Page::Inner(pages)) => self.pages.push(pages.iter()),
                None => drop(self.pages.pop()),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

/// Nodes or pages per page: a change among a million copies four pages of this size.
const PAGE: usize = 32;

#[cfg(test)]
mod tests;
