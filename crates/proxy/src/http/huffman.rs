//! The Huffman code of field strings (RFC 7541 Appendix B, which RFC 9204 §4.1.2 takes over), read only: what we send is
//! not compressed, which costs a few bytes and saves time.
//!
//! The code is canonical: codes of one length follow each other in the order of their symbols. So the lengths say it all.

/// Appends what `text` says. None: it is no text of this code.
pub fn decode(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (mut window, mut bits) = (0u64, 0u32);
    let mut bytes = text.iter();
    loop {
        while bits <= 56
            && let Some(&byte) = bytes.next()
        {
            window |= u64::from(byte) << (56 - bits);
            bits += 8;
        }
        // What is beyond the end reads as ones, of which no code but that of the end consists.
        let padded = window | u64::MAX.checked_shr(bits).unwrap_or(0);
        let (symbol, length) = first(padded)?;
        if u32::from(length) > bits {
            // RFC 7541 §5.2: padding is less than a byte, and the start of the code of the end, which is ones.
            return (bits < 8 && padded == u64::MAX).then_some(());
        }
        out.push(symbol);
        window <<= length;
        bits -= u32::from(length);
    }
}

/// The symbol whose code `window` begins with, and the code's length. A window of ones alone gives a length beyond all.
fn first(window: u64) -> Option<(u8, u8)> {
    let short = SHORT[(window >> 56) as usize];
    if short.1 > 0 {
        return Some(short);
    }
    let code = (window >> 34) as u32;
    for length in SHORTEST_LONG..=LONGEST {
        let class = &CLASSES[length as usize];
        let at = (code >> (LONGEST - length)).wrapping_sub(class.first);
        if at < class.count {
            return match ORDER[(class.start + at) as usize] {
                // The end itself stands in no text (RFC 7541 §5.2); at the end it is padding.
                END => (window == u64::MAX).then_some((0, u8::MAX)),
                symbol => Some((symbol as u8, length as u8)),
            };
        }
    }
    None
}

/// Codes of one length.
#[derive(Clone, Copy)]
struct Class {
    /// The first of them.
    first: u32,
    count: u32,
    /// Where their symbols begin in [`ORDER`].
    start: u32,
}

/// By length.
const CLASSES: [Class; LONGEST as usize + 1] = classes();
/// Symbols by the length of their code, then by value.
const ORDER: [u16; SYMBOLS] = order();
/// Codes of up to eight bits, by all bytes that begin with them. Length 0: the code is longer.
const SHORT: [(u8, u8); 256] = short();

const fn classes() -> [Class; LONGEST as usize + 1] {
    let mut classes = [Class {
        first: 0,
        count: 0,
        start: 0,
    }; LONGEST as usize + 1];
    let mut symbol = 0;
    while symbol < SYMBOLS {
        classes[LENGTHS[symbol] as usize].count += 1;
        symbol += 1;
    }
    let (mut length, mut code, mut start) = (1, 0, 0);
    while length <= LONGEST as usize {
        classes[length].first = code;
        classes[length].start = start;
        start += classes[length].count;
        code = (code + classes[length].count) << 1;
        length += 1;
    }
    classes
}

const fn order() -> [u16; SYMBOLS] {
    let (mut order, mut at, mut length) = ([0; SYMBOLS], 0, 1);
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as u32 == length {
                order[at] = symbol as u16;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    order
}

const fn short() -> [(u8, u8); 256] {
    let mut table = [(0, 0); 256];
    let mut length = 1;
    while length < SHORTEST_LONG as usize {
        let class = CLASSES[length];
        let mut at = 0;
        while at < class.count {
            let code = (class.first + at) << (8 - length);
            let mut below = 0;
            while below < 1 << (8 - length) {
                table[(code + below) as usize] = (ORDER[(class.start + at) as usize] as u8, length as u8);
                below += 1;
            }
            at += 1;
        }
        length += 1;
    }
    table
}

/// Bytes, and the end.
const SYMBOLS: usize = 257;
const END: u16 = 256;
const LONGEST: u32 = 30;
/// Shorter ones are looked up.
const SHORTEST_LONG: u32 = 9;

/// Length of each symbol's code, in bits.
#[rustfmt::skip]
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
    7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
    23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
    21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(text, &mut out).map(|()| out)
    }

    /// Writes, one bit after the other.
    fn encode(text: &[u8]) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        for &byte in text {
            let length = u32::from(LENGTHS[byte as usize]);
            let class = CLASSES[length as usize];
            let rank = (class.start..class.start + class.count)
                .position(|at| ORDER[at as usize] == u16::from(byte))
                .unwrap();
            let code = class.first + rank as u32;
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        bits.resize(bits.len().next_multiple_of(8), true);
        let byte = |bits: &[bool]| bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
        bits.chunks(8).map(byte).collect()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // RFC 7541 Appendix C.4 and C.6.
        let table: &[(&[u8], &str)] = &[
            (
                &[
                    0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff,
                ],
                "www.example.com",
            ),
            (&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf], "no-cache"),
            (
                &[0x25, 0xa8, 0x49, 0xe9, 0x5b, 0xb8, 0xe8, 0xb4, 0xbf],
                "custom-value",
            ),
            (&[0x64, 0x02], "302"),
            (
                &[
                    0xd0, 0x7a, 0xbe, 0x94, 0x10, 0x54, 0xd4, 0x44, 0xa8, 0x20, 0x05, 0x95, 0x04, 0x0b, 0x81,
                    0x66, 0xe0, 0x82, 0xa6, 0x2d, 0x1b, 0xff,
                ],
                "Mon, 21 Oct 2013 20:13:21 GMT",
            ),
            (&[], ""),
        ];
        for (bytes, text) in table {
            assert_eq!(read(bytes).as_deref(), Some(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
        assert_eq!(read(&encode(&all)), Some(all));
        for byte in 0..=255 {
            assert_eq!(read(&encode(&[byte])), Some(vec![byte]));
        }
    }

    #[test]
    fn padding_is_ones_and_less_than_a_byte_and_the_end_is_no_symbol() {
        assert_eq!(read(&[0b0000_0111]), Some(b"0".to_vec()));
        for (what, bytes) in [
            ("a byte of padding", &[0xff][..]),
            ("more of it", &[0b0000_0111, 0xff]),
            ("zeros", &[0b0000_0000, 0b0000_0110]),
            ("the end", &[0xff, 0xff, 0xff, 0xff]),
            ("the end and more", &[0xff, 0xff, 0xff, 0xfc, 0x3f]),
            ("half a code", &[0xff, 0xfe]),
        ] {
            assert_eq!(read(bytes), None, "{what}");
        }
    }
}
