//! The power of two choices: of two random endpoints, the one with less to do for its weight. Nearly as good as the
//! least loaded of all, and without the stampede onto it when workers look at the same moment.

use crate::worker::Random;

/// Chooses an endpoint. `load` tells how many exchanges it has at hand over all workers.
pub fn least_request(
    weights: &[u32],
    random: &Random,
    load: impl Fn(usize) -> u32,
    usable: impl Fn(usize) -> bool,
) -> Option<usize> {
    let may = |index: usize| weights[index] > 0 && usable(index);
    let first = draw(weights.len(), random, &may, None)?;
    let Some(second) = draw(weights.len(), random, &may, Some(first)) else {
        return Some(first);
    };
    // (load + 1) / weight, compared without a division.
    let cost = |index: usize, other: usize| (u64::from(load(index)) + 1) * u64::from(weights[other]);
    match cost(first, second).cmp(&cost(second, first)) {
        std::cmp::Ordering::Greater => Some(second),
        std::cmp::Ordering::Less => Some(first),
        // Equally busy for their weights (often: both idle): by weight, so that shares hold without load as well.
        std::cmp::Ordering::Equal => {
            let (a, b) = (weights[first], weights[second]);
            Some(if random.below(a.saturating_add(b)) < a {
                first
            } else {
                second
            })
        }
    }
}

/// A random endpoint that may be used and is not `except`: a few draws, then a search from a random point, so that
/// one usable endpoint among many unusable ones is found too.
fn draw(count: usize, random: &Random, may: &impl Fn(usize) -> bool, except: Option<usize>) -> Option<usize> {
    if count == 0 || (count == 1 && except.is_some()) {
        return None;
    }
    let good = |index: usize| Some(index) != except && may(index);
    for _ in 0..4 {
        let index = random.below(count as u32) as usize;
        if good(index) {
            return Some(index);
        }
    }
    let start = random.below(count as u32) as usize;
    (start..count).chain(0..start).find(|index| good(*index))
}

#[cfg(test)]
mod tests {
    use super::least_request;
    use crate::worker::Random;

    #[test]
    fn of_two_endpoints_the_idle_one_is_chosen() {
        let random = Random::new(7);
        for _ in 0..100 {
            assert_eq!(
                least_request(&[1, 1], &random, |index| [3, 0][index], |_| true),
                Some(1)
            );
        }
    }

    #[test]
    fn load_is_weighed_by_weight() {
        let random = Random::new(7);
        for _ in 0..100 {
            // (3+1)/4 = 1 beats (1+1)/1 = 2.
            assert_eq!(
                least_request(&[4, 1], &random, |index| [3, 1][index], |_| true),
                Some(0)
            );
        }
    }

    #[test]
    fn the_busiest_of_many_gets_nothing_and_the_others_share() {
        let random = Random::new(7);
        let mut counts = [0_u32; 5];
        for _ in 0..10_000 {
            let chosen = least_request(&[1; 5], &random, |index| [9, 0, 0, 0, 0][index], |_| true).unwrap();
            counts[chosen] += 1;
        }
        assert_eq!(counts[0], 0);
        assert!(
            counts[1..].iter().all(|count| (2_200..2_800).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn the_one_usable_endpoint_is_always_found() {
        let random = Random::new(7);
        for _ in 0..100 {
            assert_eq!(
                least_request(&[1; 300], &random, |_| 0, |index| index == 299),
                Some(299)
            );
        }
        assert_eq!(least_request(&[0, 0], &random, |_| 0, |_| true), None);
        assert_eq!(least_request(&[], &random, |_| 0, |_| true), None);
        assert_eq!(least_request(&[1], &random, |_| 0, |_| false), None);
    }
}
