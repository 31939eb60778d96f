//! Integers of QUIC (RFC 9000 §16): one, two, four or eight bytes, as the first two bits say.

use bytes::{BufMut, BytesMut};

/// The largest.
pub const MAX: u64 = (1 << 62) - 1;

/// How many bytes an integer has that begins with this one.
pub fn length(first: u8) -> usize {
    1 << (first >> 6)
}

/// The integer at the start of `bytes`, and its length. None: more bytes are needed.
pub fn read(bytes: &[u8]) -> Option<(u64, usize)> {
    let length = length(*bytes.first()?);
    let bytes = bytes.get(..length)?;
    let whole = bytes
        .iter()
        .fold(0u64, |value, &byte| value << 8 | u64::from(byte));
    // Without the two bits.
    Some((whole & (u64::MAX >> (66 - 8 * length)), length))
}

/// Writes an integer, at most [`MAX`], as short as it can be.
pub fn write(value: u64, out: &mut BytesMut) {
    match value {
        ..0x40 => out.put_u8(value as u8),
        0x40..0x4000 => out.put_u16(0x4000 | value as u16),
        0x4000..0x4000_0000 => out.put_u32(0x8000_0000 | value as u32),
        _ => out.put_u64(0xc000_0000_0000_0000 | value.min(MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_and_written_as_in_the_rfc() {
        // RFC 9000 Appendix A.1.
        let table: &[(u64, &[u8])] = &[
            (
                151_288_809_941_952_652,
                &[0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c],
            ),
            (494_878_333, &[0x9d, 0x7f, 0x3e, 0x7d]),
            (15_293, &[0x7b, 0xbd]),
            (37, &[0x25]),
            (MAX, &[0xff; 8]),
            (0, &[0]),
        ];
        for (value, bytes) in table {
            assert_eq!(read(bytes), Some((*value, bytes.len())));
            let mut out = BytesMut::new();
            write(*value, &mut out);
            assert_eq!(&out[..], *bytes);
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut]), None);
            }
        }
        assert_eq!(read(&[0x40, 0x25]), Some((37, 2)), "longer than need be");
    }
}
