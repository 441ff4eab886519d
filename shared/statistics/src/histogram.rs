//! Numeric histograms over fixed bin edges, mergeable.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, finite};
use crate::percentile::interpolated;

/// Counts over bins `(-inf, e1), [e1, e2), ..., [ek, inf)`; values that are not finite are counted apart.
///
/// The outer bins are open, so that values beyond the reference are seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    edges: Vec<f64>,
    counts: Vec<u64>,
    missing: u64,
}

impl Histogram {
    /// An empty histogram over inner `edges`, ascending and different; `k` edges make `k + 1` bins.
    pub fn new(edges: &[f64]) -> Result<Self> {
        finite("edges", edges)?;
        if edges.windows(2).any(|e| e[0] >= e[1]) {
            return Err(Error::BinMismatch { why: "the edges do not ascend" });
        }
        Ok(Self { edges: edges.to_vec(), counts: vec![0; edges.len() + 1], missing: 0 })
    }

    /// A histogram with known counts, for example from the wire.
    pub fn from_counts(edges: &[f64], counts: &[u64], missing: u64) -> Result<Self> {
        let mut histogram = Self::new(edges)?;
        if counts.len() != histogram.counts.len() {
            return Err(Error::BinMismatch { why: "one more count than inner edges is needed" });
        }
        histogram.counts.copy_from_slice(counts);
        histogram.missing = missing;
        Ok(histogram)
    }

    /// Takes one value; NaN and infinity are counted as missing.
    pub fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.counts[self.edges.partition_point(|e| *e <= value)] += 1;
        } else {
            self.missing += 1;
        }
    }

    /// Counts a value that was absent.
    pub fn add_missing(&mut self, count: u64) {
        self.missing += count;
    }

    /// Adds the counts of another histogram over the same edges.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.edges != other.edges {
            return Err(Error::BinMismatch { why: "the histograms have different edges" });
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(a, b)| *a += b);
        self.missing += other.missing;
        Ok(())
    }

    /// Inner edges, ascending.
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// Counts, one more than edges.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Values that were absent or not finite.
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Values in bins.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Inner edges at quantiles 1/bins, 2/bins, ... of the reference (linear interpolation), equal ones merged,
/// those at its minimum left out.
///
/// Ties give fewer edges. Where nothing is left, a reference of two values or more is cut in the middle of its
/// range, and a constant one gets a bin of its own, so that values on either side of it are seen.
pub fn quantile_edges(reference: &[f64], bins: usize) -> Result<Vec<f64>> {
    finite("reference", reference)?;
    check_bins(bins)?;
    let mut sorted = reference.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let edges =
        (1..bins).map(|i| interpolated(&sorted, i as f64 / bins as f64)).collect::<Result<Vec<f64>>>()?;
    Ok(distinct(edges, sorted[0], sorted[sorted.len() - 1]))
}

/// Inner edges that cut the range of the reference into `bins` equal parts; a constant one gets its own bin.
pub fn width_edges(reference: &[f64], bins: usize) -> Result<Vec<f64>> {
    finite("reference", reference)?;
    check_bins(bins)?;
    let low = reference.iter().copied().fold(f64::INFINITY, f64::min);
    let high = reference.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let step = (high - low) / bins as f64;
    Ok(distinct((1..bins).map(|i| low + i as f64 * step).collect(), low, high))
}

fn distinct(mut edges: Vec<f64>, low: f64, high: f64) -> Vec<f64> {
    edges.retain(|e| *e > low);
    edges.dedup_by(|a, b| *a <= *b);
    match (edges.is_empty(), low < high) {
        (false, _) => edges,
        (true, true) => vec![low.midpoint(high)],
        (true, false) => vec![low, low.next_up()],
    }
}

fn check_bins(bins: usize) -> Result<()> {
    if bins < 2 {
        return Err(Error::OutOfRange { what: "bins", value: bins as f64, expected: "2 or more" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_closed_on_the_left() {
        let mut h = Histogram::new(&[1.0, 2.0]).unwrap();
        for value in [0.0, 1.0, 1.5, 2.0, 9.0, f64::NAN] {
            h.add(value);
        }
        assert_eq!((h.counts(), h.missing()), ([1, 2, 2].as_slice(), 1));
    }

    #[test]
    fn ties_give_fewer_edges() {
        assert_eq!(quantile_edges(&[1.0, 1.0, 1.0, 2.0], 4), Ok(vec![1.25]));
        let mut rare = vec![0.0; 99];
        rare.push(1.0);
        assert_eq!(quantile_edges(&rare, 10), Ok(vec![0.5]));
        let mut constant = Histogram::new(&quantile_edges(&[5.0; 10], 10).unwrap()).unwrap();
        for value in [4.0, 5.0, 5.0, 6.0] {
            constant.add(value);
        }
        assert_eq!(constant.counts(), [1, 2, 1]);
        assert!(Histogram::new(&[1.0, 1.0]).is_err());
        assert!(Histogram::new(&[]).is_err());
    }
}
