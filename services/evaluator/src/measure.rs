//! The five dimensions of §7.1, one file each.

pub mod adversarial;
pub mod explainability;
pub mod fairness;
pub mod latency;
pub mod performance;
pub mod robustness;
pub mod safety;

use statistics::random::SplitMix64;

/// Resamples behind a bootstrap interval.
const RESAMPLES: usize = 400;

/// A generator for one purpose: measures do not disturb each other's random choices.
pub(crate) fn generator(seed: u64, purpose: &str) -> SplitMix64 {
    let mixed = purpose.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    SplitMix64::new(mixed)
}

/// At most `most` of the items, drawn by the generator, in their order.
pub(crate) fn draw(mut items: Vec<usize>, most: usize, rng: &mut SplitMix64) -> Vec<usize> {
    rng.shuffle(&mut items);
    items.truncate(most);
    items.sort_unstable();
    items
}
