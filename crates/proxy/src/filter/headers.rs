//! Header edits (HTTPHeaderFilter): `set`, then `add`, then `remove`.

use crate::http::h1::{Fields, Name, NameSet};

/// Edits, without those that would break the message's framing.
#[derive(Debug)]
pub struct CompiledEdit {
    set: Box<[Line]>,
    add: Box<[Line]>,
    remove: Box<[Box<[u8]>]>,
}

/// Name and value.
type Line = (Box<[u8]>, Box<[u8]>);

impl CompiledEdit {
    /// Compiles edits. How long a message is and what happens to the connection is not up to users: such edits have
    /// no effect. Values that could not stand in a field (line ends) have none either.
    pub fn new(edit: &ir::HeaderEdit) -> Self {
        let pairs = |pairs: &[(String, String)]| {
            pairs
                .iter()
                .filter(|(name, value)| is_editable(name) && is_value(value))
                .map(|(name, value)| (name.as_bytes().into(), value.trim().as_bytes().into()))
                .collect()
        };
        Self {
            set: pairs(&edit.set),
            add: pairs(&edit.add),
            remove: edit
                .remove
                .iter()
                .filter(|name| is_editable(name))
                .map(|name| name.as_bytes().into())
                .collect(),
        }
    }

    /// Edits.
    pub fn apply(&self, fields: &mut Fields, raw: &[u8]) {
        for (name, value) in &self.set {
            fields.set(raw, name, value);
        }
        for (name, value) in &self.add {
            fields.add(raw, name, value);
        }
        for name in &self.remove {
            fields.remove(raw, name);
        }
    }
}

fn is_editable(name: &str) -> bool {
    let known = Name::of(name.as_bytes());
    !name.is_empty()
        && name.bytes().all(crate::http::h1::fields::is_token)
        && !NameSet::HOP_BY_HOP.has(known)
        && known != Name::ContentLength
}

fn is_value(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte == b'\t' || (byte >= 0x20 && byte != 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::buffer::Buffer;
    use crate::http::h1::scan::fields_of;

    fn edited(head: &str, edit: &ir::HeaderEdit) -> String {
        let mut fields = fields_of(head);
        CompiledEdit::new(edit).apply(&mut fields, head.as_bytes());
        let mut out = Buffer::default();
        fields.write(head.as_bytes(), &mut out);
        String::from_utf8(out.filled().to_vec()).expect("text")
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect()
    }

    #[test]
    fn set_replaces_add_joins_and_remove_takes_out_in_any_case() {
        let edit = ir::HeaderEdit {
            set: pairs(&[("x-set", "new")]),
            add: pairs(&[("X-Add", "more"), ("X-New", "first"), ("Set-Cookie", "b=2")]),
            remove: vec!["x-gone".into()],
        };
        let head =
            "X-Set: old\r\nX-Add: one\r\nX-GONE: x\r\nSet-Cookie: a=1\r\nX-Kept:  y \r\nX-Set: older\r\n";
        assert_eq!(
            edited(head, &edit),
            "Set-Cookie: a=1\r\nX-Kept: y\r\nx-set: new\r\nX-Add: one,more\r\nX-New: first\r\nSet-Cookie: b=2\r\n"
        );
    }

    #[test]
    fn framing_and_line_ends_are_out_of_reach() {
        let edit = ir::HeaderEdit {
            set: pairs(&[
                ("Content-Length", "0"),
                ("Transfer-Encoding", "chunked"),
                ("Connection", "close"),
                ("X-A", "b\r\nX-Evil: c"),
                ("X B", "c"),
            ]),
            add: Vec::new(),
            remove: vec!["Content-Length".into()],
        };
        assert_eq!(edited("Content-Length: 5\r\n", &edit), "Content-Length: 5\r\n");
    }
}
