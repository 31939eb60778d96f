//! Header fields as offsets into the bytes that they were read from, and edits to them.
//!
//! A message's fields are copied at most once: into the buffer that goes to the other side. Fields that stand next
//! to each other and go out unchanged are copied in one piece.

use super::{Name, NameSet};
use crate::http::buffer::Buffer;

/// A piece of a head: offsets into its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last.
    pub end: u32,
}

impl Span {
    /// Where `part`, a slice of `whole`, lies in it.
    #[inline]
    pub fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        debug_assert!(start + part.len() <= whole.len());
        Self {
            start: start as u32,
            end: (start + part.len()) as u32,
        }
    }

    /// The bytes.
    #[inline]
    pub fn of_bytes(self, whole: &[u8]) -> &[u8] {
        &whole[self.start as usize..self.end as usize]
    }

    /// Its length.
    #[inline]
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether it is empty.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One field line.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    name: Span,
    value: Span,
    /// What the name means.
    pub known: Name,
    place: Place,
}

/// Where a field's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the head, as `Name: value` and CR LF without further white space: can be copied as it is.
    Canonical,
    /// In the head, with other white space.
    Head,
    /// Added: in the arena.
    Arena,
    /// Taken out.
    Gone,
}

/// The fields of one head. `raw`, the bytes of the head, is passed in wherever text is needed.
#[derive(Debug, Default)]
pub struct Fields {
    list: Vec<Field>,
    arena: Vec<u8>,
    /// The names that are or were in.
    seen: NameSet,
    /// Those that are on several lines of the head.
    doubled: NameSet,
    /// How many at the end of the list were added.
    added: usize,
    /// Not all lines can be copied in one piece: one is written with other white space, was taken out, or added.
    pieces: bool,
}

impl Fields {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.list.clear();
        self.arena.clear();
        self.seen = NameSet::default();
        self.doubled = NameSet::default();
        self.added = 0;
        self.pieces = false;
    }

    /// Number of field lines, those taken out included.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a field line of the head. `canonical`: it is written as `Name: value`, without further white space.
    #[inline]
    pub(super) fn push_line(&mut self, name: Span, value: Span, known: Name, canonical: bool) {
        self.doubled.add_if(known, self.seen);
        self.seen.add(known);
        self.pieces |= !canonical;
        self.list.push(Field {
            name,
            value,
            known,
            place: if canonical { Place::Canonical } else { Place::Head },
        });
    }

    /// Adds a field line that was just written into the head, as `name: value`.
    #[inline]
    pub(crate) fn push_written(&mut self, name: Span, value: Span, known: Name) {
        self.push_line(name, value, known, true);
    }

    /// Field lines that are in, in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list.iter().filter(|field| field.place != Place::Gone)
    }

    /// A field's name as written.
    #[inline]
    pub fn name<'a>(&'a self, raw: &'a [u8], field: &Field) -> &'a [u8] {
        field.name.of_bytes(self.home(raw, field))
    }

    /// A field's value, without white space around it.
    #[inline]
    pub fn value<'a>(&'a self, raw: &'a [u8], field: &Field) -> &'a [u8] {
        field.value.of_bytes(self.home(raw, field))
    }

    /// Values of all fields of that name.
    pub fn all<'a>(&'a self, raw: &'a [u8], known: Name) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |field| field.known == known)
            .map(move |field| self.value(raw, field))
    }

    /// Value of the first field of that name.
    #[inline]
    pub fn get<'a>(&'a self, raw: &'a [u8], known: Name) -> Option<&'a [u8]> {
        if !self.seen.has(known) {
            return None;
        }
        self.iter()
            .find(|field| field.known == known)
            .map(|field| self.value(raw, field))
    }

    /// Value of the first line of that name in the head as it came, whatever became of it since.
    pub fn received<'a>(&self, raw: &'a [u8], known: Name) -> Option<&'a [u8]> {
        let lines = &self.list[..self.list.len() - self.added];
        let line = lines.iter().find(|line| line.known == known)?;
        Some(line.value.of_bytes(raw))
    }

    /// The first field line at position `from` or later with that name, in any case: its position and value.
    pub fn find_from<'a>(&'a self, raw: &'a [u8], name: &[u8], from: usize) -> Option<(usize, &'a [u8])> {
        let later = self.list.get(from..)?;
        let at = later.iter().position(|field| {
            field.place != Place::Gone
                && field.name.len() == name.len()
                && self.name(raw, field).eq_ignore_ascii_case(name)
        })?;
        Some((from + at, self.value(raw, &later[at])))
    }

    /// Whether there is a field of that name.
    #[inline]
    pub fn has(&self, known: Name) -> bool {
        self.seen.has(known) && self.iter().any(|field| field.known == known)
    }

    /// Whether the head has several fields of that name.
    #[inline]
    pub fn is_doubled(&self, known: Name) -> bool {
        self.doubled.has(known)
    }

    /// Whether there may be a field of one of these names: none is only certain if not.
    #[inline]
    pub fn may_have(&self, names: NameSet) -> bool {
        self.seen.meets(names)
    }

    /// Takes out the fields of these names.
    #[inline]
    pub fn take_out(&mut self, names: NameSet) {
        if !self.seen.meets(names) {
            return;
        }
        self.pieces = true;
        for field in &mut self.list {
            if names.has(field.known) {
                field.place = Place::Gone;
            }
        }
    }

    /// Takes out every field of that name, in any case.
    pub fn remove(&mut self, raw: &[u8], name: &[u8]) {
        self.remove_if(raw, |_, other| other.eq_ignore_ascii_case(name));
    }

    /// Takes out the fields for whose meaning and name `unwanted` holds.
    pub fn remove_if(&mut self, raw: &[u8], unwanted: impl Fn(Name, &[u8]) -> bool) {
        for field in &mut self.list {
            let home = match field.place {
                Place::Gone => continue,
                Place::Arena => &self.arena[..],
                Place::Canonical | Place::Head => raw,
            };
            if unwanted(field.known, field.name.of_bytes(home)) {
                field.place = Place::Gone;
                self.pieces = true;
            }
        }
    }

    /// Adds a field line at the end. The caller vouches for name and value being valid.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.arena.len();
        self.arena.extend_from_slice(name);
        self.arena.extend_from_slice(value);
        let split = (start + name.len()) as u32;
        let known = Name::of(name);
        self.seen.add(known);
        self.added += 1;
        self.pieces = true;
        self.list.push(Field {
            name: Span {
                start: start as u32,
                end: split,
            },
            value: Span {
                start: split,
                end: self.arena.len() as u32,
            },
            known,
            place: Place::Arena,
        });
    }

    /// Replaces every field of that name by one.
    pub fn set(&mut self, raw: &[u8], name: &[u8], value: &[u8]) {
        self.remove(raw, name);
        self.push(name, value);
    }

    /// Adds to a field: one of that name stays, and the values are joined with a comma. `Set-Cookie` is never
    /// joined (RFC 9110 §5.3).
    pub fn add(&mut self, raw: &[u8], name: &[u8], value: &[u8]) {
        let known = Name::of(name);
        let present = |fields: &Self, field: &Field| {
            field.known == known
                && (known != Name::Other || fields.name(raw, field).eq_ignore_ascii_case(name))
        };
        if known == Name::SetCookie || !self.iter().any(|field| present(self, field)) {
            return self.push(name, value);
        }
        let mut joined = Vec::new();
        for field in self.iter().filter(|field| present(self, field)) {
            joined.extend_from_slice(self.value(raw, field));
            joined.push(b',');
        }
        joined.extend_from_slice(value);
        self.set(raw, name, &joined);
    }

    /// Where in the head the value of the first field of that name lies; `None` also for one that was added.
    #[inline]
    pub fn span_of(&self, known: Name) -> Option<Span> {
        if !self.seen.has(known) {
            return None;
        }
        self.iter()
            .find(|field| field.known == known && field.place != Place::Arena)
            .map(|field| field.value)
    }

    /// Writes all field lines.
    #[inline]
    pub fn write(&self, raw: &[u8], out: &mut Buffer) {
        self.write_behind(Span::default(), raw, out, NameSet::default());
    }

    /// Writes the piece of the head that is `before`, which ends where the field lines begin or is empty, and all field
    /// lines but those of the names `left_out`.
    pub fn write_behind(&self, before: Span, raw: &[u8], out: &mut Buffer, left_out: NameSet) {
        if !self.pieces
            && !self.seen.meets(left_out)
            && let (Some(first), Some(last)) = (self.list.first(), self.list.last())
        {
            let all = Span {
                start: first.name.start,
                end: last.value.end + 2,
            };
            if before.is_empty() {
                return out.extend(all.of_bytes(raw));
            }
            // What is before ends where the field lines begin.
            return out.extend(
                Span {
                    start: before.start,
                    ..all
                }
                .of_bytes(raw),
            );
        }
        // A run of lines that stand next to each other in the head.
        let mut run = before;
        for field in &self.list {
            match field.place {
                Place::Gone => {}
                _ if left_out.has(field.known) => {}
                Place::Canonical => {
                    // The CR LF behind it belongs to it: the parser saw to it that it is there.
                    let end = field.value.end + 2;
                    if field.name.start == run.end {
                        run.end = end;
                    } else {
                        out.extend(run.of_bytes(raw));
                        run = Span {
                            start: field.name.start,
                            end,
                        };
                    }
                }
                Place::Head | Place::Arena => {
                    out.extend(run.of_bytes(raw));
                    run = Span::default();
                    let home = self.home(raw, field);
                    super::write::field(out, field.name.of_bytes(home), field.value.of_bytes(home));
                }
            }
        }
        out.extend(run.of_bytes(raw));
    }

    #[inline]
    fn home<'a>(&'a self, raw: &'a [u8], field: &Field) -> &'a [u8] {
        match field.place {
            Place::Arena => &self.arena,
            _ => raw,
        }
    }
}

/// RFC 9110 §5.6.2.
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    TOKEN[usize::from(byte)]
}

static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z'
                | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
};

/// Goes through the elements of a comma-separated list, without white space and empty ones (RFC 9110 §5.6.1).
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}
