//! A reference profile of features and how a current window differs from it.

use serde::{Deserialize, Serialize};

use crate::categories::Categories;
use crate::contingency;
use crate::drift;
use crate::error::{Error, Result};
use crate::histogram::{Histogram, quantile_edges};
use crate::moments::Moments;

/// What is kept of one feature (or of one prediction): mergeable, of bounded size.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FeatureProfile {
    /// A number: histogram over the reference's bins, and moments.
    Numeric {
        /// Counts over the reference's bins.
        histogram: Histogram,
        /// Count, mean, variance.
        moments: Moments,
    },
    /// A category.
    Categorical(Categories),
}

/// How a window differs from its reference; every part with its convention in the field's name or comment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Population Stability Index, half-count smoothing.
    pub psi: f64,
    /// What PSI would be, about, by sampling alone.
    pub psi_noise: f64,
    /// Jensen-Shannon distance, base 2.
    pub jensen_shannon: f64,
    /// Total variation distance.
    pub total_variation: f64,
    /// p-value of the chi-square test of homogeneity; `None` if only one bin is in use.
    pub p_value: Option<f64>,
    /// Share of levels or values that the reference does not know, in the window (categories only).
    pub unknown_share: f64,
    /// Share of missing values in the window minus that in the reference.
    pub missing_shift: f64,
    /// Values in the window.
    pub count: u64,
}

impl FeatureProfile {
    /// Profile of a numeric reference with quantile bins; values that are not finite count as missing.
    pub fn numeric(reference: &[f64], bins: usize) -> Result<Self> {
        let finite: Vec<f64> = reference.iter().copied().filter(|v| v.is_finite()).collect();
        let mut profile = Self::Numeric {
            histogram: Histogram::new(&quantile_edges(&finite, bins)?)?,
            moments: Moments::default(),
        };
        for value in reference {
            profile.add_number(*value);
        }
        Ok(profile)
    }

    /// An empty profile over the same bins or levels, for a window.
    pub fn empty_like(&self) -> Result<Self> {
        Ok(match self {
            Self::Numeric { histogram, .. } => {
                Self::Numeric { histogram: Histogram::new(histogram.edges())?, moments: Moments::default() }
            }
            Self::Categorical(categories) => Self::Categorical(categories.empty_like()),
        })
    }

    /// Takes a number. A number given to a categorical feature counts as missing.
    pub fn add_number(&mut self, value: f64) {
        match self {
            Self::Numeric { histogram, moments } => {
                histogram.add(value);
                moments.add(value);
            }
            Self::Categorical(categories) => categories.add_missing(1),
        }
    }

    /// Takes a category. A category given to a numeric feature counts as missing.
    pub fn add_category(&mut self, level: &str) {
        match self {
            Self::Numeric { histogram, .. } => histogram.add_missing(1),
            Self::Categorical(categories) => categories.add(level, 1),
        }
    }

    /// Counts an absent value.
    pub fn add_missing(&mut self) {
        match self {
            Self::Numeric { histogram, .. } => histogram.add_missing(1),
            Self::Categorical(categories) => categories.add_missing(1),
        }
    }

    /// Adds another window over the same bins or levels.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        match (self, other) {
            (Self::Numeric { histogram, moments }, Self::Numeric { histogram: h, moments: m }) => {
                histogram.merge(h)?;
                moments.merge(m);
                Ok(())
            }
            (Self::Categorical(a), Self::Categorical(b)) => a.merge(b),
            _ => Err(Error::BinMismatch { why: "a numeric and a categorical profile" }),
        }
    }

    /// Counts over bins, or over levels and all others.
    pub fn bins(&self) -> Vec<u64> {
        match self {
            Self::Numeric { histogram, .. } => histogram.counts().to_vec(),
            Self::Categorical(categories) => categories.bins(),
        }
    }

    /// Values present.
    pub fn count(&self) -> u64 {
        match self {
            Self::Numeric { histogram, .. } => histogram.count(),
            Self::Categorical(categories) => categories.count(),
        }
    }

    /// Values absent.
    pub fn missing(&self) -> u64 {
        match self {
            Self::Numeric { histogram, .. } => histogram.missing(),
            Self::Categorical(categories) => categories.missing(),
        }
    }

    /// Compares a window with this reference. O(bins).
    /// # Errors
    /// Different bins, or no values on a side: too little never reads as "no drift".
    pub fn compare(&self, current: &Self) -> Result<Comparison> {
        // merging into a copy checks that bins, levels and kinds agree
        self.empty_like()?.merge(&current.empty_like()?)?;
        let (expected, actual) = (self.bins(), current.bins());
        let unknown = match (self, current) {
            (Self::Categorical(reference), Self::Categorical(window)) if reference.other() == 0 => {
                window.other()
            }
            _ => 0,
        };
        let missing = |p: &Self| p.missing() as f64 / (p.missing() + p.count()).max(1) as f64;
        let test = match contingency::homogeneity(&expected, &actual) {
            Ok(test) => Some(test.p_value),
            Err(Error::Undefined { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Comparison {
            psi: drift::psi(&expected, &actual)?,
            psi_noise: drift::psi_noise(&expected, &actual)?,
            jensen_shannon: drift::jensen_shannon_distance(&expected, &actual)?,
            total_variation: drift::total_variation(&expected, &actual)?,
            p_value: test,
            unknown_share: unknown as f64 / current.count().max(1) as f64,
            missing_shift: missing(current) - missing(self),
            count: current.count(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shift_shows_and_the_same_data_does_not() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let reference = FeatureProfile::numeric(&values, 10).unwrap();
        let same = reference.compare(&reference).unwrap();
        assert!(same.psi.abs() < 1e-12 && same.p_value.unwrap() > 0.99);
        let mut shifted = reference.empty_like().unwrap();
        for value in &values {
            shifted.add_number(value + 300.0);
        }
        let drift = reference.compare(&shifted).unwrap();
        assert!(drift.psi > 0.25 && drift.p_value.unwrap() < 1e-9);
    }

    #[test]
    fn an_empty_window_is_not_the_same() {
        let reference = FeatureProfile::numeric(&[1.0, 2.0, 3.0], 3).unwrap();
        assert!(reference.compare(&reference.empty_like().unwrap()).is_err());
        let other = FeatureProfile::Categorical(Categories::new(["a"]));
        assert!(reference.compare(&other).is_err());
    }

    #[test]
    fn a_level_never_seen_shows() {
        let counts = [("a".to_owned(), 90), ("b".to_owned(), 10)].into();
        let reference = FeatureProfile::Categorical(Categories::from_reference(&counts, 0, 20).unwrap());
        let mut window = reference.empty_like().unwrap();
        for level in ["a", "a", "a", "new"] {
            window.add_category(level);
        }
        assert!((reference.compare(&window).unwrap().unknown_share - 0.25).abs() < 1e-15);
    }
}
