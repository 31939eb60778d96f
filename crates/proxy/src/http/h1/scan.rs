//! Takes a head apart as its bytes come in: finds its end and its field lines in one pass, 64 bytes at a step and the
//! last of them sixteen at a step.
//!
//! Every byte is looked at once, so a head that is sent a byte at a time costs no more than another. Lines must end in
//! CR LF: a bare LF is where servers disagree (RFC 9112 §2.2). What is wrong with the text, a bare CR, a control
//! character, a line that is no field, is only noted: the limits of a head come first, and are the same however its
//! bytes were cut.

#![allow(
    clippy::inline_always,
    reason = "one loop, cut into pieces for the reader; as calls they would cost as much again"
)]

use super::fields::is_token;
use super::{Fields, Name, Span};
use crate::sys::{STEP, bytes_within, control_bytes, equal_bytes};

/// How far the reading of a head has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct HeadScan {
    /// Bytes looked at.
    scanned: usize,
    /// Start of the line at hand.
    line: usize,
    /// End of the first line with its CR LF; 0 while it is not known.
    first: usize,
    /// The last byte was a CR, and whether an LF follows is not known yet.
    after_return: bool,
    /// The text is not that of a head.
    malformed: bool,
}

/// Bounds on a head.
#[derive(Debug, Clone, Copy)]
pub struct HeadLimits {
    /// Bytes of the first line.
    pub first_line: usize,
    /// Bytes of all field lines.
    pub fields: usize,
    /// Number of field lines; at most [`MOST_FIELDS`] count.
    pub count: usize,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadHead {
    /// A line ends in LF without CR.
    BareLineFeed,
    /// The first line is longer than allowed.
    LongFirstLine,
    /// The fields are more or longer than allowed.
    TooLarge,
}

impl HeadScan {
    /// Length of the head at the start of `bytes`, its empty line included, its field lines in `fields`; `None` when
    /// more is needed.
    pub fn find_end(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, BadHead> {
        // A copy, so that the compiler may keep it in registers.
        let mut scan = *self;
        let limits = HeadLimits {
            count: limits.count.min(MOST_FIELDS),
            ..*limits
        };
        let end = scan.run(bytes, &limits, fields);
        *self = scan;
        end
    }

    #[inline(always)]
    fn run(
        &mut self,
        bytes: &[u8],
        limits: &HeadLimits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, BadHead> {
        if self.after_return && self.scanned < bytes.len() {
            self.malformed |= bytes[self.scanned] != b'\n';
            self.after_return = false;
        }
        while self.scanned < bytes.len() {
            let rest = &bytes[self.scanned..];
            let (mut controls, looked_at) = match rest.first_chunk() {
                Some(step) => (many_controls(step), LONG_STEP),
                None => (u64::from(some_controls(rest, bytes)), STEP),
            };
            while controls != 0 {
                let at = self.scanned + controls.trailing_zeros() as usize;
                controls &= controls - 1;
                let end = if bytes[at..].first_chunk() == Some(b"\r\n") {
                    // The LF has the next bit, or the first one of the next step.
                    controls &= controls.wrapping_sub(1);
                    at + 1
                } else {
                    match bytes[at] {
                        b'\r' if at + 1 == bytes.len() => {
                            self.after_return = true;
                            continue;
                        }
                        // The LF of the CR before it, which has been dealt with.
                        b'\n' if at < self.line => continue,
                        b'\n' if at > self.line && bytes[at - 1] == b'\r' => at,
                        b'\n' => return Err(BadHead::BareLineFeed),
                        b'\t' => continue,
                        _ => {
                            self.malformed = true;
                            continue;
                        }
                    }
                };
                if let Some(end) = self.end_line(end, bytes, limits, fields)? {
                    return Ok(Some(end));
                }
            }
            self.scanned = (self.scanned + looked_at).min(bytes.len());
        }
        if self.first == 0 {
            // The line's own CR may be there already.
            if bytes.len() > limits.first_line + 1 {
                return Err(BadHead::LongFirstLine);
            }
        } else if bytes.len() - self.first > limits.fields + 2 {
            return Err(BadHead::TooLarge);
        }
        Ok(None)
    }

    /// The first line, without its CR LF, once it is there.
    #[inline]
    pub fn first_line(self, bytes: &[u8]) -> &[u8] {
        &bytes[..self.first.saturating_sub(2)]
    }

    /// Whether something in the text was wrong.
    #[inline]
    pub fn malformed(self) -> bool {
        self.malformed
    }

    /// A line ends with the LF at `at`, behind a CR. Gives the length of the head if the line was the empty one.
    #[inline(always)]
    fn end_line(
        &mut self,
        at: usize,
        bytes: &[u8],
        limits: &HeadLimits,
        fields: &mut Fields,
    ) -> Result<Option<usize>, BadHead> {
        let start = self.line;
        let length = at - start;
        self.line = at + 1;
        if self.first == 0 {
            if length > limits.first_line + 1 {
                return Err(BadHead::LongFirstLine);
            }
            self.first = at + 1;
        } else if length == 1 {
            if at - 1 - self.first > limits.fields {
                return Err(BadHead::TooLarge);
            }
            return Ok(Some(at + 1));
        } else {
            if fields.len() >= limits.count {
                return Err(BadHead::TooLarge);
            }
            self.malformed |= !read_field(bytes, start, at - 1, fields);
        }
        Ok(None)
    }
}

/// As [`control_bytes`], of four steps.
#[inline(always)]
fn many_controls(step: &[u8; LONG_STEP]) -> u64 {
    let (steps, _) = step.as_chunks();
    let bits = |at: usize| u64::from(control_bytes(&steps[at])) << (at * STEP);
    bits(0) | bits(1) | bits(2) | bits(3)
}

/// As [`control_bytes`], of the next step or of what is left of `bytes`.
#[inline(always)]
fn some_controls(rest: &[u8], bytes: &[u8]) -> u32 {
    match (rest.first_chunk(), bytes.last_chunk()) {
        (Some(step), _) => control_bytes(step),
        // The last step reaches back to what was looked at before.
        (None, Some(step)) => control_bytes(step) >> (STEP - rest.len()),
        (None, None) => few_controls(rest),
    }
}

/// As [`control_bytes`], of what is less than a step.
#[cold]
fn few_controls(rest: &[u8]) -> u32 {
    let mut step = [b' '; STEP];
    step[..rest.len()].copy_from_slice(rest);
    control_bytes(&step)
}

/// Reads the field line in `bytes[start..end]` (RFC 9112 §5): a token, a colon right behind it, a value with white space
/// around it. False: it is none. It is added all the same, so that lines are counted.
#[inline(always)]
fn read_field(bytes: &[u8], start: usize, end: usize, fields: &mut Fields) -> bool {
    let line = &bytes[start..end];
    let length = colon(bytes, start, line);
    let (name, rest) = line.split_at(length);
    let known = Name::of(name);
    let well_formed = length > 0 && (known != Name::Other || is_name(&bytes[start..], name));
    // As nearly everybody writes it. Where a control character begins or ends a value, the head is refused anyway.
    if let [b':', b' ', value @ ..] = rest
        && value.first().is_some_and(|&byte| byte > b' ')
        && value.last().is_some_and(|&byte| byte > b' ')
    {
        let name = Span {
            start: start as u32,
            end: (start + length) as u32,
        };
        let value = Span {
            start: name.end + 2,
            end: end as u32,
        };
        fields.push_line(name, value, known, true);
        return well_formed;
    }
    push_spaced(bytes, start, end, (length, known), fields);
    well_formed && !rest.is_empty()
}

/// Adds a field line with other white space than most have. Given is also the length of its name.
#[cold]
fn push_spaced(bytes: &[u8], start: usize, end: usize, (length, known): (usize, Name), fields: &mut Fields) {
    let value = bytes[start..end].get(length + 1..).unwrap_or_default();
    let name = Span {
        start: start as u32,
        end: (start + length) as u32,
    };
    let blanks = value.iter().take_while(|byte| is_blank(byte)).count();
    let blanks_behind = value.iter().rev().take_while(|byte| is_blank(byte)).count();
    let value = if blanks == value.len() {
        Span {
            start: name.end,
            end: name.end,
        }
    } else {
        Span {
            start: name.end + 1 + blanks as u32,
            end: (end - blanks_behind) as u32,
        }
    };
    fields.push_line(name, value, known, false);
}

/// Whether a name is a token. `bytes` begin with it and go on behind it.
#[inline]
fn is_name(bytes: &[u8], name: &[u8]) -> bool {
    // What names are mostly made of.
    const USUAL: [(u8, u8); 4] = [(b'a', b'z'), (b'A', b'Z'), (b'0', b'9'), (b'-', b'-')];
    if name.len() <= STEP
        && let Some(step) = bytes.first_chunk::<STEP>()
    {
        let beyond = u32::MAX << name.len();
        if bytes_within(step, USUAL) | beyond == u32::MAX {
            return true;
        }
    }
    name.iter().all(|&byte| is_token(byte))
}

#[inline]
fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Fields of a text that is nothing but field lines.
#[cfg(test)]
pub(crate) fn fields_of(text: &str) -> Fields {
    let mut fields = Fields::default();
    let mut start = 0;
    for line in text.split_inclusive("\r\n") {
        let end = start + line.len();
        assert!(
            read_field(text.as_bytes(), start, end - 2, &mut fields),
            "{line:?}"
        );
        start = end;
    }
    fields
}

/// Where the first colon of a line stands, or the length of the line, which begins at `start`.
#[inline(always)]
fn colon(bytes: &[u8], start: usize, line: &[u8]) -> usize {
    let rest = &bytes[start..];
    let colons = match (rest.first_chunk(), bytes.last_chunk()) {
        (Some(step), _) => equal_bytes(step, b':'),
        // The last line of a head that nothing follows.
        (None, Some(step)) => equal_bytes(step, b':') >> (STEP - rest.len()),
        (None, None) => 0,
    };
    if colons != 0 {
        return (colons.trailing_zeros() as usize).min(line.len());
    }
    far_colon(line)
}

#[inline(never)]
fn far_colon(line: &[u8]) -> usize {
    memchr::memchr(b':', line).unwrap_or(line.len())
}

/// Bytes whose control characters fit into one word.
const LONG_STEP: usize = 64;

/// Field lines that fit into a head at all, whatever the configured limit.
pub const MOST_FIELDS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits {
        first_line: 20,
        fields: 40,
        count: 3,
    };

    fn scan(bytes: &[u8]) -> Result<Option<usize>, BadHead> {
        let (mut scan, mut fields) = (HeadScan::default(), Fields::default());
        let whole = scan.find_end(bytes, &LIMITS, &mut fields);
        // A byte at a time comes to the same.
        let (mut piecewise, mut again) = (HeadScan::default(), Fields::default());
        let mut last = Ok(None);
        for end in 1..=bytes.len() {
            last = piecewise.find_end(&bytes[..end], &LIMITS, &mut again);
            if last != Ok(None) {
                break;
            }
        }
        assert_eq!(whole, last, "{:?}", String::from_utf8_lossy(bytes));
        if let Ok(Some(end)) = whole {
            assert_eq!(
                (scan.malformed, scan.first),
                (piecewise.malformed, piecewise.first)
            );
            let both = [&fields, &again].map(|fields| {
                fields
                    .iter()
                    .map(|field| {
                        (
                            fields.name(bytes, field).to_vec(),
                            fields.value(bytes, field).to_vec(),
                        )
                    })
                    .collect::<Vec<_>>()
            });
            assert_eq!(both[0], both[1]);
            assert!(end <= bytes.len());
        }
        whole
    }

    #[test]
    fn a_head_ends_at_its_empty_line() {
        assert_eq!(scan(b"GET / HTTP/1.1\r\n\r\n"), Ok(Some(18)));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n\r\nbody"), Ok(Some(24)));
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA: b\r\n"), Ok(None));
    }

    #[test]
    fn a_bare_line_feed_is_refused_as_soon_as_it_is_seen() {
        for bad in [
            &b"GET / HTTP/1.1\n"[..],
            b"GET / HTTP/1.1\r\nA: b\n",
            b"\n",
            b"GET / HTTP/1.1\r\n\n",
        ] {
            assert_eq!(scan(bad), Err(BadHead::BareLineFeed));
        }
    }

    #[test]
    fn limits_hold_before_the_line_or_the_head_is_complete() {
        assert_eq!(
            scan(b"GET /aaaaaaaaaaaaaaaaaaaaaaaa"),
            Err(BadHead::LongFirstLine)
        );
        assert_eq!(scan(b"GET /aaaaa HTTP/1.1\r\n\r\n"), Ok(Some(23)));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nA: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
            Err(BadHead::TooLarge)
        );
        assert_eq!(scan(b"GET / HTTP/1.1\r\nA:b\r\nA:b\r\nA:b\r\n\r\n"), Ok(Some(33)));
        assert_eq!(
            scan(b"GET / HTTP/1.1\r\nA:b\r\nA:b\r\nA:b\r\nA:b\r\n\r\n"),
            Err(BadHead::TooLarge)
        );
    }

    #[test]
    fn what_is_wrong_with_a_line_is_noted() {
        for (bad, text) in [
            (false, &b"G / H\r\nA: b\tc\r\nB:\r\n\r\n"[..]),
            (true, b"G / H\r\nA: b\rc\r\n\r\n"),
            (true, b"G / H\r\r\nA: b\r\n\r\n"),
            (true, b"G / H\r\nA: b\x00\r\n\r\n"),
            (true, b"G / H\r\nA: b\x7f\r\n\r\n"),
            (true, b"G / H\r\nA b\r\n\r\n"),
            (true, b"G / H\r\nA : b\r\n\r\n"),
            (true, b"G / H\r\n: b\r\n\r\n"),
            (true, b"G / H\r\nA: b\r\n c\r\n\r\n"),
            (true, b"G / H\r\nHo\x0dst: b\r\n\r\n"),
        ] {
            let (mut scan, mut fields) = (HeadScan::default(), Fields::default());
            let end = scan.find_end(text, &LIMITS, &mut fields);
            assert_eq!(end, Ok(Some(text.len())));
            assert_eq!(scan.malformed(), bad, "{:?}", String::from_utf8_lossy(text));
        }
    }
}
