//! Reference and window histograms of one column, brought over the same bins.

use contracts::common::v1::{CategoricalCounts, ColumnProfile, column_profile::Distribution};

/// Counts of a reference and of a window over the same bins, and what was missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Aligned {
    /// Of the reference.
    pub expected: Vec<u64>,
    /// Of the window.
    pub actual: Vec<u64>,
    /// Missing and present values of the reference.
    pub expected_missing: (u64, u64),
    /// Missing and present values of the window.
    pub actual_missing: (u64, u64),
}

impl Aligned {
    /// Values in the window.
    pub fn count(&self) -> u64 {
        self.actual.iter().sum()
    }
}

/// Brings both over the bins or levels of the reference; a level that the reference does not know counts as "other".
/// `None` where the bins do not fit: such a window says nothing, and least of all "no drift".
pub fn align(reference: &ColumnProfile, window: &ColumnProfile) -> Option<Aligned> {
    let (expected, actual) = match (reference.distribution.as_ref()?, window.distribution.as_ref()?) {
        (Distribution::Numeric(a), Distribution::Numeric(b)) => {
            let fits = a.edges == b.edges && a.counts.len() == b.counts.len();
            fits.then(|| (a.counts.clone(), b.counts.clone()))?
        }
        (Distribution::Categorical(a), Distribution::Categorical(b)) => (with_other(a), over(a, b)),
        _ => return None,
    };
    let (there, here): (u64, u64) = (expected.iter().sum(), actual.iter().sum());
    Some(Aligned {
        expected,
        actual,
        expected_missing: (reference.missing, there),
        actual_missing: (window.missing, here),
    })
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
    }
}
