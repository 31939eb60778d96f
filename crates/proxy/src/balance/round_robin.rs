//! Smooth weighted round robin: with weights 5, 1, 1 the order is a a b a c a a, not a a a a a b c.
//!
//! Each turn every endpoint gains its weight, the one with the most is chosen and pays the sum of all. Over as many
//! turns as the weights sum to, each endpoint is chosen exactly as often as its weight says. With equal weights, which
//! is nearly always, the same order comes from a cursor, in constant time.

use crate::worker::Random;

/// Where the round stands.
#[derive(Debug)]
pub struct RoundRobin {
    turn: Turn,
}

#[derive(Debug)]
enum Turn {
    /// All weights are equal: the next one is at `next`.
    Equal { count: usize, next: usize },
    /// What each endpoint has saved up.
    Weighted { weights: Box<[u32]>, saved: Box<[i64]> },
    /// No endpoint has a weight.
    Nobody,
}

impl RoundRobin {
    /// Starts at a random point of the round.
    pub fn new(weights: &[u32], random: &Random) -> Self {
        let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        let turn = match weights.first() {
            _ if total == 0 => Turn::Nobody,
            Some(first) if weights.iter().all(|weight| weight == first) => Turn::Equal {
                count: weights.len(),
                next: random.below(weights.len() as u32) as usize,
            },
            _ => Turn::Weighted {
                weights: weights.into(),
                saved: vec![0; weights.len()].into(),
            },
        };
        let mut start = Self { turn };
        if matches!(start.turn, Turn::Weighted { .. }) {
            for _ in 0..random.below(total.min(FURTHEST_START) as u32) {
                start.pick(|_| true);
            }
        }
        start
    }

    /// The next endpoint among those that `usable` allows. One that may not be used loses its turn.
    pub fn pick(&mut self, usable: impl Fn(usize) -> bool) -> Option<usize> {
        match &mut self.turn {
            Turn::Nobody => None,
            Turn::Equal { count, next } => {
                for _ in 0..*count {
                    let chosen = *next;
                    *next = if chosen + 1 == *count { 0 } else { chosen + 1 };
                    if usable(chosen) {
                        return Some(chosen);
                    }
                }
                None
            }
            Turn::Weighted { weights, saved } => {
                let mut total = 0;
                let mut best: Option<usize> = None;
                for (index, weight) in weights.iter().enumerate() {
                    if *weight == 0 || !usable(index) {
                        continue;
                    }
                    saved[index] += i64::from(*weight);
                    total += i64::from(*weight);
                    if best.is_none_or(|best| saved[index] > saved[best]) {
                        best = Some(index);
                    }
                }
                let best = best?;
                saved[best] -= total;
                Some(best)
            }
        }
    }
}

/// Turns skipped at most when starting within a weighted round: enough to part the workers, and soon done.
const FURTHEST_START: u64 = 256;

#[cfg(test)]
mod tests {
    use super::RoundRobin;
    use crate::worker::Random;

    fn turns(weights: &[u32], seed: u64, count: usize) -> Vec<usize> {
        let mut state = RoundRobin::new(weights, &Random::new(seed));
        (0..count).map(|_| state.pick(|_| true).unwrap()).collect()
    }

    #[test]
    fn over_one_round_each_endpoint_is_chosen_exactly_by_its_weight_wherever_it_starts() {
        for weights in [
            &[5, 1, 1][..],
            &[1, 1, 1],
            &[3, 0, 7, 2],
            &[1],
            &[100, 1],
            &[2, 2, 4],
        ] {
            let total: u32 = weights.iter().sum();
            for seed in 0..50 {
                let mut counts = vec![0; weights.len()];
                for chosen in turns(weights, seed, total as usize) {
                    counts[chosen] += 1;
                }
                assert_eq!(counts, weights, "seed {seed}");
            }
        }
    }

    #[test]
    fn a_heavy_endpoint_is_spread_over_the_round() {
        for seed in 0..20 {
            let order = turns(&[5, 1, 1], seed, 70);
            let longest = order.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap();
            assert!(longest <= 4, "{order:?}");
            let text: String = order.iter().map(|index| ['a', 'b', 'c'][*index]).collect();
            assert!(text.contains("aabacaa"), "{text}");
        }
    }

    #[test]
    fn an_unusable_endpoint_is_passed_over_and_the_others_keep_their_shares() {
        let mut state = RoundRobin::new(&[2, 1, 1], &Random::new(1));
        let mut counts = [0_u32; 3];
        for _ in 0..300 {
            counts[state.pick(|index| index != 1).unwrap()] += 1;
        }
        // One more or less: the round did not start at its beginning.
        assert!(counts[0].abs_diff(200) <= 1 && counts[1] == 0, "{counts:?}");
        assert_eq!(state.pick(|_| false), None);
    }

    #[test]
    fn without_any_weight_nobody_is_chosen() {
        assert_eq!(RoundRobin::new(&[0, 0], &Random::new(1)).pick(|_| true), None);
        assert_eq!(RoundRobin::new(&[], &Random::new(1)).pick(|_| true), None);
    }

    #[test]
    fn workers_do_not_start_at_the_same_endpoint() {
        let starts: std::collections::BTreeSet<_> = (0..64).map(|seed| turns(&[1; 8], seed, 1)[0]).collect();
        assert!(starts.len() > 4, "{starts:?}");
    }
}
