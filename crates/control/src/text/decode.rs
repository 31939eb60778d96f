//! Typed objects from trees, by serde. An error names the field and its place; fields that a type does not have are
//! collected on the way.
//!
//! `null` is read as Go's JSON decoder reads it for the API server: as if the field were not there.

use super::fields;
use super::path::Trail;
use super::tree::{Entry, Map, Mark, Node, Value};
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::cell::RefCell;
use std::fmt;

/// Reads a typed object from a tree, by a closure that is given the deserializer.
pub fn decode<'de, T>(
    node: &'de Node<'de>,
    read: impl FnOnce(Decoder<'de, '_>) -> Result<T, Error>,
) -> (Result<T, Error>, Vec<Unread>) {
    let unread = RefCell::new(Vec::new());
    let decoder = Decoder {
        node,
        trail: Trail::Root,
        unread: &unread,
    };
    let result = read(decoder);
    (result, unread.into_inner())
}

/// Fields of one object that are told about; more are of no use to anybody.
const MOST_UNREAD: usize = 20;

/// A field that the kind does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Path of the field.
    pub path: String,
    /// Where it stands.
    pub mark: Mark,
    /// A field that the kind does have, and that looks much like it.
    pub similar: Option<&'static str>,
}

/// Why an object can't be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The field, once known.
    pub path: Option<String>,
    /// Its place, once known.
    pub mark: Option<Mark>,
    /// What is wrong with it.
    pub message: String,
}

/// A node on its way to become a value of a type.
#[derive(Clone, Copy)]
pub struct Decoder<'de, 't> {
    node: &'de Node<'de>,
    trail: Trail<'t>,
    unread: &'t RefCell<Vec<Unread>>,
}

impl<'de> Decoder<'de, '_> {
    /// The inner-most place wins: it is set first, while the error makes its way out.
    fn placed<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.map_err(|mut error| {
            if error.path.is_none() {
                error.path = Some(self.trail.to_string());
                error.mark = Some(self.node.mark);
            }
            error
        })
    }

    fn map<V: Visitor<'de>>(
        self,
        map: &'de Map<'de>,
        fields: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if let Some(repeated) = map.repeated {
            let entry = &map.entries[repeated as usize];
            return Err(Error {
                path: Some(Trail::Key(&self.trail, &entry.key).to_string()),
                mark: Some(entry.mark),
                message: format!("the key `{}` stands here a second time", entry.key),
            });
        }
        visitor.visit_map(Entries {
            left: map.entries.iter(),
            current: None,
            nulls: fields.is_none(),
            parent: self,
        })
    }
}

impl<'de> Deserializer<'de> for Decoder<'de, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match &self.node.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_borrowed_str(text),
            Value::List(items) => visitor.visit_seq(Items {
                items: items.iter().enumerate(),
                parent: self,
            }),
            Value::Map(map) => self.map(map, None, visitor),
        };
        self.placed(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Null => self.placed(visitor.visit_borrowed_str("")),
            Value::Bool(value) => {
                let message = format!("`{value}` is a truth value, text is expected: put it in quotes");
                self.placed(Err(Error::custom(message)))
            }
            Value::Int(_) | Value::Float(_) => {
                let message = "a number stands where text is expected: put it in quotes";
                self.placed(Err(Error::custom(message)))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Value::Map(map) = &self.node.value else {
            return self.deserialize_any(visitor);
        };
        for entry in &map.entries {
            let known = fields.contains(&&*entry.key) || fields::is_unread(name, &entry.key);
            if !known && self.unread.borrow().len() < MOST_UNREAD {
                self.unread.borrow_mut().push(Unread {
                    path: Trail::Key(&self.trail, &entry.key).to_string(),
                    mark: entry.mark,
                    similar: fields::similar(&entry.key, fields),
                });
            }
        }
        let result = self.map(map, Some(fields), visitor);
        self.placed(result)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = visitor.visit_enum(self);
        self.placed(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

/// The entries of a map, one after the other.
struct Entries<'de, 't> {
    left: std::slice::Iter<'de, Entry<'de>>,
    current: Option<&'de Entry<'de>>,
    /// Whether `null` values count as values (in maps) or as absent (in structs).
    nulls: bool,
    parent: Decoder<'de, 't>,
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let nulls = self.nulls;
        let entry = self
            .left
            .find(|entry| nulls || !matches!(entry.value.value, Value::Null));
        let Some(entry) = entry else { return Ok(None) };
        self.current = Some(entry);
        seed.deserialize(de::value::BorrowedStrDeserializer::new(&entry.key))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some(entry) = self.current.take() else {
            return Err(Error::custom("a value is asked for before its key"));
        };
        let decoder = Decoder {
            node: &entry.value,
            trail: Trail::Key(&self.parent.trail, &entry.key),
            unread: self.parent.unread,
        };
        // Errors of the type itself (a duration that is none) have no place yet.
        let result = seed.deserialize(decoder);
        decoder.placed(result)
    }

    fn size_hint(&self) -> Option<usize> {
        self.nulls.then(|| self.left.len())
    }
}

/// The items of a list, one after the other.
struct Items<'de, 't> {
    items: std::iter::Enumerate<std::slice::Iter<'de, Node<'de>>>,
    parent: Decoder<'de, 't>,
}

impl<'de> SeqAccess<'de> for Items<'de, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.next() else {
            return Ok(None);
        };
        let decoder = Decoder {
            node,
            trail: Trail::Item(&self.parent.trail, index),
            unread: self.parent.unread,
        };
        let result = seed.deserialize(decoder);
        decoder.placed(result).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// A word as a variant without content.
impl<'de> EnumAccess<'de> for Decoder<'de, '_> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        match self.node.text() {
            Some(word) => seed
                .deserialize(de::value::StrDeserializer::new(word))
                .map(|value| (value, self)),
            None => Err(Error::custom("a word is expected")),
        }
    }
}

impl<'de> VariantAccess<'de> for Decoder<'de, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, Error> {
        Err(Error::invalid_type(
            Unexpected::UnitVariant,
            &"a variant with content",
        ))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::invalid_type(
            Unexpected::UnitVariant,
            &"a variant with content",
        ))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        Err(Error::invalid_type(
            Unexpected::UnitVariant,
            &"a variant with content",
        ))
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self {
            path: None,
            mark: None,
            message: message.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::super::tree::{Format, parse};
    use super::{Error, Unread, decode};
    use serde::Deserialize;
    use translate::Object;

    fn object(text: &str) -> (Result<Option<Object>, Error>, Vec<Unread>) {
        let root = parse(text, Format::Yaml).unwrap().remove(0);
        let word = |field: &str| root.get(field).and_then(|node| node.text()).unwrap_or_default();
        let (version, kind) = (word("apiVersion"), word("kind"));
        decode(&root, |decoder| Object::decode(version, kind, decoder))
    }

    #[test]
    fn every_form_of_value_reaches_its_type() {
        #[derive(Debug, Default, PartialEq, Deserialize)]
        #[serde(default)]
        struct All {
            text: String,
            count: u16,
            share: f64,
            flag: Option<bool>,
            none: Option<String>,
            absent: Vec<u8>,
            list: Vec<i32>,
            map: std::collections::BTreeMap<String, String>,
            any: serde_json::Value,
        }
        let text = "text: a\ncount: 7\nshare: 0.5\nflag: true\nnone: ~\nabsent: null\nlist: [1, 2]\nmap: {a: b, c: }\nany: {x: [1, null]}\n";
        let root = parse(text, Format::Yaml).unwrap().remove(0);
        let (all, unread) = decode(&root, |decoder| All::deserialize(decoder));
        let all = all.unwrap();
        assert_eq!(all.text, "a");
        assert_eq!((all.count, all.flag, all.none), (7, Some(true), None));
        assert!(all.absent.is_empty());
        assert_eq!(all.list, [1, 2]);
        assert_eq!(all.map["c"], "");
        assert_eq!(all.any, serde_json::json!({"x": [1, null]}));
        assert!(unread.is_empty());
    }

    #[test]
    fn an_error_names_the_field_and_its_place() {
        for (field, path, line, words) in [
            (
                "spec:\n  rules:\n  - matches:\n    - path: {value: 7}\n",
                "spec.rules[0].matches[0].path.value",
                7,
                "quotes",
            ),
            (
                "spec:\n  rules:\n  - backendRefs:\n    - name: a\n      port: 70000\n",
                "spec.rules[0].backendRefs[0].port",
                8,
                "70000",
            ),
            ("spec:\n  rules: {}\n", "spec.rules", 5, "map"),
            ("spec:\n  hostnames: [a, a: b]\n", "spec.hostnames[1]", 5, "map"),
            (
                "spec:\n  hostnames: [a]\n  hostnames: [b]\n",
                "spec.hostnames",
                6,
                "second time",
            ),
        ] {
            let text = format!(
                "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r}}\n{field}"
            );
            let error = object(&text).0.unwrap_err();
            assert_eq!(error.path.as_deref(), Some(path), "{}", error.message);
            assert_eq!(error.mark.unwrap().line, line, "{path}");
            assert!(error.message.contains(words), "{}", error.message);
        }
    }

    #[test]
    fn an_annotation_without_quotes_is_explained() {
        let text = "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  annotations:\n    a.b/c: true\n";
        let error = object(text).0.unwrap_err();
        assert_eq!(error.path.as_deref(), Some("metadata.annotations[\"a.b/c\"]"));
        assert!(error.message.contains("put it in quotes"), "{}", error.message);
    }

    #[test]
    fn a_field_that_the_kind_does_not_have_is_noticed() {
        let text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, uid: x}\nspec:\n  ingressClasName: a\n  rules: []\nstatus: {}\n";
        let (result, unread) = object(text);
        assert!(result.is_ok());
        assert_eq!(unread.len(), 1);
        assert_eq!(unread[0].path, "spec.ingressClasName");
        assert_eq!(unread[0].mark.line, 5);
        assert_eq!(unread[0].similar, Some("ingressClassName"));
    }
}
