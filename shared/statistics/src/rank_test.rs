//! Rank tests of two samples: Mann-Whitney and Cramer-von Mises.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, finite};
use crate::special::{ln_gamma, normal_upper};

/// A statistic with its p-value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankTest {
    /// The statistic.
    pub statistic: f64,
    /// Two-sided p-value.
    pub p_value: f64,
}

/// Mann-Whitney U of `x` over `y`, two-sided.
///
/// Exact when a sample has at most 8 values, the other at most 200 and none are tied; else normal with tie
/// and continuity correction. The rule of SciPy. O(n log n) for the normal form.
pub fn mann_whitney(x: &[f64], y: &[f64]) -> Result<RankTest> {
    let ranked = Ranked::new(x, y)?;
    let small = x.len().min(y.len()) <= 8 && x.len().max(y.len()) <= 200;
    if !small || ranked.ties > 0.0 {
        return mann_whitney_normal(x, y);
    }
    let u = ranked.u();
    let larger = u.max((x.len() * y.len()) as f64 - u);
    Ok(RankTest { statistic: u, p_value: exact_u(x.len(), y.len(), larger) })
}

/// Mann-Whitney U with the normal law for every sample size, tie and continuity corrected. O(n log n).
pub fn mann_whitney_normal(x: &[f64], y: &[f64]) -> Result<RankTest> {
    let ranked = Ranked::new(x, y)?;
    let (n, m) = (x.len() as f64, y.len() as f64);
    let u = ranked.u();
    let total = n + m;
    let variance = n * m / 12.0 * (total + 1.0 - ranked.ties / (total * (total - 1.0)));
    if variance <= 0.0 {
        return Err(Error::Undefined { what: "Mann-Whitney", why: "all values are equal" });
    }
    let z = (u.max(n * m - u) - n * m / 2.0 - 0.5) / variance.sqrt();
    Ok(RankTest { statistic: u, p_value: (2.0 * normal_upper(z)).min(1.0) })
}

/// Two-sided exact p-value of a U without ties, by counting partitions.
fn exact_u(n: usize, m: usize, larger: f64) -> f64 {
    // coefficients of the Gaussian binomial [n+m choose n], as shares
    let top = n * m;
    let mut counts = vec![0.0_f64; top + 1];
    counts[0] = 1.0;
    for i in 1..=n {
        for k in (m + i..=top).rev() {
            counts[k] -= counts[k - m - i];
        }
        for k in i..=top {
            counts[k] += counts[k - i];
        }
    }
    let total: f64 = counts.iter().sum();
    let tail: f64 = counts[larger as usize..].iter().sum();
    (2.0 * tail / total).min(1.0)
}

/// Two-sample Cramer-von Mises test; the p-value is from the limit law.
///
/// Source: Anderson 1962; the correction and series of SciPy's `cramervonmises_2samp(method="asymptotic")`.
pub fn cramer_von_mises(x: &[f64], y: &[f64]) -> Result<RankTest> {
    let mut ranked = Ranked::new(x, y)?;
    ranked.of_x.sort_unstable_by(f64::total_cmp);
    ranked.of_y.sort_unstable_by(f64::total_cmp);
    let (n, m) = (x.len() as f64, y.len() as f64);
    let spread =
        |ranks: &[f64]| ranks.iter().enumerate().map(|(i, r)| (r - (i + 1) as f64).powi(2)).sum::<f64>();
    let u = n * spread(&ranked.of_x) + m * spread(&ranked.of_y);
    let (k, total) = (n * m, n + m);
    let statistic = u / (k * total) - (4.0 * k - 1.0) / (6.0 * total);
    let mean = (1.0 + 1.0 / total) / 6.0;
    let variance = (total + 1.0) * (4.0 * k * total - 3.0 * (n * n + m * m) - 2.0 * k)
        / (45.0 * total * total * 4.0 * k);
    let t = 1.0 / 6.0 + (statistic - mean) / (45.0 * variance).sqrt();
    let p_value = if t < 0.003 { 1.0 } else { (1.0 - limit_law(t)).clamp(0.0, 1.0) };
    Ok(RankTest { statistic, p_value })
}

/// Distribution function of the limit law of Cramer and von Mises (Csorgo and Faraway 1996, eq. 1.2).
fn limit_law(x: f64) -> f64 {
    let mut sum = 0.0;
    for k in 0..64 {
        let k = f64::from(k);
        let front =
            (ln_gamma(k + 0.5) - ln_gamma(k + 1.0)).exp() / (std::f64::consts::PI.powf(1.5) * x.sqrt());
        let y = 4.0 * k + 1.0;
        let q = y * y / (16.0 * x);
        let term = front * y.sqrt() * (-q).exp() * bessel_k_quarter(q);
        sum += term;
        if term < 1e-17 {
            break;
        }
    }
    sum
}

/// Modified Bessel function K of order 1/4, from its integral by the trapezoid rule.
fn bessel_k_quarter(q: f64) -> f64 {
    let step = 1.0 / 64.0;
    let mut sum = 0.5 * (-q).exp();
    for i in 1..4096 {
        let t = f64::from(i) * step;
        let term = (-q * t.cosh()).exp() * (0.25 * t).cosh();
        sum += term;
        if term < 1e-20 * sum {
            break;
        }
    }
    sum * step
}

struct Ranked {
    of_x: Vec<f64>,
    of_y: Vec<f64>,
    ties: f64,
}

impl Ranked {
    fn u(&self) -> f64 {
        let n = self.of_x.len() as f64;
        self.of_x.iter().sum::<f64>() - n * (n + 1.0) / 2.0
    }

    /// Mid-ranks of both samples together; `ties` is the sum of t^3 - t over groups of equal values.
    fn new(x: &[f64], y: &[f64]) -> Result<Self> {
        finite("x", x)?;
        finite("y", y)?;
        let mut all: Vec<(f64, bool)> =
            x.iter().map(|v| (*v, true)).chain(y.iter().map(|v| (*v, false))).collect();
        all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut ranked =
            Self { of_x: Vec::with_capacity(x.len()), of_y: Vec::with_capacity(y.len()), ties: 0.0 };
        // 0.0 and -0.0 are one value
        for group in all.chunk_by(|a, b| a.0 - b.0 == 0.0) {
            let before = ranked.of_x.len() + ranked.of_y.len();
            let size = group.len() as f64;
            let rank = before as f64 + size.midpoint(1.0);
            ranked.ties += size * size * size - size;
            for (_, is_x) in group {
                if *is_x { ranked.of_x.push(rank) } else { ranked.of_y.push(rank) }
            }
        }
        Ok(ranked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mann_whitney_by_hand() {
        let apart = mann_whitney(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]).unwrap();
        assert!(apart.statistic.abs() < 1e-15 && (apart.p_value - 0.1).abs() < 1e-12);
    }

    #[test]
    fn equal_values_are_undefined() {
        assert!(mann_whitney(&[1.0; 9], &[1.0; 9]).is_err());
        assert!(cramer_von_mises(&[f64::NAN], &[1.0]).is_err());
    }

    #[test]
    fn the_bessel_function_is_right() {
        assert!((bessel_k_quarter(1.0) - 0.430_739_774_448_5).abs() < 1e-9);
    }
}
