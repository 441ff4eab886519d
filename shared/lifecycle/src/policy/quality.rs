//! §5.2 data quality targets, §5.3 pipeline steps.

use serde::{Deserialize, Serialize};

use super::{Cited, Span, problem::Problems};
use crate::{
    dataset::{Dimension, Step},
    role::Role,
    share::DataAccuracy,
    verdict::Strict,
};

/// The targets of §5.2 and the steps of §5.3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quality {
    /// The eight dimensions as the procedure asks about them.
    pub dimensions: Vec<DimensionRow>,
    /// Share of audited rows that are correct.
    pub accuracy: AccuracyTarget,
    /// Share of missing cells.
    pub missing: Limit,
    /// Age of the newest row, or of the data owner's confirmation.
    pub age: AgeLimit,
    /// Share of duplicate rows.
    pub duplicates: Limit,
    /// Share of rows that contradict another source.
    pub inconsistent: Limit,
    /// Share of rows that break the schema.
    pub invalid: Limit,
    /// Signal about the task, 0..=1.
    pub relevance: Limit,
    /// Largest difference between a group's share and its declared reference.
    pub imbalance: Limit,
    /// Who may audit rows against the source of record (reading 13).
    pub auditors: Cited<Vec<Role>>,
    /// Who may confirm that data without an event time is current (reading 13).
    pub currency_confirmers: Cited<Vec<Role>>,
    /// Who may sign off relevance, and dimensions that cannot apply.
    pub signers: Cited<Vec<Role>>,
    /// Dimensions that may be not applicable, with a reason.
    pub may_not_apply: Cited<Vec<Dimension>>,
    /// The seven steps in order.
    pub steps: Vec<StepRow>,
    /// First version of a dataset.
    pub first_version: Cited<crate::version::Version>,
}

/// One dimension's row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimensionRow {
    /// Which.
    pub dimension: Dimension,
    /// The question as the procedure asks it.
    pub question: String,
    /// Its clause.
    pub clause: String,
}

/// Audited accuracy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccuracyTarget {
    /// Its clause.
    pub clause: String,
    /// Side of the threshold.
    pub comparator: Strict,
    /// Threshold.
    pub value: DataAccuracy,
    /// Fewest rows an audit must check.
    pub min_sample: u64,
    /// One-sided confidence of the exact lower bound.
    pub confidence: f64,
}

/// A strict limit on a number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its clause.
    pub clause: String,
    /// Side of the threshold.
    pub comparator: Strict,
    /// Threshold.
    pub value: f64,
}

/// A strict limit on an age.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgeLimit {
    /// Its clause.
    pub clause: String,
    /// Must be younger than this.
    pub below: Span,
}

/// One pipeline step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRow {
    /// Which.
    pub step: Step,
    /// What it does, as the procedure writes it.
    pub activity: String,
    /// True where "if applicable" stands.
    pub optional: bool,
    /// Its clause.
    pub clause: String,
}

impl Quality {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("quality.dimensions", self.dimensions.iter().map(|row| row.dimension), Dimension::ALL);
        bad.exactly("quality.steps", self.steps.iter().map(|row| row.step), Step::ALL);
        bad.inner_share("quality.accuracy.value", self.accuracy.value.get());
        bad.inner_share("quality.accuracy.confidence", self.accuracy.confidence);
        bad.require(self.accuracy.min_sample > 0, "quality.accuracy.min_sample", "must be above 0");
        for (path, limit) in [
            ("quality.missing.value", &self.missing),
            ("quality.duplicates.value", &self.duplicates),
            ("quality.inconsistent.value", &self.inconsistent),
            ("quality.invalid.value", &self.invalid),
            ("quality.relevance.value", &self.relevance),
            ("quality.imbalance.value", &self.imbalance),
        ] {
            bad.require(
                (0.0..=1.0).contains(&limit.value),
                path,
                format!("must be a share, is {}", limit.value),
            );
        }
        bad.require(!self.age.below.get().is_zero(), "quality.age.below", "must be above 0");
        bad.require(
            !self.currency_confirmers.value.is_empty(),
            "quality.currency_confirmers",
            "must not be empty",
        );
        bad.require(!self.auditors.value.is_empty(), "quality.auditors", "must not be empty");
        bad.require(!self.signers.value.is_empty(), "quality.signers", "must not be empty");
    }
}
