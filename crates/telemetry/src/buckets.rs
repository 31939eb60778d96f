//! Where a duration falls: exact bounds of classic and native buckets at once.
//!
//! The cells of a histogram are cut at the bounds of the classic buckets *and* at those of a native histogram of
//! schema 3 (each bound 2^(1/8) times the one before, about 9 %). One increment then feeds both views, and both
//! always agree about the count. Everything is in whole nanoseconds, so finding the cell takes a table look-up and
//! a comparison or two.

/// Upper bounds of the classic buckets, in seconds, as text and as nanoseconds.
pub(crate) const CLASSIC: [(&str, u64); 16] = [
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.0025", 2_500_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.025", 25_000_000),
    ("0.05", 50_000_000),
    ("0.1", 100_000_000),
    ("0.25", 250_000_000),
    ("0.5", 500_000_000),
    ("1.0", 1_000_000_000),
    ("2.5", 2_500_000_000),
    ("5.0", 5_000_000_000),
    ("10.0", 10_000_000_000),
    ("30.0", 30_000_000_000),
    ("60.0", 60_000_000_000),
];

/// Resolution of the native histogram: 2^3 buckets per doubling.
pub(crate) const SCHEMA: i32 = 3;
/// Durations up to this many seconds (2^-20, about a microsecond) are the native zero bucket.
pub(crate) const ZERO_THRESHOLD: f64 = 1.0 / 1_048_576.0;
/// Native index of the first bucket above the zero bucket; its upper bound is 2^(-159/8) s.
pub(crate) const FIRST_NATIVE: i32 = -159;
/// Native buckets, from 2^-20 s to 2^12 s (68 minutes). What takes longer counts in the last one.
pub(crate) const NATIVE: usize = 256;
/// Cells: the zero bucket, the native buckets, and one more for each classic bound that cuts one of them in two
/// (those of 0.25 s, 0.5 s and 1 s are native bounds already).
pub(crate) const CELLS: usize = 1 + NATIVE + CLASSIC.len() - 3;

/// The cell that a duration of so many nanoseconds falls into.
#[inline]
pub(crate) fn cell(nanos: u64) -> usize {
    let mut cell = usize::from(TABLE.first[slot(nanos)]);
    while cell < CELLS - 1 && nanos > TABLE.bounds[cell] {
        cell += 1;
    }
    cell
}

/// The native bucket that a cell belongs to, from 0; `None` for the zero bucket.
pub(crate) fn native(cell: usize) -> Option<usize> {
    usize::from(TABLE.native[cell]).checked_sub(1)
}

/// The classic bucket that a cell belongs to; `CLASSIC.len()` stands for `+Inf`.
pub(crate) fn classic(cell: usize) -> usize {
    if cell == CELLS - 1 {
        return CLASSIC.len();
    }
    CLASSIC
        .iter()
        .position(|(_, bound)| TABLE.bounds[cell] <= *bound)
        .unwrap_or(CLASSIC.len())
}

struct Table {
    /// Largest duration of each cell; that of the last one does not count.
    bounds: [u64; CELLS],
    /// Native bucket of each cell plus one; 0 is the zero bucket.
    native: [u16; CELLS],
    /// The first cell that a duration of each slot can fall into.
    first: [u16; SLOTS],
}

/// Sixteen slots per power of two, narrower than the narrowest native bucket's distance to the next but one.
const SLOTS: usize = 64 * 16;

/// Leading bit and the four bits that follow.
#[inline]
const fn slot(nanos: u64) -> usize {
    let nanos = nanos | 16;
    let log = nanos.ilog2();
    (log as usize) << 4 | (nanos >> (log - 4)) as usize & 15
}

static TABLE: Table = table();

const fn table() -> Table {
    let mut table = Table {
        bounds: [0; CELLS],
        native: [0; CELLS],
        first: [0; SLOTS],
    };
    // Merges the two sorted lists of bounds; native bucket 0 here is the zero bucket.
    let (mut cell, mut native_at, mut classic_at) = (0, 0, 0);
    while cell < CELLS {
        let native = native_bound(native_at);
        table.native[cell] = if native_at > NATIVE {
            NATIVE as u16
        } else {
            native_at as u16
        };
        if classic_at < CLASSIC.len() && CLASSIC[classic_at].1 < native {
            table.bounds[cell] = CLASSIC[classic_at].1;
            classic_at += 1;
        } else {
            if classic_at < CLASSIC.len() && CLASSIC[classic_at].1 == native {
                classic_at += 1;
            }
            table.bounds[cell] = native;
            native_at += 1;
        }
        cell += 1;
    }
    let (mut slot_at, mut cell) = (0, 0);
    while slot_at < SLOTS {
        let (log, sub) = (slot_at >> 4, slot_at & 15);
        // Below 16 ns every slot leads to the first cell.
        let smallest = if log < 4 {
            0
        } else {
            (16 + sub as u64) << (log - 4)
        };
        while cell < CELLS - 1 && table.bounds[cell] < smallest {
            cell += 1;
        }
        table.first[slot_at] = cell as u16;
        slot_at += 1;
    }
    table
}

/// Upper bound of a native bucket in nanoseconds, rounded down: 2^(-20 + n/8) s.
const fn native_bound(n: usize) -> u64 {
    const EIGHTHS: [f64; 8] = [
        1.0,
        1.090_507_732_665_257_7,
        1.189_207_115_002_721,
        1.296_839_554_651_009_6,
        std::f64::consts::SQRT_2,
        1.542_210_825_407_940_7,
        1.681_792_830_507_429,
        1.834_008_086_409_342_4,
    ];
    let mut seconds = EIGHTHS[n % 8] / 1_048_576.0;
    let mut doublings = n / 8;
    while doublings > 0 {
        seconds *= 2.0;
        doublings -= 1;
    }
    (seconds * 1e9) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_and_end_at_four_thousand_seconds() {
        assert!(TABLE.bounds.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(TABLE.bounds[0], 953, "2^-20 s");
        assert_eq!(TABLE.bounds[CELLS - 1], 4_096_000_000_000, "2^12 s");
        assert_eq!(native(CELLS - 1), Some(NATIVE - 1));
    }

    #[test]
    fn every_bound_falls_into_its_own_cell_and_the_next_nanosecond_into_the_next() {
        for (at, bound) in TABLE.bounds.iter().enumerate() {
            assert_eq!(cell(*bound), at);
            assert_eq!(cell(*bound + 1), (at + 1).min(CELLS - 1));
        }
        assert_eq!((cell(0), cell(1), cell(15), cell(16)), (0, 0, 0, 0));
        assert_eq!(cell(u64::MAX), CELLS - 1);
    }

    #[test]
    fn a_classic_bound_belongs_to_its_own_bucket() {
        for (at, (_, bound)) in CLASSIC.iter().enumerate() {
            assert_eq!(classic(cell(*bound)), at);
            assert_eq!(classic(cell(*bound + 1)), at + 1);
        }
        assert_eq!(classic(cell(u64::MAX)), CLASSIC.len());
    }

    #[test]
    fn a_cell_lies_within_one_native_bucket() {
        let mut nanos = 1_000_u64;
        while nanos < 4_096_000_000_000 {
            let seconds = nanos as f64 / 1e9;
            let index = (seconds.log2() * 8.0).ceil();
            let ours = native(cell(nanos)).expect("above the zero bucket") as f64 + f64::from(FIRST_NATIVE);
            assert!(
                (index - ours).abs() <= f64::from(is_near_bound(seconds)),
                "{nanos} ns"
            );
            nanos = nanos * 101 / 100 + 7;
        }
    }

    /// Whether rounding may put the logarithm on the other side of a bound.
    fn is_near_bound(seconds: f64) -> bool {
        let eighths = seconds.log2() * 8.0;
        (eighths - eighths.round()).abs() < 1e-2
    }
}
