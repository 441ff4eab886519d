//! Bootstrap intervals with an explicit, seeded generator.

use crate::error::{Error, Result, finite, open_unit};
use crate::interval::Interval;
use crate::percentile::interpolated;
use crate::random::SplitMix64;

/// Percentile bootstrap of the mean of `values` (for example 0/1 correctness per row).
///
/// `resamples >= 1`; the same seed gives the same interval. Source: Efron and Tibshirani 1993, §13.3.
pub fn mean_interval(values: &[f64], confidence: f64, resamples: usize, seed: u64) -> Result<Interval> {
    finite("values", values)?;
    let n = values.len();
    statistic_interval(confidence, resamples, seed, |rng| {
        Ok((0..n).map(|_| values[rng.below(n)]).sum::<f64>() / n as f64)
    })
}

/// Percentile bootstrap of any statistic: `resample` draws one resample from the generator and measures it.
/// # Errors
/// The first error of `resample`: a statistic that is undefined on a resample has no interval.
pub fn statistic_interval(
    confidence: f64,
    resamples: usize,
    seed: u64,
    mut resample: impl FnMut(&mut SplitMix64) -> Result<f64>,
) -> Result<Interval> {
    open_unit("confidence", confidence)?;
    if resamples == 0 {
        return Err(Error::Empty { what: "resamples" });
    }
    let mut rng = SplitMix64::new(seed);
    let mut results = (0..resamples).map(|_| resample(&mut rng)).collect::<Result<Vec<f64>>>()?;
    finite("bootstrap results", &results)?;
    results.sort_unstable_by(f64::total_cmp);
    let tail = 0.5 - 0.5 * confidence;
    Ok(Interval { lower: interpolated(&results, tail)?, upper: interpolated(&results, 1.0 - tail)? })
}

/// One multinomial resample of cell counts: the same in distribution as resampling the rows, at the cost of
/// `O(total log cells)` and no memory for rows.
pub fn resample_cells(cells: &[u64], rng: &mut SplitMix64) -> Vec<u64> {
    let cumulative: Vec<u64> = cells
        .iter()
        .scan(0, |sum, cell| {
            *sum += cell;
            Some(*sum)
        })
        .collect();
    let total = cumulative.last().copied().unwrap_or(0);
    let mut drawn = vec![0; cells.len()];
    for _ in 0..total {
        let position = rng.below(total as usize) as u64;
        drawn[cumulative.partition_point(|edge| *edge <= position)] += 1;
    }
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_interval() {
        let values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0];
        let a = mean_interval(&values, 0.9, 500, 3).unwrap();
        assert_eq!(a, mean_interval(&values, 0.9, 500, 3).unwrap());
        assert!(a.lower < 0.625 && 0.625 < a.upper);
    }

    #[test]
    fn cells_keep_their_total_and_their_zeros() {
        let drawn = resample_cells(&[10, 0, 30], &mut SplitMix64::new(1));
        assert_eq!(drawn.iter().sum::<u64>(), 40);
        assert_eq!(drawn[1], 0);
    }
}
