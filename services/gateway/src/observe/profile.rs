//! Profiles between the wire and `statistics`.

use contracts::common::v1::column_profile::Distribution;
use contracts::common::v1::{CategoricalCounts, ColumnProfile, NumericHistogram};
use statistics::Moments;
use statistics::categories::Categories;
use statistics::histogram::Histogram;
use statistics::profile::FeatureProfile;

/// An empty profile over the bins or levels of a reference; `None` if they make none.
pub(super) fn empty_like(reference: &ColumnProfile) -> Option<FeatureProfile> {
    match reference.distribution.as_ref()? {
        Distribution::Numeric(numeric) => {
            let histogram = Histogram::new(&numeric.edges).ok()?;
            Some(FeatureProfile::Numeric { histogram, moments: Moments::default() })
        }
        Distribution::Categorical(counts) => {
            Some(FeatureProfile::Categorical(Categories::new(counts.values.iter().cloned())))
        }
    }
}

/// A profile for the wire.
pub(super) fn wire(column: &str, rows: u64, profile: &FeatureProfile) -> ColumnProfile {
    let distribution = match profile {
        FeatureProfile::Numeric { histogram, moments } => Distribution::Numeric(NumericHistogram {
            edges: histogram.edges().to_vec(),
            counts: histogram.counts().to_vec(),
            min: f64::NAN,
            max: f64::NAN,
            mean: moments.mean().unwrap_or(f64::NAN),
            variance: moments.variance().unwrap_or(f64::NAN),
        }),
        FeatureProfile::Categorical(categories) => Distribution::Categorical(CategoricalCounts {
            values: categories.levels().to_vec(),
            counts: categories.bins().into_iter().take(categories.levels().len()).collect(),
            other: categories.other(),
        }),
    };
    let missing = profile.missing();
    ColumnProfile { column: column.to_owned(), rows, missing, distribution: Some(distribution) }
}
