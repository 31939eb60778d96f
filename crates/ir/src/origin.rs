//! Where a node came from, in plain words. Metrics labels, logs, `explain` and diagnostics use it.
//!
//! It holds no file and line: these change whenever a line above them does, and would make equal things unequal.
//! Whoever has the objects at hand (the CLI, the admin API) looks the place up by origin.

use serde::ser::{Serialize, SerializeStruct, Serializer};
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A user's object, or a part of one. Serialises as `{kind, namespace, name, section}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    /// Shared by all that follows from the object: there are many thousand, with several nodes each.
    object: Arc<ObjectName>,
    /// Part of the object: a listener's name, a rule's name or `rules[2]`, a Service's port.
    pub section: Option<Arc<str>>,
}

/// What an [`Origin`] says about the object; read it there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectName {
    /// Kubernetes kind: `HTTPRoute`, `Ingress`, `Gateway`, `Service`, `Secret`. `Narthex` for what a flag gave.
    pub kind: Arc<str>,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
}

impl Origin {
    /// An object as a whole.
    pub fn new(kind: impl Into<Arc<str>>, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        let object = ObjectName {
            kind: kind.into(),
            namespace: namespace.into(),
            name: name.into(),
        };
        Self {
            object: Arc::new(object),
            section: None,
        }
    }

    /// The same object, narrowed to one of its parts.
    #[must_use]
    pub fn section(&self, section: impl Into<Arc<str>>) -> Self {
        Self {
            object: Arc::clone(&self.object),
            section: Some(section.into()),
        }
    }

    /// The object as a whole, without its part.
    #[must_use]
    pub fn object(&self) -> Self {
        Self {
            object: Arc::clone(&self.object),
            section: None,
        }
    }
}

impl Deref for Origin {
    type Target = ObjectName;

    fn deref(&self) -> &ObjectName {
        &self.object
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = 3 + usize::from(self.section.is_some());
        let mut fields = serializer.serialize_struct("Origin", fields)?;
        fields.serialize_field("kind", &*self.kind)?;
        fields.serialize_field("namespace", &*self.namespace)?;
        fields.serialize_field("name", &*self.name)?;
        match &self.section {
            Some(section) => fields.serialize_field("section", &**section)?,
            None => fields.skip_field("section")?,
        }
        fields.end()
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
