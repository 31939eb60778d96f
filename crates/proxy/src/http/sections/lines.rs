//! The text of a head that we wrote ourselves, taken apart again where it goes out as a section.

use crate::http::h1::Name;

/// One field line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// What its name means.
    pub known: Name,
    /// As written, in any case.
    pub name: &'a [u8],
    /// Without white space around it.
    pub value: &'a [u8],
}

/// The field lines of a head, up to its empty line or the end of the text.
#[derive(Debug)]
pub struct HeadLines<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> HeadLines<'a> {
    /// The first line of `text`, and those behind it. It is one that we wrote: lines end in CR LF.
    pub fn of(text: &'a [u8]) -> (&'a [u8], Self) {
        let mut lines = Self { text, at: 0 };
        (lines.line().unwrap_or_default(), lines)
    }

    /// How much of the text was read: once all lines were, the length of the head.
    pub fn length(&self) -> usize {
        self.at
    }

    fn line(&mut self) -> Option<&'a [u8]> {
        let rest = self.text.get(self.at..)?;
        let end = memchr::memchr(b'\r', rest)?;
        self.at = (self.at + end + 2).min(self.text.len());
        Some(&rest[..end])
    }
}

impl<'a> Iterator for HeadLines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        loop {
            let line = self.line().filter(|line| !line.is_empty())?;
            if let Some(colon) = memchr::memchr(b':', line) {
                let name = &line[..colon];
                return Some(Line {
                    known: Name::of(name),
                    name,
                    value: line[colon + 1..].trim_ascii(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let text = b"GET / HTTP/1.1\r\nHost: a\r\nX:  y \r\n\r\nbody: b\r\n";
        let (first, mut lines) = HeadLines::of(text);
        assert_eq!(first, b"GET / HTTP/1.1");
        let fields: Vec<_> = lines.by_ref().map(|line| (line.name, line.value)).collect();
        assert_eq!(fields, [(&b"Host"[..], &b"a"[..]), (b"X", b"y")]);
        assert_eq!(&text[lines.length()..], b"body: b\r\n");
        assert_eq!(HeadLines::of(b"").1.count(), 0);
    }
}
