//! Two-sample Kolmogorov-Smirnov test, with ties.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, finite};

/// Largest product of sample sizes for which the exact p-value is computed (its cost is that product).
pub const EXACT_LIMIT: u64 = 4_000_000;

/// How the p-value is computed; part of the name of the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Method {
    /// Exact up to [`EXACT_LIMIT`], the limit law beyond.
    Auto,
    /// Counts lattice paths; with ties it is conservative.
    Exact,
    /// Kolmogorov's limit law with Stephens' correction for finite samples.
    Limit,
}

/// The largest distance of two empirical distribution functions, with its p-value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KolmogorovSmirnov {
    /// 0..=1.
    pub statistic: f64,
    /// Two-sided p-value.
    pub p_value: f64,
}

/// Two-sample test that `x` and `y` come from one law. O(n log n), exact p-values O(n m).
///
/// Source: WLP-MLDEV-001 §9.2; Hodges 1958 (paths); Stephens 1970.
pub fn two_sample(x: &[f64], y: &[f64], method: Method) -> Result<KolmogorovSmirnov> {
    finite("x", x)?;
    finite("y", y)?;
    let gap = largest_gap(&mut x.to_vec(), &mut y.to_vec());
    judged(x.len() as u64, y.len() as u64, gap, method)
}

/// The same over counts of the same ordered bins, shape `[n_bins]`. Values of one bin are ties: the statistic is that of
/// the values put at their bins, and the p-value is conservative. O(bins) for [`Method::Limit`].
/// # Errors
/// [`Error::BinMismatch`] if the lengths differ, [`Error::Empty`] if a histogram has no counts.
pub fn two_sample_binned(expected: &[u64], actual: &[u64], method: Method) -> Result<KolmogorovSmirnov> {
    if expected.len() != actual.len() {
        return Err(Error::BinMismatch { why: "the histograms have different numbers of bins" });
    }
    let (n, m) = (expected.iter().sum::<u64>(), actual.iter().sum::<u64>());
    if n == 0 || m == 0 {
        return Err(Error::Empty { what: "histogram" });
    }
    let (mut i, mut j, mut gap) = (0_u64, 0_u64, 0_u128);
    for (a, b) in expected.iter().zip(actual) {
        (i, j) = (i + a, j + b);
        gap = gap.max((u128::from(i) * u128::from(m)).abs_diff(u128::from(j) * u128::from(n)));
    }
    judged(n, m, gap, method)
}

/// The statistic and p-value of a gap.
fn judged(n: u64, m: u64, gap: u128, method: Method) -> Result<KolmogorovSmirnov> {
    let statistic = gap as f64 / (n as f64 * m as f64);
    let small = n.saturating_mul(m) <= EXACT_LIMIT;
    let p_value = match method {
        Method::Exact if !small => {
            return Err(Error::OutOfRange {
                what: "product of sample sizes",
                value: n as f64 * m as f64,
                expected: "at most EXACT_LIMIT",
            });
        }
        Method::Exact => exact_p(n, m, gap),
        Method::Auto if small => exact_p(n, m, gap),
        Method::Auto | Method::Limit => limit_p(statistic, n as f64 * m as f64 / (n + m) as f64),
    };
    Ok(KolmogorovSmirnov { statistic, p_value })
}

/// Largest `|i m - j n|` over the merged sample, an integer: the statistic times n m.
fn largest_gap(x: &mut [f64], y: &mut [f64]) -> u128 {
    x.sort_unstable_by(f64::total_cmp);
    y.sort_unstable_by(f64::total_cmp);
    let (n, m) = (x.len(), y.len());
    let (mut i, mut j, mut gap) = (0, 0, 0);
    while i < n && j < m {
        let value = x[i].min(y[j]);
        while i < n && x[i] <= value {
            i += 1;
        }
        while j < m && y[j] <= value {
            j += 1;
        }
        gap = gap.max((i as u128 * m as u128).abs_diff(j as u128 * n as u128));
    }
    gap
}

/// Share of lattice paths from (0,0) to (n,m) that somewhere reach the gap.
fn exact_p(n: u64, m: u64, gap: u128) -> f64 {
    let outside =
        |i: u64, j: u64| gap <= (u128::from(i) * u128::from(m)).abs_diff(u128::from(j) * u128::from(n));
    let mut left = vec![0.0_f64; m as usize + 1];
    for i in 0..=n {
        for j in 0..=m {
            let column = j as usize;
            left[column] = if outside(i, j) {
                1.0
            } else if i == 0 {
                if j == 0 { 0.0 } else { left[column - 1] }
            } else if j == 0 {
                left[column]
            } else {
                // paths to (i,j) come from (i-1,j) in i of i+j cases, from (i,j-1) in the others
                (left[column] * i as f64 + left[column - 1] * j as f64) / (i + j) as f64
            };
        }
    }
    left[m as usize].min(1.0)
}

/// Kolmogorov's limit law with Stephens' correction.
fn limit_p(statistic: f64, effective: f64) -> f64 {
    let root = effective.sqrt();
    let t = (root + 0.12 + 0.11 / root) * statistic;
    if t < 0.2 {
        return 1.0;
    }
    let mut sum = 0.0;
    let mut sign = 1.0;
    for k in 1..=100 {
        let term = (-2.0 * (f64::from(k) * t).powi(2)).exp();
        sum += sign * term;
        sign = -sign;
        if term < 1e-18 {
            break;
        }
    }
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // apart: 2 of the C(4,2) = 6 paths reach the full distance
        let apart = two_sample(&[1.0, 2.0], &[3.0, 4.0], Method::Exact).unwrap();
        assert!((apart.statistic - 1.0).abs() < 1e-15 && (apart.p_value - 1.0 / 3.0).abs() < 1e-15);
        let same = two_sample(&[1.0, 2.0], &[1.0, 2.0], Method::Exact).unwrap();
        assert!(same.statistic.abs() < 1e-15 && (same.p_value - 1.0).abs() < 1e-15);
    }

    #[test]
    fn the_limit_is_near_the_exact_value() {
        let x: Vec<f64> = (0..300).map(f64::from).collect();
        let y: Vec<f64> = (0..300).map(|i| f64::from(i) * 1.12).collect();
        let exact = two_sample(&x, &y, Method::Exact).unwrap().p_value;
        let limit = two_sample(&x, &y, Method::Limit).unwrap().p_value;
        assert!((exact / limit - 1.0).abs() < 0.15, "{exact} {limit}");
    }

    #[test]
    fn not_a_number_is_refused() {
        assert!(two_sample(&[f64::NAN], &[1.0], Method::Auto).is_err());
        assert!(two_sample(&[], &[1.0], Method::Auto).is_err());
    }
}
