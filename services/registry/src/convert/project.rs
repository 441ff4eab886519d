//! Projects: plan, selection, phases (§3, §4, §6.1).

use contracts::time::to_wire;
use lifecycle::phase::Reopened;
use lifecycle::planning::{OutputRecord, Plan, Requirement, RequirementKind, Target};
use lifecycle::selection::SelectionRecord;
use lifecycle::slo::Objective;
use lifecycle::verdict::Comparator;
use lifecycle::{Approval, Role};
use prost_types::Timestamp;
use std::collections::BTreeMap;

use super::{model, time, word};
use crate::Error;
use crate::wire::{self, Project};

/// The plan as the rules look at it. Performance requirements are told apart by their unit and name: what is measured in
/// milliseconds or named latency is latency, everything else is throughput.
///
/// # Errors
/// [`Error::Damaged`] for a stored enum value that does not exist.
pub fn plan(project: &Project) -> Result<Plan, Error> {
    let inputs = project.inputs.clone().unwrap_or_default();
    let (latency, throughput): (Vec<_>, Vec<_>) =
        inputs.performance_requirements.iter().partition(|it| is_latency(it));
    let privacy = inputs.privacy_requirements.iter().chain(&inputs.compliance_requirements);
    let requirements: Option<Vec<_>> = project.requirements.iter().map(requirement).collect();
    Ok(Plan {
        author: project.owner.clone(),
        task: model::task(project.task())
            .ok_or_else(|| Error::Damaged(format!("task of {}", project.name)))?,
        problem_statement: inputs.business_problem.clone(),
        success_criteria: inputs.success_criteria.iter().filter_map(target).collect(),
        primary_metric: project.primary_metric.clone(),
        target_users: inputs.target_users.clone(),
        use_cases: inputs.use_cases.clone(),
        latency: latency.into_iter().filter_map(target).collect(),
        throughput: throughput.into_iter().filter_map(target).collect(),
        privacy_and_compliance: privacy.cloned().collect(),
        compute: inputs.compute_constraint.clone(),
        budget: inputs.budget_constraint,
        requirements: requirements
            .ok_or_else(|| Error::Damaged(format!("requirements of {}", project.name)))?,
    })
}

fn is_latency(criterion: &wire::Criterion) -> bool {
    criterion.metric.contains("latency") || matches!(criterion.unit.as_str(), "ms" | "s")
}

/// A machine-readable criterion.
pub fn target(criterion: &wire::Criterion) -> Option<Target> {
    let comparator = match criterion.comparator() {
        wire::Comparator::Unspecified => return None,
        wire::Comparator::Greater => Comparator::Above,
        wire::Comparator::Less => Comparator::Below,
        wire::Comparator::AtLeast => Comparator::AtLeast,
        wire::Comparator::AtMost => Comparator::AtMost,
        wire::Comparator::Equal => Comparator::Equal,
    };
    let (metric, unit) = (criterion.metric.clone(), criterion.unit.clone());
    Some(Target { metric, comparator, value: criterion.value, unit })
}

/// How far off a prediction may be and still counts as right (regression, §4.1): the success criterion `tolerance`.
pub fn tolerance(project: &Project) -> Option<f64> {
    let criteria = &project.inputs.as_ref()?.success_criteria;
    criteria.iter().find(|criterion| criterion.metric == "tolerance").map(|criterion| criterion.value)
}

/// What the plan promises of the service (§4.1 non-functional): the strictest latency and availability that it names, and
/// `floor` where it names none.
pub fn objective(project: &Project, floor: Objective) -> Objective {
    let inputs = project.inputs.as_ref().map_or(&[][..], |inputs| &inputs.performance_requirements);
    let required = project.requirements.iter().filter_map(|one| one.criterion.as_ref());
    let all = inputs.iter().chain(required);
    Objective::stated(all.map(|one| (one.metric.as_str(), one.value, one.unit.as_str())), floor)
}

/// The type of a requirement.
pub fn requirement_kind(kind: wire::RequirementType) -> Option<RequirementKind> {
    Some(match kind {
        wire::RequirementType::Unspecified => return None,
        wire::RequirementType::Functional => RequirementKind::Functional,
        wire::RequirementType::NonFunctional => RequirementKind::NonFunctional,
        wire::RequirementType::Data => RequirementKind::Data,
        wire::RequirementType::Ethical => RequirementKind::Ethical,
        wire::RequirementType::Compliance => RequirementKind::Compliance,
    })
}

fn requirement(requirement: &wire::Requirement) -> Option<Requirement> {
    Some(Requirement {
        id: requirement.requirement_id.clone(),
        kind: requirement_kind(requirement.r#type())?,
        statement: requirement.statement.clone(),
        document: requirement.document.clone(),
        document_digest: requirement.document_digest.clone(),
    })
}

/// When the line last went back to each phase (§3).
///
/// # Errors
/// [`Error::Damaged`] for a stored phase that does not exist.
pub fn reopened(project: &Project) -> Result<Reopened, Error> {
    let one =
        |(phase, at): (&String, &Timestamp)| Ok((phase.parse().map_err(Error::Damaged)?, time(Some(at))));
    let times: Result<_, Error> = project.reopen_times.iter().map(one).collect();
    Ok(Reopened::restore(times?))
}

/// The same on the wire.
pub fn reopen_times(reopened: &Reopened) -> BTreeMap<String, Timestamp> {
    reopened.times().iter().map(|(phase, at)| (phase.to_string(), to_wire(*at))).collect()
}

/// The planning outputs that were recorded (§4.3).
///
/// # Errors
/// [`Error::Damaged`] for a stored role that does not exist.
pub fn outputs(project: &Project) -> Result<Vec<OutputRecord>, Error> {
    let one = |item: &contracts::common::v1::ChecklistItem| {
        let role: Role = item.role.parse().map_err(|_| Error::Damaged(format!("role {:?}", item.role)))?;
        Ok(OutputRecord {
            output: word("item", &item.item)?,
            record_digest: item.evidence_digest.clone(),
            approval: Approval::new(item.principal.clone(), role, time(item.time.as_ref())),
        })
    };
    project.planning_outputs.iter().map(one).collect()
}

/// A step of the selection (§6.1).
///
/// # Errors
/// INVALID_ARGUMENT for a step that the procedure does not have.
pub fn selection_step(step: &wire::SelectionStep) -> Result<SelectionRecord, Error> {
    Ok(SelectionRecord {
        step: word("step.step", &step.step)?,
        summary: step.summary.clone(),
        candidates: step.candidates.clone(),
        dataset_version: step.dataset_version.clone(),
        seed: step.seed,
        metrics: step.metrics.iter().map(|one| one.metric.clone()).collect(),
        principal: step.principal.clone(),
        time: time(step.time.as_ref()),
    })
}

/// All recorded steps of the selection.
///
/// # Errors
/// As [`selection_step`].
pub fn selection_steps(project: &Project) -> Result<Vec<SelectionRecord>, Error> {
    project.selection_steps.iter().map(selection_step).collect()
}
