//! Reference and window histograms of one column, brought over the same bins.

use contracts::common::v1::{
    CategoricalCounts, ColumnProfile, NumericHistogram, column_profile::Distribution,
};
use lifecycle::drift::ColumnKind;
use statistics::binned;

/// Counts of a reference and of a window over the same bins, and what was missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// What the bins are.
    pub bins: Bins,
    /// Of the reference.
    pub expected: Vec<u64>,
    /// Of the window.
    pub actual: Vec<u64>,
    /// Missing and present values of the reference.
    pub expected_missing: (u64, u64),
    /// Missing and present values of the window.
    pub actual_missing: (u64, u64),
}

/// What the bins of a column are.
#[derive(Debug, Clone, PartialEq)]
pub enum Bins {
    /// Of numbers, in their order.
    Numeric {
        /// One more than there are bins; the outer ones are those of the reference's own values.
        bounds: Vec<f64>,
        /// Standard deviation of the reference; 0 for a constant.
        deviation: f64,
    },
    /// Levels, and all others together.
    Categorical,
}

/// What a column of this profile holds.
pub fn kind(profile: &ColumnProfile) -> ColumnKind {
    match &profile.distribution {
        Some(Distribution::Numeric(_)) => ColumnKind::Numeric,
        Some(Distribution::Categorical(_)) | None => ColumnKind::Categorical,
    }
}

/// Values of a profile that are in its bins.
pub fn present(profile: &ColumnProfile) -> u64 {
    match &profile.distribution {
        Some(Distribution::Numeric(numbers)) => numbers.counts.iter().sum(),
        Some(Distribution::Categorical(levels)) => with_other(levels).iter().sum(),
        None => 0,
    }
}

/// Brings both over the bins or levels of the reference; a level that the reference does not know counts as "other".
/// `None` where the bins do not fit: such a window says nothing, and least of all "no drift".
pub fn align(reference: &ColumnProfile, window: &ColumnProfile) -> Option<Aligned> {
    let (bins, expected, actual) = match (reference.distribution.as_ref()?, window.distribution.as_ref()?) {
        (Distribution::Numeric(a), Distribution::Numeric(b)) => {
            let fits = a.edges == b.edges && a.counts.len() == b.counts.len();
            fits.then(|| (numeric(a), a.counts.clone(), b.counts.clone()))?
        }
        (Distribution::Categorical(a), Distribution::Categorical(b)) => {
            (Bins::Categorical, with_other(a), over(a, b))
        }
        _ => return None,
    };
    Some(Aligned {
        bins,
        expected,
        actual,
        expected_missing: (reference.missing, present(reference)),
        actual_missing: (window.missing, present(window)),
    })
}

/// The outer bins end with the reference's own values; where it does not tell them, they are as wide as the next.
fn numeric(reference: &NumericHistogram) -> Bins {
    let edges = &reference.edges;
    let (first, last) = (edges.first().copied().unwrap_or(0.0), edges.last().copied().unwrap_or(0.0));
    let width = |pair: Option<&[f64]>| pair.map_or(1.0, |pair| pair[1] - pair[0]);
    let low = if reference.min < first { reference.min } else { first - width(edges.windows(2).next()) };
    let high = if last < reference.max { reference.max } else { last + width(edges.windows(2).last()) };
    let bounds: Vec<f64> = [low].into_iter().chain(edges.iter().copied()).chain([high]).collect();
    let told = Some(reference.variance).filter(|variance| variance.is_finite() && 0.0 < *variance);
    let binned = || binned::deviation(&reference.counts, &bounds).unwrap_or_default();
    let deviation = told.map_or_else(binned, f64::sqrt);
    Bins::Numeric { bounds, deviation }
}

fn with_other(counts: &CategoricalCounts) -> Vec<u64> {
    counts.counts.iter().copied().chain([counts.other]).collect()
}

fn over(reference: &CategoricalCounts, window: &CategoricalCounts) -> Vec<u64> {
    let mut counts = vec![0_u64; reference.values.len() + 1];
    let other = reference.values.len();
    for (value, count) in window.values.iter().zip(&window.counts) {
        let at = reference.values.iter().position(|known| known == value).unwrap_or(other);
        counts[at] = counts[at].saturating_add(*count);
    }
    counts[other] = counts[other].saturating_add(window.other);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_level_is_other() {
        let categories = |values: &[&str], counts: &[u64]| ColumnProfile {
            column: "c".into(),
            rows: counts.iter().sum(),
            missing: 0,
            distribution: Some(Distribution::Categorical(CategoricalCounts {
                values: values.iter().map(ToString::to_string).collect(),
                counts: counts.to_vec(),
                other: 1,
            })),
        };
        let both =
            align(&categories(&["a", "b"], &[5, 6]), &categories(&["b", "new"], &[2, 3])).expect("aligned");
        assert_eq!((both.expected, both.actual), (vec![5, 6, 1], vec![0, 2, 4]));
        assert_eq!((both.bins, both.actual_missing), (Bins::Categorical, (0, 6)));
    }

    #[test]
    fn outer_bins_end_with_the_reference() {
        let of = |edges: &[f64], min, max, variance| {
            let counts = vec![10; edges.len() + 1];
            let one = NumericHistogram { edges: edges.to_vec(), counts, min, max, variance, mean: 0.0 };
            match numeric(&one) {
                Bins::Numeric { bounds, deviation } => (bounds, deviation),
                Bins::Categorical => panic!("numbers"),
            }
        };
        assert_eq!(of(&[1.0, 2.0], -3.0, 9.0, 4.0), (vec![-3.0, 1.0, 2.0, 9.0], 2.0));
        let (bounds, deviation) = of(&[1.0, 3.0], f64::NAN, f64::NAN, f64::NAN);
        assert_eq!(bounds, [-1.0, 1.0, 3.0, 5.0]);
        assert!((deviation - (8.0_f64 / 3.0).sqrt()).abs() < 1e-12, "{deviation}");
        assert_eq!(of(&[], f64::NAN, f64::NAN, 0.0), (vec![-1.0, 1.0], 0.0));
    }
}
