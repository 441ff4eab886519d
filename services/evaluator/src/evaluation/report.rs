//! What an evaluation found: measurements, the fifteen slots of §7.1, the profile of the predictions.

use super::Data;
use crate::predict::{Answer, Model};
use contracts::common::v1::{
    CategoricalCounts, ColumnProfile, Measurement, NumericHistogram, column_profile::Distribution,
};
use lifecycle::acceptance::Metric;
use lifecycle::evaluation::Slot;
use statistics::histogram::{Histogram, quantile_edges};
use std::collections::BTreeMap;

/// Bins of the profile of predicted numbers.
const BINS: usize = 10;

/// One of the fifteen slots.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotReport {
    /// Names of the metrics that were measured.
    pub metrics: Vec<String>,
    /// How, or why not.
    pub reason: String,
}

/// The measurements of one evaluation.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Rows that were measured.
    pub rows: usize,
    /// In the order of §7.1.
    pub measurements: Vec<Measurement>,
    /// Metrics of §7.3 that cannot apply, with the policy's reason.
    pub not_applicable: Vec<(Metric, String)>,
    /// By slot.
    pub slots: BTreeMap<Slot, SlotReport>,
    /// What the model predicts: the reference of prediction drift.
    pub predictions: ColumnProfile,
    /// The first few failures of the model, in its own words.
    pub failures: Vec<String>,
}

impl Report {
    /// An empty report over the answers of the main run.
    pub(super) fn new(data: &Data, model: &Model) -> Self {
        let words = data.answers.iter().filter_map(|answer| match answer {
            Answer::Failed(why) => Some(why.clone()),
            _ => None,
        });
        Self {
            rows: data.len(),
            measurements: Vec::new(),
            not_applicable: Vec::new(),
            slots: BTreeMap::new(),
            predictions: profile(data, model),
            failures: words.take(5).collect(),
        }
    }

    /// Fills a slot. It counts as measured if one of its numbers is one; otherwise the reasons say why not.
    pub fn fill(&mut self, slot: Slot, measurements: Vec<Measurement>, note: impl Into<String>) {
        let entry = self.slots.entry(slot).or_default();
        let mut reasons = vec![note.into()];
        for measurement in &measurements {
            if measurement.value.is_nan() {
                reasons.push(format!("{}: {}", measurement.metric, measurement.undefined_reason));
            } else if !entry.metrics.contains(&measurement.metric) {
                entry.metrics.push(measurement.metric.clone());
            }
        }
        reasons.retain(|reason| !reason.is_empty());
        reasons.dedup();
        reasons.truncate(8);
        entry.reason = std::iter::once(entry.reason.clone())
            .filter(|old| !old.is_empty())
            .chain(reasons)
            .collect::<Vec<_>>()
            .join("; ");
        self.measurements.extend(measurements);
    }

    /// The measurement of all rows with that name.
    pub fn of(&self, metric: &str) -> Option<&Measurement> {
        self.measurements
            .iter()
            .find(|measurement| measurement.metric == metric && measurement.slice.is_empty())
    }
}

/// Counts of predicted classes, or a histogram of predicted numbers; rows on which the model failed are missing.
fn profile(data: &Data, model: &Model) -> ColumnProfile {
    let rows = data.answers.len() as u64;
    let values: Vec<f64> =
        data.answers.iter().filter_map(Answer::value).filter(|value| value.is_finite()).collect();
    let classes = model.classes();
    let (distribution, present) = if data.plan.classifies() {
        let mut counts = vec![0_u64; classes.len() + 1];
        for class in data.answers.iter().filter_map(Answer::class) {
            counts[class.min(classes.len())] += 1;
        }
        let other = counts.pop().unwrap_or_default();
        let present = counts.iter().sum::<u64>() + other;
        let counts = CategoricalCounts { values: classes.names().to_vec(), counts, other };
        (Some(Distribution::Categorical(counts)), present)
    } else {
        (numeric(&values).map(Distribution::Numeric), values.len() as u64)
    };
    ColumnProfile { column: "prediction".to_owned(), rows, missing: rows - present, distribution }
}

fn numeric(values: &[f64]) -> Option<NumericHistogram> {
    let mut histogram = Histogram::new(&quantile_edges(values, BINS).ok()?).ok()?;
    for value in values {
        histogram.add(*value);
    }
    let extreme = |pick: fn(f64, f64) -> f64, start: f64| values.iter().copied().fold(start, pick);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance =
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len().max(2) - 1) as f64;
    Some(NumericHistogram {
        edges: histogram.edges().to_vec(),
        counts: histogram.counts().to_vec(),
        min: extreme(f64::min, f64::INFINITY),
        max: extreme(f64::max, f64::NEG_INFINITY),
        mean,
        variance,
    })
}
