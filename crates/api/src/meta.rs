//! What every object has.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `metadata`, as far as anything reads it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Meta {
    /// Name within its namespace and kind.
    pub name: Arc<str>,
    /// Empty for cluster-scoped kinds. Sources fill in `default` for namespaced objects without one.
    pub namespace: Arc<str>,
    /// Labels.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: Texts,
    /// Annotations.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: Texts,
    /// Version of the `spec`; 0 when read from a file that doesn't say.
    pub generation: i64,
    /// `creationTimestamp` in seconds since 1970; 0 when the object doesn't say.
    #[serde(rename = "creationTimestamp", with = "timestamp")]
    pub created: i64,
}

/// Labels or annotations, each name once. Objects have few of them and there are many thousand objects, so they are a
/// list, and none take one word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<String, String>")]
pub struct Texts(Option<Box<Pairs>>);

/// In order of their names.
type Pairs = Vec<(Box<str>, Box<str>)>;

impl Texts {
    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    /// All names and values, in order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.0.iter().flat_map(|pairs| pairs.iter());
        pairs.map(|(name, value)| (&**name, &**value))
    }

    /// Forgets all but these.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        if let Some(pairs) = &mut self.0 {
            pairs.retain(|(name, _)| keep(name));
            pairs.shrink_to_fit();
            if pairs.is_empty() {
                self.0 = None;
            }
        }
    }
}

impl From<BTreeMap<String, String>> for Texts {
    fn from(texts: BTreeMap<String, String>) -> Self {
        let pairs = texts.into_iter().map(|(name, value)| (name.into(), value.into()));
        let pairs: Pairs = pairs.collect();
        Self((!pairs.is_empty()).then(|| Box::new(pairs)))
    }
}

impl From<&Texts> for BTreeMap<String, String> {
    fn from(texts: &Texts) -> Self {
        let pairs = texts
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        pairs.collect()
    }
}

/// As a map.
impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// A kind of object.
pub trait Resource: Sized {
    /// `HTTPRoute`
    const KIND: &'static str;
    /// API group; empty for the core group.
    const GROUP: &'static str;
    /// Versions whose shape this type reads.
    const VERSIONS: &'static [&'static str];
    /// Whether objects live in a namespace.
    const NAMESPACED: bool;
    /// The object's metadata.
    fn meta(&self) -> &Meta;
    /// The object's metadata, for sources that complete it.
    fn meta_mut(&mut self) -> &mut Meta;
    /// Takes what it says as another object does from that, so that it is held once. Says the same as before.
    fn share_with(&mut self, _other: &Self) {}
}

/// Implements [`Resource`] for a struct with a field `metadata`.
macro_rules! resource {
    ($type:ident, $group:literal, [$($version:literal),+], $namespaced:literal $(, $share:path)?) => {
        impl $crate::Resource for $type {
            const KIND: &'static str = stringify!($type);
            const GROUP: &'static str = $group;
            const VERSIONS: &'static [&'static str] = &[$($version),+];
            const NAMESPACED: bool = $namespaced;
            fn meta(&self) -> &$crate::Meta { &self.metadata }
            fn meta_mut(&mut self) -> &mut $crate::Meta { &mut self.metadata }
            $(fn share_with(&mut self, other: &Self) { $share(&mut self.spec, &other.spec) })?
        }
    };
}
pub(crate) use resource;

/// Reads `null` (an empty YAML value) as the default.
pub(crate) fn null_as_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a list, also a `null`, with no more room than it takes: objects are kept for long.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    let mut items: Vec<T> = null_as_default(deserializer)?;
    items.shrink_to_fit();
    Ok(items)
}

/// Reads a list that stays as long as it is, also a `null`.
pub(crate) fn boxed<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Box<[T]>, D::Error> {
    let items: Vec<T> = null_as_default(deserializer)?;
    Ok(items.into())
}

/// The same behind one word, for what nearly all objects share.
pub(crate) fn shared_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Arc<Vec<T>>, D::Error> {
    list(deserializer).map(Arc::new)
}

/// Reads a list that objects may share, also a `null`.
pub(crate) fn shared<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Arc<[T]>, D::Error> {
    let items: Vec<T> = null_as_default(deserializer)?;
    Ok(items.into())
}

/// RFC 3339 text to seconds since 1970 and back.
mod timestamp {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(seconds: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_second(*seconds) {
            Ok(timestamp) => serializer.collect_str(&timestamp),
            Err(error) => Err(serde::ser::Error::custom(error)),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let Some(text) = Option::<String>::deserialize(deserializer)? else {
            return Ok(0);
        };
        text.parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_second)
            .map_err(D::Error::custom)
    }
}
