//! Looks at the parts of a request line, and at hosts, sixteen bytes at a step.
//!
//! A part is followed by other bytes of its head, so the last step may reach beyond it: what lies there is masked out. At
//! the very end of a head there is no whole step; then the caller looks byte by byte, which it must be able to anyway for
//! what is unusual.

use super::Span;
use crate::sys::{STEP, bytes_within, equal_bytes};

/// One step of a part.
struct Step<'a> {
    bytes: &'a [u8; STEP],
    /// The bits of the bytes that belong to the part.
    mask: u32,
}

/// The steps of a part. `None` comes in place of one that the bytes do not reach for.
#[inline]
fn steps(raw: &[u8], part: Span) -> impl Iterator<Item = Option<Step<'_>>> {
    let (mut at, end) = (part.start as usize, part.end as usize);
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let (bytes, left) = (raw.get(at..)?.first_chunk(), end - at);
        at += STEP;
        Some(bytes.map(|bytes| Step {
            bytes,
            mask: if left < STEP { (1 << left) - 1 } else { WHOLE },
        }))
    })
}

/// Whether an authority is a host in its normal form beyond doubt: small letters, digits, dashes, and single dots between
/// them. False says nothing.
#[inline]
pub(super) fn is_plain_host(raw: &[u8], host: Span) -> bool {
    const PLAIN: [(u8, u8); 3] = [(b'a', b'z'), (b'0', b'9'), (b'-', b'.')];
    // Whether the byte before was a dot, or there is none.
    let mut after_dot = 1;
    for step in steps(raw, host) {
        let Some(Step { bytes, mask }) = step else {
            return false;
        };
        let dots = equal_bytes(bytes, b'.') & mask;
        if bytes_within(bytes, PLAIN) & mask != mask || dots & (dots << 1 | after_dot) != 0 {
            return false;
        }
        // Of the last byte of the part, which in the last step is the end.
        after_dot = u32::from(dots > mask >> 1);
    }
    after_dot == 0 && host.len() <= LONGEST_HOST
}

/// Whether a path is in its normal form beyond doubt, whatever the policy: nothing escaped, no segment that begins with a
/// dot, no empty one but the last. False says nothing.
#[inline]
pub(super) fn is_plain_path(raw: &[u8], path: Span) -> bool {
    const PLAIN: [(u8, u8); 6] = [
        (b'a', b'z'),
        (b'A', b'Z'),
        // Digits, the slash, the dot, and & ' ( ) * + , - : ;
        (b'&', b';'),
        (b'_', b'_'),
        (b'=', b'='),
        (b'~', b'~'),
    ];
    if raw.get(path.start as usize) != Some(&b'/') {
        return false;
    }
    let mut after_slash = 0;
    for step in steps(raw, path) {
        let Some(Step { bytes, mask }) = step else {
            return false;
        };
        let slashes = equal_bytes(bytes, b'/') & mask;
        let doubtful = (slashes | equal_bytes(bytes, b'.')) & (slashes << 1 | after_slash);
        if bytes_within(bytes, PLAIN) & mask != mask || doubtful & mask != 0 {
            return false;
        }
        after_slash = slashes >> (STEP - 1);
    }
    true
}

/// Where the first question mark of a target is, if there is one; an error if a byte may not stand in a target: printable
/// ASCII only, and a fragment never goes over the wire (RFC 9112 §3.2, RFC 3986 §2).
#[inline]
pub(super) fn question(raw: &[u8], target: Span) -> Result<Option<usize>, Unprintable> {
    const MAY: [(u8, u8); 2] = [(b'!', b'"'), (b'$', b'~')];
    let mut first = None;
    for (at, step) in (0..).step_by(STEP).zip(steps(raw, target)) {
        let Some(Step { bytes, mask }) = step else {
            return question_slowly(target.of_bytes(raw));
        };
        if bytes_within(bytes, MAY) & mask != mask {
            return Err(Unprintable);
        }
        let questions = equal_bytes(bytes, b'?') & mask;
        if questions != 0 && first.is_none() {
            first = Some(at + questions.trailing_zeros() as usize);
        }
    }
    Ok(first)
}

/// A target holds a byte that none may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unprintable;

#[cold]
fn question_slowly(target: &[u8]) -> Result<Option<usize>, Unprintable> {
    if target.iter().any(|byte| matches!(byte, b'#' | ..=0x20 | 0x7f..)) {
        return Err(Unprintable);
    }
    Ok(target.iter().position(|&byte| byte == b'?'))
}

/// The bits of a whole step.
const WHOLE: u32 = (1 << STEP) - 1;
/// Names of DNS are no longer.
const LONGEST_HOST: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    /// A part at every place relative to the steps, with and without enough bytes behind it.
    fn placed(part: &[u8], mut each: impl FnMut(&[u8], Span)) {
        for before in 0..3 {
            for behind in [0, 1, 15, 16, 40] {
                // What lies around it would be wrong in any part.
                let raw = [&vec![b'#'; before], part, &vec![b'#'; behind]].concat();
                let span = Span {
                    start: before as u32,
                    end: (before + part.len()) as u32,
                };
                each(&raw, span);
            }
        }
    }

    #[test]
    fn a_target_is_judged_alike_however_it_lies() {
        for length in 0..50 {
            let mut text = vec![b'/'; length];
            placed(&text, |raw, span| assert_eq!(question(raw, span), Ok(None)));
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    text[at] = byte;
                    let expected = question_slowly(&text);
                    placed(&text, |raw, span| assert_eq!(question(raw, span), expected));
                }
                text[at] = b'?';
            }
        }
    }

    #[test]
    fn only_hosts_without_doubt_are_plain() {
        let long = "a.".repeat(126) + "a";
        let plain = [
            "a",
            "a.b",
            "a-b.example",
            "0123456789abcdef.0123456789abcdef",
            &long,
        ];
        for host in plain {
            placed(host.as_bytes(), |raw, span| {
                let whole = raw.len() >= span.start as usize + host.len().next_multiple_of(STEP);
                assert_eq!(is_plain_host(raw, span), whole, "{host}");
            });
        }
        let longer = format!("{long}a");
        let other = [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "A",
            "a:80",
            "a_b",
            "a b",
            "a/b",
            "[::1]",
            "0123456789abcde..b",
            "0123456789abcdef.",
            "0123456789abcde.",
            "0123456789abcdef.B",
            "\u{e9}",
            &longer,
        ];
        for host in other {
            placed(host.as_bytes(), |raw, span| {
                assert!(!is_plain_host(raw, span), "{host}");
            });
        }
    }

    #[test]
    fn a_plain_path_is_one_that_stays_as_it_is() {
        let policy = ir::PathPolicy::default();
        let mut plain = 0;
        // All short texts of what matters, at the seam of two steps.
        let bytes = b"/.a%;~?#\\A\x7f\xe9 ";
        for number in 0..bytes.len().pow(4) {
            let tail = [1, 13, 169, 2197].map(|unit| bytes[number / unit % bytes.len()]);
            for start in [&b"/"[..], b"/aaaaaaaaaaaa"] {
                let path = [start, &tail].concat();
                placed(&path, |raw, span| {
                    if is_plain_path(raw, span) {
                        plain += 1;
                        assert!(ir::path::is_normal(&path, &policy), "{path:?}");
                    }
                });
            }
        }
        assert!(plain > 1000);
        placed(b"/static/js/app.min.js", |raw, span| {
            assert_eq!(is_plain_path(raw, span), raw.len() >= span.start as usize + 32);
        });
    }
}
