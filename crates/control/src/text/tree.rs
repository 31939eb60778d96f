//! A tree of what a file says, as YAML and JSON have it in common. Every node knows where it stands.

use super::{json, pieces};
use std::borrow::Cow;
use std::path::Path;
use thiserror::Error;

/// Reads all documents of a file.
pub fn parse(text: &str, format: Format) -> Result<Vec<Node<'_>>, SyntaxError> {
    // A byte order mark is no part of the text (RFC 8259 §8.1 lets a reader skip it, YAML 1.2.2 §5.2 has it).
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Yaml => pieces::parse(text),
        Format::Json => json::parse(text),
    }
}

/// What `read` makes of the documents of a file, in one or more pieces one after the other: long texts are read on
/// several threads.
pub fn pieces<'t, T: Send>(
    text: &'t str,
    format: Format,
    read: impl Fn(Vec<Node<'t>>) -> T + Sync,
) -> Result<Vec<T>, SyntaxError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Yaml => pieces::each(text, read),
        Format::Json => json::parse(text).map(|documents| vec![read(documents)]),
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// YAML 1.2 with merge keys; JSON is nearly a subset.
    Yaml,
    /// JSON (RFC 8259), any number of values one after the other.
    Json,
}

impl Format {
    /// By the extension of a file; `None` for a file that holds no objects.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        if extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml") {
            Some(Self::Yaml)
        } else if extension.eq_ignore_ascii_case("json") {
            Some(Self::Json)
        } else {
            None
        }
    }
}

/// A place in a text. Both count from 1; a column counts characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// Line.
    pub line: u32,
    /// Column.
    pub column: u32,
}

/// A value and where it begins.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    /// Where it begins.
    pub mark: Mark,
    /// What it is.
    pub value: Value<'a>,
}

/// What YAML and JSON can say.
#[derive(Debug, Clone)]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Node<'a>>),
    /// Keys and values, in order.
    Map(Map<'a>),
}

/// Keys and values, in the order of the text.
#[derive(Debug, Clone, Default)]
pub struct Map<'a> {
    /// The entries; of two with one key, both.
    pub entries: Vec<Entry<'a>>,
    /// Index of the first entry whose key stands before already.
    pub repeated: Option<u32>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// The key.
    pub key: Cow<'a, str>,
    /// Where the key begins.
    pub mark: Mark,
    /// Its value.
    pub value: Node<'a>,
}

impl<'a> Node<'a> {
    /// The value of a key, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, if this is a map that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry<'a>> {
        match &self.value {
            Value::Map(map) => map.entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text, if this is text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// How many nodes there are, this one included.
    pub(super) fn count(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Value::Map(map) => 1 + map.entries.iter().map(|entry| entry.value.count()).sum::<usize>(),
            _ => 1,
        }
    }
}

impl<'a> Map<'a> {
    /// Entries, with the first repeated key noted.
    pub(super) fn new(entries: Vec<Entry<'a>>) -> Self {
        let repeated = first_repeated(&entries).and_then(|index| u32::try_from(index).ok());
        Self { entries, repeated }
    }
}

/// Why a text is neither YAML nor JSON.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{reason}")]
pub struct SyntaxError {
    /// Where.
    pub mark: Mark,
    /// Why.
    pub reason: String,
}

impl SyntaxError {
    pub(super) fn new(mark: Mark, reason: impl Into<String>) -> Self {
        Self {
            mark,
            reason: reason.into(),
        }
    }
}

fn first_repeated(entries: &[Entry<'_>]) -> Option<usize> {
    // Objects have few keys; a map of labels or of a ConfigMap may have thousands.
    if entries.len() <= 16 {
        return (1..entries.len()).find(|&index| {
            entries[..index]
                .iter()
                .any(|earlier| earlier.key == entries[index].key)
        });
    }
    let mut seen = std::collections::HashSet::with_capacity(entries.len());
    entries.iter().position(|entry| !seen.insert(&*entry.key))
}
