//! Paths by element: one walk from the root finds the exact match and every prefix of a path.

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Candidates by path. A walk costs one step per element that the tree knows; what lies deeper in the request's path
/// is never looked at.
pub(crate) struct Tree {
    /// The first is the root, which stands for the prefix `/`.
    nodes: Box<[Node]>,
}

/// Entries that ask for the same path, as a range: `start..end`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Group {
    pub start: u32,
    pub end: u32,
}

struct Node {
    /// Entries for exactly this path.
    exact: Group,
    /// Entries for this path and all below it.
    prefix: Group,
    /// The nearest node above that has `prefix` entries.
    up: Option<u32>,
    children: Children,
}

enum Children {
    /// Few enough to look at one by one.
    Few(Box<[(Box<str>, u32)]>),
    Many(Box<HashMap<Box<str>, u32, RandomState>>),
}

/// Where a path leads.
#[derive(Clone, Copy)]
pub(crate) struct Place<'t> {
    tree: &'t Tree,
    node: u32,
    whole: bool,
}

impl Tree {
    /// Where `path` leads: the deepest node on its way.
    #[inline]
    pub fn walk(&self, path: &str) -> Place<'_> {
        let mut place = Place {
            tree: self,
            node: 0,
            whole: false,
        };
        let Some(mut rest) = path.strip_prefix('/') else {
            return place;
        };
        loop {
            let children = &self.nodes[place.node as usize].children;
            if matches!(children, Children::Few(none) if none.is_empty()) {
                return place;
            }
            let end = rest.bytes().position(|byte| byte == b'/');
            let element = &rest[..end.unwrap_or(rest.len())];
            let Some(child) = children.get(element) else {
                return place;
            };
            place.node = child;
            match end {
                Some(end) => rest = &rest[end + 1..],
                None => {
                    place.whole = true;
                    return place;
                }
            }
        }
    }
}

impl<'t> Place<'t> {
    /// Entries for exactly the path.
    #[inline]
    pub fn exact(self) -> Option<Group> {
        self.whole.then(|| self.tree.nodes[self.node as usize].exact)
    }

    /// Entries for the prefixes of the path, longest first.
    #[inline]
    pub fn prefixes(self) -> impl Iterator<Item = Group> + 't {
        let mut next = Some(self.node);
        std::iter::from_fn(move || {
            let node = &self.tree.nodes[next? as usize];
            next = node.up;
            Some(node.prefix)
        })
    }
}

impl Children {
    fn get(&self, element: &str) -> Option<u32> {
        match self {
            Self::Few(children) => children
                .iter()
                .find(|(name, _)| **name == *element)
                .map(|(_, child)| *child),
            Self::Many(children) => children.get(element).copied(),
        }
    }
}

/// Collects groups for a tree.
#[derive(Default)]
pub(crate) struct Growing<'p> {
    groups: Vec<(Group, Group)>,
    children: HashMap<(u32, &'p str), u32, RandomState>,
}

impl<'p> Growing<'p> {
    pub fn new() -> Self {
        Self {
            groups: vec![Default::default()],
            children: HashMap::default(),
        }
    }

    /// Entries for exactly this path. False: it can't be in the tree, it does not begin with `/`.
    pub fn exact(&mut self, path: &'p str, group: Group) -> bool {
        let place = path.strip_prefix('/').map(|rest| self.node(rest));
        place.map(|node| self.groups[node as usize].0 = group).is_some()
    }

    /// Entries for this prefix (no trailing slash; empty for `/`). False: it is neither empty nor begins with `/`.
    pub fn prefix(&mut self, prefix: &'p str, group: Group) -> bool {
        let place = match prefix.strip_prefix('/') {
            Some(rest) => Some(self.node(rest)),
            None => prefix.is_empty().then_some(0),
        };
        place.map(|node| self.groups[node as usize].1 = group).is_some()
    }

    pub fn finish(self) -> Tree {
        let mut up: Vec<Option<u32>> = vec![None; self.groups.len()];
        let mut children: Vec<Vec<(Box<str>, u32)>> = self.groups.iter().map(|_| Vec::new()).collect();
        let mut edges: Vec<_> = self.children.into_iter().collect();
        // A child is made after its parent, so in order of the child each parent is known.
        edges.sort_unstable_by_key(|(_, child)| *child);
        for ((parent, element), child) in edges {
            let has_prefix = parent == 0 || self.groups[parent as usize].1 != Group::default();
            up[child as usize] = if has_prefix {
                Some(parent)
            } else {
                up[parent as usize]
            };
            children[parent as usize].push((element.into(), child));
        }
        let nodes = self.groups.into_iter().zip(up).zip(children);
        Tree {
            nodes: nodes
                .map(|(((exact, prefix), up), children)| Node {
                    exact,
                    prefix,
                    up,
                    children: if children.len() <= FEW {
                        Children::Few(children.into())
                    } else {
                        Children::Many(Box::new(children.into_iter().collect()))
                    },
                })
                .collect(),
        }
    }

    fn node(&mut self, path: &'p str) -> u32 {
        let mut node = 0;
        for element in path.split('/') {
            let next = self.groups.len() as u32;
            node = *self.children.entry((node, element)).or_insert(next);
            if node == next {
                self.groups.push(Default::default());
            }
        }
        node
    }
}

/// Comparing this many short texts costs about what one hash does.
const FEW: usize = 6;

#[cfg(test)]
mod tests {
    use super::{Group, Growing};

    fn group(start: u32) -> Group {
        Group {
            start,
            end: start + 1,
        }
    }

    #[test]
    fn a_walk_finds_the_exact_path_and_its_prefixes_longest_first() {
        let mut growing = Growing::new();
        for (start, path) in [(1, "/"), (2, "/a"), (3, "/a/"), (4, "/a/b/c")] {
            assert!(growing.exact(path, group(start)));
        }
        for (start, prefix) in [(10, ""), (11, "/a"), (12, "/a/b/c/d"), (13, "/z")] {
            assert!(growing.prefix(prefix, group(start)));
        }
        assert!(!growing.exact("*", group(0)) && !growing.prefix("x", group(0)));
        let tree = growing.finish();
        for (path, exact, prefixes) in [
            ("/", 1, &[10][..]),
            ("/a", 2, &[11, 10]),
            ("/a/", 3, &[11, 10]),
            ("/a/b", 0, &[11, 10]),
            ("/a/b/c", 4, &[11, 10]),
            ("/a/b/c/d", 0, &[12, 11, 10]),
            ("/a/b/c/d/e/f", 0, &[12, 11, 10]),
            ("/a/b/c/dd", 0, &[11, 10]),
            ("/ab", 0, &[10]),
            ("/z/", 0, &[13, 10]),
            ("*", 0, &[10]),
            ("", 0, &[10]),
        ] {
            let place = tree.walk(path);
            assert_eq!(place.exact().unwrap_or_default().start, exact, "{path}");
            let found: Vec<u32> = place
                .prefixes()
                .filter(|group| *group != Group::default())
                .map(|group| group.start)
                .collect();
            assert_eq!(found, prefixes, "{path}");
        }
    }

    #[test]
    fn a_node_with_many_children_finds_each() {
        let paths: Vec<String> = (0..100).map(|n| format!("/p{n}")).collect();
        let mut growing = Growing::new();
        for (n, path) in paths.iter().enumerate() {
            growing.prefix(path, group(n as u32));
        }
        let tree = growing.finish();
        for (n, path) in paths.iter().enumerate() {
            assert_eq!(tree.walk(path).prefixes().next(), Some(group(n as u32)));
        }
    }
}
