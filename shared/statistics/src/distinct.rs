//! Number of different values of a stream, mergeable (HyperLogLog).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, open_unit};
use crate::interval::Interval;
use crate::special::normal_quantile;

/// Bits of a hash that choose a register.
const PRECISION: u32 = 14;
/// Registers: 16 KiB.
const REGISTERS: usize = 1 << PRECISION;
/// Bits of a hash that are looked at for leading zeros.
const REST: u32 = 64 - PRECISION;

/// Relative standard error of the estimate, `sqrt(3 ln 2 - 1) / sqrt(registers)`: 0.81 %.
pub const RELATIVE_ERROR: f64 = 1.038_961_484 / 128.0;

/// An estimate of the number of different hashes that were added.
///
/// Merging takes the larger of each register, so any order and any grouping give the same sketch. Hashes come from
/// [`crate::hashing`] or are as evenly spread. Source: Flajolet, Fusy, Gandouet, Meunier 2007; the estimator
/// without bias tables is Ertl 2017, algorithm 6 (arXiv:1702.01284).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct DistinctSketch {
    registers: Vec<u8>,
}

impl Default for DistinctSketch {
    fn default() -> Self {
        Self { registers: vec![0; REGISTERS] }
    }
}

impl From<DistinctSketch> for Vec<u8> {
    fn from(sketch: DistinctSketch) -> Self {
        sketch.registers
    }
}

impl TryFrom<Vec<u8>> for DistinctSketch {
    type Error = Error;

    /// A sketch from its registers, for example from the wire.
    fn try_from(registers: Vec<u8>) -> Result<Self> {
        if registers.len() != REGISTERS {
            return Err(Error::BinMismatch { why: "a distinct sketch has 16384 registers" });
        }
        if registers.iter().any(|register| u32::from(*register) > REST + 1) {
            return Err(Error::BinMismatch { why: "a register of a distinct sketch is at most 51" });
        }
        Ok(Self { registers })
    }
}

impl DistinctSketch {
    /// Takes the hash of one value.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        let place = (hash >> REST) as usize;
        // The bit set below what is looked at bounds the count.
        let rank = ((hash << PRECISION) | (1 << (PRECISION - 1))).leading_zeros() as u8 + 1;
        let register = &mut self.registers[place];
        *register = (*register).max(rank);
    }

    /// Adds what another sketch has seen.
    pub fn merge(&mut self, other: &Self) {
        self.registers.iter_mut().zip(&other.registers).for_each(|(a, b)| *a = (*a).max(*b));
    }

    /// The registers, in order.
    pub(crate) fn registers(&self) -> &[u8] {
        &self.registers
    }

    /// Estimate of the number of different values; 0 without any.
    pub fn estimate(&self) -> f64 {
        let mut counts = [0_u32; REST as usize + 2];
        self.registers.iter().for_each(|register| counts[usize::from(*register)] += 1);
        let all = REGISTERS as f64;
        let share = |rank: usize| f64::from(counts[rank]) / all;
        let mut sum = all * tau(1.0 - share(REST as usize + 1));
        for rank in (1..=REST as usize).rev() {
            sum = 0.5 * (sum + f64::from(counts[rank]));
        }
        sum += all * sigma(share(0));
        0.5 / std::f64::consts::LN_2 * all * all / sum
    }

    /// Interval in which the number lies with about the probability `confidence`, from the standard error.
    pub fn interval(&self, confidence: f64) -> Result<Interval> {
        open_unit("confidence", confidence)?;
        let estimate = self.estimate();
        let half = normal_quantile(0.5 + 0.5 * confidence) * RELATIVE_ERROR * estimate;
        Ok(Interval { lower: (estimate - half).max(0.0), upper: estimate + half })
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::{of_integer, of_number};
    use proptest::prelude::*;

    fn of(range: std::ops::Range<i64>) -> DistinctSketch {
        let mut sketch = DistinctSketch::default();
        range.for_each(|value| sketch.add(of_integer(value)));
        sketch
    }

    #[test]
    fn estimates_are_within_four_standard_errors() {
        assert_eq!(DistinctSketch::default().estimate(), 0.0);
        for count in [1_u32, 10, 1_000, 20_000, 60_000, 300_000] {
            let estimate = of(0..i64::from(count)).estimate();
            let error = (estimate / f64::from(count) - 1.0).abs();
            assert!(error < 4.0 * RELATIVE_ERROR, "{count}: {estimate}");
        }
    }

    #[test]
    fn floats_of_one_value_count_once() {
        let mut sketch = DistinctSketch::default();
        [0.0, -0.0, f64::NAN, -f64::NAN].into_iter().for_each(|value| sketch.add(of_number(value)));
        assert_eq!(sketch.estimate().round(), 2.0);
    }

    #[test]
    fn hostile_registers_are_refused() {
        assert!(serde_json::from_str::<DistinctSketch>("[1,2,3]").is_err());
        assert!(DistinctSketch::try_from(vec![52; REGISTERS]).is_err());
        let sketch = of(0..100);
        let text = serde_json::to_string(&sketch).unwrap();
        assert_eq!(serde_json::from_str::<DistinctSketch>(&text).unwrap(), sketch);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Merging parts in any order is the sketch of the whole, register for register.
        #[test]
        fn parts_make_the_whole(cut in 0_i64..5_000, overlap in 0_i64..500) {
            let (left, right) = (of(0..cut), of((cut - overlap).max(0)..5_000));
            let (mut a, mut b) = (left.clone(), right.clone());
            a.merge(&right);
            b.merge(&left);
            prop_assert_eq!(&a, &b);
            prop_assert_eq!(a, of(0..5_000));
        }
    }
}
