//! §3: the life cycle of one model line, PLAN to RETIRE.
//!
//! A line moves only along the transitions of the policy, and only with the records that each of them needs.
//! Going back (ITERATE, rework) drops the records of everything that has to be done again: the evidence of one
//! version never opens a phase for the next.

use std::collections::BTreeSet;

use crate::kinds::kinds;
use crate::policy::phases::PhasePolicy;
use crate::refuse;
use crate::rejection::{Finding, Rejection};

kinds! {
    /// A phase of §3.
    Phase {
        /// §4 planning.
        Plan = "PLAN",
        /// §5 data preparation.
        Data = "DATA",
        /// §6 model development.
        Model = "MODEL",
        /// §7 evaluation.
        Eval = "EVAL",
        /// §8 deployment.
        Deploy = "DEPLOY",
        /// §9 monitoring.
        Monitor = "MONITOR",
        /// §9.3 a new version is decided.
        Iterate = "ITERATE",
        /// §10 retirement; there is no way back.
        Retire = "RETIRE",
    }
}

kinds! {
    /// What a transition may need. The registry says which of them exist for the line and version at hand.
    Record {
        /// §4.1 the six inputs.
        RequirementsGathered = "requirements-gathered",
        /// §4.1 the five documents of requirements.
        RequirementsDocumented = "requirements-documented",
        /// §4.2 weighted decision.
        SelectionCriteriaWeighted = "selection-criteria-weighted",
        /// §4.3 the five planning outputs, each approved.
        PlanningOutputsApproved = "planning-outputs-approved",
        /// §5.1 every source approved and in date.
        SourcesApproved = "sources-approved",
        /// §5.2 the eight quality dimensions met.
        DatasetFit = "dataset-fit",
        /// §5.3 the seven steps recorded, version tagged.
        PipelineCompleted = "pipeline-completed",
        /// §5.4 data card with its eight sections.
        DataCardPublished = "data-card-published",
        /// §6.1 the five selection steps.
        ModelSelected = "model-selected",
        /// §6.2 training run with every block filled.
        TrainingRunCompleted = "training-run-completed",
        /// §6.4 version in the registry.
        VersionRegistered = "version-registered",
        /// §7.1 report over five dimensions.
        EvaluationReported = "evaluation-reported",
        /// §7.2 and gate G1.
        TestsPassed = "tests-passed",
        /// §7.3 and gate G2.
        BenchmarksMet = "benchmarks-met",
        /// §7.4 board approval.
        EthicsApproved = "ethics-approved",
        /// §8.1 gate G3.
        QaApproved = "qa-approved",
        /// §8.2 pre-deployment list.
        PreDeploymentChecked = "pre-deployment-checked",
        /// §8.2 deployment list.
        DeploymentChecked = "deployment-checked",
        /// §8.1 gate G4.
        CanaryStable = "canary-stable",
        /// §8.2 post-deployment list.
        PostDeploymentChecked = "post-deployment-checked",
        /// §9.3 decision to retrain or adjust.
        IterationDecided = "iteration-decided",
        /// §9.3/§10.2 decision to retire.
        RetirementDecided = "retirement-decided",
        /// A finding that says why work goes back to an earlier phase.
        ReworkJustified = "rework-justified",
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
pub fn check(
    from: Phase,
    to: Phase,
    records: &BTreeSet<Record>,
    policy: &PhasePolicy,
) -> Result<(), Rejection> {
    let Some(transition) = policy.transitions.iter().find(|t| t.from == from && t.to == to) else {
        let allowed: Vec<&str> =
            policy.transitions.iter().filter(|t| t.from == from).map(|t| t.to.as_str()).collect();
        let required = if allowed.is_empty() { "no further phase".to_owned() } else { allowed.join(" or ") };
        let finding = Finding::new("§3", format!("transition from {from}"), required, to.as_str());
        return Err(Rejection::one("ILLEGAL_TRANSITION", "phase change", finding));
    };
    let missing: Vec<Finding> = transition
        .records
        .iter()
        .filter(|needed| !records.contains(&needed.record))
        .map(|needed| Finding::new(needed.clause.clone(), needed.record.as_str(), "recorded", "missing"))
        .collect();
    refuse::all("RECORDS_MISSING", "phase change", missing)
}

/// Every record that the way out of `phase`, or of any phase after it, asks for.
fn records_from(phase: Phase, policy: &PhasePolicy) -> BTreeSet<Record> {
    policy.transitions.iter().filter(|t| t.from >= phase).flat_map(|t| &t.records).map(|r| r.record).collect()
}
