//! Sections that we write.

use super::fixed;
use crate::http::buffer::Buffer;
use crate::http::h1::Name;
use crate::http::prefixed;

/// Writes `:status`.
pub fn status(out: &mut Buffer, status: u16) {
    let index = match status {
        200 => 8,
        204 => 9,
        206 => 10,
        304 => 11,
        400 => 12,
        404 => 13,
        500 => 14,
        other => {
            let digits = [other / 100 % 10, other / 10 % 10, other % 10].map(|digit| b'0' + digit as u8);
            // RFC 7541 §6.2.2, with the name of the first of them.
            out.extend(&[0x08, 3]);
            return out.extend(&digits);
        }
    };
    out.push(0x80 | index);
}

/// Writes a pseudo-header field of a request, by its index in the static table, which is below 15.
pub fn pseudo(out: &mut Buffer, index: u8, text: &[u8]) {
    out.push(index);
    string(out, text);
}

/// Writes a field line whose name and value are both in the static table.
pub fn indexed(out: &mut Buffer, index: u8) {
    out.push(0x80 | index);
}

/// Writes a field line. Its name may be in any case.
#[inline]
pub fn field(out: &mut Buffer, known: Name, name: &[u8], value: &[u8]) {
    // §6.2.3: values of these shall not be put into any table on the way.
    let index = fixed::index(known, name);
    let pattern = if matches!(index, AUTHORIZATION | COOKIE | SET_COOKIE) {
        0x10
    } else {
        0
    };
    prefixed::write(pattern, 4, index, |byte| out.push(byte));
    if index == 0 {
        prefixed::write(0, 7, name.len(), |byte| out.push(byte));
        out.extend_lower(name);
    }
    string(out, value);
}

/// Writes that no entry of the dynamic table is used, which whoever has asked for a smaller one wants to be told
/// (RFC 7541 §4.2).
pub fn resize_to_nothing(out: &mut Buffer) {
    out.push(0x20);
}

#[inline]
fn string(out: &mut Buffer, text: &[u8]) {
    prefixed::write(0, 7, text.len(), |byte| out.push(byte));
    out.extend(text);
}

const AUTHORIZATION: usize = 23;
const COOKIE: usize = 32;
const SET_COOKIE: usize = 55;

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let long = "x".repeat(300);
        let fields = [
            ("Content-Type", "text/html"),
            ("X-Own", ""),
            ("cookie", "a=1"),
            ("Set-Cookie", "b"),
            ("etag", &long),
            (&long, "v"),
        ];
        let mut out = Buffer::default();
        status(&mut out, 200);
        status(&mut out, 418);
        for (name, value) in fields {
            field(
                &mut out,
                Name::of(name.as_bytes()),
                name.as_bytes(),
                value.as_bytes(),
            );
        }
        let mut expected = vec![(":status".into(), "200".into()), (":status".into(), "418".into())];
        expected.extend(fields.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())));
        let mut lines = Vec::new();
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        let read = Decoder::new().decode(out.filled(), 10_000, |_, name, value| {
            lines.push((text(name), text(value)));
        });
        assert_eq!((read, lines), (Ok(()), expected));
    }
}
