//! Field paths: `spec.rules[0].matches[1].path.value`, `metadata.annotations["a.b/c"]`. Written while decoding, read
//! back to find the place of a field.

use super::tree::{Mark, Node, Value};
use std::fmt;

/// The way from the root of an object to one of its parts, as a list on the stack.
#[derive(Clone, Copy)]
pub enum Trail<'t> {
    /// The object itself.
    Root,
    /// A key of a map.
    Key(&'t Trail<'t>, &'t str),
    /// An item of a list.
    Item(&'t Trail<'t>, usize),
}

impl fmt::Display for Trail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
            Self::Key(parent, key) if !is_plain(key) => {
                // As JSON writes it: what stands in a path can be read back.
                write!(f, "{parent}[{}]", serde_json::Value::from(*key))
            }
            Self::Key(Trail::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
        }
    }
}

/// Follows a path as far as the tree has it, and says where that is. Of a map's value it is the key's place.
pub fn find(root: &Node<'_>, path: &str) -> Mark {
    let mut node = root;
    let mut mark = root.mark;
    for step in steps(path) {
        let next = match (&node.value, step) {
            (Value::Map(_), Step::Key(key)) => node.entry(&key).map(|entry| (&entry.value, entry.mark)),
            (Value::List(items), Step::Item(index)) => items.get(index).map(|item| (item, item.mark)),
            _ => None,
        };
        let Some(next) = next else { break };
        (node, mark) = next;
    }
    mark
}

enum Step {
    Key(String),
    Item(usize),
}

fn steps(path: &str) -> impl Iterator<Item = Step> {
    let mut rest = path;
    std::iter::from_fn(move || {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inner) = rest.strip_prefix('[') {
            if inner.starts_with('"') {
                let mut keys = serde_json::Deserializer::from_str(inner).into_iter::<String>();
                let key = keys.next()?.ok()?;
                rest = inner[keys.byte_offset()..].strip_prefix(']')?;
                return Some(Step::Key(key));
            }
            let (index, after) = inner.split_once(']')?;
            rest = after;
            return index.parse().ok().map(Step::Item);
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        rest = after;
        (!key.is_empty()).then(|| Step::Key(key.to_owned()))
    })
}

fn is_plain(key: &str) -> bool {
    !key.is_empty()
        && key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'))
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Format, parse};
    use super::{Trail, find};

    #[test]
    fn a_path_is_written_as_people_write_it() {
        let rules = Trail::Key(&Trail::Root, "rules");
        let rule = Trail::Item(&rules, 2);
        assert_eq!(Trail::Key(&rule, "path").to_string(), "rules[2].path");
        assert_eq!(Trail::Key(&rule, "a.b/c").to_string(), "rules[2][\"a.b/c\"]");
    }

    #[test]
    fn a_path_with_any_key_can_be_read_back() {
        for key in ["a\u{593}", "\"", "\\", "\n", "", "]", "\u{1f600}", "\u{0}"] {
            let text = serde_json::json!({ key: { "x": 1 } }).to_string();
            let root = parse(&text, Format::Json).unwrap().remove(0);
            let outer = Trail::Key(&Trail::Root, key);
            let path = Trail::Key(&outer, "x").to_string();
            let place = root.get(key).unwrap().entry("x").unwrap().mark;
            assert_eq!(find(&root, &path), place, "{path}");
        }
    }

    #[test]
    fn a_path_leads_to_its_line_or_to_the_nearest_around_it() {
        let text = "metadata:\n  annotations:\n    a.b/c: x\nspec:\n  rules:\n  - host: a\n    paths:\n    - p\n    - q\n";
        let root = parse(text, Format::Yaml).unwrap().remove(0);
        let line = |path: &str| find(&root, path).line;
        assert_eq!(line(""), 1);
        assert_eq!(line("metadata.annotations[\"a.b/c\"]"), 3);
        assert_eq!(line("spec.rules[0].host"), 6);
        assert_eq!(line("spec.rules[0].paths[1]"), 9);
        assert_eq!(line("spec.rules[0].missing.deeper"), 6);
        assert_eq!(line("spec.rules[7].host"), 5);
        assert_eq!(line("nonsense[[["), 1);
    }
}
