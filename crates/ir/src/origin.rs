//! Where a node came from, in plain words. Metrics labels, logs, `explain` and diagnostics use it.
//!
//! It holds no file and line: these change whenever a line above them does, and would make equal things unequal.
//! Whoever has the objects at hand (the CLI, the admin API) looks the place up by origin.

use serde::Serialize;
use std::fmt;
use std::sync::Arc;

/// A user's object, or a part of one.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Origin {
    /// Kubernetes kind: `HTTPRoute`, `Ingress`, `Gateway`, `Service`, `Secret`. `Narthex` for what a flag gave.
    pub kind: Arc<str>,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
    /// Part of the object: a listener's name, a rule's name or `rules[2]`, a Service's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<Arc<str>>,
}

impl Origin {
    /// An object as a whole.
    pub fn new(kind: impl Into<Arc<str>>, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
            section: None,
        }
    }

    /// The same object, narrowed to one of its parts.
    #[must_use]
    pub fn section(&self, section: impl Into<Arc<str>>) -> Self {
        Self {
            section: Some(section.into()),
            ..self.clone()
        }
    }

    /// The object as a whole, without its part.
    #[must_use]
    pub fn object(&self) -> Self {
        Self {
            section: None,
            ..self.clone()
        }
    }
}

/// `HTTPRoute shop/cart#rules[0]`; without namespace `GatewayClass narthex`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if !self.namespace.is_empty() {
            write!(f, "{}/", self.namespace)?;
        }
        f.write_str(&self.name)?;
        if let Some(section) = &self.section {
            write!(f, "#{section}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
