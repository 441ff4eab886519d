//! Two models on the same rows: McNemar's tests, and the paired difference with its standard error.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, same_length};
use crate::interval::{Interval, normal};
use crate::special::{binomial_cdf, chi_square_upper, ln_choose};

/// Rows by which of the two models was right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairedCounts {
    /// Both right.
    pub both: u64,
    /// Only the first right.
    pub only_first: u64,
    /// Only the second right.
    pub only_second: u64,
    /// Neither right.
    pub neither: u64,
}

impl PairedCounts {
    /// Counts rows.
    pub fn of(first: &[bool], second: &[bool]) -> Result<Self> {
        same_length(first.len(), second.len())?;
        if first.is_empty() {
            return Err(Error::Empty { what: "rows" });
        }
        let mut counts = Self::default();
        for pair in first.iter().zip(second) {
            match pair {
                (true, true) => counts.both += 1,
                (true, false) => counts.only_first += 1,
                (false, true) => counts.only_second += 1,
                (false, false) => counts.neither += 1,
            }
        }
        Ok(counts)
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.both + self.only_first + self.only_second + self.neither
    }

    /// Two-sided exact McNemar p-value; 1 without discordant rows (no difference can be seen).
    pub fn exact_p(&self) -> f64 {
        let (b, c) = (self.only_first, self.only_second);
        if b == c {
            return 1.0;
        }
        (2.0 * binomial_cdf(b.min(c), b + c, 0.5)).min(1.0)
    }

    /// Two-sided mid-p McNemar p-value (Fagerland 2013).
    pub fn mid_p(&self) -> f64 {
        let (b, c) = (self.only_first, self.only_second);
        if b == c {
            return 1.0;
        }
        let n = (b + c) as f64;
        let point = (ln_choose(n, b.min(c) as f64) - n * std::f64::consts::LN_2).exp();
        self.exact_p() - point
    }

    /// Asymptotic McNemar statistic and p-value, without continuity correction.
    /// # Errors
    /// [`Error::Undefined`] without discordant rows.
    pub fn chi_square(&self) -> Result<(f64, f64)> {
        let (b, c) = (self.only_first as f64, self.only_second as f64);
        if b + c <= 0.0 {
            return Err(Error::Undefined { what: "McNemar's statistic", why: "no discordant rows" });
        }
        let statistic = (b - c).powi(2) / (b + c);
        Ok((statistic, chi_square_upper(statistic, 1.0)))
    }

    /// Accuracy of the first minus the second, and its standard error (divisor n - 1).
    pub fn difference(&self) -> Result<(f64, f64)> {
        let n = self.total() as f64;
        if n < 2.0 {
            return Err(Error::Undefined { what: "standard error", why: "fewer than two rows" });
        }
        let mean = (self.only_first as f64 - self.only_second as f64) / n;
        let squares = (self.only_first + self.only_second) as f64;
        Ok((mean, ((squares - n * mean * mean) / (n - 1.0) / n).sqrt()))
    }

    /// Normal interval of the difference, two-sided at `confidence`.
    ///
    /// Source: ARCHITECTURE, reading 6 (an improvement must be larger than its own uncertainty).
    pub fn difference_interval(&self, confidence: f64) -> Result<Interval> {
        let (mean, error) = self.difference()?;
        normal(mean, error, confidence)
    }
}

/// Standard error of the mean of `items` whose errors go together within a `cluster` (Miller 2024).
pub fn clustered_standard_error<C: Ord + Clone>(items: &[f64], cluster: &[C]) -> Result<f64> {
    crate::error::finite("items", items)?;
    same_length(items.len(), cluster.len())?;
    let n = items.len() as f64;
    let mean = items.iter().sum::<f64>() / n;
    let mut sums: std::collections::BTreeMap<C, f64> = std::collections::BTreeMap::new();
    for (item, c) in items.iter().zip(cluster) {
        *sums.entry(c.clone()).or_default() += item - mean;
    }
    if sums.len() < 2 {
        return Err(Error::Undefined { what: "clustered standard error", why: "fewer than two clusters" });
    }
    Ok(sums.values().map(|s| s * s).sum::<f64>().sqrt() / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mcnemar_by_hand() {
        let counts = PairedCounts { both: 50, only_first: 10, only_second: 3, neither: 37 };
        assert!((counts.exact_p() - 0.092_285_156_25).abs() < 1e-12);
        assert!((counts.chi_square().unwrap().0 - 49.0 / 13.0).abs() < 1e-12);
        let same = PairedCounts { both: 5, ..PairedCounts::default() };
        assert!(same.chi_square().is_err() && same.exact_p() >= 1.0);
    }
}
