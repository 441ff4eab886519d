//! Merging observations: counts add up, in any order, to the same window.

use contracts::common::v1::{
    CategoricalCounts, ColumnProfile, NumericHistogram, column_profile::Distribution,
};
use contracts::monitor::v1::{CallerCount, GroupOutcome, VersionObservation};
use std::collections::BTreeMap;

use crate::Error;
use crate::convert::sketch;
use crate::parse::LIST_ITEMS;

/// Adds the counters, latencies, groups and callers of `other` to `into`; histograms stay where they are.
///
/// # Errors
/// If the latency sketches do not fit each other.
pub fn counters(into: &mut VersionObservation, other: &VersionObservation) -> Result<(), Error> {
    into.requests = into.requests.saturating_add(other.requests);
    into.rows = into.rows.saturating_add(other.rows);
    into.model_faults = into.model_faults.saturating_add(other.model_faults);
    into.client_faults = into.client_faults.saturating_add(other.client_faults);
    into.server_faults = into.server_faults.saturating_add(other.server_faults);
    into.canary |= other.canary;
    into.breaker_log_e = into.breaker_log_e.max(other.breaker_log_e);
    if let Some(theirs) = &other.latency {
        let merged = match &into.latency {
            None => theirs.clone(),
            Some(ours) => sketch::merged(ours, theirs)?,
        };
        into.latency = Some(merged);
    }
    let mut groups: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for one in into.groups.iter().chain(&other.groups) {
        let sum = groups.entry(one.group.clone()).or_default();
        *sum = (sum.0.saturating_add(one.rows), sum.1.saturating_add(one.favourable));
    }
    into.groups = groups
        .into_iter()
        .take(LIST_ITEMS)
        .map(|(group, (rows, favourable))| GroupOutcome { group, rows, favourable })
        .collect();
    let mut callers: BTreeMap<String, u64> = BTreeMap::new();
    for one in into.callers.iter().chain(&other.callers) {
        let sum = callers.entry(one.principal.clone()).or_default();
        *sum = sum.saturating_add(one.requests);
    }
    into.callers = callers
        .into_iter()
        .take(LIST_ITEMS)
        .map(|(principal, requests)| CallerCount { principal, requests })
        .collect();
    Ok(())
}

/// Adds feature and prediction histograms of `other` to `into`.
pub fn profiles(into: &mut VersionObservation, other: &VersionObservation) {
    into.rows = into.rows.saturating_add(other.rows);
    for column in &other.features {
        match into.features.iter().position(|ours| same_bins(ours, column)) {
            Some(at) => add(&mut into.features[at], column),
            None if into.features.len() < LIST_ITEMS => into.features.push(column.clone()),
            None => {}
        }
    }
    match (&mut into.predictions, &other.predictions) {
        (Some(ours), Some(theirs)) if same_bins(ours, theirs) => add(ours, theirs),
        // Labels of predictions are few and may be named as they come: align them.
        (Some(ours), Some(theirs)) => align(ours, theirs),
        (None, Some(theirs)) => into.predictions = Some(theirs.clone()),
        (_, None) => {}
    }
}

fn same_bins(ours: &ColumnProfile, theirs: &ColumnProfile) -> bool {
    ours.column == theirs.column
        && match (&ours.distribution, &theirs.distribution) {
            (Some(Distribution::Numeric(a)), Some(Distribution::Numeric(b))) => a.edges == b.edges,
            (Some(Distribution::Categorical(a)), Some(Distribution::Categorical(b))) => a.values == b.values,
            (None, None) => true,
            _ => false,
        }
}

fn add(ours: &mut ColumnProfile, theirs: &ColumnProfile) {
    let (before, new) =
        (ours.rows.saturating_sub(ours.missing) as f64, theirs.rows.saturating_sub(theirs.missing) as f64);
    ours.rows = ours.rows.saturating_add(theirs.rows);
    ours.missing = ours.missing.saturating_add(theirs.missing);
    match (&mut ours.distribution, &theirs.distribution) {
        (Some(Distribution::Numeric(a)), Some(Distribution::Numeric(b))) => {
            add_counts(&mut a.counts, &b.counts);
            moments(a, b, before, new);
        }
        (Some(Distribution::Categorical(a)), Some(Distribution::Categorical(b))) => {
            add_counts(&mut a.counts, &b.counts);
            a.other = a.other.saturating_add(b.other);
        }
        _ => {}
    }
}

fn add_counts(ours: &mut [u64], theirs: &[u64]) {
    for (a, b) in ours.iter_mut().zip(theirs) {
        *a = a.saturating_add(*b);
    }
}

/// Mean and variance of two samples together (Chan, Golub, LeVeque 1979).
fn moments(a: &mut NumericHistogram, b: &NumericHistogram, n: f64, m: f64) {
    if m <= 0.0 {
        return;
    }
    if n <= 0.0 {
        (a.min, a.max, a.mean, a.variance) = (b.min, b.max, b.mean, b.variance);
        return;
    }
    let gap = b.mean - a.mean;
    a.variance = (a.variance * n + b.variance * m + gap * gap * n * m / (n + m)) / (n + m);
    a.mean += gap * m / (n + m);
    (a.min, a.max) = (a.min.min(b.min), a.max.max(b.max));
}

fn align(ours: &mut ColumnProfile, theirs: &ColumnProfile) {
    let (Some(Distribution::Categorical(a)), Some(Distribution::Categorical(b))) =
        (&mut ours.distribution, &theirs.distribution)
    else {
        return; // another kind of output: the first one stays
    };
    for (value, count) in b.values.iter().zip(&b.counts) {
        match a.values.iter().position(|known| known == value) {
            Some(at) => a.counts[at] = a.counts[at].saturating_add(*count),
            None if a.values.len() < LIST_ITEMS => push(a, value, *count),
            None => a.other = a.other.saturating_add(*count),
        }
    }
    a.other = a.other.saturating_add(b.other);
    ours.rows = ours.rows.saturating_add(theirs.rows);
    ours.missing = ours.missing.saturating_add(theirs.missing);
}

fn push(counts: &mut CategoricalCounts, value: &str, count: u64) {
    counts.values.push(value.to_owned());
    counts.counts.push(count);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(counts: [u64; 3]) -> ColumnProfile {
        let rows = counts.iter().sum();
        let histogram = NumericHistogram {
            edges: vec![0.0, 1.0],
            counts: counts.to_vec(),
            ..NumericHistogram::default()
        };
        ColumnProfile {
            column: "x".into(),
            rows,
            missing: 0,
            distribution: Some(Distribution::Numeric(histogram)),
        }
    }

    #[test]
    fn histograms_add_up_and_labels_are_aligned() {
        let labels = |value: &str| ColumnProfile {
            column: "prediction".into(),
            rows: 1,
            missing: 0,
            distribution: Some(Distribution::Categorical(CategoricalCounts {
                values: vec![value.into()],
                counts: vec![1],
                other: 0,
            })),
        };
        let one = |counts, value| VersionObservation {
            rows: 1,
            features: vec![numbers(counts)],
            predictions: Some(labels(value)),
            ..VersionObservation::default()
        };
        let mut sum = VersionObservation::default();
        profiles(&mut sum, &one([1, 0, 2], "a"));
        profiles(&mut sum, &one([0, 5, 1], "b"));
        let Some(Distribution::Numeric(histogram)) = &sum.features[0].distribution else {
            panic!("a number")
        };
        assert_eq!((sum.features.len(), histogram.counts.as_slice(), sum.rows), (1, [1, 5, 3].as_slice(), 2));
        let Some(Distribution::Categorical(counts)) =
            &sum.predictions.as_ref().expect("predictions").distribution
        else {
            panic!("labels")
        };
        assert_eq!((counts.values.len(), counts.counts.as_slice()), (2, [1, 1].as_slice()));
    }
}
