//! §3: the life cycle of one model line, PLAN to RETIRE.
//!
//! A line moves only along the transitions of the policy, and only with the records that each of them needs.
//! Going back (ITERATE, rework) asks anew for everything that has to be done again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

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

/// When a line last went back to each phase. Evidence for what has to be done again counts from then on only, so that the
/// evidence of one version never opens a phase for the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reopened(BTreeMap<Phase, SystemTime>);

impl Reopened {
    /// Rebuilds it from what was stored.
    pub fn restore(times: BTreeMap<Phase, SystemTime>) -> Self {
        Self(times)
    }

    /// Each phase that the line went back to, with the last time.
    pub fn times(&self) -> &BTreeMap<Phase, SystemTime> {
        &self.0
    }

    /// Notes that the line has moved; a way forward opens nothing again.
    #[must_use]
    pub fn moved(mut self, from: Phase, to: Phase, now: SystemTime) -> Self {
        if to < from {
            self.0.insert(to, now);
        }
        self
    }

    /// From when on evidence for `record` counts: the line last went back to a phase that the record lies ahead of, because a
    /// way out of that phase, or of a later one, asks for it. `None` where it never did.
    pub fn since(&self, record: Record, policy: &PhasePolicy) -> Option<SystemTime> {
        let asks = policy.transitions.iter().filter(|way| way.records.iter().any(|one| one.record == record));
        let last = asks.map(|way| way.from).max()?;
        self.0.range(..=last).map(|(_, time)| *time).max()
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
