//! Host patterns and how specific they are.

use serde::{Serialize, Serializer};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// Which hosts something is for. Names are lower-case ASCII, without port or trailing dot. Whoever keeps one shares its
/// text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum HostPattern {
    /// Every host, and requests without one.
    #[default]
    Any,
    /// One name.
    Exact(Arc<str>),
    /// `*.example.com`. The text is what follows the star, with its dot: `.example.com`.
    Wildcard {
        /// `.example.com`
        suffix: Arc<str>,
        /// True: the star stands for exactly one label (Ingress). False: for one or more (Gateway API).
        one_label: bool,
    },
}

impl HostPattern {
    /// Whether `host` (lower-case, no port, no trailing dot) is covered.
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => **name == *host,
            Self::Wildcard { suffix, one_label } => match host.strip_suffix(&**suffix) {
                Some("") | None => false,
                Some(star) => !*one_label || !star.contains('.'),
            },
        }
    }

    /// Whether some host is covered by both.
    pub fn intersects(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::Exact(a), b) | (b, Self::Exact(a)) => b.matches(a),
            (
                Self::Wildcard {
                    suffix: a,
                    one_label: one_a,
                },
                Self::Wildcard {
                    suffix: b,
                    one_label: one_b,
                },
            ) => a == b || (a.ends_with(&**b) && !*one_b) || (b.ends_with(&**a) && !*one_a),
        }
    }

    /// Most specific first: exact, then wildcards by length of their suffix, then any.
    /// Equal for patterns that are equally specific, also when they differ.
    pub fn specificity(&self, other: &Self) -> Ordering {
        other.weight().cmp(&self.weight())
    }

    fn weight(&self) -> (u8, usize) {
        match self {
            Self::Any => (0, 0),
            Self::Wildcard { suffix, .. } => (1, suffix.len()),
            Self::Exact(name) => (2, name.len()),
        }
    }
}

/// `*`, `shop.example.com`, `*.example.com`.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard { suffix, .. } => write!(f, "*{suffix}"),
        }
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Wildcard { one_label: true, .. } => {
                serializer.collect_str(&format_args!("{self} (one label)"))
            }
            _ => serializer.collect_str(self),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HostPattern;

    fn wildcard(suffix: &str, one_label: bool) -> HostPattern {
        HostPattern::Wildcard {
            suffix: suffix.into(),
            one_label,
        }
    }

    #[test]
    fn a_gateway_wildcard_covers_many_labels_but_not_the_bare_domain() {
        let star = wildcard(".example.com", false);
        assert!(star.matches("a.example.com") && star.matches("a.b.example.com"));
        assert!(
            !star.matches("example.com") && !star.matches(".example.com") && !star.matches("aexample.com")
        );
    }

    #[test]
    fn an_ingress_wildcard_covers_exactly_one_label() {
        let star = wildcard(".example.com", true);
        assert!(star.matches("a.example.com"));
        assert!(!star.matches("a.b.example.com") && !star.matches("example.com"));
    }

    #[test]
    fn wildcards_intersect_when_one_is_inside_the_other() {
        assert!(wildcard(".com", false).intersects(&wildcard(".example.com", false)));
        assert!(!wildcard(".com", true).intersects(&wildcard(".example.com", false)));
        assert!(!wildcard(".org", false).intersects(&wildcard(".example.com", false)));
        assert!(wildcard(".example.com", false).intersects(&HostPattern::Exact("a.example.com".into())));
    }
}
