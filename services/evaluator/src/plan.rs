//! What exactly is measured: the request's plan with every default filled in from dataset version, policy and limits.

use crate::{Error, Limits, metric::Scale};
use contracts::common::v1::{ModelInterface, Task as WireTask};
use contracts::evaluator::v1::EvaluationPlan;
use contracts::registry::v1::{DatasetColumn, DatasetVersion};
use lifecycle::acceptance::{Metric, Task};
use lifecycle::policy::Policy;
use lifecycle::policy::acceptance::AttackRules;
use runtime::FieldViolation;
use serde::Serialize;
use std::collections::BTreeMap;
use storage::Digest;

/// Longest list of columns or labels in a plan.
const LONGEST_LIST: usize = 10_000;
/// Longest name in a plan, bytes.
const LONGEST_NAME: usize = 16 * 1024;

/// A plan without open points. Its digest names it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// What the model does.
    pub task: Task,
    /// `test`
    pub split: String,
    /// Column of the truth.
    pub label_column: String,
    /// Columns whose values are groups.
    pub group_columns: Vec<String>,
    /// Columns that are no features by themselves.
    pub not_features: Vec<String>,
    /// Those of them that came with the data: whether they are features only the model's interface can say.
    pub group_inputs: Vec<String>,
    /// Columns that name a row.
    pub keys: Vec<String>,
    /// Text that stood for a missing value in the input, by column.
    pub missing_texts: BTreeMap<String, String>,
    /// Labels that are good for the person; empty: by the task.
    pub favourable_labels: Vec<String>,
    /// Of every random choice.
    pub seed: u64,
    /// Rows attacked at most.
    pub attack_rows: usize,
    /// Single-row requests timed.
    pub latency_requests: usize,
    /// Fewest of them that count (policy).
    pub latency_min: usize,
    /// Rows of a batch.
    pub batch_size: usize,
    /// Characters dropped from the end of a label.
    pub label_strip: String,
    /// Regression: how far a right prediction may be off.
    pub tolerance: f64,
    /// Two-sided confidence of intervals (policy).
    pub confidence: f64,
    /// What the attacks must be (policy).
    pub attack: AttackRules,
    /// How rows become tensors and outputs predictions.
    pub features: Vec<String>,
    /// Tensor that takes all features.
    pub input_tensor: String,
    /// Output of the label.
    pub label_output: String,
    /// Output of the scores.
    pub score_output: String,
    /// Names of the score columns and of integer labels.
    pub classes: Vec<String>,
    /// Digest of the policy.
    pub policy_digest: String,
    /// Digest of the preprocessing that the version is served with; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub preprocessing_digest: String,
}

/// Adds every field of a requested plan that cannot be used to `bad`.
pub fn check(asked: &EvaluationPlan, bad: &mut Vec<FieldViolation>) {
    let mut need = |holds: bool, field: &str, why: &str| {
        if !holds {
            bad.push(FieldViolation::new(format!("plan.{field}"), why));
        }
    };
    need(
        matches!(asked.split.as_str(), "" | "train" | "validation" | "test"),
        "split",
        "required train, validation or test",
    );
    for (field, list) in
        [("group_columns", &asked.group_columns), ("favourable_labels", &asked.favourable_labels)]
    {
        need(list.len() <= LONGEST_LIST, field, "more than 10000 items");
        need(
            list.iter().all(|text| !text.is_empty() && text.len() <= LONGEST_NAME),
            field,
            "an item is empty or longer than 16 KiB",
        );
    }
    need(asked.label_column.len() <= LONGEST_NAME, "label_column", "longer than 16 KiB");
    need(asked.label_prefix_strip.len() <= 16, "label_prefix_strip", "longer than 16 bytes");
    need(asked.batch_size <= 65_536, "batch_size", "above 65536");
    need(asked.attack_rows <= 1_000_000, "attack_rows", "above 1000000");
    need(asked.latency_requests <= 1_000_000, "latency_requests", "above 1000000");
    need(
        asked.tolerance.is_finite() && 0.0 <= asked.tolerance,
        "tolerance",
        "required a finite number, 0 or more",
    );
}

/// What a model does, by the wire's number.
///
/// # Errors
/// [`Error::DoesNotFit`] for a task that is not given or not known.
pub fn task(number: i32) -> Result<Task, Error> {
    Ok(match WireTask::try_from(number) {
        Ok(WireTask::BinaryClassification) => Task::BinaryClassification,
        Ok(WireTask::MulticlassClassification) => Task::MulticlassClassification,
        Ok(WireTask::Regression) => Task::Regression,
        Ok(WireTask::TextClassification) => Task::TextClassification,
        Ok(WireTask::TextGeneration) => {
            let why = "text generation needs judges of harmful content and hallucination, and this evaluator has none";
            return Err(Error::Unsupported(why));
        }
        Ok(WireTask::Unspecified) | Err(_) => {
            return Err(Error::unfit("task", "the model names no task that is known"));
        }
    })
}

impl Plan {
    /// Fills in what the request leaves open.
    ///
    /// # Errors
    /// [`Error::DoesNotFit`] where no label column is named anywhere.
    pub fn resolve(
        asked: &EvaluationPlan,
        task: Task,
        dataset: &DatasetVersion,
        interface: &ModelInterface,
        policy: &Policy,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let or =
            |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
        let by_column =
            || dataset.columns.iter().find(|column| column.label).map(|column| column.name.clone());
        let label_column = or(&asked.label_column, &dataset.label_column);
        let label_column = Some(label_column).filter(|name| !name.is_empty()).or_else(by_column);
        let label_column = label_column.ok_or_else(|| {
            Error::unfit("label column", "neither the plan nor the dataset version names one")
        })?;
        let sensitive: Vec<String> = dataset
            .columns
            .iter()
            .filter(|column| column.sensitive)
            .map(|column| column.name.clone())
            .collect();
        let group_columns =
            if asked.group_columns.is_empty() { sensitive.clone() } else { asked.group_columns.clone() };
        let of = |holds: &dyn Fn(&DatasetColumn) -> bool| -> Vec<String> {
            let found = dataset.columns.iter().filter(|column| holds(column));
            found.map(|column| column.name.clone()).collect()
        };
        let group_inputs = of(&|column| {
            !column.derived && (sensitive.contains(&column.name) || group_columns.contains(&column.name))
        });
        let missing_texts = dataset
            .columns
            .iter()
            .filter(|column| !column.missing_text.is_empty())
            .map(|column| (column.name.clone(), column.missing_text.clone()))
            .collect();
        let mut not_features: Vec<String> = sensitive;
        not_features.extend(group_columns.iter().cloned().chain([label_column.clone()]));
        not_features.sort();
        not_features.dedup();
        let rows = &policy.acceptance.thresholds;
        let latency_min = rows
            .iter()
            .find(|row| row.metric == Metric::LatencyP95)
            .map_or(0, |row| row.min_samples as usize);
        let several = |asked: u32, default: usize| if asked == 0 { default } else { asked as usize };
        Ok(Self {
            task,
            split: or(&asked.split, "test"),
            label_column,
            group_columns,
            not_features,
            group_inputs,
            keys: of(&|column| column.key),
            missing_texts,
            favourable_labels: asked.favourable_labels.clone(),
            seed: asked.seed,
            attack_rows: several(asked.attack_rows, limits.attack_rows),
            latency_requests: several(asked.latency_requests, limits.latency_requests.max(latency_min)),
            latency_min,
            batch_size: several(asked.batch_size, limits.batch_size).max(1),
            label_strip: asked.label_prefix_strip.clone(),
            tolerance: asked.tolerance,
            confidence: policy.acceptance.interval_confidence.value,
            attack: policy.acceptance.attack.clone(),
            features: interface.feature_columns.clone(),
            input_tensor: interface.input_tensor.clone(),
            label_output: interface.label_output.clone(),
            score_output: interface.score_output.clone(),
            classes: interface.classes.clone(),
            policy_digest: policy.digest().to_owned(),
            preprocessing_digest: String::new(),
        })
    }

    /// Columns of the input that a model may take as features or not.
    pub fn doubtful(&self) -> impl Iterator<Item = &String> {
        self.group_inputs.iter().chain(&self.keys)
    }

    /// Makes measurements at the policy's confidence.
    pub fn scale(&self) -> Scale {
        Scale { confidence: self.confidence }
    }

    /// Whether answers are classes.
    pub fn classifies(&self) -> bool {
        matches!(
            self.task,
            Task::BinaryClassification | Task::MulticlassClassification | Task::TextClassification
        )
    }

    /// Digest over every choice, the model's and the data's bytes.
    pub fn digest(&self, artifact: &str, data: &str, evaluator: &str) -> String {
        let parts =
            serde_json::json!({ "plan": self, "artifact": artifact, "data": data, "evaluator": evaluator });
        Digest::of(parts.to_string().as_bytes()).to_string()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A binary classification of which nothing is said.
    pub fn plan() -> Plan {
        let dataset = DatasetVersion { label_column: "y".into(), ..DatasetVersion::default() };
        let (asked, interface) = (EvaluationPlan::default(), ModelInterface::default());
        let (policy, limits) = (Policy::builtin(), Limits::default());
        Plan::resolve(&asked, Task::BinaryClassification, &dataset, &interface, policy, &limits).unwrap()
    }

    #[test]
    fn what_the_dataset_says_of_its_columns_is_taken_over() {
        let column = |name: &str| DatasetColumn { name: name.into(), ..DatasetColumn::default() };
        let columns = vec![
            DatasetColumn { sensitive: true, ..column("sex") },
            DatasetColumn { sensitive: true, derived: true, ..column("cohort") },
            DatasetColumn { key: true, ..column("id") },
            DatasetColumn { missing_text: "?".into(), ..column("job") },
        ];
        let dataset = DatasetVersion { label_column: "y".into(), columns, ..DatasetVersion::default() };
        let (asked, interface) = (EvaluationPlan::default(), ModelInterface::default());
        let (policy, limits) = (Policy::builtin(), Limits::default());
        let plan = Plan::resolve(&asked, Task::Regression, &dataset, &interface, policy, &limits).unwrap();
        assert_eq!((plan.group_inputs, plan.keys), (vec!["sex".to_owned()], vec!["id".to_owned()]));
        assert_eq!(plan.group_columns, ["sex", "cohort"]);
        assert_eq!(plan.missing_texts.get("job").map(String::as_str), Some("?"));
    }
}
