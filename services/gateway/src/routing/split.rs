//! The exact split of requests without a key.

use std::sync::{Mutex, PoisonError};

/// Hands out places by a deficit counter: after `n` requests a place of share `s` has got `n * s` of them, never a whole
/// request off (with two places). What the shares leave of 100 is handed out as "no place".
///
/// Every gateway counts by itself: `N` gateways together are less than `N` requests off, a restart counting as one more
/// gateway. Positions claimed in the key-value store would not be closer. A block of positions holds each place's share of
/// them, as a counter here does, and of each gateway a block is half used, so the sum is off by as much; only one claim a
/// request is exact, and it would put a round trip, and the store's failures, before each inference.
#[derive(Debug)]
pub struct Split {
    shares: Vec<u32>,
    /// 100 times how far each place is behind, the last for "no place"; the sum is 0.
    owed: Mutex<Vec<i64>>,
}

impl Split {
    /// A split by percent; the sum must be at most 100.
    pub fn new(shares: Vec<u32>) -> Self {
        let owed = Mutex::new(vec![0; shares.len() + 1]);
        Self { shares, owed }
    }

    /// The shares it was made with.
    pub fn shares(&self) -> &[u32] {
        &self.shares
    }

    /// The place of the next request; `None` where the shares leave a rest and it is the rest's turn.
    pub fn next(&self) -> Option<usize> {
        let mut owed = self.owed.lock().unwrap_or_else(PoisonError::into_inner);
        let given: u32 = self.shares.iter().sum();
        let rest = 100_u32.saturating_sub(given);
        let (mut best, mut most) = (self.shares.len(), i64::MIN);
        for (place, (owed, share)) in
            owed.iter_mut().zip(self.shares.iter().copied().chain(std::iter::once(rest))).enumerate()
        {
            *owed += i64::from(share);
            if share > 0 && *owed > most {
                (best, most) = (place, *owed);
            }
        }
        owed[best] -= 100;
        (best < self.shares.len()).then_some(best)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_prefix_is_a_whole_request_off() {
        for share in [1_u32, 5, 25, 33, 50, 99, 100] {
            let split = Split::new(vec![100 - share, share]);
            let mut canary = 0_u32;
            for n in 1..=20_000_u32 {
                canary += u32::from(split.next() == Some(1));
                let exact = f64::from(n) * f64::from(share) / 100.0;
                assert!((f64::from(canary) - exact).abs() < 1.0, "{share} % after {n}: {canary}");
            }
        }
    }

    /// However callers are spread over three gateways, and one of them restarts.
    #[test]
    fn gateways_together_are_less_than_a_request_off_for_each() {
        let mut rng = statistics::random::SplitMix64::new(3);
        for share in [5_u32, 25, 50] {
            let new = || Split::new(vec![100 - share, share]);
            let (mut gateways, mut counters) = ([new(), new(), new()], 3.0);
            let mut canary = 0_u32;
            for n in 1..=20_000_u32 {
                if n == 7_777 {
                    (gateways[1], counters) = (new(), 4.0);
                }
                // The last gets half of the callers.
                let gateway = &gateways[rng.below(4).min(2)];
                canary += u32::from(gateway.next() == Some(1));
                let exact = f64::from(n) * f64::from(share) / 100.0;
                assert!((f64::from(canary) - exact).abs() < counters, "{share} % after {n}: {canary}");
            }
        }
    }

    #[test]
    fn a_rest_is_handed_out_as_no_place() {
        let split = Split::new(vec![5]);
        let served = (0..2000).filter(|_| split.next().is_some()).count();
        assert_eq!(served, 100);
        assert_eq!(Split::new(vec![]).next(), None);
    }
}
