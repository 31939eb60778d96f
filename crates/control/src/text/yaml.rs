//! YAML text to trees: composes parser events, resolves plain scalars by the core schema, expands aliases and merge
//! keys within a budget.

use super::tree::{Entry, Map, Mark, Node, SyntaxError, Value};
use granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// Nodes that aliases and merge keys of one piece of a file may add: plenty for anchors written by hand, nothing for a
/// bomb.
const EXPANSION_BUDGET: usize = 200_000;
/// Collections within collections. Objects need a dozen.
const DEPTH: usize = 100;
/// The documents of a text, or of a piece of one that has so many lines before it.
pub(super) fn parse_piece(text: &str, lines_before: u32) -> Result<Vec<Node<'_>>, SyntaxError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.block_nesting_limit = DEPTH;
    options.flow_nesting_limit = DEPTH;
    let mark = |marker: &Marker| {
        let Mark { line, column } = mark(marker);
        Mark {
            line: line.saturating_add(lines_before),
            column,
        }
    };
    let mut composer = Composer::default();
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => composer.event(event, mark(&span.start))?,
            Err(error) => return Err(SyntaxError::new(mark(error.marker()), error.info())),
        }
    }
    Ok(composer.documents)
}

/// Builds nodes from events, with a stack of its own.
#[derive(Default)]
struct Composer<'a> {
    documents: Vec<Node<'a>>,
    open: Vec<Open<'a>>,
    anchors: HashMap<usize, Node<'a>>,
    expanded: usize,
}

/// A collection whose end has not come yet.
struct Open<'a> {
    mark: Mark,
    anchor: usize,
    content: Content<'a>,
}

enum Content<'a> {
    List(Vec<Node<'a>>),
    Map {
        entries: Vec<Entry<'a>>,
        key: Option<Key<'a>>,
        merges: Vec<Node<'a>>,
    },
}

/// A key that waits for its value.
enum Key<'a> {
    Plain(Cow<'a, str>, Mark),
    Merge,
}

impl<'a> Composer<'a> {
    fn event(&mut self, event: Event<'a>, mark: Mark) -> Result<(), SyntaxError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                if !self.takes_key() {
                    let value = scalar(text, plain, tag.as_deref());
                    return self.finish(Node { mark, value }, anchor);
                }
                if anchor != 0 {
                    let value = Value::Text(text.clone());
                    self.anchors.insert(anchor, Node { mark, value });
                }
                self.key(text, plain, mark);
            }
            Event::SequenceStart(_, anchor, _) => self.open(mark, anchor, Content::List(Vec::new()))?,
            Event::MappingStart(_, anchor, _) => {
                let content = Content::Map {
                    entries: Vec::new(),
                    key: None,
                    merges: Vec::new(),
                };
                self.open(mark, anchor, content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(anchor) => self.alias(anchor, mark)?,
            Event::DocumentEnd => self.anchors.clear(),
            _ => {}
        }
        Ok(())
    }

    /// Whether a map waits for its next key.
    fn takes_key(&self) -> bool {
        matches!(
            self.open.last().map(|open| &open.content),
            Some(Content::Map { key: None, .. })
        )
    }

    /// The map that waits for a key has it.
    fn key(&mut self, text: Cow<'a, str>, plain: bool, mark: Mark) {
        if let Some(Content::Map { key, .. }) = self.open.last_mut().map(|open| &mut open.content) {
            *key = Some(if plain && text == "<<" {
                Key::Merge
            } else {
                Key::Plain(text, mark)
            });
        }
    }

    fn open(&mut self, mark: Mark, anchor: usize, content: Content<'a>) -> Result<(), SyntaxError> {
        if self.takes_key() {
            return Err(SyntaxError::new(mark, "a key must be text"));
        }
        if self.open.len() >= DEPTH {
            return Err(SyntaxError::new(
                mark,
                format!("nested more than {DEPTH} levels deep"),
            ));
        }
        self.open.push(Open {
            mark,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self) -> Result<(), SyntaxError> {
        let Some(Open {
            mark,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { entries, merges, .. } => Value::Map(merged(entries, merges)?),
        };
        self.finish(Node { mark, value }, anchor)
    }

    /// Hands a complete node to whatever it is part of.
    fn finish(&mut self, node: Node<'a>, anchor: usize) -> Result<(), SyntaxError> {
        if anchor != 0 {
            self.spend(node.count(), node.mark)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.documents.push(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key, merges }) => match key.take() {
                Some(Key::Plain(key, mark)) => entries.push(Entry {
                    key,
                    mark,
                    value: node,
                }),
                Some(Key::Merge) => merges.push(node),
                None => return Err(SyntaxError::new(node.mark, "a key must be text")),
            },
        }
        Ok(())
    }

    fn alias(&mut self, anchor: usize, mark: Mark) -> Result<(), SyntaxError> {
        // An alias within its own anchor's node finds nothing: the node is not complete.
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(SyntaxError::new(
                mark,
                "an alias refers to the node that it is part of",
            ));
        };
        let node = node.clone();
        self.spend(node.count(), mark)?;
        match node.value {
            Value::Text(text) if self.takes_key() => self.key(text, false, mark),
            _ => return self.finish(node, 0),
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, mark: Mark) -> Result<(), SyntaxError> {
        self.expanded = self.expanded.saturating_add(nodes);
        if self.expanded > EXPANSION_BUDGET {
            let reason = format!("aliases stand for more than {EXPANSION_BUDGET} values");
            return Err(SyntaxError::new(mark, reason));
        }
        Ok(())
    }
}

/// What a map says itself wins, then the first source that has the key.
fn merged<'a>(own: Vec<Entry<'a>>, merges: Vec<Node<'a>>) -> Result<Map<'a>, SyntaxError> {
    let mut sources = Vec::new();
    for node in merges {
        match node.value {
            Value::Map(map) => sources.push(map),
            Value::List(items) => {
                for item in items {
                    let Value::Map(map) = item.value else {
                        return Err(SyntaxError::new(item.mark, "`<<` takes maps"));
                    };
                    sources.push(map);
                }
            }
            _ => return Err(SyntaxError::new(node.mark, "`<<` takes a map or a list of maps")),
        }
    }
    let mut map = Map::new(own);
    if sources.is_empty() {
        return Ok(map);
    }
    let mut keys: HashSet<Cow<'a, str>> = map.entries.iter().map(|entry| entry.key.clone()).collect();
    for entry in sources.into_iter().flat_map(|source| source.entries) {
        if keys.insert(entry.key.clone()) {
            map.entries.push(entry);
        }
    }
    Ok(map)
}

/// YAML 1.2.2 §10.3: only plain scalars can be anything but text, unless a tag says so.
fn scalar<'a>(text: Cow<'a, str>, plain: bool, tag: Option<&Tag>) -> Value<'a> {
    match tag.and_then(Tag::core_suffix) {
        Some("str") => Value::Text(text),
        Some(_) => resolve(text),
        None if plain => resolve(text),
        None => Value::Text(text),
    }
}

fn resolve(text: Cow<'_, str>) -> Value<'_> {
    match &*text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    // Most plain scalars are words.
    if !matches!(text.as_bytes()[0], b'0'..=b'9' | b'+' | b'-' | b'.') {
        return Value::Text(text);
    }
    match number(&text) {
        Some(value) => value,
        None => Value::Text(text),
    }
}

fn number(text: &str) -> Option<Value<'static>> {
    if let Some(digits) = text.strip_prefix("0x") {
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then(|| i64::from_str_radix(digits, 16).ok())?
            .map(Value::Int);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return digits
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| i64::from_str_radix(digits, 8).ok())?
            .map(Value::Int);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => {
            let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
            return Some(Value::Float(sign * f64::INFINITY));
        }
        ".nan" | ".NaN" | ".NAN" if unsigned.len() == text.len() => return Some(Value::Float(f64::NAN)),
        _ => {}
    }
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(match text.parse() {
            Ok(int) => Value::Int(int),
            Err(_) => Value::Float(text.parse().ok()?),
        });
    }
    // [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?
    let digits = unsigned.bytes().any(|byte| byte.is_ascii_digit());
    let allowed = unsigned
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    if digits && allowed && !unsigned.starts_with(['+', '-', 'e', 'E']) {
        return text.parse().ok().map(Value::Float);
    }
    None
}

fn mark(marker: &Marker) -> Mark {
    Mark {
        line: u32::try_from(marker.line()).unwrap_or(u32::MAX),
        column: u32::try_from(marker.col() + 1).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Format, Mark, Node, Value, parse};
    use std::fmt::Write as _;

    fn one(text: &str) -> Node<'_> {
        parse(text, Format::Yaml).unwrap().remove(0)
    }

    fn error(text: &str) -> (u32, u32, String) {
        let error = parse(text, Format::Yaml).unwrap_err();
        (error.mark.line, error.mark.column, error.reason)
    }

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for (text, wanted) in [
            ("~", "Null"),
            ("null", "Null"),
            ("true", "Bool(true)"),
            ("FALSE", "Bool(false)"),
            ("yes", "Text(\"yes\")"),
            ("80", "Int(80)"),
            ("-1", "Int(-1)"),
            ("0x1F", "Int(31)"),
            ("0o17", "Int(15)"),
            ("1.10", "Float(1.1)"),
            ("1e3", "Float(1000.0)"),
            (".inf", "Float(inf)"),
            ("99999999999999999999", "Float(1e20)"),
            ("1.2.3", "Text(\"1.2.3\")"),
            ("10.0.0.1", "Text(\"10.0.0.1\")"),
            ("10s", "Text(\"10s\")"),
            (
                "-",
                "List([Node { mark: Mark { line: 1, column: 2 }, value: Null }])",
            ),
            ("\"80\"", "Text(\"80\")"),
            ("'true'", "Text(\"true\")"),
            ("!!str 80", "Text(\"80\")"),
            ("2024-05-01T10:00:00Z", "Text(\"2024-05-01T10:00:00Z\")"),
        ] {
            assert_eq!(format!("{:?}", one(text).value), wanted, "{text}");
        }
    }

    #[test]
    fn every_node_knows_its_place() {
        let node = one("# comment\na:\n  - b: 1\n    ü: {x: y}\n");
        let Value::List(items) = &node.get("a").unwrap().value else {
            panic!()
        };
        let entry = items[0].entry("ü").unwrap();
        assert_eq!(entry.mark, Mark { line: 4, column: 5 });
        assert_eq!(
            entry.value.entry("x").unwrap().value.mark,
            Mark { line: 4, column: 12 }
        );
    }

    #[test]
    fn anchors_aliases_and_merge_keys_are_expanded() {
        assert!(one("a: &k key\n*k : value\n").get("key").is_some());
        assert!(one("&k key: value\nb: [*k]\n").get("b").is_some());
        let node = one("base: &b {a: 1, b: 2}\nx:\n  <<: *b\n  b: 3\ny: [*b]\n");
        let x = node.get("x").unwrap();
        assert!(matches!(x.get("a").unwrap().value, Value::Int(1)));
        assert!(matches!(x.get("b").unwrap().value, Value::Int(3)));
        let Value::List(items) = &node.get("y").unwrap().value else {
            panic!()
        };
        assert!(matches!(items[0].get("b").unwrap().value, Value::Int(2)));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            let list = [alias.as_str(); 9].join(",");
            let _ = writeln!(text, "a{level}: &a{level} [{list}]");
        }
        assert!(error(&text).2.contains("aliases stand for more than"));
    }

    #[test]
    fn depth_is_limited() {
        let text = format!("{}1{}", "[".repeat(500), "]".repeat(500));
        assert!(parse(&text, Format::Yaml).is_err());
        let mut text = String::new();
        for depth in 0..500 {
            let _ = writeln!(text, "{}a:", " ".repeat(depth));
        }
        assert!(parse(&text, Format::Yaml).is_err());
    }

    #[test]
    fn an_error_has_its_line_and_column() {
        assert_eq!(error("a: b\nc: [1, 2\nd: e\n").0, 3);
        let (line, column, reason) = error("a: b\n  c: d\n");
        assert_eq!((line, column), (2, 4), "{reason}");
    }

    #[test]
    fn several_documents_and_empty_ones() {
        let documents = parse("---\na: 1\n---\n---\nb: 2\n...\n", Format::Yaml).unwrap();
        assert_eq!(documents.len(), 3);
        assert!(matches!(documents[1].value, Value::Null));
        assert!(parse("# nothing\n", Format::Yaml).unwrap().is_empty());
    }

    #[test]
    fn a_repeated_key_is_noted() {
        let node = one("a: 1\nb: 2\na: 3\n");
        let Value::Map(map) = node.value else { panic!() };
        assert_eq!(map.repeated, Some(2));
    }
}
