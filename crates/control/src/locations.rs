//! Where objects, their fields and findings about them stand in the files.

use crate::files;
use crate::text::{self, Mark};
use ir::{Diagnostic, Origin};
use serde::Serialize;
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use translate::Key;

/// Finds places by origin. Clones look at the same, always current, index.
#[derive(Clone, Default)]
pub struct Locations {
    index: Arc<RwLock<Index>>,
}

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The file as it was named, or found below a directory that was named; `-` is standard input.
    pub file: Arc<Path>,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// `examples/shop.yaml:12:7`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

impl Locations {
    /// Where an object begins.
    pub fn of(&self, origin: &Origin) -> Option<Place> {
        let index = self.read();
        let spot = index.spot(origin)?;
        Some(Place::new(&spot.file, spot.mark))
    }

    /// Where a field of an object stands; if the object does not say it, where the nearest field around it does.
    pub fn field(&self, origin: &Origin, field: &str) -> Option<Place> {
        let (spot, source, hasher) = {
            let index = self.read();
            let spot = index.spot(origin)?.clone();
            let source = index.sources.get(&spot.file).cloned();
            (spot, source, index.hasher.clone())
        };
        let object = Place::new(&spot.file, spot.mark);
        if field.is_empty() {
            return Some(object);
        }
        // Places of fields are asked for rarely; they are not worth keeping.
        let found = source
            .and_then(|source| source.text(&spot.file, &hasher))
            .and_then(|text| {
                text::find(
                    &text,
                    files::format(&spot.file, &text),
                    spot.document,
                    spot.base.as_ref().map_or("", |base| base.as_str()),
                    field,
                )
            });
        Some(found.map_or(object, |mark| Place::new(&spot.file, mark)))
    }

    /// Where a finding points.
    pub fn place(&self, diagnostic: &Diagnostic) -> Option<Place> {
        let known = self.read().findings.get(diagnostic).cloned();
        known.or_else(|| self.field(&diagnostic.origin, &diagnostic.field))
    }

    /// The file of the object that is in use.
    pub(crate) fn file(&self, (kind, key): &(&'static str, Key)) -> Option<Arc<Path>> {
        let index = self.read();
        let spot = index.objects.get(kind)?.get(key)?;
        Some(Arc::clone(&spot.file))
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Locations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locations")
            .field(
                "objects",
                &self
                    .read()
                    .objects
                    .values()
                    .map(|spots| spots.0.len())
                    .sum::<usize>(),
            )
            .finish()
    }
}

impl Place {
    pub(crate) fn new(file: &Arc<Path>, mark: Mark) -> Self {
        Self {
            file: Arc::clone(file),
            line: mark.line,
            column: mark.column,
        }
    }
}

/// What the store knows about places.
#[derive(Default)]
pub(crate) struct Index {
    /// The object that is in use, by kind and key.
    pub objects: HashMap<&'static str, Spots>,
    /// Findings of the store itself.
    pub findings: HashMap<Diagnostic, Place>,
    /// How to get at the text of a file again.
    pub sources: BTreeMap<Arc<Path>, Source>,
    hasher: RandomState,
}

/// Objects of one kind that are in use, each with its place.
#[derive(Debug, Default)]
pub(crate) struct Spots(HashSet<Keyed>);

/// A place by its key. There is one for each of many thousand objects, so the table that finds it, of which a third is
/// empty, holds a word for it.
#[derive(Debug)]
struct Keyed(Box<(Key, Spot)>);

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The file.
    pub file: Arc<Path>,
    /// Where the object begins.
    pub mark: Mark,
    /// Index of its document.
    pub document: u32,
    /// Its place among the objects of the file.
    pub position: u32,
    /// Path within the document; unset: it is the document.
    #[expect(clippy::box_collection, reason = "few have one")]
    pub base: Option<Box<String>>,
}

/// How to get at the text of a file again.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// From the file, if it still has this hash.
    File { hash: u64 },
    /// It was kept.
    Kept(Arc<str>),
}

impl Spots {
    pub fn get(&self, key: &Key) -> Option<&Spot> {
        self.0.get(key).map(|known| &known.0.1)
    }

    /// Puts an object at a place. Where it was before.
    pub fn insert(&mut self, key: Key, spot: Spot) -> Option<Spot> {
        // The text of the key that is there is the one that the object has.
        let key = self.0.get(&key).map_or(key, |known| known.0.0.clone());
        self.0.replace(Keyed(Box::new((key, spot)))).map(|old| old.0.1)
    }

    pub fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }
}

impl Borrow<Key> for Keyed {
    fn borrow(&self) -> &Key {
        &self.0.0
    }
}

/// As that of the key alone.
impl Hash for Keyed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.0.hash(state);
    }
}

impl PartialEq for Keyed {
    fn eq(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }
}

impl Eq for Keyed {}

impl Index {
    /// Remembers the text of a file: standard input itself, of a file its hash.
    pub(crate) fn remember(&mut self, file: &Arc<Path>, text: &str) {
        let source = if file.as_os_str() == files::STDIN {
            Source::Kept(text.into())
        } else {
            Source::File {
                hash: self.hasher.hash_one(text),
            }
        };
        self.sources.insert(Arc::clone(file), source);
    }

    fn spot(&self, origin: &Origin) -> Option<&Spot> {
        let key = Key::new(Arc::clone(&origin.namespace), Arc::clone(&origin.name));
        self.objects.get(&*origin.kind)?.get(&key)
    }
}

impl Source {
    fn text(&self, file: &Path, hasher: &RandomState) -> Option<Arc<str>> {
        match self {
            Self::Kept(text) => Some(Arc::clone(text)),
            Self::File { hash } => {
                let text = std::fs::read_to_string(file).ok()?;
                (hasher.hash_one(text.as_str()) == *hash).then(|| text.into())
            }
        }
    }
}
