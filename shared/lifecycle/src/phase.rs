//! §3: the life cycle of one model line, PLAN to RETIRE.
//!
//! A line moves only along the transitions of the policy, and only with the records that each of them needs.
//! Going back (ITERATE, rework) drops the records of everything that has to be done again: the evidence of one
//! version never opens a phase for the next.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::phases::PhasePolicy;
use crate::rejection::{Finding, Rejection};

/// A phase of §3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Phase {
    /// §4 planning.
    Plan,
    /// §5 data preparation.
    Data,
    /// §6 model development.
    Model,
    /// §7 evaluation.
    Eval,
    /// §8 deployment.
    Deploy,
    /// §9 monitoring.
    Monitor,
    /// §9.3 a new version is decided.
    Iterate,
    /// §10 retirement; there is no way back.
    Retire,
}

impl Phase {
    /// All phases in the order of §3.
    pub const ALL: [Self; 8] = [
        Self::Plan,
        Self::Data,
        Self::Model,
        Self::Eval,
        Self::Deploy,
        Self::Monitor,
        Self::Iterate,
        Self::Retire,
    ];

    /// The name that the procedure uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "PLAN",
            Self::Data => "DATA",
            Self::Model => "MODEL",
            Self::Eval => "EVAL",
            Self::Deploy => "DEPLOY",
            Self::Monitor => "MONITOR",
            Self::Iterate => "ITERATE",
            Self::Retire => "RETIRE",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a transition may need. The registry says which of them exist for the line and version at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// §4.1 the six inputs.
    RequirementsGathered,
    /// §4.1 the five documents of requirements.
    RequirementsDocumented,
    /// §4.2 weighted decision.
    SelectionCriteriaWeighted,
    /// §4.3 the five planning outputs, each approved.
    PlanningOutputsApproved,
    /// §5.1 every source approved and in date.
    SourcesApproved,
    /// §5.2 the eight quality dimensions met.
    DatasetFit,
    /// §5.3 the seven steps recorded, version tagged.
    PipelineCompleted,
    /// §5.4 data card with its eight sections.
    DataCardPublished,
    /// §6.1 the five selection steps.
    ModelSelected,
    /// §6.2 training run with every block filled.
    TrainingRunCompleted,
    /// §6.4 version in the registry.
    VersionRegistered,
    /// §7.1 report over five dimensions.
    EvaluationReported,
    /// §7.2 and gate G1.
    TestsPassed,
    /// §7.3 and gate G2.
    BenchmarksMet,
    /// §7.4 board approval.
    EthicsApproved,
    /// §8.1 gate G3.
    QaApproved,
    /// §8.2 pre-deployment list.
    PreDeploymentChecked,
    /// §8.2 deployment list.
    DeploymentChecked,
    /// §8.1 gate G4.
    CanaryStable,
    /// §8.2 post-deployment list.
    PostDeploymentChecked,
    /// §9.3 decision to retrain or adjust.
    IterationDecided,
    /// §9.3/§10.2 decision to retire.
    RetirementDecided,
    /// A finding that says why work goes back to an earlier phase.
    ReworkJustified,
}

impl Record {
    /// The name in the policy file and in refusals.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequirementsGathered => "requirements-gathered",
            Self::RequirementsDocumented => "requirements-documented",
            Self::SelectionCriteriaWeighted => "selection-criteria-weighted",
            Self::PlanningOutputsApproved => "planning-outputs-approved",
            Self::SourcesApproved => "sources-approved",
            Self::DatasetFit => "dataset-fit",
            Self::PipelineCompleted => "pipeline-completed",
            Self::DataCardPublished => "data-card-published",
            Self::ModelSelected => "model-selected",
            Self::TrainingRunCompleted => "training-run-completed",
            Self::VersionRegistered => "version-registered",
            Self::EvaluationReported => "evaluation-reported",
            Self::TestsPassed => "tests-passed",
            Self::BenchmarksMet => "benchmarks-met",
            Self::EthicsApproved => "ethics-approved",
            Self::QaApproved => "qa-approved",
            Self::PreDeploymentChecked => "pre-deployment-checked",
            Self::DeploymentChecked => "deployment-checked",
            Self::CanaryStable => "canary-stable",
            Self::PostDeploymentChecked => "post-deployment-checked",
            Self::IterationDecided => "iteration-decided",
            Self::RetirementDecided => "retirement-decided",
            Self::ReworkJustified => "rework-justified",
        }
    }
}

/// One model line: its phase and the records that hold for the version in work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelLine {
    phase: Phase,
    records: BTreeSet<Record>,
}

impl Default for ModelLine {
    fn default() -> Self {
        Self { phase: Phase::Plan, records: BTreeSet::new() }
    }
}

impl ModelLine {
    /// Rebuilds a line from what was stored.
    pub fn restore(phase: Phase, records: BTreeSet<Record>) -> Self {
        Self { phase, records }
    }

    /// Where the line stands.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The records that hold for the version in work.
    pub fn records(&self) -> &BTreeSet<Record> {
        &self.records
    }

    /// Notes that a record exists now.
    #[must_use]
    pub fn with(mut self, record: Record) -> Self {
        self.records.insert(record);
        self
    }

    /// Moves the line to `to`.
    /// # Errors
    /// `ILLEGAL_TRANSITION` or `RECORDS_MISSING`, see [`check`].
    pub fn advance(mut self, to: Phase, policy: &PhasePolicy) -> Result<Self, Rejection> {
        check(self.phase, to, &self.records, policy)?;
        if to < self.phase {
            let again = records_from(to, policy);
            self.records.retain(|record| !again.contains(record));
        }
        self.phase = to;
        Ok(self)
    }
}

/// Whether a line may move from `from` to `to` with these records (§3).
/// # Errors
/// `ILLEGAL_TRANSITION` if the policy has no such arrow; `RECORDS_MISSING` with one finding per missing record.
pub fn check(from: Phase, to: Phase, records: &BTreeSet<Record>, policy: &PhasePolicy) -> Result<(), Rejection> {
    let Some(transition) = policy.transitions.iter().find(|t| t.from == from && t.to == to) else {
        let allowed: Vec<&str> =
            policy.transitions.iter().filter(|t| t.from == from).map(|t| t.to.as_str()).collect();
        let required =
            if allowed.is_empty() { "no further phase".to_owned() } else { allowed.join(" or ") };
        let finding = Finding::new("§3", format!("transition from {from}"), required, to.as_str());
        return Err(Rejection::one("ILLEGAL_TRANSITION", finding));
    };
    let missing = transition
        .records
        .iter()
        .filter(|needed| !records.contains(&needed.record))
        .map(|needed| Finding::new(needed.clause.clone(), needed.record.as_str(), "recorded", "missing"))
        .collect();
    Rejection::unless_empty("RECORDS_MISSING", missing)
}

/// Every record that the way out of `phase`, or of any phase after it, asks for.
fn records_from(phase: Phase, policy: &PhasePolicy) -> BTreeSet<Record> {
    policy.transitions.iter().filter(|t| t.from >= phase).flat_map(|t| &t.records).map(|r| r.record).collect()
}
