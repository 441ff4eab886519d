//! §4: inputs, requirement documents, selection weights, outputs.

use serde::{Deserialize, Serialize};

use super::{Cited, problem::Problems};
use crate::{
    planning::{PlanInput, PlanOutput, RequirementKind},
    role::Role,
    selection_criteria::Criterion,
};

/// The tables of §4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planning {
    /// §4.1 required inputs.
    pub inputs: Vec<InputRow>,
    /// §4.1 requirement types and the document of each.
    pub requirement_types: Vec<RequirementRow>,
    /// §4.2 criteria with weight and method.
    pub selection_criteria: Vec<CriterionRow>,
    /// What the weights sum up to, percent.
    pub weight_total: Cited<u32>,
    /// By how many points a weight moves in the sensitivity analysis.
    pub sensitivity_points: Cited<u32>,
    /// §4.3 outputs.
    pub outputs: Vec<OutputRow>,
    /// Who may approve a plan.
    pub plan_approvers: Cited<Vec<Role>>,
}

/// One required input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRow {
    /// Which.
    pub input: PlanInput,
    /// As the procedure writes it.
    pub title: String,
    /// Its clause.
    pub clause: String,
}

/// One requirement type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequirementRow {
    /// Which.
    pub kind: RequirementKind,
    /// Examples as the procedure writes them.
    pub examples: String,
    /// The document that holds such requirements.
    pub document: String,
    /// Its clause.
    pub clause: String,
}

/// One weighted criterion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CriterionRow {
    /// Which.
    pub criterion: Criterion,
    /// Percent.
    pub weight: u32,
    /// Evaluation method.
    pub method: String,
    /// Its clause.
    pub clause: String,
}

/// One planning output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRow {
    /// Which.
    pub output: PlanOutput,
    /// As the procedure writes it.
    pub title: String,
    /// Who may approve the record.
    pub approvers: Vec<Role>,
    /// Its clause.
    pub clause: String,
}

impl Planning {
    pub(super) fn check(&self, bad: &mut Problems) {
        bad.exactly("planning.inputs", self.inputs.iter().map(|row| row.input), PlanInput::ALL);
        bad.exactly(
            "planning.requirement_types",
            self.requirement_types.iter().map(|row| row.kind),
            RequirementKind::ALL,
        );
        bad.exactly(
            "planning.selection_criteria",
            self.selection_criteria.iter().map(|row| row.criterion),
            Criterion::ALL,
        );
        bad.exactly("planning.outputs", self.outputs.iter().map(|row| row.output), PlanOutput::ALL);
        let sum: u32 = self.selection_criteria.iter().map(|row| row.weight).sum();
        bad.require(
            sum == self.weight_total.value,
            "planning.selection_criteria",
            format!("weights must sum to {}, sum is {sum}", self.weight_total.value),
        );
        bad.require(
            self.sensitivity_points.value < self.weight_total.value,
            "planning.sensitivity_points",
            "must be below the total",
        );
        for (at, row) in self.outputs.iter().enumerate() {
            let path = format!("planning.outputs[{at}].approvers");
            bad.require(!row.approvers.is_empty(), path, "must not be empty");
        }
        bad.require(!self.plan_approvers.value.is_empty(), "planning.plan_approvers", "must not be empty");
    }
}
