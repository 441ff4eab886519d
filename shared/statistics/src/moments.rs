//! Count, mean and variance of a stream, mergeable (Welford; Chan, Golub, LeVeque 1983).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Running moments. Values that are not finite are counted apart and change nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    pub(crate) count: u64,
    pub(crate) mean: f64,
    pub(crate) squares: f64,
    pub(crate) not_finite: u64,
}

impl Moments {
    /// Takes one value.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.not_finite += 1;
            return;
        }
        self.count += 1;
        let delta = value - self.mean;
        self.mean += delta / self.count as f64;
        self.squares += delta * (value - self.mean);
    }

    /// Moments of a block of values, in two passes: quicker than one by one, and no less precise.
    pub fn of(values: &[f64]) -> Self {
        // Eight sums side by side: the order of additions is fixed, and the processor adds them at once.
        fn sum(values: &[f64], term: impl Fn(f64) -> f64) -> f64 {
            let mut lanes = [0.0; 8];
            let blocks = values.chunks_exact(8);
            let rest: f64 = blocks.remainder().iter().map(|value| term(*value)).sum();
            for block in blocks {
                for (lane, value) in lanes.iter_mut().zip(block) {
                    *lane += term(*value);
                }
            }
            lanes.iter().sum::<f64>() + rest
        }
        let not_finite = values.iter().filter(|value| !value.is_finite()).count() as u64;
        let mean = sum(values, |value| value) / values.len() as f64;
        let squares = sum(values, |value| (value - mean) * (value - mean));
        if not_finite > 0 || values.is_empty() || !squares.is_finite() {
            return values.iter().copied().collect(); // one by one, or a sum that is too large
        }
        Self { count: values.len() as u64, mean, squares, not_finite: 0 }
    }

    /// Takes one value `count` times.
    pub fn add_weighted(&mut self, value: f64, count: u64) {
        if value.is_finite() {
            self.merge(&Self { count, mean: value, squares: 0.0, not_finite: 0 });
        } else {
            self.not_finite += count;
        }
    }

    /// Adds the moments of other values.
    pub fn merge(&mut self, other: &Self) {
        self.not_finite += other.not_finite;
        if other.count == 0 {
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let delta = other.mean - self.mean;
        self.count += other.count;
        self.mean += delta * b / (a + b);
        self.squares += other.squares + delta * delta * a * b / (a + b);
    }

    /// Finite values seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// NaN and infinite values seen.
    pub fn not_finite(&self) -> u64 {
        self.not_finite
    }

    /// Mean of the finite values.
    pub fn mean(&self) -> Result<f64> {
        if self.count == 0 { Err(Error::Empty { what: "values" }) } else { Ok(self.mean) }
    }

    /// Sample variance (divisor n - 1); needs two values.
    pub fn variance(&self) -> Result<f64> {
        if self.count < 2 {
            return Err(Error::Undefined { what: "variance", why: "fewer than two values" });
        }
        Ok((self.squares / (self.count - 1) as f64).max(0.0))
    }

    /// Standard error of the mean; needs two values.
    pub fn standard_error(&self) -> Result<f64> {
        Ok((self.variance()? / self.count as f64).sqrt())
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|v| self.add(v));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Self::default();
        moments.extend(values);
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let m: Moments = [2.0, 4.0, 6.0, f64::NAN].into_iter().collect();
        assert_eq!((m.count(), m.not_finite()), (3, 1));
        assert_eq!(m.mean(), Ok(4.0));
        assert_eq!(m.variance(), Ok(4.0));
        assert!(Moments::default().mean().is_err());
    }

    #[test]
    fn blocks_and_weights_give_the_same() {
        let values: Vec<f64> = (0..1_001).map(|i| f64::from(i % 7) + 1e6).collect();
        let (one, block) = (values.iter().copied().collect::<Moments>(), Moments::of(&values));
        let mut weighted = Moments::default();
        for value in 0..7_u32 {
            let value = f64::from(value) + 1e6;
            weighted.add_weighted(value, values.iter().filter(|it| **it == value).count() as u64);
        }
        for other in [block, weighted] {
            assert_eq!(one.count(), other.count());
            assert!((one.mean().unwrap() - other.mean().unwrap()).abs() < 1e-9);
            assert!((one.variance().unwrap() - other.variance().unwrap()).abs() < 1e-9);
        }
        let odd = Moments::of(&[1.0, f64::INFINITY, 3.0]);
        assert_eq!((odd.count(), odd.not_finite(), odd.mean()), (2, 1, Ok(2.0)));
        assert_eq!(Moments::of(&[]), Moments::default());
    }
}
