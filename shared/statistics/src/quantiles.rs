//! Quantiles of a stream with an error bound that always holds, mergeable (Manku, Rajagopalan, Lindsay 1998).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::interval::Interval;
use crate::percentile::nearest_rank;

/// Values of a level unless another number is chosen.
pub const DEFAULT_CAPACITY: usize = 2048;

/// Levels at most: a value of level `h` stands for `2^h` values.
const LEVELS: usize = 63;

/// Buffers of values; a full one is sorted and every second value goes up a level with twice the weight.
///
/// Nothing is random. Thinning a buffer of weight `w` moves the rank of any value by at most `w`, up and down in turns, and
/// the sketch keeps the sum: [`QuantileSketch::rank_error`] is a fact about this stream, not a probability. With the
/// default capacity it is about 0.25 % of the rank for a million values, and below 0.5 % for a thousand million.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire")]
pub struct QuantileSketch {
    capacity: usize,
    levels: Vec<Level>,
    count: u64,
    /// By how much a rank may be estimated too high, and too low.
    over: u64,
    under: u64,
    range: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Level {
    pub(crate) values: Vec<f64>,
    /// Whether the next thinning keeps the values at odd places.
    pub(crate) odd: bool,
}

#[derive(Deserialize)]
pub(crate) struct Wire {
    pub(crate) capacity: usize,
    pub(crate) levels: Vec<Level>,
    pub(crate) count: u64,
    pub(crate) over: u64,
    pub(crate) under: u64,
    pub(crate) range: Option<(f64, f64)>,
}

impl From<QuantileSketch> for Wire {
    fn from(sketch: QuantileSketch) -> Self {
        let QuantileSketch { capacity, levels, count, over, under, range } = sketch;
        Self { capacity, levels, count, over, under, range }
    }
}

impl TryFrom<Wire> for QuantileSketch {
    type Error = Error;

    fn try_from(wire: Wire) -> Result<Self> {
        let mut sketch = Self::new(wire.capacity)?;
        let bad = |why| Err(Error::BinMismatch { why });
        if LEVELS < wire.levels.len() || wire.levels.iter().any(|level| wire.capacity <= level.values.len()) {
            return bad("a level of a quantile sketch has too many values");
        }
        let weight = |(height, level): (usize, &Level)| (level.values.len() as u128) << height;
        if wire.levels.iter().enumerate().map(weight).sum::<u128>() != u128::from(wire.count) {
            return bad("the weights of a quantile sketch do not sum to its count");
        }
        let values = || wire.levels.iter().flat_map(|level| &level.values);
        let ordered = match wire.range {
            None => wire.count == 0,
            Some((min, max)) => values().all(|value| min <= *value && *value <= max),
        };
        if !ordered {
            return bad("the range of a quantile sketch does not hold its values");
        }
        sketch.levels = wire.levels;
        (sketch.count, sketch.over, sketch.under) = (wire.count, wire.over, wire.under);
        sketch.range = wire.range;
        Ok(sketch)
    }
}

impl Default for QuantileSketch {
    fn default() -> Self {
        Self { capacity: DEFAULT_CAPACITY, levels: Vec::new(), count: 0, over: 0, under: 0, range: None }
    }
}

impl QuantileSketch {
    /// An empty sketch with `capacity` values a level: an even number, 16 to 65536.
    pub fn new(capacity: usize) -> Result<Self> {
        if !(16..=65_536).contains(&capacity) || capacity % 2 == 1 {
            let value = capacity as f64;
            return Err(Error::OutOfRange {
                what: "capacity",
                value,
                expected: "an even number, 16 to 65536",
            });
        }
        Ok(Self { capacity, ..Self::default() })
    }

    /// Takes values; NaN has no rank and is left out.
    pub fn add_all(&mut self, values: &[f64]) {
        for value in values.iter().copied().filter(|value| !value.is_nan()) {
            self.see(value);
            self.count += 1;
            self.put(0, value);
        }
    }

    /// Takes one value `weight` times; exact, as an integer is a sum of powers of two.
    pub fn add_weighted(&mut self, value: f64, weight: u64) {
        if value.is_nan() || weight == 0 {
            return;
        }
        self.see(value);
        self.count += weight;
        (0..LEVELS).filter(|height| (weight >> height) & 1 == 1).for_each(|height| self.put(height, value));
    }

    /// Adds what another sketch of the same capacity has seen.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.capacity != other.capacity {
            return Err(Error::BinMismatch { why: "the quantile sketches have different capacities" });
        }
        if let Some((min, max)) = other.range {
            self.see(min);
            self.see(max);
        }
        self.count += other.count;
        self.over += other.over;
        self.under += other.under;
        for (height, level) in other.levels.iter().enumerate() {
            level.values.iter().for_each(|value| self.put(height, *value));
        }
        Ok(())
    }

    /// Values seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Smallest and largest value seen, exact.
    pub fn range(&self) -> Result<(f64, f64)> {
        self.range.ok_or(Error::Empty { what: "values" })
    }

    /// By how much the rank of a value that the sketch names may be wrong, as a share of the count.
    pub fn rank_error(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.over.max(self.under) as f64 / self.count as f64 }
    }

    /// The values in order with their weights: what all questions are answered from.
    pub fn sorted(&self) -> Sorted {
        let mut values: Vec<(f64, u64)> = Vec::new();
        for (height, level) in self.levels.iter().enumerate() {
            values.extend(level.values.iter().map(|value| (*value, 1 << height)));
        }
        values.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut seen = 0;
        for (_, weight) in &mut values {
            seen += *weight;
            *weight = seen;
        }
        Sorted { values, over: self.over, under: self.under, range: self.range, count: self.count }
    }

    fn see(&mut self, value: f64) {
        let (min, max) = self.range.unwrap_or((value, value));
        self.range = Some((min.min(value), max.max(value)));
    }

    fn put(&mut self, height: usize, value: f64) {
        while self.levels.len() <= height {
            self.levels.push(Level::default());
        }
        let level = &mut self.levels[height];
        level.values.push(value);
        if level.values.len() == self.capacity {
            self.thin(height);
        }
    }

    fn thin(&mut self, height: usize) {
        let level = &mut self.levels[height];
        let mut values = std::mem::take(&mut level.values);
        // Above the first level values come in sorted runs, which the stable sort merges.
        if height == 0 {
            values.sort_unstable_by(f64::total_cmp);
        } else {
            values.sort_by(f64::total_cmp);
        }
        let skip = usize::from(level.odd);
        // A kept value at an even place stands for the one after it too: ranks are over; at an odd place they are under.
        if level.odd {
            self.under += 1 << height
        } else {
            self.over += 1 << height
        }
        level.odd = !level.odd;
        for value in values.iter().skip(skip).step_by(2) {
            self.put(height + 1, *value);
        }
        values.clear();
        self.levels[height].values = values;
    }
}

/// A sketch's values in ascending order, each with the number of values up to it.
#[derive(Debug, Clone)]
pub struct Sorted {
    values: Vec<(f64, u64)>,
    over: u64,
    under: u64,
    range: Option<(f64, f64)>,
    count: u64,
}

impl Sorted {
    /// Quantile by nearest rank, and the interval that the exact one is in.
    pub fn quantile(&self, quantile: f64) -> Result<(f64, Interval)> {
        let rank = nearest_rank(self.count, quantile)?;
        let (min, max) = self.range.ok_or(Error::Empty { what: "values" })?;
        let at = |rank: u64| self.values.partition_point(|(_, seen)| *seen < rank);
        let value = self.values.get(at(rank)).map_or(max, |it| it.0);
        // What is still below the rank after its error is below the quantile.
        let below = at(rank.saturating_sub(self.under));
        let exact = self.over == 0 && self.under == 0;
        let lower = if exact { value } else { below.checked_sub(1).map_or(min, |at| self.values[at].0) };
        let upper = self.values.get(at(rank + self.over)).map_or(max, |it| it.0);
        let value = if rank == 1 {
            min
        } else if rank == self.count {
            max
        } else {
            value
        };
        Ok((value, Interval { lower: lower.min(value), upper: upper.max(value) }))
    }

    /// Estimated number of values up to and with `value`; exact within the sketch's rank error.
    pub fn up_to(&self, value: f64) -> u64 {
        let place = self.values.partition_point(|(one, _)| *one <= value);
        place.checked_sub(1).map_or(0, |at| self.values[at].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn of(values: &[f64]) -> QuantileSketch {
        let mut sketch = QuantileSketch::new(16).unwrap();
        sketch.add_all(values);
        sketch
    }

    fn holds(sketch: &QuantileSketch, all: &[f64]) -> std::result::Result<(), TestCaseError> {
        let mut exact = all.to_vec();
        exact.sort_unstable_by(f64::total_cmp);
        prop_assert_eq!(sketch.count(), exact.len() as u64);
        let sorted = sketch.sorted();
        for quantile in [0.0, 0.01, 0.25, 0.5, 0.77, 0.99, 1.0] {
            let rank = nearest_rank(sketch.count(), quantile).unwrap();
            let wanted = exact[rank as usize - 1];
            let (value, bound) = sorted.quantile(quantile).unwrap();
            prop_assert!(bound.lower <= wanted && wanted <= bound.upper, "{quantile} {wanted} {bound:?}");
            prop_assert!(bound.lower <= value && value <= bound.upper);
            let (low, high) = (exact.partition_point(|v| *v < value), exact.partition_point(|v| *v <= value));
            let off = (low as f64 + 1.0 - rank as f64).max(rank as f64 - high as f64).max(0.0);
            // A value's weight may reach past the rank that is asked for.
            prop_assert!(off <= sketch.rank_error() * exact.len() as f64 * 2.0 + 1.0, "{quantile} {off}");
        }
        Ok(())
    }

    #[test]
    fn a_million_values_are_within_a_quarter_percent() {
        let mut sketch = QuantileSketch::default();
        let values: Vec<f64> = (0..1_000_000_u64).map(|i| (i * 7_919 % 1_000_003) as f64).collect();
        sketch.add_all(&values);
        assert!(sketch.rank_error() < 0.0026, "{}", sketch.rank_error());
        let (median, bound) = sketch.sorted().quantile(0.5).unwrap();
        assert!(
            (median - 500_000.0).abs() < 2_600.0 && bound.upper - bound.lower < 11_000.0,
            "{median} {bound:?}"
        );
    }

    #[test]
    fn few_values_are_exact() {
        let sketch = of(&[3.0, 1.0, f64::NAN, 2.0]);
        assert_eq!(sketch.rank_error(), 0.0);
        let (median, bound) = sketch.sorted().quantile(0.5).unwrap();
        assert_eq!((median, bound.lower, bound.upper), (2.0, 2.0, 2.0));
        assert!(of(&[]).sorted().quantile(0.5).is_err());
        assert!(QuantileSketch::new(15).is_err());
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let sketch = of(&[1.0, 2.0, 3.0]);
        let text = serde_json::to_string(&sketch).unwrap();
        assert_eq!(serde_json::from_str::<QuantileSketch>(&text).unwrap(), sketch);
        assert!(serde_json::from_str::<QuantileSketch>(&text.replace("\"count\":3", "\"count\":4")).is_err());
        assert!(
            serde_json::from_str::<QuantileSketch>(&text.replace("\"capacity\":16", "\"capacity\":0"))
                .is_err()
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// The exact quantile is within the stated interval, for one stream, for parts merged, and for weights.
        #[test]
        fn the_bound_always_holds(
            parts in vec(vec(-50.0_f64..50.0, 1..400), 1..6),
            weights in vec(1_u64..40, 0..20),
        ) {
            let mut whole = QuantileSketch::new(16).unwrap();
            let mut all = Vec::new();
            for part in &parts {
                whole.merge(&of(part)).unwrap();
                all.extend_from_slice(part);
            }
            for (at, weight) in weights.iter().enumerate() {
                whole.add_weighted(at as f64, *weight);
                all.extend((0..*weight).map(|_| at as f64));
            }
            holds(&whole, &all)?;
            holds(&of(&all), &all)?;
        }
    }
}
