//! Errors of predicted numbers. Conventions of scikit-learn 1.9; weights are optional everywhere.

use crate::error::{Error, Result, finite, open_unit, same_length, weights_or_ones};

/// Checked rows of a regression: truth, prediction and weight, all finite.
#[derive(Debug, Clone)]
pub struct Regression {
    truth: Vec<f64>,
    predicted: Vec<f64>,
    weights: Vec<f64>,
    total: f64,
}

impl Regression {
    /// Takes rows; refuses NaN, infinity, empty input, different lengths and negative weights.
    pub fn new(truth: &[f64], predicted: &[f64], weights: Option<&[f64]>) -> Result<Self> {
        same_length(truth.len(), predicted.len())?;
        finite("truth", truth)?;
        finite("predicted", predicted)?;
        let weights = weights_or_ones(weights, truth.len())?;
        let total = weights.iter().sum();
        Ok(Self { truth: truth.to_vec(), predicted: predicted.to_vec(), weights, total })
    }

    fn mean(&self, f: impl Fn(f64, f64) -> f64) -> f64 {
        let rows = self.truth.iter().zip(&self.predicted).zip(&self.weights);
        rows.map(|((&t, &p), w)| w * f(t, p)).sum::<f64>() / self.total
    }

    /// Mean absolute error, in the unit of the target.
    pub fn mean_absolute_error(&self) -> f64 {
        self.mean(|t, p| (p - t).abs())
    }

    /// Mean squared error.
    pub fn mean_squared_error(&self) -> f64 {
        self.mean(|t, p| (p - t).powi(2))
    }

    /// Root of the mean squared error, in the unit of the target.
    pub fn root_mean_squared_error(&self) -> f64 {
        self.mean_squared_error().sqrt()
    }

    /// Mean of predicted minus true.
    pub fn bias(&self) -> f64 {
        self.mean(|t, p| p - t)
    }

    /// Largest absolute error; weights do not matter.
    pub fn max_error(&self) -> f64 {
        self.truth.iter().zip(&self.predicted).map(|(t, p)| (p - t).abs()).fold(0.0, f64::max)
    }

    /// Weighted median of the absolute errors; with equal weights the mean of the middle two.
    ///
    /// A weighted sum that meets half of the total exactly gives the mean of both neighbours
    /// (averaged inverted distribution function).
    pub fn median_absolute_error(&self) -> f64 {
        let mut rows: Vec<(f64, f64)> = self
            .truth
            .iter()
            .zip(&self.predicted)
            .zip(&self.weights)
            .filter(|(_, w)| **w > 0.0)
            .map(|((t, p), w)| ((p - t).abs(), *w))
            .collect();
        rows.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let half = 0.5 * self.total;
        let mut sum = 0.0;
        for (i, (error, weight)) in rows.iter().enumerate() {
            sum += weight;
            if (sum - half).abs() <= 1e-12 * self.total {
                return 0.5 * (error + rows.get(i + 1).map_or(*error, |r| r.0));
            }
            if sum > half {
                return *error;
            }
        }
        rows.last().map_or(0.0, |r| r.0)
    }

    /// Mean absolute error relative to the truth; a truth of 0 counts as 2^-52.
    pub fn mean_absolute_percentage_error(&self) -> f64 {
        self.mean(|t, p| (p - t).abs() / t.abs().max(f64::EPSILON))
    }

    /// Coefficient of determination. A constant target gives 1 when every prediction is right, else 0.
    /// # Errors
    /// [`Error::Undefined`] for fewer than two rows.
    pub fn r_squared(&self) -> Result<f64> {
        if self.truth.len() < 2 {
            return Err(Error::Undefined { what: "R squared", why: "fewer than two rows" });
        }
        let centre = self.mean(|t, _| t);
        Ok(explained(self.mean_squared_error(), self.mean(|t, _| (t - centre).powi(2))))
    }

    /// Explained variance: like R squared, but a constant offset costs nothing.
    pub fn explained_variance(&self) -> f64 {
        let (bias, centre) = (self.mean(|t, p| t - p), self.mean(|t, _| t));
        explained(self.mean(|t, p| (t - p - bias).powi(2)), self.mean(|t, _| (t - centre).powi(2)))
    }

    /// Pinball loss of a predicted `quantile`.
    pub fn pinball(&self, quantile: f64) -> Result<f64> {
        open_unit("quantile", quantile)?;
        Ok(self.mean(|t, p| if t >= p { quantile * (t - p) } else { (1.0 - quantile) * (p - t) }))
    }

    /// Mean squared error of ln(1 + value).
    /// # Errors
    /// [`Error::OutOfRange`] if a value is -1 or less.
    pub fn mean_squared_log_error(&self) -> Result<f64> {
        if let Some(&value) = self.truth.iter().chain(&self.predicted).find(|v| **v <= -1.0) {
            return Err(Error::OutOfRange { what: "value", value, expected: "above -1" });
        }
        Ok(self.mean(|t, p| (t.ln_1p() - p.ln_1p()).powi(2)))
    }

    /// Symmetric percentage error, 0..=200; a row of two zeros counts as 0.
    pub fn symmetric_percentage_error(&self) -> f64 {
        self.mean(|t, p| {
            let size = 0.5 * (t.abs() + p.abs());
            if size == 0.0 { 0.0 } else { 100.0 * (p - t).abs() / size }
        })
    }
}

fn explained(unexplained: f64, variance: f64) -> f64 {
    if variance > 0.0 { 1.0 - unexplained / variance } else { f64::from(u8::from(unexplained == 0.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        let r = Regression::new(&[1.0, 2.0, 3.0], &[1.0, 3.0, 5.0], None).unwrap();
        assert!((r.mean_absolute_error() - 1.0).abs() < 1e-15);
        assert!((r.mean_squared_error() - 5.0 / 3.0).abs() < 1e-15);
        assert!((r.r_squared().unwrap() + 1.5).abs() < 1e-14);
        assert!((r.median_absolute_error() - 1.0).abs() < 1e-15);
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Regression::new(&[1.0], &[f64::NAN], None).is_err());
        assert!(Regression::new(&[], &[], None).is_err());
        assert!(Regression::new(&[1.0], &[2.0], None).unwrap().r_squared().is_err());
        assert!(Regression::new(&[1.0], &[2.0], Some(&[-1.0])).is_err());
    }
}
