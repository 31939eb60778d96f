//! Makes whatever a client sent safe to stand in a log line.
//!
//! Besides what each format needs, everything that could start a line or steer a terminal or an editor is escaped:
//! C0 and C1 controls, DEL, the Unicode line and paragraph separators, and the marks that turn the direction of text.

/// Adds `bytes` as the inside of a JSON string. What is not UTF-8 becomes U+FFFD.
pub(super) fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        return out.extend_from_slice(bytes);
    }
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' => out.extend_from_slice(b"\\\""),
                '\\' => out.extend_from_slice(b"\\\\"),
                char if is_hostile(char) => {
                    out.extend_from_slice(b"\\u");
                    for shift in [12, 8, 4, 0] {
                        out.push(b"0123456789abcdef"[(char as usize >> shift) & 15]);
                    }
                }
                char => push(out, char),
            }
        }
        if !chunk.invalid().is_empty() {
            push(out, char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Adds `bytes` to a line of text; escapes are `\xHH` per byte, for quotes and backslashes too.
pub(super) fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    if is_plain(bytes) {
        return out.extend_from_slice(bytes);
    }
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if matches!(char, '"' | '\\') || is_hostile(char) {
                hex(out, char.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                push(out, char);
            }
        }
        hex(out, chunk.invalid());
    }
}

/// Whether all of it is printable ASCII that no format minds. Looks at every byte without leaving early, so that the
/// compiler looks at sixteen at once.
fn is_plain(bytes: &[u8]) -> bool {
    // One condition after the other would be a branch per byte.
    #[allow(clippy::needless_bitwise_bool)]
    let odd = |byte: u8| !matches!(byte, b' '..=b'~') | (byte == b'"') | (byte == b'\\');
    !bytes.iter().fold(false, |any, byte| any | odd(*byte))
}

/// All of these lie in the basic plane, so four hex digits are enough.
fn is_hostile(char: char) -> bool {
    matches!(char,
        '\0'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn push(out: &mut Vec<u8>, char: char) {
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        out.extend_from_slice(b"\\x");
        out.push(b"0123456789ABCDEF"[usize::from(byte >> 4)]);
        out.push(b"0123456789ABCDEF"[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(escape: fn(&mut Vec<u8>, &[u8]), bytes: &[u8]) -> String {
        let mut out = Vec::new();
        escape(&mut out, bytes);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_strings_stay_one_string_on_one_line() {
        for (raw, escaped) in [
            (&b"/a b"[..], "/a b"),
            (b"a\"b\\c", "a\\\"b\\\\c"),
            (b"a\r\nb\0", "a\\u000d\\u000ab\\u0000"),
            (b"\x1b[2J\x7f", "\\u001b[2J\\u007f"),
            ("ü\u{85}\u{2028}\u{202e}".as_bytes(), "ü\\u0085\\u2028\\u202e"),
            (b"\xff\xfeok\xc3", "\u{fffd}\u{fffd}ok\u{fffd}"),
        ] {
            assert_eq!(written(json, raw), escaped);
        }
    }

    #[test]
    fn text_stays_within_its_quotes_and_its_line() {
        for (raw, escaped) in [
            (&b"/a b"[..], "/a b"),
            (b"a\"b\\c", "a\\x22b\\x5Cc"),
            (b"a\r\nb", "a\\x0D\\x0Ab"),
            ("ü\u{2028}".as_bytes(), "ü\\xE2\\x80\\xA8"),
            (b"\xff", "\\xFF"),
        ] {
            assert_eq!(written(text, raw), escaped);
        }
    }

    #[test]
    fn every_single_byte_and_pair_comes_out_as_valid_json() {
        for first in 0..=255_u8 {
            for second in [0, b'"', b'\\', b'a', 0x80, 0xa8, 0xff] {
                let line = format!("\"{}\"", written(json, &[first, second]));
                serde_json::from_str::<String>(&line).unwrap();
                let line = written(text, &[first, second]);
                assert!(!line.contains(['"', '\n', '\r', '\0']), "{line}");
            }
        }
    }
}
