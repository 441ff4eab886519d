//! §7.1 evaluation slots, §7.2 test categories, §7.3 thresholds and the table of tasks and metrics.

use serde::{Deserialize, Serialize};

use super::{Cited, problem::Problems};
use crate::{
    acceptance::{Metric, Task},
    evaluation::{EvaluationDimension, Slot, TestCategory},
    role::Role,
    verdict::Strict,
};

/// The tables of §7.3 and reading 12.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// Six thresholds.
    pub thresholds: Vec<ThresholdRow>,
    /// Two-sided confidence that every interval must have at least; 0.90 has 95 % one-sided bounds.
    pub interval_confidence: Cited<f64>,
    /// One-sided confidence of the upper bound that stands beside a rate of zero.
    pub zero_bound_confidence: Cited<f64>,
    /// Per task: which metrics are required.
    pub tasks: Vec<TaskRow>,
    /// Who may sign off a metric as not applicable.
    pub not_applicable_signers: Cited<Vec<Role>>,
    /// What an attack must be, so that its success rate counts.
    pub attack: AttackRules,
}

/// One threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThresholdRow {
    /// Which metric.
    pub metric: Metric,
    /// As the procedure writes it.
    pub title: String,
    /// What is asked of it.
    pub rule: Rule,
    /// `share` or `ms`.
    pub unit: String,
    /// Fewest samples.
    pub min_samples: u64,
    /// Its clause.
    pub clause: String,
}

/// What a threshold asks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Rule {
    /// Not once in the sample.
    Never,
    /// Strictly on one side of a number.
    #[serde(untagged)]
    Bound {
        /// Which side.
        comparator: Strict,
        /// The number.
        value: f64,
    },
}

/// One task's metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskRow {
    /// Which task.
    pub task: Task,
    /// Metrics that must be measured and pass.
    pub required: Vec<Metric>,
    /// Metrics that cannot apply, with the reason.
    pub not_applicable: Vec<NotApplicableRow>,
    /// Its clause.
    pub clause: String,
}

/// Why a metric cannot apply to a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotApplicableRow {
    /// Which metric.
    pub metric: Metric,
    /// Why.
    pub reason: String,
}

/// What an attack must be (reading 12).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttackRules {
    /// Its clause.
    pub clause: String,
    /// Norm for numeric inputs.
    pub norm: String,
    /// Size as a share of each input's range.
    pub size: f64,
    /// Share of the characters that may change in a text.
    pub text_share: f64,
    /// Fewest queries per sample.
    pub queries: u64,
    /// Attacks on numeric inputs, each must be run.
    pub numeric: Vec<String>,
    /// Attacks on text inputs, each must be run.
    pub text: Vec<String>,
}

/// The tables of §7.1 and §7.2.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Five dimensions of three slots.
    pub dimensions: Vec<DimensionSlots>,
    /// Six test categories.
    pub test_categories: Vec<TestCategoryRow>,
    /// The split of a dataset version that G2 judges on: no model has learned or been chosen on it.
    pub split: Cited<String>,
}

/// The slots of one dimension.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DimensionSlots {
    /// Which dimension.
    pub dimension: EvaluationDimension,
    /// Its slots.
    pub slots: Vec<Slot>,
    /// Its clause.
    pub clause: String,
}

/// One test category.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCategoryRow {
    /// Which.
    pub category: TestCategory,
    /// Purpose as the procedure writes it.
    pub purpose: String,
    /// Tools of the category, lower case.
    pub tools: Vec<String>,
    /// Its clause.
    pub clause: String,
}

impl Acceptance {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("acceptance.thresholds", self.thresholds.iter().map(|row| row.metric), Metric::ALL);
        bad.exactly("acceptance.tasks", self.tasks.iter().map(|row| row.task), Task::ALL);
        bad.inner_share("acceptance.interval_confidence", self.interval_confidence.value);
        bad.inner_share("acceptance.zero_bound_confidence", self.zero_bound_confidence.value);
        for (at, row) in self.thresholds.iter().enumerate() {
            let path = format!("acceptance.thresholds[{at}]");
            bad.require(row.min_samples > 0, format!("{path}.min_samples"), "must be above 0");
            if let Rule::Bound { value, .. } = row.rule {
                bad.positive(&format!("{path}.rule.value"), value);
                let share = row.unit != "share" || value < 1.0;
                bad.require(share, format!("{path}.rule.value"), format!("must be a share, is {value}"));
            }
        }
        for (at, row) in self.tasks.iter().enumerate() {
            let named = row.required.iter().copied().chain(row.not_applicable.iter().map(|row| row.metric));
            bad.exactly(&format!("acceptance.tasks[{at}]"), named, Metric::ALL);
            for (which, reason) in row.not_applicable.iter().enumerate() {
                bad.text(format!("acceptance.tasks[{at}].not_applicable[{which}].reason"), &reason.reason);
            }
        }
        bad.require(
            !self.not_applicable_signers.value.is_empty(),
            "acceptance.not_applicable_signers",
            "must not be empty",
        );
        bad.inner_share("acceptance.attack.size", self.attack.size);
        bad.inner_share("acceptance.attack.text_share", self.attack.text_share);
        bad.require(self.attack.queries > 0, "acceptance.attack.queries", "must be above 0");
        bad.require(!self.attack.numeric.is_empty(), "acceptance.attack.numeric", "must not be empty");
        bad.require(!self.attack.text.is_empty(), "acceptance.attack.text", "must not be empty");
    }
}

impl Evaluation {
    pub(super) fn check(&self, bad: &mut Problems) {
        let dimensions = self.dimensions.iter().map(|row| row.dimension);
        bad.exactly("evaluation.dimensions", dimensions, EvaluationDimension::ALL);
        let slots = self.dimensions.iter().flat_map(|row| row.slots.iter().copied());
        bad.exactly("evaluation.dimensions.slots", slots, Slot::ALL);
        let categories = self.test_categories.iter().map(|row| row.category);
        bad.exactly("evaluation.test_categories", categories, TestCategory::ALL);
        bad.text("evaluation.split", &self.split.value);
    }
}
