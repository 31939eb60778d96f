//! Tells work from noise on a connection of HTTP/2 (RFC 9113 §10.5). Sans-I/O: sees bytes as they come and go, counts
//! frames by their headers, and says when there was too much that asks for work and brings none along.
//!
//! The codec bounds what one frame, one head or one stream may hold, but answers any number of PINGs and SETTINGS,
//! and takes any number of WINDOW_UPDATEs, PRIORITYs, empty DATA and unknown frames. A connection has a budget for such
//! frames. What is of use gives back some of it: requests, content that comes, and above all content that goes out, for
//! a client that reads much has much to say about its windows. Time gives back all of it.

use crate::time::Instant;
use std::time::Duration;

/// The budget of a connection.
#[derive(Debug)]
pub struct Guard {
    at: At,
    budget: u32,
    /// Bytes that went out and gave nothing back yet.
    gone: usize,
    filled: Instant,
}

/// Where in the bytes of a connection we are.
#[derive(Debug)]
enum At {
    /// In a frame's header, of which so much came.
    Header([u8; HEADER], usize),
    /// So many bytes before the next header.
    Payload(usize),
}

impl Guard {
    /// For a connection on which nothing was read. `preface`: bytes before the first frame.
    pub fn new(preface: usize, now: Instant) -> Self {
        Self {
            at: At::Payload(preface),
            budget: BUDGET,
            gone: 0,
            filled: now,
        }
    }

    /// Bytes came. False: that is too much.
    pub fn came(&mut self, mut bytes: &[u8], now: impl FnOnce() -> Instant) -> bool {
        let mut enough = true;
        while !bytes.is_empty() {
            match &mut self.at {
                At::Payload(left) => {
                    let count = bytes.len().min(*left);
                    bytes = &bytes[count..];
                    *left -= count;
                    if *left == 0 {
                        self.at = At::Header([0; HEADER], 0);
                    }
                }
                At::Header(header, have) => {
                    let count = bytes.len().min(HEADER - *have);
                    header[*have..*have + count].copy_from_slice(&bytes[..count]);
                    bytes = &bytes[count..];
                    *have += count;
                    if *have == HEADER {
                        let header = *header;
                        enough &= self.frame(header);
                    }
                }
            }
        }
        enough || self.fill(now())
    }

    /// So many bytes went out.
    #[inline]
    pub fn went(&mut self, count: usize) {
        self.gone += count;
        if self.gone >= GONE_PER_FRAME {
            self.give((self.gone / GONE_PER_FRAME) as u32);
            self.gone %= GONE_PER_FRAME;
        }
    }

    /// A frame begins (RFC 9113 §4.1). False: it is beyond the budget.
    fn frame(&mut self, header: [u8; HEADER]) -> bool {
        let [high, middle, low, kind, flags, ..] = header;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.at = match length {
            0 => At::Header([0; HEADER], 0),
            length => At::Payload(length),
        };
        let cost = match kind {
            // What is padded may be padding alone.
            DATA if length > LONGEST_PADDING || length > 0 && flags & PADDED == 0 => {
                self.give(1);
                0
            }
            // A stream has one end.
            DATA if flags & END_STREAM != 0 => 0,
            HEADERS => {
                self.give(REQUEST);
                0
            }
            RST_STREAM => RESET,
            SETTINGS if flags & ACK == 0 => SETTING,
            _ => 1,
        };
        match self.budget.checked_sub(cost) {
            Some(left) => {
                self.budget = left;
                true
            }
            None => false,
        }
    }

    fn give(&mut self, count: u32) {
        self.budget = self.budget.saturating_add(count).min(BUDGET);
    }

    /// It is used up: there is another if this one lasted long enough.
    #[cold]
    fn fill(&mut self, now: Instant) -> bool {
        let again = now.saturating_duration_since(self.filled) >= PERIOD;
        if again {
            self.filled = now;
            self.budget = BUDGET;
        }
        again
    }
}

/// Frames without use that a connection may send at once, or over [`PERIOD`] (Envoy 1,000 that wait to be answered, nginx
/// bytes: eight times as many as are of use, and a mebibyte).
const BUDGET: u32 = 2000;
/// What is used up in a shorter time than that was a flood.
const PERIOD: Duration = Duration::from_secs(10);
/// A cancelled stream costs an endpoint a request, so 2000 / (8 - 2) = 333 of them are one budget: more than a browser that
/// leaves a page has open, and few enough for CVE-2023-44487.
const RESET: u32 = 8;
/// What a request gives back: there may be a word about its priority and one about its window.
const REQUEST: u32 = 2;
/// Settings are answered, and may change the window of every stream.
const SETTING: u32 = 4;
/// Content that goes out, for each frame that its reader may send about it. Some send two for 4 KiB.
const GONE_PER_FRAME: usize = 1024;
/// RFC 9113 §6.1: a length of one byte, and so many bytes.
const LONGEST_PADDING: usize = 256;
/// RFC 9113 §4.1.
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const PADDED: u8 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0, (length >> 8) as u8, length as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER + length, 0);
        frame
    }

    /// How many times it can come before it is too much, if that is below 100,000.
    fn most(frames: &[Vec<u8>]) -> Option<usize> {
        let now = Instant::now();
        let (mut guard, bytes) = (Guard::new(0, now), frames.concat());
        (0..100_000).find(|_| !guard.came(&bytes, || now))
    }

    /// What comes again and again, and how often it may.
    type Row = (&'static str, Vec<Vec<u8>>, Option<usize>);

    #[test]
    fn what_is_of_no_use_is_bounded_and_what_is_of_use_is_not() {
        let table: [Row; 13] = [
            ("PING", vec![frame(6, 0, 8)], Some(2000)),
            ("PING's answer", vec![frame(6, 1, 8)], Some(2000)),
            ("SETTINGS", vec![frame(4, 0, 0)], Some(500)),
            ("PRIORITY", vec![frame(2, 0, 5)], Some(2000)),
            ("WINDOW_UPDATE", vec![frame(8, 0, 4)], Some(2000)),
            ("an unknown frame", vec![frame(77, 0, 300)], Some(2000)),
            ("empty DATA", vec![frame(0, 0, 0)], Some(2000)),
            ("DATA that is padding", vec![frame(0, PADDED, 200)], Some(2000)),
            ("DATA", vec![frame(0, 0, 1)], None),
            ("requests", vec![frame(1, 5, 20)], None),
            (
                "requests with empty content",
                vec![frame(1, 4, 20), frame(0, 1, 0)],
                None,
            ),
            (
                "requests with a priority and a window",
                vec![frame(1, 5, 20), frame(2, 0, 5), frame(8, 0, 4)],
                None,
            ),
            (
                "requests and resets",
                vec![frame(1, 5, 20), frame(3, 0, 4)],
                Some(333),
            ),
        ];
        for (what, frames, expected) in table {
            assert_eq!(most(&frames), expected, "{what}");
        }
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let now = Instant::now();
        let bytes = [frame(0, 0, 700), frame(6, 0, 8), frame(1, 5, 33), frame(4, 0, 12)].concat();
        for size in 1..bytes.len() {
            let mut guard = Guard::new(24, now);
            guard.budget = 1000;
            assert!(guard.came(&[1; 24], || now));
            for piece in bytes.chunks(size) {
                assert!(guard.came(piece, || now));
            }
            assert_eq!(guard.budget, 1000 + 1 - 1 + 2 - 4, "pieces of {size}");
        }
    }

    #[test]
    fn what_goes_out_and_time_give_back() {
        let start = Instant::now();
        let mut guard = Guard::new(0, start);
        let ping = frame(6, 0, 8);
        for _ in 0..10_000 {
            guard.went(GONE_PER_FRAME / 2);
            guard.went(GONE_PER_FRAME / 2);
            assert!(guard.came(&ping, || start));
        }
        for _ in 1..BUDGET {
            assert!(guard.came(&ping, || start));
        }
        assert!(!guard.came(&ping, || start + PERIOD / 2));
        assert!(guard.came(&ping, || start + PERIOD));
        assert!(guard.came(&ping, || start + PERIOD));
    }
}
