//! Percentiles by nearest rank, and their distribution-free intervals.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, finite, open_unit};
use crate::special::binomial_cdf;

/// 1-based rank of the `quantile` of `count` sorted values: `ceil(quantile * count)`, at least 1.
///
/// `quantile * count` within 1e-9 above an integer counts as that integer, so 0.95 of 100 is rank 95.
pub fn nearest_rank(count: u64, quantile: f64) -> Result<u64> {
    if count == 0 {
        return Err(Error::Empty { what: "values" });
    }
    if !(0.0..=1.0).contains(&quantile) {
        return Err(Error::OutOfRange {
            what: "quantile",
            value: quantile,
            expected: "a share between 0 and 1",
        });
    }
    let exact = quantile * count as f64;
    let rank = (exact - 1e-9 * exact.max(1.0)).ceil().max(1.0) as u64;
    Ok(rank.min(count))
}

/// Percentile by nearest rank: an observed value, never interpolated.
///
/// Same as numpy's `inverted_cdf`. Source: WLP-MLDEV-001 §7.3, §8.3, §9.1 (P95 latency).
pub fn percentile(values: &[f64], quantile: f64) -> Result<f64> {
    finite("values", values)?;
    let rank = nearest_rank(values.len() as u64, quantile)? as usize;
    let mut scratch = values.to_vec();
    let (_, value, _) = scratch.select_nth_unstable_by(rank - 1, f64::total_cmp);
    Ok(*value)
}

/// Quantile with linear interpolation between order statistics (numpy's default, Hyndman-Fan type 7).
///
/// Used for bin edges, not for gates. `sorted` must be ascending.
pub fn interpolated(sorted: &[f64], quantile: f64) -> Result<f64> {
    finite("values", sorted)?;
    crate::error::closed_unit("quantile", quantile)?;
    let position = quantile * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let t = position - below as f64;
    let span = sorted[above] - sorted[below];
    // numpy's `_lerp`: from the nearer end, so that both ends are exact.
    Ok(if t < 0.5 { sorted[below] + span * t } else { sorted[above] - span * (1.0 - t) })
}

/// Ranks of the order statistics that enclose a quantile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RankInterval {
    /// 1-based rank of the lower end; `None` when the sample bounds nothing from below.
    pub lower: Option<u64>,
    /// 1-based rank of the upper end; `None` when the sample bounds nothing from above.
    pub upper: Option<u64>,
    /// Probability that the observed values enclose the quantile; an open end counts as the extreme value.
    pub coverage: f64,
}

/// Order-statistic interval of the `quantile` of `count` values, two-sided at `confidence`.
///
/// Exact for continuous distributions, conservative with ties. Source: David and Nagaraja, *Order Statistics*, §7.1.
pub fn rank_interval(count: u64, quantile: f64, confidence: f64) -> Result<RankInterval> {
    open_unit("quantile", quantile)?;
    open_unit("confidence", confidence)?;
    if count == 0 {
        return Err(Error::Empty { what: "values" });
    }
    let tail = 0.5 - 0.5 * confidence;
    let low = binomial_quantile(count, quantile, tail);
    let high = binomial_quantile(count, quantile, 1.0 - tail) + 1;
    let last = high.min(count);
    let below = if low == 0 { 0.0 } else { binomial_cdf(low - 1, count, quantile) };
    Ok(RankInterval {
        lower: (low >= 1).then_some(low),
        upper: (high <= count).then_some(high),
        coverage: binomial_cdf(last - 1, count, quantile) - below,
    })
}

/// One-sided upper rank: the smallest rank whose value is at least the quantile with `confidence`;
/// `None` when the sample is too small (the 99th percentile needs 299 values at 95 %).
pub fn upper_rank(count: u64, quantile: f64, confidence: f64) -> Result<Option<u64>> {
    open_unit("quantile", quantile)?;
    open_unit("confidence", confidence)?;
    let rank = binomial_quantile(count, quantile, confidence) + 1;
    Ok((rank <= count).then_some(rank))
}

/// One-sided lower rank: the largest rank whose value is at most the quantile with `confidence`.
pub fn lower_rank(count: u64, quantile: f64, confidence: f64) -> Result<Option<u64>> {
    open_unit("quantile", quantile)?;
    open_unit("confidence", confidence)?;
    let rank = binomial_quantile(count, quantile, 1.0 - confidence);
    Ok((rank >= 1).then_some(rank))
}

/// Values at both ends of [`rank_interval`]; an open end is `None`.
pub fn percentile_interval(
    values: &[f64],
    quantile: f64,
    confidence: f64,
) -> Result<(Option<f64>, Option<f64>)> {
    finite("values", values)?;
    let ranks = rank_interval(values.len() as u64, quantile, confidence)?;
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let at = |rank: Option<u64>| rank.map(|r| sorted[r as usize - 1]);
    Ok((at(ranks.lower), at(ranks.upper)))
}

/// Smallest k with P(X <= k) >= p for X ~ Binomial(n, share).
fn binomial_quantile(n: u64, share: f64, p: f64) -> u64 {
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low.midpoint(high);
        if binomial_cdf(middle, n, share) >= p { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_rank_is_an_observed_value() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.95), Ok(95.0));
        assert_eq!(percentile(&values, 0.0), Ok(1.0));
        assert_eq!(percentile(&values, 1.0), Ok(100.0));
        assert_eq!(percentile(&[7.0], 0.5), Ok(7.0));
    }

    #[test]
    fn not_a_number_is_refused() {
        assert!(percentile(&[1.0, f64::NAN], 0.5).is_err());
        assert!(percentile(&[], 0.5).is_err());
        assert!(percentile(&[1.0], f64::NAN).is_err());
    }

    #[test]
    fn the_99th_percentile_needs_299_values() {
        assert_eq!(upper_rank(298, 0.99, 0.95), Ok(None));
        assert_eq!(upper_rank(299, 0.99, 0.95), Ok(Some(299)));
    }
}
