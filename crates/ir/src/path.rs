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
    /// the normal form only in how characters are escaped or in repeated slashes inside, else the normal form.
    pub forward: &'a str,
}

/// Reads the path of a request (without `?` and query). `room` is used only if `raw` is not normal already.
pub fn read<'a>(raw: &'a [u8], policy: &PathPolicy, room: &'a mut String) -> Result<Path<'a>, PathError> {
    match std::str::from_utf8(raw) {
        Ok(text) => read_text(text, policy, room),
        Err(_) => {
            write_normal(raw, policy, Source::Request, room)?;
            Ok(Path {
                normal: room,
                forward: room,
            })
        }
    }
}

/// As [`read`], for a path that is known to be text.
pub fn read_text<'a>(raw: &'a str, policy: &PathPolicy, room: &'a mut String) -> Result<Path<'a>, PathError> {
    if is_plainly_normal(raw.as_bytes(), policy) {
        return Ok(Path {
            normal: raw,
            forward: raw,
        });
    }
    let changed = write_normal(raw.as_bytes(), policy, Source::Request, room)?;
    Ok(Path {
        normal: room,
        forward: if changed == Changed::Spelling { raw } else { room },
    })
}

/// Brings the path of a rule into the normal form. Tolerant where a request is not: what may not stand in a path
/// (a space, a backslash, `é`, a `%` that starts no escape) is taken literally and escaped. Dot segments are
/// refused: such a rule could never match.
pub fn rule(text: &str, policy: &PathPolicy) -> Result<String, PathError> {
    let mut room = String::new();
    match write_normal(text.as_bytes(), policy, Source::Rule, &mut room)? {
        Changed::Structure if has_dot_segment(text) => Err(PathError::Dots),
        _ => Ok(room),
    }
}

/// Whether a path is in the normal form already, so that [`read`] gives it back untouched.
pub fn is_normal(raw: &[u8], policy: &PathPolicy) -> bool {
    let mut room = String::new();
    is_plainly_normal(raw, policy)
        || write_normal(raw, policy, Source::Request, &mut room).is_ok() && room.as_bytes() == raw
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
    /// A dot segment that only some servers would see: beside an escaped slash or backslash, or before `;`.
    HiddenDots,
    /// An escaped slash or backslash, and the policy refuses it.
    EscapedSlash,
    /// A dot segment in the path of a rule.
    Dots,
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
            Self::HiddenDots => "a dot segment stands beside an escaped slash or a semicolon",
            Self::EscapedSlash => "the path holds an escaped slash",
            Self::Dots => "the path holds a dot segment",
        })
    }
}

impl std::error::Error for PathError {}

/// Who wrote a path, and so how much is forgiven.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Request,
    Rule,
}

/// What became of a path on its way to the normal form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Changed {
    /// At most the spelling of characters, or slashes merged behind the first segment.
    Spelling,
    /// Segments went, or bytes that may not be sent were escaped.
    Structure,
}

/// What a byte means in a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// RFC 3986 `pchar` without escapes: stands for itself, and its escape stands for it.
    Plain,
    Slash,
    Percent,
    /// Printable ASCII that should have been escaped; clients send it all the same.
    Lax,
    High,
    Fragment,
    Backslash,
    Control,
}

/// True only for normal paths, but false for some that are: those with escaped slashes, or segments that begin
/// with a dot and hold a semicolon, take the long way.
fn is_plainly_normal(raw: &[u8], policy: &PathPolicy) -> bool {
    if raw.first() != Some(&b'/') {
        return false;
    }
    let mut at = 1;
    let mut after_slash = true;
    while let Some(&byte) = raw.get(at) {
        match CLASS[usize::from(byte)] {
            Class::Plain => {
                if after_slash && byte == b'.' && is_dots(&raw[at..]) {
                    return false;
                }
                after_slash = false;
            }
            Class::Slash => {
                if after_slash && policy.merge_slashes {
                    return false;
                }
                after_slash = true;
            }
            Class::Percent => {
                let escaped = match raw.get(at + 1..at + 3) {
                    Some(&[high, low]) if is_upper_hex(high) && is_upper_hex(low) => {
                        hex(high) * 16 + hex(low)
                    }
                    _ => return false,
                };
                if matches!(escaped, 0 | b'/' | b'\\') || CLASS[usize::from(escaped)] == Class::Plain {
                    return false;
                }
                at += 2;
                after_slash = false;
            }
            _ => return false,
        }
        at += 1;
    }
    true
}

/// Whether a segment that starts here is `.` or `..`, or one of them before a semicolon.
fn is_dots(rest: &[u8]) -> bool {
    let dots = if rest.starts_with(b"..") { 2 } else { 1 };
    matches!(rest.get(dots), None | Some(b'/' | b';'))
}

fn write_normal(
    raw: &[u8],
    policy: &PathPolicy,
    source: Source,
    out: &mut String,
) -> Result<Changed, PathError> {
    out.clear();
    let Some((b'/', rest)) = raw.split_first() else {
        return Err(PathError::NoSlash);
    };
    out.reserve(raw.len());
    out.push('/');
    let mut changed = Changed::Spelling;
    let mut segment = Segment::default();
    let mut bytes = rest.iter();
    while let Some(&byte) = bytes.next() {
        match CLASS[usize::from(byte)] {
            Class::Slash => changed = end_segment(out, &mut segment, true, policy, changed)?,
            Class::Plain => out.push(char::from(byte)),
            Class::Percent => match escape(bytes.as_slice()) {
                Some(0) => return Err(PathError::Control),
                Some(escaped) => {
                    bytes.nth(1);
                    if CLASS[usize::from(escaped)] == Class::Plain {
                        out.push(char::from(escaped));
                    } else {
                        segment.hides_slash |= matches!(escaped, b'/' | b'\\');
                        push_escape(out, escaped);
                    }
                }
                None if source == Source::Rule => push_escape(out, b'%'),
                None => return Err(PathError::Escape),
            },
            Class::Lax => push_escape(out, byte),
            Class::High => {
                changed = Changed::Structure;
                push_escape(out, byte);
            }
            _ if byte == 0 => return Err(PathError::Control),
            class if source == Source::Rule => {
                segment.hides_slash |= class == Class::Backslash;
                push_escape(out, byte);
            }
            Class::Fragment => return Err(PathError::Fragment),
            Class::Backslash => return Err(PathError::Backslash),
            Class::Control => return Err(PathError::Control),
        }
    }
    end_segment(out, &mut segment, false, policy, changed)
}

/// The segment that is being written.
struct Segment {
    /// Where it starts in the output.
    start: usize,
    /// Whether it holds an escaped slash or backslash.
    hides_slash: bool,
}

impl Default for Segment {
    fn default() -> Self {
        Self {
            start: 1,
            hides_slash: false,
        }
    }
}

/// RFC 3986 §5.2.4, one segment at a time. `slash`: whether a slash follows, or the path ends here.
fn end_segment(
    out: &mut String,
    segment: &mut Segment,
    slash: bool,
    policy: &PathPolicy,
    changed: Changed,
) -> Result<Changed, PathError> {
    let text = &out[segment.start..];
    if segment.hides_slash && policy.refuse_escaped_slashes {
        return Err(PathError::EscapedSlash);
    }
    let dots = matches!(text, "." | "..");
    if !dots && hides_dots(text, segment.hides_slash) {
        return Err(PathError::HiddenDots);
    }
    segment.hides_slash = false;
    if dots {
        if text == ".." {
            let parent = out[..segment.start - 1].rfind('/').ok_or(PathError::AboveRoot)?;
            segment.start = parent + 1;
        }
        out.truncate(segment.start);
        return Ok(Changed::Structure);
    }
    if slash && text.is_empty() && policy.merge_slashes {
        // `//shop/x` is an authority and a path to whoever resolves it as a reference (RFC 3986 §4.2).
        return Ok(if segment.start == 1 {
            Changed::Structure
        } else {
            changed
        });
    }
    if slash {
        out.push('/');
        segment.start = out.len();
    }
    Ok(changed)
}

/// Whether a server that reads escaped slashes as slashes, or drops what follows a semicolon (RFC 3986 §3.3 calls
/// these parameters of a segment; servlet containers strip them), would find a dot segment here.
fn hides_dots(text: &str, hides_slash: bool) -> bool {
    let before_semicolon = |piece: &str| matches!(piece.split(';').next(), Some("." | ".."));
    if hides_slash {
        text.split("%2F")
            .flat_map(|piece| piece.split("%5C"))
            .any(before_semicolon)
    } else {
        text.starts_with('.') && before_semicolon(text)
    }
}

fn has_dot_segment(text: &str) -> bool {
    // Compares after decoding: only dots matter here.
    let dotted = text.replace("%2e", ".").replace("%2E", ".");
    dotted.split('/').any(|segment| matches!(segment, "." | ".."))
}

fn escape(rest: &[u8]) -> Option<u8> {
    match rest {
        [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Some(hex(*high) * 16 + hex(*low))
        }
        _ => None,
    }
}

fn push_escape(out: &mut String, byte: u8) {
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn is_upper_hex(digit: u8) -> bool {
    matches!(digit, b'0'..=b'9' | b'A'..=b'F')
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 32).wrapping_sub(b'a') + 10,
    }
}

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

/// Meaning of each byte.
static CLASS: [Class; 256] = {
    let mut classes = [Class::Control; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Class::Plain,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => {
                Class::Plain
            }
            b'/' => Class::Slash,
            b'%' => Class::Percent,
            b'#' | b'?' => Class::Fragment,
            b'\\' => Class::Backslash,
            0..=b' ' | 0x7f => Class::Control,
            0x80..=0xff => Class::High,
            _ => Class::Lax,
        };
        byte += 1;
    }
    classes
};

#[cfg(test)]
mod tests;
