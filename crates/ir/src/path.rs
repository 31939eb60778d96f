//! One spelling for every request path, so that a rule can't be passed by writing the path differently.
//!
//! The proxy brings each request path into this form before it is matched, and `translate` brings the paths of
//! rules into it, so that two paths are equal exactly when their bytes are. The policy, with the reason for each
//! line, is `docs/concepts/paths.md`.

use crate::PathPolicy;
use std::fmt;

/// A request path as it is matched and as it is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path<'a> {
    /// The normal form: what rules, filters and logs see.
    pub normal: &'a str,
    /// What the upstream gets when no filter rewrites the path: the client's own spelling where it differs from
    /// the normal form only in percent-escapes or repeated slashes inside, else the normal form.
    pub forward: &'a str,
}

/// Reads the path of a request (without `?` and query). `room` is used only if `raw` is not normal already.
pub fn read<'a>(raw: &'a [u8], policy: &PathPolicy, room: &'a mut String) -> Result<Path<'a>, PathError> {
    let _ = policy;
    room.clear();
    room.push_str(std::str::from_utf8(raw).map_err(|_| PathError::Control)?);
    Ok(Path {
        normal: room,
        forward: room,
    })
}

/// Brings the path of a rule into the normal form. Tolerant where a request is not: what may not stand in a path
/// (a space, a quote, `é`, a `%` that starts no escape) is taken literally and escaped.
pub fn rule(text: &str, policy: &PathPolicy) -> Result<String, PathError> {
    let mut room = String::new();
    Ok(read(text.as_bytes(), policy, &mut room)?.normal.to_owned())
}

/// Why a path is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with `/`.
    NoSlash,
    /// A `%` that is not followed by two hexadecimal digits.
    Escape,
    /// A control character or space, or an escaped NUL.
    Control,
    /// `#` or `?`.
    Fragment,
    /// A backslash, which some servers read as a slash.
    Backslash,
    /// `..` leads above the root.
    AboveRoot,
    /// A dot segment beside an escaped slash or backslash, which some servers read as a slash.
    HiddenDots,
    /// An escaped slash or backslash while the policy refuses it.
    EscapedSlash,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "the path does not begin with /",
            Self::Escape => "a % is not followed by two hexadecimal digits",
            Self::Control => "the path holds a control character or a space",
            Self::Fragment => "the path holds # or ?",
            Self::Backslash => "the path holds a backslash",
            Self::AboveRoot => "the path leads above the root",
            Self::HiddenDots => "a dot segment stands beside an escaped slash",
            Self::EscapedSlash => "the path holds an escaped slash",
        })
    }
}

impl std::error::Error for PathError {}
