//! What stands in a file of Kubernetes objects: documents and lists, each object decoded on its own.

use super::decode::{Error, Unread, decode};
use super::path;
use super::tree::{self, Format, Mark, Node, SyntaxError, Value, parse};
use ir::Origin;
use translate::Object;

/// One object of a file, or why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it begins.
    pub mark: Mark,
    /// Index of its document.
    pub document: u32,
    /// Path within the document, `items[3]`; empty if the document is the object.
    pub base: Box<str>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::large_enum_variant)] // short-lived, and nearly all are objects
pub enum Outcome {
    /// It is of a kind that is read.
    Object {
        /// The object.
        object: Object,
        /// Fields that its kind does not have.
        unread: Vec<Unread>,
    },
    /// It does not have the shape of its kind.
    Invalid {
        /// Kind, namespace and name as far as they are there.
        origin: Origin,
        /// The field.
        path: String,
        /// Where the field stands.
        mark: Mark,
        /// What is wrong with it.
        message: String,
    },
    /// It is of another kind.
    Unknown {
        /// `apps/v1`
        api_version: String,
        /// The object.
        origin: Origin,
    },
}

/// All objects of a file. An error means that nothing of it can be read.
pub fn items(text: &str, format: Format) -> Result<Vec<Item>, SyntaxError> {
    let pieces = tree::pieces(text, format, |documents| (documents.len(), items_of(&documents)))?;
    let (mut items, mut before) = (Vec::new(), 0);
    for (documents, mut piece) in pieces {
        for item in &mut piece {
            item.document = item.document.saturating_add(before);
        }
        items.append(&mut piece);
        before = before.saturating_add(u32::try_from(documents).unwrap_or(u32::MAX));
    }
    Ok(items)
}

fn items_of(documents: &[Node<'_>]) -> Vec<Item> {
    let mut items = Vec::with_capacity(documents.len());
    for (index, root) in documents.iter().enumerate() {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if !matches!(root.value, Value::Null) {
            collect(root, index, String::new(), None, &mut items);
        }
    }
    items
}

/// The place of a field of an object that [`items`] found.
pub fn find(text: &str, format: Format, document: u32, base: &str, field: &str) -> Option<Mark> {
    let documents = parse(text, format).ok()?;
    let root = documents.get(document as usize)?;
    let path = match (base, field) {
        ("", field) => field.to_owned(),
        (base, "") => base.to_owned(),
        (base, field) if field.starts_with('[') => format!("{base}{field}"),
        (base, field) => format!("{base}.{field}"),
    };
    Some(path::find(root, &path))
}

/// What items of a list that says its kind (`HTTPRouteList`) may leave out.
#[derive(Clone, Copy)]
struct Inherited<'a> {
    api_version: &'a str,
    kind: &'a str,
}

fn collect<'a>(
    node: &'a Node<'a>,
    document: u32,
    base: String,
    inherited: Option<Inherited<'a>>,
    items: &mut Vec<Item>,
) {
    let word = |field: &str| {
        node.get(field)
            .and_then(Node::text)
            .filter(|word| !word.is_empty())
    };
    let api_version = word("apiVersion").or(inherited.map(|list| list.api_version));
    let kind = word("kind").or(inherited.map(|list| list.kind));
    let (Some(api_version), Some(kind)) = (api_version, kind) else {
        let message = match node.value {
            Value::Map(_) => "an object needs apiVersion and kind; this lacks one of them, or both",
            _ => "a Kubernetes object is expected here",
        };
        let outcome = Outcome::Invalid {
            origin: origin(node, kind.unwrap_or("Object")),
            path: String::new(),
            mark: node.mark,
            message: message.into(),
        };
        return items.push(item(node, document, base, outcome));
    };
    if let Some(list) = list(node, kind) {
        let inherited = kind
            .strip_suffix("List")
            .filter(|kind| !kind.is_empty())
            .map(|kind| Inherited { api_version, kind });
        for (index, node) in list.iter().enumerate() {
            let base = if base.is_empty() {
                String::new()
            } else {
                base.clone() + "."
            };
            collect(node, document, format!("{base}items[{index}]"), inherited, items);
        }
        return;
    }
    let (result, unread) = decode(node, |decoder| Object::decode(api_version, kind, decoder));
    let outcome = match result {
        Ok(Some(object)) => Outcome::Object { object, unread },
        Ok(None) => Outcome::Unknown {
            api_version: api_version.into(),
            origin: origin(node, kind),
        },
        Err(error) => invalid(node, kind, error),
    };
    items.push(item(node, document, base, outcome));
}

/// The items, if the object is a list: `List` or `<kind>List` with `items`.
fn list<'a>(node: &'a Node<'a>, kind: &str) -> Option<&'a [Node<'a>]> {
    match (&node.get("items")?.value, kind.ends_with("List")) {
        (Value::List(items), true) => Some(items),
        (Value::Null, true) => Some(&[]),
        _ => None,
    }
}

fn item(node: &Node<'_>, document: u32, base: String, outcome: Outcome) -> Item {
    Item {
        mark: node.mark,
        document,
        base: base.into(),
        outcome,
    }
}

fn invalid(node: &Node<'_>, kind: &str, error: Error) -> Outcome {
    let Error { path, mark, message } = error;
    Outcome::Invalid {
        origin: origin(node, kind),
        path: path.unwrap_or_default(),
        mark: mark.unwrap_or(node.mark),
        message,
    }
}

fn origin(node: &Node<'_>, kind: &str) -> Origin {
    let metadata = |field: &str| {
        let metadata = node.get("metadata")?;
        metadata.get(field)?.text()
    };
    Origin::new(
        kind,
        metadata("namespace").unwrap_or_default(),
        metadata("name").unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::{Format, Item, Outcome, find, items};

    fn names(items: &[Item]) -> Vec<String> {
        items
            .iter()
            .map(|item| match &item.outcome {
                Outcome::Object { object, .. } => object.origin().to_string(),
                Outcome::Invalid { origin, path, .. } => format!("invalid {origin} {path}"),
                Outcome::Unknown { api_version, origin } => format!("unknown {api_version} {origin}"),
            })
            .collect()
    }

    #[test]
    fn documents_and_lists_are_taken_apart() {
        let text = r"
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: a}}
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRouteList
  items:
  - metadata: {name: r, namespace: x}
---
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: y}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {ports: [{port: http}]}
";
        let items = items(text, Format::Yaml).unwrap();
        assert_eq!(
            names(&items),
            [
                "Service default/a",
                "HTTPRoute x/r",
                "unknown apps/v1 Deployment y/d",
                "invalid Service b spec.ports[0].port",
            ]
        );
        assert_eq!(&*items[1].base, "items[1].items[0]");
        assert_eq!(items[1].mark.line, 9);
        assert_eq!(items[2].document, 2);
        let place = find(text, Format::Yaml, 0, &items[1].base, "metadata.name").unwrap();
        assert_eq!((place.line, place.column), (9, 16));
    }

    #[test]
    fn json_is_read_like_yaml() {
        let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}}]}"#;
        let items = items(text, Format::Json).unwrap();
        assert_eq!(names(&items), ["Service default/a"]);
        assert_eq!(items[0].mark.line, 2);
    }

    #[test]
    fn what_is_no_object_is_said_to_be_none() {
        assert_eq!(
            names(&items("just words", Format::Yaml).unwrap()),
            ["invalid Object  "]
        );
        assert_eq!(
            names(&items("kind: Service", Format::Yaml).unwrap()),
            ["invalid Service  "]
        );
        assert!(items("# nothing", Format::Yaml).unwrap().is_empty());
    }
}
