//! Distances between a reference and a current distribution: over bins, and over samples.
//!
//! How values were put into bins is part of every number made from bins: see [`crate::histogram`].
//! Source: WLP-MLDEV-001 §9.2 (data drift, prediction drift).

use crate::error::{Error, Result, finite, same_length};

/// Population Stability Index between two histograms of one feature.
///
/// `expected` and `actual` are bin counts over the same bins, shape `[n_bins]`, `n_bins >= 2`.
/// Empty bins are smoothed with half a count. Unitless; 0 is "same", above 0.25 usually alerts.
/// # Errors
/// [`Error::BinMismatch`] if the lengths differ or there are fewer than two bins, [`Error::Empty`] if a
/// histogram has no counts.
/// Source: WLP-MLDEV-001 §9.2 (data drift); Siddiqi, *Credit Risk Scorecards*, 2006.
pub fn psi(expected: &[u64], actual: &[u64]) -> Result<f64> {
    check_counts(expected, actual)?;
    let smooth = |counts: &[u64]| -> Vec<f64> {
        let filled: Vec<f64> = counts.iter().map(|c| if *c == 0 { 0.5 } else { *c as f64 }).collect();
        let total: f64 = filled.iter().sum();
        filled.iter().map(|c| c / total).collect()
    };
    Ok(index(&smooth(expected), &smooth(actual)))
}

/// PSI with every share raised to at least `floor` (1e-4 is common) and not renormalised: the value that
/// other tools report for the same bins.
pub fn psi_floored(expected: &[u64], actual: &[u64], floor: f64) -> Result<f64> {
    crate::error::open_unit("floor", floor)?;
    let (p, q) = (shares(expected, actual)?, shares(actual, expected)?);
    let raise = |values: Vec<f64>| -> Vec<f64> { values.into_iter().map(|v| v.max(floor)).collect() };
    Ok(index(&raise(p), &raise(q)))
}

/// What PSI is expected to be, about, when nothing drifted: bins beyond one, times the sum of both rates of
/// sampling. Columns with many levels have a large one; compare [`psi`] with it before an alarm.
pub fn psi_noise(expected: &[u64], actual: &[u64]) -> Result<f64> {
    check_counts(expected, actual)?;
    let used = expected.iter().zip(actual).filter(|(a, b)| **a + **b > 0).count() as f64;
    let (n, m) = (expected.iter().sum::<u64>() as f64, actual.iter().sum::<u64>() as f64);
    Ok((used - 1.0).max(0.0) * (1.0 / n + 1.0 / m))
}

fn index(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| (p - q) * (p / q).ln()).sum()
}

/// Jensen-Shannon divergence in bits, 0..=1.
pub fn jensen_shannon_divergence(expected: &[u64], actual: &[u64]) -> Result<f64> {
    let (p, q) = (shares(expected, actual)?, shares(actual, expected)?);
    let part = |share: f64, middle: f64| if share > 0.0 { share * (share / middle).log2() } else { 0.0 };
    let sum: f64 = p.iter().zip(&q).map(|(p, q)| part(*p, 0.5 * (p + q)) + part(*q, 0.5 * (p + q))).sum();
    Ok((0.5 * sum).clamp(0.0, 1.0))
}

/// Jensen-Shannon distance (root of the divergence in bits), 0..=1, a metric.
pub fn jensen_shannon_distance(expected: &[u64], actual: &[u64]) -> Result<f64> {
    Ok(jensen_shannon_divergence(expected, actual)?.sqrt())
}

/// Hellinger distance, 0..=1.
pub fn hellinger(expected: &[u64], actual: &[u64]) -> Result<f64> {
    let (p, q) = (shares(expected, actual)?, shares(actual, expected)?);
    Ok((0.5 * p.iter().zip(&q).map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2)).sum::<f64>()).sqrt())
}

/// Total variation distance, 0..=1: the largest difference in the probability of any event.
pub fn total_variation(expected: &[u64], actual: &[u64]) -> Result<f64> {
    let (p, q) = (shares(expected, actual)?, shares(actual, expected)?);
    Ok(0.5 * p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>())
}

/// Largest difference in the share of one bin, 0..=1.
pub fn largest_shift(expected: &[u64], actual: &[u64]) -> Result<f64> {
    let (p, q) = (shares(expected, actual)?, shares(actual, expected)?);
    Ok(p.iter().zip(&q).map(|(p, q)| (p - q).abs()).fold(0.0, f64::max))
}

/// Wasserstein-1 distance of two samples, in the unit of the feature. O(n log n).
pub fn wasserstein(x: &[f64], y: &[f64]) -> Result<f64> {
    integrate(x, y, f64::abs)
}

/// Energy distance of two samples, `sqrt(2 * integral of the squared difference)` (SciPy). O(n log n).
pub fn energy(x: &[f64], y: &[f64]) -> Result<f64> {
    Ok((2.0 * integrate(x, y, |gap| gap * gap)?).sqrt())
}

/// Integral of `cost(F_x - F_y)` over the line.
fn integrate(x: &[f64], y: &[f64], cost: impl Fn(f64) -> f64) -> Result<f64> {
    finite("x", x)?;
    finite("y", y)?;
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (x, y) = (sorted(x), sorted(y));
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    let mut before = x[0].min(y[0]);
    while i < x.len() || j < y.len() {
        let value = match (x.get(i), y.get(j)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(a), None) => *a,
            (None, Some(b)) => *b,
            (None, None) => break,
        };
        sum += (value - before) * cost(i as f64 / x.len() as f64 - j as f64 / y.len() as f64);
        before = value;
        while i < x.len() && x[i] <= value {
            i += 1;
        }
        while j < y.len() && y[j] <= value {
            j += 1;
        }
    }
    Ok(sum)
}

/// Wasserstein-1 between histograms over `edges`, each bin's mass at its middle, in the unit of the edges.
///
/// `edges` has one more entry than there are bins and ascends.
pub fn wasserstein_binned(expected: &[u64], actual: &[u64], edges: &[f64]) -> Result<f64> {
    let (p, q) = (shares(expected, actual)?, shares(actual, expected)?);
    finite("edges", edges)?;
    same_length(edges.len(), p.len() + 1)?;
    let middles: Vec<f64> = edges.windows(2).map(|e| e[0].midpoint(e[1])).collect();
    let (mut gap, mut sum) = (0.0_f64, 0.0);
    for (bin, step) in middles.windows(2).map(|m| m[1] - m[0]).enumerate() {
        gap += p[bin] - q[bin];
        sum += gap.abs() * step;
    }
    Ok(sum)
}

fn check_counts(expected: &[u64], actual: &[u64]) -> Result<()> {
    if expected.len() != actual.len() {
        return Err(Error::BinMismatch { why: "the histograms have different numbers of bins" });
    }
    if expected.len() < 2 {
        return Err(Error::BinMismatch { why: "fewer than two bins" });
    }
    if expected.iter().sum::<u64>() == 0 || actual.iter().sum::<u64>() == 0 {
        return Err(Error::Empty { what: "histogram" });
    }
    Ok(())
}

fn shares(counts: &[u64], other: &[u64]) -> Result<Vec<f64>> {
    check_counts(counts, other)?;
    let total = counts.iter().sum::<u64>() as f64;
    Ok(counts.iter().map(|c| *c as f64 / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn psi_by_hand() {
        let value = psi(&[50, 50], &[25, 75]).unwrap();
        assert!((value - (0.25 * 2_f64.ln() + 0.25 * 1.5_f64.ln())).abs() < 1e-15);
        assert!(psi(&[1, 0], &[0, 1]).unwrap().is_finite());
    }

    #[test]
    fn distances_of_disjoint_histograms() {
        assert_eq!(jensen_shannon_distance(&[4, 0], &[0, 9]), Ok(1.0));
        assert_eq!(total_variation(&[4, 0], &[0, 9]), Ok(1.0));
        assert_eq!(hellinger(&[4, 0], &[0, 9]), Ok(1.0));
        assert_eq!(wasserstein_binned(&[4, 0], &[0, 9], &[0.0, 2.0, 4.0]), Ok(2.0));
    }

    #[test]
    fn samples_by_hand() {
        assert_eq!(wasserstein(&[0.0, 1.0], &[2.0, 3.0]), Ok(2.0));
        assert_eq!(energy(&[0.0], &[0.0]), Ok(0.0));
        assert!(wasserstein(&[f64::NAN], &[1.0]).is_err());
    }

    #[test]
    fn too_little_is_an_error() {
        assert!(psi(&[1], &[1]).is_err());
        assert!(psi(&[1, 2], &[1, 2, 3]).is_err());
        assert!(psi(&[0, 0], &[1, 2]).is_err());
    }
}
