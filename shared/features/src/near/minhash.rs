//! MinHash with banding: sets that are alike fall into a common bucket of at least one band, almost surely.

use statistics::random::SplitMix64;

use super::TokenSets;
use crate::hash::Hash128;

/// Bands of a signature.
pub(super) const BANDS: usize = 24;
/// Minima in a band. A pair of Jaccard index j shares a bucket with probability 1 - (1 - j^6)^24: 99.93 % at 0.8, and
/// 0.6 % at 0.25.
const ROWS: usize = 6;

/// The hash functions of all bands.
pub(super) struct Bands(Vec<[(u64, u64); ROWS]>);

impl Bands {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        let mut function = || (random.next_u64(), random.next_u64() | 1);
        Self((0..BANDS).map(|_| std::array::from_fn(|_| function())).collect())
    }

    /// The buckets of one band with more than one member, members ascending: one band at a time, so that no signature is
    /// kept.
    pub(super) fn buckets(&self, band: usize, sets: &TokenSets, members: &[u32]) -> Vec<(u64, u32)> {
        let key = |member: &u32| {
            let mut minima = [u64::MAX; ROWS];
            for token in sets.row(*member as usize) {
                for (least, (mask, factor)) in minima.iter_mut().zip(&self.0[band]) {
                    *least = (*least).min((token ^ mask).wrapping_mul(*factor));
                }
            }
            let mut hash = Hash128::new(band as u64);
            minima.iter().for_each(|least| hash.word(*least));
            (hash.finish64(), *member)
        };
        let mut keys: Vec<(u64, u32)> = members.iter().map(key).collect();
        keys.sort_unstable();
        keys
    }
}
