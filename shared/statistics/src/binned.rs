//! Two-sample tests of a reference and a window that were counted over the same bins, each with its own null.
//!
//! Both are samples: what sampling alone would give is taken off every effect, and no reference is treated as exact.
//! Source: WLP-MLDEV-001 §9.2 (data drift, prediction drift).

use serde::{Deserialize, Serialize};

use crate::contingency::{ChiSquare, homogeneity};
use crate::drift;
use crate::error::{Error, Result, finite, same_length};
use crate::ks::{self, Method};
use crate::special::chi_square_upper;

/// Fewest values that either sample must expect in a bin for the chi-square law to hold (Cochran 1954).
pub const LEAST_EXPECTED: f64 = 5.0;

/// What one test found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// Its statistic.
    pub statistic: f64,
    /// How large the change is beyond what sampling alone gives; 0 is none.
    pub effect: f64,
    /// Chance of a statistic at least this large if both samples come from one law.
    pub p_value: f64,
}

impl Tested {
    /// Both samples lie in one bin: nothing differs as far as the bins can tell.
    const SAME: Self = Self { statistic: 0.0, effect: 0.0, p_value: 1.0 };
}

/// Kolmogorov-Smirnov over ordered bins: the largest distance of the distribution functions at the bins' bounds.
///
/// Values of one bin are ties, so the p-value (Kolmogorov's law) is at most too large.
/// # Errors
/// [`Error::BinMismatch`], [`Error::Empty`].
pub fn kolmogorov_smirnov(expected: &[u64], actual: &[u64]) -> Result<Tested> {
    let test = ks::two_sample_binned(expected, actual, Method::Limit)?;
    Ok(Tested { statistic: test.statistic, effect: test.statistic, p_value: test.p_value })
}

/// Chi-square of homogeneity over [`pooled`] bins; the effect is the largest change of one bin's share.
/// # Errors
/// As [`pooled`].
pub fn chi_square(expected: &[u64], actual: &[u64]) -> Result<Tested> {
    let Some(two) = Pooled::of(expected, actual)? else { return Ok(Tested::SAME) };
    let effect = drift::largest_shift(&two.expected, &two.actual)?;
    Ok(Tested { statistic: two.pearson.statistic, effect, p_value: two.pearson.p_value })
}

/// Population Stability Index over [`pooled`] bins, less what it is expected to be without drift.
///
/// Over the sum of both rates of sampling it follows a chi-square law (Yurdakul 2018); its tail is too light where bins are
/// small, so that the p-value is never below Pearson's of the same bins.
/// # Errors
/// As [`pooled`].
pub fn population_stability(expected: &[u64], actual: &[u64]) -> Result<Tested> {
    let Some(two) = Pooled::of(expected, actual)? else { return Ok(Tested::SAME) };
    let (index, noise) =
        (drift::psi(&two.expected, &two.actual)?, drift::psi_noise(&two.expected, &two.actual)?);
    let p_value = two.p_value(index / two.rate());
    Ok(Tested { statistic: index, effect: (index - noise).max(0.0), p_value })
}

/// Jensen-Shannon distance (base 2) over [`pooled`] bins; the effect is that of the divergence less what sampling gives.
///
/// Eight divergences in nats over the sum of both rates of sampling follow a chi-square law (Grosse et al. 2002); as for
/// [`population_stability`] the p-value is never below Pearson's.
/// # Errors
/// As [`pooled`].
pub fn jensen_shannon(expected: &[u64], actual: &[u64]) -> Result<Tested> {
    let Some(two) = Pooled::of(expected, actual)? else { return Ok(Tested::SAME) };
    let bits = drift::jensen_shannon_divergence(&two.expected, &two.actual)?;
    let to_chi_square = 8.0 * std::f64::consts::LN_2 / two.rate();
    let noise = two.pearson.degrees as f64 / to_chi_square;
    let p_value = two.p_value(bits * to_chi_square);
    Ok(Tested { statistic: bits.sqrt(), effect: (bits - noise).max(0.0).sqrt(), p_value })
}

/// Wasserstein-1 distance over ordered bins in `deviations` of the reference, each bin's mass at its middle.
///
/// `bounds` has one more entry than there are bins. The distance has no law of its own that is free of the reference: the
/// p-value is Pearson's over the [`pooled`] bins, that of any difference at all.
/// # Errors
/// As [`pooled`]; [`Error::OutOfRange`] for a deviation that is not above 0.
pub fn wasserstein(expected: &[u64], actual: &[u64], bounds: &[f64], deviation: f64) -> Result<Tested> {
    if deviation.is_nan() || deviation <= 0.0 {
        return Err(Error::OutOfRange { what: "deviation", value: deviation, expected: "above 0" });
    }
    let distance = drift::wasserstein_binned(expected, actual, bounds)? / deviation;
    let p_value = Pooled::of(expected, actual)?.map_or(1.0, |two| two.pearson.p_value);
    Ok(Tested { statistic: distance, effect: distance, p_value })
}

/// Standard deviation of binned values, each at the middle of its bin; 0 where one bin holds all of them.
/// # Errors
/// [`Error::LengthMismatch`], [`Error::Empty`], [`Error::NotFinite`].
pub fn deviation(counts: &[u64], bounds: &[f64]) -> Result<f64> {
    finite("bounds", bounds)?;
    same_length(bounds.len(), counts.len() + 1)?;
    let total = counts.iter().sum::<u64>() as f64;
    if total <= 0.0 {
        return Err(Error::Empty { what: "histogram" });
    }
    if counts.iter().filter(|count| **count > 0).count() == 1 {
        return Ok(0.0);
    }
    let middles = || bounds.windows(2).map(|bin| bin[0].midpoint(bin[1])).zip(counts);
    let mean = middles().map(|(middle, count)| middle * *count as f64).sum::<f64>() / total;
    let squares = middles().map(|(middle, count)| (middle - mean).powi(2) * *count as f64).sum::<f64>();
    Ok((squares / total).sqrt())
}

/// Bins in which either sample expects fewer than [`LEAST_EXPECTED`] values, put into one; empty bins are left out. What is
/// put together follows from the sums of both samples alone, so that the tests stay valid.
/// # Errors
/// [`Error::BinMismatch`] for different numbers of bins, [`Error::Empty`] for a sample without values.
pub fn pooled(expected: &[u64], actual: &[u64]) -> Result<(Vec<u64>, Vec<u64>)> {
    if expected.len() != actual.len() {
        return Err(Error::BinMismatch { why: "the histograms have different numbers of bins" });
    }
    let (n, m) = (expected.iter().sum::<u64>(), actual.iter().sum::<u64>());
    if n == 0 || m == 0 {
        return Err(Error::Empty { what: "histogram" });
    }
    let (smaller, all) = (n.min(m) as f64, (n + m) as f64);
    let is_rare = |(a, b): (u64, u64)| (a + b) as f64 * smaller / all < LEAST_EXPECTED;
    let pairs = expected.iter().copied().zip(actual.iter().copied());
    let (rare, mut kept): (Vec<_>, Vec<_>) = pairs.partition(|pair| is_rare(*pair));
    let rest = rare.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    if rest.0 + rest.1 > 0 {
        match kept.iter_mut().min_by_key(|(a, b)| a + b).filter(|_| is_rare(rest)) {
            Some(smallest) => *smallest = (smallest.0 + rest.0, smallest.1 + rest.1),
            None => kept.push(rest),
        }
    }
    Ok(kept.into_iter().unzip())
}

/// Pooled bins, two at least, with Pearson's test of them.
struct Pooled {
    expected: Vec<u64>,
    actual: Vec<u64>,
    pearson: ChiSquare,
}

impl Pooled {
    /// `None` where all values are in one bin.
    fn of(expected: &[u64], actual: &[u64]) -> Result<Option<Self>> {
        let (expected, actual) = pooled(expected, actual)?;
        if expected.len() < 2 {
            return Ok(None);
        }
        let pearson = homogeneity(&expected, &actual)?;
        Ok(Some(Self { expected, actual, pearson }))
    }

    /// The sum of both rates of sampling, 1/n + 1/m.
    fn rate(&self) -> f64 {
        let of = |counts: &[u64]| 1.0 / counts.iter().sum::<u64>() as f64;
        of(&self.expected) + of(&self.actual)
    }

    fn p_value(&self, statistic: f64) -> f64 {
        let own = chi_square_upper(statistic.max(0.0), self.pearson.degrees as f64);
        own.max(self.pearson.p_value).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_bins_are_put_together() {
        // 100 and 50 values: a bin of 14 expects 4.67 of the smaller sample, one of 15 expects 5
        assert_eq!(pooled(&[80, 9, 10, 1, 0], &[34, 5, 5, 6, 0]), Ok((vec![80, 10, 10], vec![34, 5, 11])));
        // what is rare even together goes to the smallest bin
        assert_eq!(pooled(&[60, 38, 2], &[30, 20, 0]), Ok((vec![60, 40], vec![30, 20])));
        assert_eq!(pooled(&[1, 1], &[1, 1]), Ok((vec![2], vec![2])));
        assert!(pooled(&[1], &[1, 2]).is_err() && pooled(&[0, 0], &[1, 2]).is_err());
    }

    #[test]
    fn one_bin_in_use_is_no_difference() {
        let tests = [chi_square, population_stability, jensen_shannon, kolmogorov_smirnov];
        for test in tests {
            assert_eq!(test(&[0, 500, 0], &[0, 900, 0]), Ok(Tested::SAME));
        }
        assert!(kolmogorov_smirnov(&[0, 0], &[1, 1]).is_err());
    }

    #[test]
    fn a_distance_needs_a_deviation() {
        assert!((deviation(&[5, 5], &[0.0, 2.0, 4.0]).unwrap() - 1.0).abs() < 1e-15);
        assert_eq!(deviation(&[0, 7, 0], &[0.0, 0.1, 0.3, 0.9]), Ok(0.0));
        let moved = wasserstein(&[100, 0], &[0, 100], &[0.0, 2.0, 4.0], 1.0).unwrap();
        assert!((moved.effect - 2.0).abs() < 1e-15 && moved.p_value < 1e-9);
        for bad in [0.0, -1.0, f64::NAN] {
            assert!(wasserstein(&[1, 1], &[1, 1], &[0.0, 1.0, 2.0], bad).is_err());
        }
    }
}
