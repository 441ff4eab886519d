//! Tests over bins, against SciPy 1.x and against their own promise.
#![allow(clippy::unwrap_used, missing_docs)]

use proptest::collection::vec;
use proptest::prelude::*;
use statistics::binned::{self, Tested};
use statistics::ks::{Method, two_sample, two_sample_binned};
use statistics::random::SplitMix64;

fn close(got: Tested, want: [f64; 3]) {
    let got = [got.statistic, got.effect, got.p_value];
    let near = got.iter().zip(want).all(|(got, want)| (got - want).abs() <= 1e-9 * want.abs().max(1e-3));
    assert!(near, "{got:?} is not {want:?}");
}

/// `ks_2samp` and `special.kolmogorov` with Stephens' correction; `chi2_contingency(correction=False)`; `chi2.sf` of the
/// index and of eight divergences over the rates of sampling, no less than that; `wasserstein_distance` of the middles.
#[test]
fn reference_values() {
    let (old, new) = ([100; 10], [70, 60, 55, 52, 50, 48, 45, 42, 40, 38]);
    let bounds: Vec<f64> = (0..=10).map(f64::from).collect();
    let ks = 0.073_999_999_999_999_95;
    close(binned::kolmogorov_smirnov(&old, &new).unwrap(), [ks, ks, 0.049_385_067_151_243_224]);
    let pearson = 0.265_773_141_551_895_9;
    close(binned::chi_square(&old, &new).unwrap(), [11.146_912_618_325_569, 0.04, pearson]);
    let index = [0.033_271_207_903_486_16, 0.006_271_207_903_486_158, 0.269_563_180_910_733_45];
    close(binned::population_stability(&old, &new).unwrap(), index);
    let distance = [0.077_340_542_812_219_62, 0.033_353_617_487_291, 0.271_871_652_383_727_24];
    close(binned::jensen_shannon(&old, &new).unwrap(), distance);
    let deviation = binned::deviation(&old, &bounds).unwrap();
    assert!((deviation - 2.872_281_323_269_014_3).abs() < 1e-12, "{deviation}");
    let moved = 0.179_648_140_946_280_18;
    close(binned::wasserstein(&old, &new, &bounds, deviation).unwrap(), [moved, moved, pearson]);
}

/// The same where bins are small: those of 5 and 3 expect too few values and are one.
#[test]
fn reference_values_of_small_bins() {
    let (old, new) = ([400, 300, 200, 60, 20, 12, 5, 3], [150, 160, 130, 40, 4, 2, 9, 5]);
    let bounds = [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
    close(binned::kolmogorov_smirnov(&old, &new).unwrap(), [0.1, 0.1, 0.002_320_731_728_954_008]);
    let pearson = 0.000_528_147_016_890_594_4;
    close(binned::chi_square(&old, &new).unwrap(), [21.980_237_154_150_196, 0.1, pearson]);
    let index = [0.068_190_007_318_453_3, 0.053_190_007_318_453_3, pearson];
    close(binned::population_stability(&old, &new).unwrap(), index);
    let distance = [0.110_416_480_917_472_36, 0.097_399_928_421_594_49, pearson];
    close(binned::jensen_shannon(&old, &new).unwrap(), distance);
    let deviation = binned::deviation(&old, &bounds).unwrap();
    let moved = 0.181_671_684_591_153_15;
    close(binned::wasserstein(&old, &new, &bounds, deviation).unwrap(), [moved, moved, pearson]);
}

/// `ks_2samp(method="exact")` of the same values.
#[test]
fn counts_are_ties() {
    let test = two_sample_binned(&[3, 4, 5], &[6, 2, 1], Method::Exact).unwrap();
    assert!((test.statistic - 0.416_666_666_666_666_7).abs() < 1e-15);
    assert!((test.p_value - 0.268_111_455_108_359_2).abs() < 1e-12, "{}", test.p_value);
    assert!(two_sample_binned(&[1], &[1, 2], Method::Limit).is_err());
    assert!(two_sample_binned(&[0, 0], &[1, 2], Method::Limit).is_err());
}

proptest! {
    /// Counts of bins say what the values at the bins say.
    #[test]
    fn bins_are_their_values(pairs in vec((0_u64..40, 0_u64..40), 2..8)) {
        let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
        let values = |counts: &[u64]| -> Vec<f64> {
            let of = |(bin, count): (usize, &u64)| vec![bin as f64; *count as usize];
            counts.iter().enumerate().flat_map(of).collect()
        };
        prop_assume!(a.iter().sum::<u64>() > 0 && b.iter().sum::<u64>() > 0);
        let of_bins = two_sample_binned(&a, &b, Method::Auto).unwrap();
        prop_assert_eq!(of_bins, two_sample(&values(&a), &values(&b), Method::Auto).unwrap());
    }

    /// Nothing is lost when bins are pooled, and every number is one.
    #[test]
    fn numbers_stay_in_their_range(pairs in vec((0_u64..400, 0_u64..400), 2..40)) {
        let (a, b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
        prop_assume!(a.iter().sum::<u64>() > 0 && b.iter().sum::<u64>() > 0);
        let (x, y) = binned::pooled(&a, &b).unwrap();
        prop_assert_eq!(x.iter().sum::<u64>(), a.iter().sum::<u64>());
        prop_assert_eq!(y.iter().sum::<u64>(), b.iter().sum::<u64>());
        for test in [binned::kolmogorov_smirnov, binned::chi_square, binned::population_stability, binned::jensen_shannon] {
            let one = test(&a, &b).unwrap();
            prop_assert!((0.0..=1.0).contains(&one.p_value) && one.statistic >= 0.0);
            prop_assert!(one.effect >= 0.0 && one.effect.is_finite(), "{:?}", one);
        }
    }
}

/// Counts of `size` values over levels of which the `i`-th is as frequent as `1 / i`, moved by `shift` levels.
fn draw(rng: &mut SplitMix64, levels: usize, size: u64, shift: usize) -> Vec<u64> {
    let weights: Vec<f64> = (1..=levels).map(|level| 1.0 / level as f64).collect();
    let total: f64 = weights.iter().sum();
    let mut counts = vec![0; levels];
    for _ in 0..size {
        let mut left = rng.next_f64() * total;
        let level = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        counts[(level.unwrap_or(levels - 1) + shift) % levels] += 1;
    }
    counts
}

/// One law, forty levels, many of them rare, a reference of a thousand values: false alarms stay at the level.
#[test]
fn false_alarms_stay_at_the_level() {
    let mut rng = SplitMix64::new(20);
    let mut alarms = [0_u32; 4];
    for _ in 0..2_000 {
        let (old, new) = (draw(&mut rng, 40, 1_000, 0), draw(&mut rng, 40, 500, 0));
        let tests = [
            binned::kolmogorov_smirnov,
            binned::chi_square,
            binned::population_stability,
            binned::jensen_shannon,
        ];
        for (count, test) in alarms.iter_mut().zip(tests) {
            *count += u32::from(test(&old, &new).unwrap().p_value <= 0.01);
        }
    }
    assert!(alarms.iter().all(|count| *count <= 34), "of 2000 at 1 %: {alarms:?}"); // 20, and three times its noise
    assert!(alarms[1] >= 8, "the test of homogeneity is no weaker than it says: {alarms:?}");
}

/// Another law is found by each test, with an effect that is one.
#[test]
fn another_law_is_found() {
    let mut rng = SplitMix64::new(21);
    let (old, new) = (draw(&mut rng, 40, 1_000, 0), draw(&mut rng, 40, 500, 5));
    for test in
        [binned::kolmogorov_smirnov, binned::chi_square, binned::population_stability, binned::jensen_shannon]
    {
        let found = test(&old, &new).unwrap();
        assert!(found.p_value < 1e-6 && found.effect > 0.1, "{found:?}");
    }
}
