//! A mergeable sketch of latencies with a bounded relative error (DDSketch).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, open_unit};
use crate::percentile::nearest_rank;

/// Relative error of the quantiles unless another is chosen.
pub const DEFAULT_ACCURACY: f64 = 0.01;

/// Values below this are counted as zero: a nanosecond, when the values are milliseconds.
const SMALLEST: f64 = 1e-6;

/// Counts in bins that grow geometrically: any quantile is within `accuracy` of an observed value.
///
/// Merging is adding counts, in any order, with the same result. At 1 % it needs some 700 bins for all times
/// from a nanosecond to a quarter of an hour. Source: WLP-MLDEV-001 §7.3, §8.3, §9.1; Masson, Rim, Lee 2019.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencySketch {
    accuracy: f64,
    bins: BTreeMap<i32, u64>,
    zeros: u64,
    count: u64,
    min: f64,
    max: f64,
}

impl Default for LatencySketch {
    fn default() -> Self {
        Self { accuracy: DEFAULT_ACCURACY, bins: BTreeMap::new(), zeros: 0, count: 0, min: 0.0, max: 0.0 }
    }
}

impl LatencySketch {
    /// An empty sketch with a relative error of `accuracy`.
    pub fn new(accuracy: f64) -> Result<Self> {
        open_unit("accuracy", accuracy)?;
        Ok(Self { accuracy, ..Self::default() })
    }

    /// Takes one value, 0 or more.
    /// # Errors
    /// [`Error::OutOfRange`] for a negative value, NaN or infinity; nothing is counted then.
    pub fn add(&mut self, value: f64) -> Result<()> {
        if !value.is_finite() || value < 0.0 {
            return Err(Error::OutOfRange { what: "latency", value, expected: "0 or more, finite" });
        }
        if self.count == 0 {
            (self.min, self.max) = (value, value);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.count += 1;
        if value < SMALLEST {
            self.zeros += 1;
        } else {
            *self.bins.entry(self.index(value)).or_default() += 1;
        }
        Ok(())
    }

    /// Adds the counts of another sketch.
    /// # Errors
    /// [`Error::BinMismatch`] if the accuracies differ.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.accuracy.to_bits() != other.accuracy.to_bits() {
            return Err(Error::BinMismatch { why: "the sketches have different accuracies" });
        }
        if other.count == 0 {
            return Ok(());
        }
        if self.count == 0 {
            (self.min, self.max) = (other.min, other.max);
        }
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.zeros += other.zeros;
        for (index, count) in &other.bins {
            *self.bins.entry(*index).or_default() += count;
        }
        Ok(())
    }

    /// Quantile by nearest rank, within the relative error, in the unit of the values.
    /// # Errors
    /// [`Error::Empty`] without values: silence is not low latency.
    pub fn quantile(&self, quantile: f64) -> Result<f64> {
        let rank = nearest_rank(self.count, quantile)?;
        self.value_at(rank)
    }

    /// Value at a 1-based rank, for order-statistic intervals ([`crate::percentile::upper_rank`]).
    pub fn value_at(&self, rank: u64) -> Result<f64> {
        if rank == 0 || rank > self.count {
            return Err(Error::OutOfRange { what: "rank", value: rank as f64, expected: "1 to the count" });
        }
        let mut seen = self.zeros;
        if rank <= seen {
            return Ok(self.min);
        }
        for (index, count) in &self.bins {
            seen += count;
            if rank <= seen {
                return Ok(self.middle(*index).clamp(self.min, self.max));
            }
        }
        Ok(self.max)
    }

    /// Values seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Smallest and largest value seen, exact.
    pub fn range(&self) -> Result<(f64, f64)> {
        if self.count == 0 { Err(Error::Empty { what: "values" }) } else { Ok((self.min, self.max)) }
    }

    /// Relative error of the quantiles.
    pub fn accuracy(&self) -> f64 {
        self.accuracy
    }

    /// Values too small to have a bin.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The bins as ascending pairs of (index, count), for the wire.
    pub fn to_pairs(&self) -> Vec<(i32, u64)> {
        self.bins.iter().map(|(i, c)| (*i, *c)).collect()
    }

    /// A sketch from the wire. `range` is (min, max); it must fit the bins.
    /// # Errors
    /// A bad accuracy, a bad range, or a count that does not fit in 64 bits.
    pub fn from_pairs(accuracy: f64, zeros: u64, pairs: &[(i32, u64)], range: (f64, f64)) -> Result<Self> {
        let mut sketch = Self::new(accuracy)?;
        let overflow = Error::OutOfRange { what: "count", value: f64::INFINITY, expected: "a 64-bit sum" };
        sketch.zeros = zeros;
        sketch.count = zeros;
        for (index, count) in pairs.iter().filter(|(_, count)| *count > 0) {
            sketch.count = sketch.count.checked_add(*count).ok_or(overflow.clone())?;
            *sketch.bins.entry(*index).or_default() += count;
        }
        let (min, max) = range;
        if sketch.count > 0 {
            if !(min.is_finite() && max.is_finite() && 0.0 <= min && min <= max) {
                return Err(Error::OutOfRange {
                    what: "range",
                    value: min,
                    expected: "0 <= min <= max, finite",
                });
            }
            (sketch.min, sketch.max) = (min, max);
        }
        Ok(sketch)
    }

    fn ln_gamma(&self) -> f64 {
        ((1.0 + self.accuracy) / (1.0 - self.accuracy)).ln()
    }

    fn index(&self, value: f64) -> i32 {
        (value.ln() / self.ln_gamma()).ceil() as i32
    }

    fn middle(&self, index: i32) -> f64 {
        let gamma = self.ln_gamma();
        2.0 * (f64::from(index) * gamma).exp() / (gamma.exp() + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_one_percent() {
        let mut sketch = LatencySketch::default();
        for i in 1..=1000 {
            sketch.add(f64::from(i)).unwrap();
        }
        for (q, exact) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
            let got = sketch.quantile(q).unwrap();
            assert!((got / exact - 1.0).abs() <= 0.01 + 1e-9, "{got} {exact}");
        }
        assert_eq!(sketch.range(), Ok((1.0, 1000.0)));
    }

    #[test]
    fn nonsense_is_refused_and_not_counted() {
        let mut sketch = LatencySketch::default();
        assert!(sketch.quantile(0.95).is_err());
        assert!(sketch.add(f64::NAN).is_err() && sketch.add(-1.0).is_err());
        assert_eq!(sketch.count(), 0);
        assert!(LatencySketch::from_pairs(0.01, 0, &[(3, 1)], (f64::NAN, 1.0)).is_err());
    }
}
