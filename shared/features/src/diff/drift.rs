//! How the distribution of a column moved between two samples.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use statistics::Interval;
use statistics::interval::{Share, newcombe};
use statistics::ks::{self, KolmogorovSmirnov};
use statistics::multiplicity::{Correction, adjust};
use statistics::profile::Comparison;

use super::Options;
use super::sample::{Column, Sample};
use crate::error::Result;
use crate::profile::ColumnProfile;

/// Drift of one column, from samples of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Distances over the first sample's quantile bins, or over the most frequent values of both samples.
    pub distances: Comparison,
    /// Of numbers, the Kolmogorov-Smirnov test.
    pub ks: Option<KolmogorovSmirnov>,
    /// p-value of the test (of numbers KS, else chi-square), adjusted by Holm for all columns; `None` without a test.
    pub p_value: Option<f64>,
    /// Of texts, how much more often a value is new to the first sample than a value of that sample is alone in it, which
    /// is how often a new one is met without any drift (Good 1953); the interval holds for all columns at once.
    pub novel: Option<Interval>,
    /// Rows sampled of the first table.
    pub sample_before: u64,
    /// Rows sampled of the second.
    pub sample_after: u64,
    /// Whether it is significant and its index beyond the limit, or new values come more often than chance has it.
    pub drifted: bool,
}

/// One entry for each column of the samples.
pub(super) fn of(
    before: &Sample,
    after: &Sample,
    names: &[String],
    options: &Options,
) -> Result<Vec<Option<Drift>>> {
    let mut all = Vec::new();
    let confidence = 1.0 - (1.0 - options.confidence) / names.len().max(1) as f64;
    for ((a, b), name) in before.columns.iter().zip(&after.columns).zip(names) {
        let distances = compared(name, a, b)?;
        let (ks, novel) = match (a, b) {
            (Column::Numbers(a), Column::Numbers(b)) => (test(a, b)?, None),
            (Column::Texts(a), Column::Texts(b)) => (None, novel(a, b, confidence)?),
            _ => (None, None),
        };
        all.push(distances.map(|distances| Drift {
            distances,
            ks,
            novel,
            p_value: ks.map(|ks| ks.p_value).or(distances.p_value),
            sample_before: before.rows(),
            sample_after: after.rows(),
            drifted: novel.is_some_and(|novel| 0.0 < novel.lower),
        }));
    }
    let tested: Vec<usize> =
        (0..all.len()).filter(|at| all[*at].is_some_and(|one| one.p_value.is_some())).collect();
    let p_values: Vec<f64> = tested.iter().filter_map(|at| all[*at].and_then(|one| one.p_value)).collect();
    let adjusted = if p_values.is_empty() { Vec::new() } else { adjust(&p_values, Correction::Holm)? };
    for (at, p_value) in tested.into_iter().zip(adjusted) {
        if let Some(one) = &mut all[at] {
            one.p_value = Some(p_value);
            one.drifted |= p_value <= 1.0 - options.confidence && options.psi <= one.distances.psi;
        }
    }
    Ok(all)
}

/// Distances; `None` where a side has no values, or where the column became another kind of thing.
fn compared(name: &str, before: &Column, after: &Column) -> Result<Option<Comparison>> {
    let (reference, window) = match (before, after) {
        (Column::Numbers(a), Column::Numbers(b)) => {
            let reference = ColumnProfile::of_numbers(name, a)?;
            let mut window = reference.empty_like()?;
            window.add_numbers(b);
            (reference, window)
        }
        (Column::Texts(a), Column::Texts(b)) => {
            // The values that are counted by name are the most frequent ones of both sides together: those of one side
            // alone are frequent there by chance, and would seem to have gone.
            let both = a.iter().chain(b).map(Option::as_deref);
            let levels = ColumnProfile::of_texts(name, both)?;
            let (mut reference, mut window) = (levels.empty_like()?, levels.empty_like()?);
            reference.add_texts(a.iter().map(Option::as_deref));
            window.add_texts(b.iter().map(Option::as_deref));
            (reference, window)
        }
        _ => return Ok(None),
    };
    if reference.profile.count() == 0 || window.profile.count() == 0 {
        return Ok(None);
    }
    Ok(Some(reference.profile.compare(&window.profile)?))
}

fn test(before: &[f64], after: &[f64]) -> Result<Option<KolmogorovSmirnov>> {
    let finite =
        |values: &[f64]| values.iter().copied().filter(|value| value.is_finite()).collect::<Vec<f64>>();
    let (a, b) = (finite(before), finite(after));
    if a.is_empty() || b.is_empty() {
        return Ok(None);
    }
    Ok(Some(ks::two_sample(&a, &b, ks::Method::Limit)?))
}

/// The share of values that the first sample lacks, less the share of that sample's own values that occur in it once.
fn novel(before: &[Option<String>], after: &[Option<String>], confidence: f64) -> Result<Option<Interval>> {
    let mut counts: HashMap<&str, u64> = HashMap::new();
    for text in before.iter().flatten() {
        *counts.entry(text).or_default() += 1;
    }
    let single = counts.values().filter(|count| **count == 1).count() as u64;
    let new = after.iter().flatten().filter(|text| !counts.contains_key(text.as_str())).count() as u64;
    let of = |events: u64, texts: &[Option<String>]| {
        Share::new(events, texts.iter().flatten().count() as u64).ok()
    };
    match of(new, after).zip(of(single, before)) {
        Some((new, single)) => Ok(Some(newcombe(new, single, confidence)?)),
        None => Ok(None),
    }
}
