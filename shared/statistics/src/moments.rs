//! Count, mean and variance of a stream, mergeable (Welford; Chan, Golub, LeVeque 1983).

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Running moments. Values that are not finite are counted apart and change nothing else.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    squares: f64,
    not_finite: u64,
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
}
