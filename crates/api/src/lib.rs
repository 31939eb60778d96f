//! Kubernetes and Gateway API objects as Narthex reads and writes them: lean, tolerant, types only.
//!
//! Only fields that something reads are declared; the rest is dropped while parsing. Every closed set of words
//! is a tolerant enum: a word newer than this program becomes `Other(word)` and concerns one field of one
//! object, never a whole list.

pub mod backend;
pub mod certificates;
pub mod core;
pub mod discovery;
pub mod extension;
pub mod gateway;
mod grpc_route;
mod http_route;
pub mod listener_set;
pub mod meta;
pub mod networking;
pub mod pod;
pub mod policy;
mod session_persistence;
pub mod status;
mod stream_route;
pub mod telemetry;

pub use meta::{Meta, Resource, Texts};

/// Declares an enum of words that keeps words it does not know.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$word_meta:meta])* $word:ident $(= $text:literal)?,)* } default $default:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_meta])* #[doc = concat!("`", stringify!($word), "`")] $word,)*
            /// A word that this program does not know.
            Other(Box<str>),
        }

        impl $name {
            /// The word as it stands in YAML.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$word => $crate::words!(@text $word $($text)?),)* Self::Other(word) => word }
            }
        }

        impl Default for $name { fn default() -> Self { Self::$default } }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                $(if word == $crate::words!(@text $word $($text)?) { return Self::$word; })*
                Self::Other(word.into())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::from)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.as_str()) }
        }
    };
    (@text $word:ident) => { stringify!($word) };
    (@text $word:ident $text:literal) => { $text };
}
pub(crate) use words;
