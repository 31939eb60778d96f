//! From the text of a file to objects, with the place of every part of them.
//!
//! YAML and JSON are read into one tree ([`tree`]) whose nodes know their line and column; typed objects are decoded
//! from the tree ([`decode`]), so that an error names the field it is about. [`document`] knows what a Kubernetes
//! file looks like: several documents, `List` kinds.

pub mod decode;
pub mod document;
mod fields;
mod json;
pub mod path;
mod pieces;
pub mod tree;
mod yaml;

pub use document::{Item, Outcome, find, items};
pub use tree::{Format, Mark, SyntaxError, parse};
