//! What only the operating system or the processor knows, and the only `unsafe` of the project: each block is one call
//! with its reason beside it.

#![allow(unsafe_code)]

pub mod datagrams;
pub(crate) mod socket;
pub(crate) mod timer;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A pipe, in which bytes can pass from one socket to another without being copied.
#[derive(Debug)]
pub struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// A pipe with room for `size` bytes, or for as many as the system allows.
    pub fn new(size: i32) -> io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: `ends` is a valid place for two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both were opened by the call above and belong to nobody else.
        let [read, write] = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
        // SAFETY: takes no pointer. A pipe that stays as it was (the user has too many) serves as well, in more steps.
        unsafe { libc::fcntl(write.as_raw_fd(), libc::F_SETPIPE_SZ, size) };
        Ok(Self { read, write })
    }

    /// Moves at most `most` bytes from a socket into the pipe. 0: the socket's other side will send no more.
    pub fn fill(&self, from: &impl AsFd, most: usize) -> io::Result<usize> {
        splice(from.as_fd(), self.write.as_fd(), most)
    }

    /// Moves at most `most` bytes out of the pipe into a socket.
    pub fn drain(&self, to: &impl AsFd, most: usize) -> io::Result<usize> {
        splice(self.read.as_fd(), to.as_fd(), most)
    }
}

fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    let (from, to) = (from.as_raw_fd(), to.as_raw_fd());
    let none = std::ptr::null_mut;
    // SAFETY: both descriptors are borrowed, hence open; the offsets are null, so no memory of ours is touched.
    let moved = unsafe { libc::splice(from, none(), to, none(), most, libc::SPLICE_F_NONBLOCK) };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Raises the soft limit of open files to the hard one and returns it. Every connection is a file.
pub fn raise_file_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the answer and outlives the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            ..limit
        };
        // SAFETY: `raised` is initialised and only read.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            limit = raised;
        }
    }
    Ok(limit.rlim_cur)
}

/// CPUs that this process may use: its affinity and its cgroup's quota (v1 and v2), rounded down, at least 1.
pub fn usable_cpus() -> usize {
    // The standard library reads sched_getaffinity, cpu.max and cpu.cfs_quota_us.
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The bytes as text, if they are ASCII: for the short ones of a request a fraction of what telling all of UTF-8 costs.
#[inline]
pub(crate) fn ascii(bytes: &[u8]) -> Option<&str> {
    // SAFETY: ASCII is UTF-8, and it was just checked.
    is_ascii(bytes).then(|| unsafe { std::str::from_utf8_unchecked(bytes) })
}

/// As the standard library's, which looks at short texts byte by byte.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let seen = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) if bytes.len() <= 16 => {
            u64::from_le_bytes(*first) | u64::from_le_bytes(*last)
        }
        (Some(_), Some(_)) => return bytes.is_ascii(),
        _ => match (bytes.first_chunk(), bytes.last_chunk()) {
            (Some(first), Some(last)) => u64::from(u32::from_le_bytes(*first) | u32::from_le_bytes(*last)),
            _ => bytes.iter().fold(0, |seen, byte| seen | u64::from(*byte)),
        },
    };
    seen & HIGH == 0
}

/// Bytes that [`control_bytes`] and its like look at.
pub(crate) const STEP: usize = 16;

/// A bit for each byte that is a control character (below space, or DEL).
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn control_bytes(step: &[u8; STEP]) -> u32 {
    // SAFETY: SSE2 is part of every x86-64 processor.
    unsafe { sse2::control_bytes(step) }
}

/// A bit for each byte that is `wanted`.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn equal_bytes(step: &[u8; STEP], wanted: u8) -> u32 {
    // SAFETY: as above.
    unsafe { sse2::equal_bytes(step, wanted) }
}

/// A bit for each byte that lies in one of the ranges, both ends included. The fewer ranges, the cheaper.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn bytes_within<const N: usize>(step: &[u8; STEP], ranges: [(u8, u8); N]) -> u32 {
    // SAFETY: as above.
    unsafe { sse2::bytes_within(step, ranges) }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::STEP;
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8, _mm_setzero_si128, _mm_sub_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn control_bytes(step: &[u8; STEP]) -> u32 {
        let bytes = load(step);
        let below_space = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        let delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
        _mm_movemask_epi8(_mm_or_si128(below_space, delete)).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn equal_bytes(step: &[u8; STEP], wanted: u8) -> u32 {
        _mm_movemask_epi8(_mm_cmpeq_epi8(load(step), _mm_set1_epi8(wanted.cast_signed()))).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn bytes_within<const N: usize>(step: &[u8; STEP], ranges: [(u8, u8); N]) -> u32 {
        let bytes = load(step);
        let mut within = _mm_setzero_si128();
        for (low, high) in ranges {
            let above = _mm_sub_epi8(bytes, _mm_set1_epi8(low.cast_signed()));
            let most = _mm_set1_epi8((high - low).cast_signed());
            within = _mm_or_si128(within, _mm_cmpeq_epi8(_mm_min_epu8(above, most), above));
        }
        _mm_movemask_epi8(within).cast_unsigned()
    }

    /// Both halves are loaded at once: the compiler sees that they stand side by side.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn load(step: &[u8; STEP]) -> __m128i {
        let both = u128::from_le_bytes(*step);
        _mm_set_epi64x((both >> 64) as i64, both as i64)
    }
}

/// A bit for each byte that is a control character (below space, or DEL).
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn control_bytes(step: &[u8; STEP]) -> u32 {
    marks(step, |byte| byte < b' ' || byte == 0x7f)
}

/// A bit for each byte that is `wanted`.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn equal_bytes(step: &[u8; STEP], wanted: u8) -> u32 {
    marks(step, |byte| byte == wanted)
}

/// A bit for each byte that lies in one of the ranges, both ends included.
#[cfg(not(target_arch = "x86_64"))]
#[inline]
pub(crate) fn bytes_within<const N: usize>(step: &[u8; STEP], ranges: [(u8, u8); N]) -> u32 {
    marks(step, |byte| {
        ranges.iter().any(|&(low, high)| (low..=high).contains(&byte))
    })
}

/// What the vector instructions give, in plain words.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn marks(step: &[u8; STEP], marked: impl Fn(u8) -> bool) -> u32 {
    step.iter()
        .enumerate()
        .fold(0, |bits, (at, &byte)| bits | (u32::from(marked(byte)) << at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_limit_is_raised_to_the_hard_one_and_stays_there() {
        let first = raise_file_limit().unwrap();
        assert!(first >= 64);
        assert_eq!(raise_file_limit().unwrap(), first);
    }

    #[test]
    fn only_ascii_is_taken_for_text() {
        for length in 0..40 {
            let mut text = vec![b'~'; length];
            assert!(ascii(&text).is_some());
            for at in 0..length {
                text[at] = 0x80;
                assert!(ascii(&text).is_none(), "{at} of {length}");
                text[at] = b'~';
            }
        }
    }

    #[test]
    fn bytes_are_told_apart_sixteen_at_a_time_as_one_by_one() {
        for byte in 0..=u8::MAX {
            for at in 0..STEP {
                let mut step = *b"abcdefghijklmnop";
                step[at] = byte;
                assert_eq!(
                    control_bytes(&step),
                    marks(&step, |b| b < b' ' || b == 0x7f),
                    "{byte}"
                );
                assert_eq!(equal_bytes(&step, byte), marks(&step, |b| b == byte), "{byte}");
                let ranges = [(b'a', b'c'), (0, 0), (0x7f, 0xff)];
                assert_eq!(
                    bytes_within(&step, ranges),
                    marks(&step, |b| matches!(b, 0 | b'a'..=b'c' | 0x7f..)),
                    "{byte}"
                );
            }
        }
    }
}
