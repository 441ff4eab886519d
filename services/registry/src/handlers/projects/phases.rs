//! The life cycle of a line (§3): a phase opens with the records that the policy asks for.

use async_trait::async_trait;
use contracts::common::v1::Verdict;
use contracts::registry::v1::*;
use lifecycle::approval::Approval;
use lifecycle::feedback::{self, Decision};
use lifecycle::phase::{self as domain, Record, Reopened};
use lifecycle::planning::{finish_planning, missing_inputs, missing_requirements};
use lifecycle::selection::selection_complete;
use lifecycle::source::missing_for_use;
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use super::evidence::{Evidence, gather};
use crate::convert::{data_source, dataset, optional_time, project, time, word};
use crate::handlers::rollouts::checks;
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

/// The caller as one who may take the decision on which the next version rests (§9.3): no other carries a finding of the monitor
/// into the line.
fn decider(work: &Work, given: &IterationDecision) -> Result<Approval, Error> {
    let decision: Decision = word("iteration.decision", &given.decision)?;
    let policy = work.policy();
    let (clause, roles) = feedback::deciders(decision, &policy.monitoring.feedback);
    let by = work.approval_under(clause, roles)?;
    feedback::may_decide(decision, &by, &policy.monitoring.feedback)?;
    Ok(by)
}

#[async_trait]
impl Verb for AdvancePhaseRequest {
    type Answer = Project;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Project::FORM);
        fields.choice::<Phase>("phase", self.phase);
        fields.optional_text("reason", &self.reason);
        if let Some(iteration) = &self.iteration {
            fields.name("iteration.finding", &iteration.finding, "findings/{finding}");
            let iterates = iteration.decision.parse().is_ok_and(Decision::iterates);
            fields.require(iterates, "iteration.decision", "must be retrain or adjust");
            let leaves = self.phase() == Phase::Iterate;
            fields.require(leaves, "iteration", "belongs to the way from MONITOR to ITERATE");
        }
    }

    async fn decide(self, work: &mut Work) -> Result<Project, Error> {
        let seen = work.open::<Project>(&self.name, &self.etag).await?;
        let damaged = || Error::Damaged(format!("phase of {}", seen.name));
        let from = phase(seen.phase()).ok_or_else(damaged)?;
        let to = phase(self.phase()).ok_or_else(|| Error::field("phase", "required"))?;
        let evidence = gather(work, &self.name).await?;
        let mut next = (*seen).clone();
        if let Some(given) = self.iteration {
            let by = decider(work, &given)?;
            let (principal, time) = (by.principal, work.wire_now());
            next.iteration = Some(IterationDecision { principal, time, ..given });
        }
        let contributors = work.contributors(&self.name).await?;
        let ethics = match &evidence.version {
            Some(version) => checks::ethics_approval(work, version).await?.is_some(),
            None => false,
        };
        let line = Line { project: &seen, it: &evidence, contributors, ethics };
        let reopened = project::reopened(&seen)?;
        let mut records = records(work, &line, &reopened)?;
        if next.iteration.is_some() {
            records.insert(Record::IterationDecided);
        }
        if !self.reason.trim().is_empty() {
            records.insert(Record::ReworkJustified); // the reason goes into the audit log: it is the record
        }
        domain::check(from, to, &records, &work.policy().phases)?;
        if to == domain::Phase::Monitor {
            next.iteration = None; // the next version needs a decision of its own
        }
        next.set_phase(phase_of(to));
        next.reopen_times = project::reopen_times(&reopened.moved(from, to, work.now()));
        if to < from && to <= domain::Phase::Model {
            next.selection_steps.clear(); // the audit log keeps that they were recorded
        }
        if to == domain::Phase::Plan {
            next.set_plan_state(PlanState::Draft);
            work.withdraw_approvals(&self.name, "plan").await?;
        }
        work.save(&seen, next, "advance-phase").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

/// A line as its records show it.
struct Line<'a> {
    project: &'a Stored<Project>,
    it: &'a Evidence,
    /// Of the plan.
    contributors: Vec<String>,
    /// Whether the board's approval holds for the version in work, its own or one that a patch carries over.
    ethics: bool,
}

/// The records that hold for the version in work. What was done again counts only from when the line went back to it.
fn records(work: &Work, line: &Line<'_>, reopened: &Reopened) -> Result<BTreeSet<Record>, Error> {
    let policy = work.policy();
    let mut held = BTreeSet::new();
    for record in policy.phases.transitions.iter().flat_map(|arrow| &arrow.records) {
        let since = reopened.since(record.record, &policy.phases).unwrap_or(UNIX_EPOCH);
        if holds(record.record, work, line, since)? {
            held.insert(record.record);
        }
    }
    Ok(held)
}

fn holds(record: Record, work: &Work, line: &Line<'_>, since: SystemTime) -> Result<bool, Error> {
    let policy = work.policy();
    let Line { project, it, contributors, ethics } = line;
    let fit = it.fit_data().filter(|one| since <= one.record().create_time);
    let version = it.version.as_ref().filter(|one| since <= one.record().create_time);
    let gate = |gate| {
        version.is_some() && it.gate(gate).is_some_and(|one| one.passed && since <= one.record().create_time)
    };
    let rollout = |states: &[rollout::State]| {
        version.is_some() && it.rollouts.iter().any(|one| states.contains(&one.state()))
    };
    let approved = project.plan_state() == PlanState::Approved;
    Ok(match record {
        Record::RequirementsGathered => {
            approved && missing_inputs(&project::plan(project)?, &policy.planning).is_empty()
        }
        Record::RequirementsDocumented => {
            missing_requirements(&project::plan(project)?, &policy.planning).is_empty()
        }
        Record::SelectionCriteriaWeighted => {
            project.selection.as_ref().is_some_and(|it| since <= time(it.decide_time.as_ref()))
        }
        Record::PlanningOutputsApproved => {
            let mut outputs = project::outputs(project)?;
            outputs.retain(|output| since <= output.approval.time);
            finish_planning(&outputs, contributors, work.now(), &policy.planning).is_ok()
        }
        Record::SourcesApproved => sources_hold(work, it)?,
        Record::DatasetFit => fit.is_some(),
        Record::PipelineCompleted => match fit {
            Some(one) => lifecycle::dataset::missing_steps(&dataset::steps(one)?, &policy.quality).is_empty(),
            None => false,
        },
        Record::DataCardPublished => fit.is_some_and(|one| published(one, it)),
        Record::ModelSelected => {
            let newest = project.selection_steps.last().and_then(|step| optional_time(step.time.as_ref()));
            selection_complete(&project::selection_steps(project)?, &policy.selection).is_ok()
                && newest.is_some_and(|time| since <= time)
        }
        Record::TrainingRunCompleted => it
            .runs
            .iter()
            .any(|run| run.state() == training_run::State::Completed && since <= run.record().create_time),
        Record::VersionRegistered => version.is_some(),
        Record::EvaluationReported => version.is_some() && it.evaluation().is_some(),
        Record::TestsPassed => gate(Gate::G1TestsPass),
        Record::BenchmarksMet => gate(Gate::G2BenchmarksMet),
        Record::QaApproved => gate(Gate::G3QaApproved),
        Record::CanaryStable => gate(Gate::G4CanaryStable),
        Record::EthicsApproved => version.is_some() && *ethics,
        Record::PreDeploymentChecked => rollout(&[
            rollout::State::Running,
            rollout::State::Paused,
            rollout::State::Succeeded,
            rollout::State::Closed,
        ]),
        Record::DeploymentChecked => rollout(&[rollout::State::Succeeded, rollout::State::Closed]),
        Record::PostDeploymentChecked => rollout(&[rollout::State::Closed]),
        Record::RetirementDecided => it.retired,
        // brought by the call
        Record::IterationDecided | Record::ReworkJustified => false,
    })
}

fn sources_hold(work: &Work, it: &Evidence) -> Result<bool, Error> {
    for seen in &it.sources {
        if !missing_for_use(&data_source::source(seen)?, work.now(), &work.policy().sources).is_empty() {
            return Ok(false);
        }
    }
    Ok(!it.sources.is_empty())
}

/// A data card with nothing missing: the pipeline's own, or a generated document.
fn published(version: &DatasetVersion, it: &Evidence) -> bool {
    let document = it.documents.iter().any(|document| {
        document.template() == DocumentTemplate::DataCard
            && document.subject == version.name
            && document.missing_parts.is_empty()
    });
    document || (!version.data_card_digest.is_empty() && version.data_card_missing.is_empty())
}

fn phase_of(phase: domain::Phase) -> Phase {
    match phase {
        domain::Phase::Plan => Phase::Plan,
        domain::Phase::Data => Phase::Data,
        domain::Phase::Model => Phase::Model,
        domain::Phase::Eval => Phase::Eval,
        domain::Phase::Deploy => Phase::Deploy,
        domain::Phase::Monitor => Phase::Monitor,
        domain::Phase::Iterate => Phase::Iterate,
        domain::Phase::Retire => Phase::Retire,
    }
}

fn phase(wire: Phase) -> Option<domain::Phase> {
    Some(match wire {
        Phase::Unspecified => return None,
        Phase::Plan => domain::Phase::Plan,
        Phase::Data => domain::Phase::Data,
        Phase::Model => domain::Phase::Model,
        Phase::Eval => domain::Phase::Eval,
        Phase::Deploy => domain::Phase::Deploy,
        Phase::Monitor => domain::Phase::Monitor,
        Phase::Iterate => domain::Phase::Iterate,
        Phase::Retire => domain::Phase::Retire,
    })
}

/// Whether an evaluation was judged to pass.
pub(super) fn passes(evaluation: &Evaluation) -> bool {
    evaluation.verdict() == Verdict::Pass
}
