//! Profiles between the wire and `statistics`.

use contracts::common::v1::column_profile::Distribution;
use contracts::common::v1::{CategoricalCounts, ColumnProfile, NumericHistogram};
use statistics::Moments;
use statistics::categories::Categories;
use statistics::histogram::Histogram;
use statistics::profile::FeatureProfile;

/// What is kept of one column within a second: counts over the bins or levels of its reference, and the range of numbers.
#[derive(Debug, Clone)]
pub struct Profile {
    counts: FeatureProfile,
    /// Smallest and largest number; none before the first one that is finite.
    range: Option<(f64, f64)>,
}

impl Profile {
    /// An empty profile over the bins or levels of a reference; `None` if they make none.
    pub(super) fn like(reference: &ColumnProfile) -> Option<Self> {
        let counts = match reference.distribution.as_ref()? {
            Distribution::Numeric(numeric) => {
                let histogram = Histogram::new(&numeric.edges).ok()?;
                FeatureProfile::Numeric { histogram, moments: Moments::default() }
            }
            Distribution::Categorical(counts) => {
                FeatureProfile::Categorical(Categories::new(counts.values.iter().cloned()))
            }
        };
        Some(Self { counts, range: None })
    }

    /// Whether numbers are counted.
    pub(super) fn is_numeric(&self) -> bool {
        matches!(self.counts, FeatureProfile::Numeric { .. })
    }

    /// Counts a number; one that is not finite is missing.
    pub(super) fn add_number(&mut self, value: f64) {
        self.counts.add_number(value);
        if value.is_finite() {
            let (least, most) = self.range.unwrap_or((value, value));
            self.range = Some((least.min(value), most.max(value)));
        }
    }

    /// Counts a category.
    pub(super) fn add_category(&mut self, level: &str) {
        self.counts.add_category(level);
    }

    /// Counts an absent value.
    pub(super) fn add_missing(&mut self) {
        self.counts.add_missing();
    }

    /// For the wire; of a column without numbers minimum, maximum, mean and variance are NaN.
    pub(super) fn wire(&self, column: &str, rows: u64) -> ColumnProfile {
        let distribution = match &self.counts {
            FeatureProfile::Numeric { histogram, moments } => {
                let (min, max) = self.range.unwrap_or((f64::NAN, f64::NAN));
                Distribution::Numeric(NumericHistogram {
                    edges: histogram.edges().to_vec(),
                    counts: histogram.counts().to_vec(),
                    min,
                    max,
                    mean: moments.mean().unwrap_or(f64::NAN),
                    variance: moments.variance().unwrap_or(f64::NAN),
                })
            }
            FeatureProfile::Categorical(categories) => Distribution::Categorical(CategoricalCounts {
                values: categories.levels().to_vec(),
                counts: categories.bins().into_iter().take(categories.levels().len()).collect(),
                other: categories.other(),
            }),
        };
        let missing = self.counts.missing();
        ColumnProfile { column: column.to_owned(), rows, missing, distribution: Some(distribution) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_that_of_the_finite_numbers() {
        let histogram = NumericHistogram { edges: vec![0.0, 1.0], ..Default::default() };
        let reference =
            ColumnProfile { distribution: Some(Distribution::Numeric(histogram)), ..Default::default() };
        let mut profile = Profile::like(&reference).unwrap();
        let range = |profile: &Profile| match profile.wire("x", 0).distribution {
            Some(Distribution::Numeric(numeric)) => (numeric.min, numeric.max),
            other => panic!("{other:?}"),
        };
        assert!(range(&profile).0.is_nan() && range(&profile).1.is_nan());
        for value in [f64::NAN, 0.5, f64::INFINITY, -2.0, 7.0, 3.0] {
            profile.add_number(value);
        }
        assert_eq!(range(&profile), (-2.0, 7.0));
        assert_eq!(profile.wire("x", 6).missing, 2);
    }
}
