//! Integers that begin within a byte (RFC 7541 §5.1), as HPACK and QPACK have them.

/// Reads one in the last `bits` bits of the first byte, and in those behind it if it is large. None: it does not end, or has
/// more than 62 bits (RFC 9204 §4.1.1).
#[inline]
pub fn read(rest: &mut &[u8], bits: u32) -> Option<u64> {
    let (&first, behind) = rest.split_first()?;
    let most = (1u64 << bits) - 1;
    let value = u64::from(first) & most;
    *rest = behind;
    if value < most {
        return Some(value);
    }
    read_long(rest, value)
}

fn read_long(rest: &mut &[u8], mut value: u64) -> Option<u64> {
    let mut shift = 0;
    loop {
        let (&byte, behind) = rest.split_first()?;
        *rest = behind;
        if shift > 56 {
            return None;
        }
        value = value.checked_add(u64::from(byte & 0x7f) << shift)?;
        shift += 7;
        if byte & 0x80 == 0 {
            return (value < 1 << 62).then_some(value);
        }
    }
}

/// Writes one behind the bits of `pattern`.
#[inline]
pub fn write(pattern: u8, bits: u32, value: usize, mut put: impl FnMut(u8)) {
    let most = (1usize << bits) - 1;
    if value < most {
        return put(pattern | value as u8);
    }
    put(pattern | most as u8);
    let mut left = value - most;
    while left >= 0x80 {
        put(left as u8 | 0x80);
        left >>= 7;
    }
    put(left as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        for (bits, value, bytes) in [
            (5, 10, &[0x0a][..]),
            (5, 1337, &[0x1f, 0x9a, 0x0a]),
            (8, 42, &[0x2a]),
        ] {
            let mut out = Vec::new();
            write(0, bits, value, |byte| out.push(byte));
            assert_eq!(out, bytes);
            let mut rest = bytes;
            assert_eq!(read(&mut rest, bits), Some(value as u64));
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn what_does_not_end_or_is_too_large_is_none() {
        for bytes in [&[][..], &[0xff], &[0xff, 0x80], &[0xff; 12]] {
            assert_eq!(read(&mut &bytes[..], 7), None);
        }
    }
}
