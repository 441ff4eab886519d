//! The plan of a project: six inputs, requirements with documents, five outputs, approval (§4.1, §4.3).

use async_trait::async_trait;
use contracts::common::v1::{ChecklistItem, Task};
use contracts::registry::v1::*;
use lifecycle::planning::{OutputRecord, PlanOutput, approve_output, approve_plan};
use lifecycle::slo::Objective;
use lifecycle::{Finding, Rejection};

use crate::convert::project;
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

/// Fields of a plan that an update may name.
const UPDATABLE: [&str; 5] = ["display_name", "inputs", "requirements", "task", "primary_metric"];

#[async_trait]
impl Verb for CreateProjectRequest {
    type Answer = Project;

    fn check(&self, fields: &mut Fields) {
        fields.id("project_id", &self.project_id);
        fields.message("project", self.project.as_ref(), |fields, project| {
            fields.choice::<Task>("project.task", project.task);
            check_plan(fields, project);
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Project, Error> {
        let given = self.project.unwrap_or_default();
        let project = Project {
            name: format!("projects/{}", self.project_id),
            display_name: given.display_name,
            phase: Phase::Plan.into(),
            plan_state: PlanState::Draft.into(),
            inputs: given.inputs,
            requirements: given.requirements,
            task: given.task,
            primary_metric: given.primary_metric,
            owner: work.principal(),
            contributors: vec![work.principal()],
            ..Project::default()
        };
        work.contributes(&project.name, [project.owner.clone()]).await?;
        work.insert(project, "create").await
    }
}

#[async_trait]
impl Verb for UpdateProjectRequest {
    type Answer = Project;

    fn check(&self, fields: &mut Fields) {
        fields.message("project", self.project.as_ref(), |fields, project| {
            fields.name("project.name", &project.name, Project::FORM);
            fields.optional_choice::<Task>("project.task", project.task);
            check_plan(fields, project);
        });
        let task = self.project.as_ref().map_or(0, |project| project.task);
        for path in self.update_mask.iter().flat_map(|mask| &mask.paths) {
            fields.require(path != "task" || task != 0, "project.task", "is named by the mask and missing");
            let known = UPDATABLE.contains(&path.as_str()) || path == "*";
            fields.require(known, "update_mask", &format!("{path:?} is none of {}", UPDATABLE.join(", ")));
        }
    }

    async fn decide(self, work: &mut Work) -> Result<Project, Error> {
        let given = self.project.unwrap_or_default();
        let seen = work.open::<Project>(&given.name, &given.etag).await?;
        draft(&seen)?;
        let paths = self.update_mask.map(|mask| mask.paths).unwrap_or_default();
        // without a mask: every field that is given (AIP-134)
        let named = |path: &str, given: bool| {
            (paths.is_empty() && given) || paths.iter().any(|one| one == path || one == "*")
        };
        let mut next = (*seen).clone();
        if named("display_name", !given.display_name.is_empty()) {
            next.display_name = given.display_name;
        }
        if named("inputs", given.inputs.is_some()) {
            next.inputs = given.inputs;
        }
        if named("requirements", !given.requirements.is_empty()) {
            next.requirements = given.requirements;
        }
        if named("task", given.task != 0) && given.task != 0 {
            next.task = given.task;
        }
        if named("primary_metric", !given.primary_metric.is_empty()) {
            next.primary_metric = given.primary_metric;
        }
        let principal = work.principal();
        if !next.contributors.contains(&principal) {
            next.contributors.push(principal.clone());
        }
        work.contributes(&next.name, [principal]).await?;
        work.save(&seen, next, "update").await
    }
}

/// Forms only: what is missing is told when the plan is approved, with the clause that asks for it.
fn check_plan(fields: &mut Fields, project: &Project) {
    fields.optional_text("project.display_name", &project.display_name);
    fields.optional_text("project.primary_metric", &project.primary_metric);
    fields.each("project.requirements", &project.requirements, |fields, at, one| {
        fields.text(&format!("{at}.requirement_id"), &one.requirement_id);
        fields.choice::<RequirementType>(&format!("{at}.type"), one.r#type);
        fields.optional_text(&format!("{at}.statement"), &one.statement);
        fields.optional_text(&format!("{at}.document"), &one.document);
        fields.optional_digest(&format!("{at}.document_digest"), &one.document_digest);
        fields.texts(&format!("{at}.evidence"), &one.evidence);
        if let Some(criterion) = &one.criterion {
            check_criterion(fields, &format!("{at}.criterion"), criterion);
        }
    });
    let mut ids: Vec<_> = project.requirements.iter().map(|one| &one.requirement_id).collect();
    ids.sort();
    ids.dedup();
    fields.require(ids.len() == project.requirements.len(), "project.requirements", "ids must be unique");
    let Some(inputs) = &project.inputs else { return };
    fields.optional_text("project.inputs.business_problem", &inputs.business_problem);
    fields.optional_text("project.inputs.compute_constraint", &inputs.compute_constraint);
    fields.optional_text("project.inputs.budget_constraint", &inputs.budget_constraint);
    for (field, criteria) in [
        ("project.inputs.success_criteria", &inputs.success_criteria),
        ("project.inputs.performance_requirements", &inputs.performance_requirements),
    ] {
        fields.each(field, criteria, check_criterion);
    }
    for (field, texts) in [
        ("project.inputs.target_users", &inputs.target_users),
        ("project.inputs.use_cases", &inputs.use_cases),
        ("project.inputs.privacy_requirements", &inputs.privacy_requirements),
        ("project.inputs.compliance_requirements", &inputs.compliance_requirements),
    ] {
        fields.texts(field, texts);
    }
}

fn check_criterion(fields: &mut Fields, at: &str, criterion: &Criterion) {
    fields.text(&format!("{at}.metric"), &criterion.metric);
    fields.choice::<Comparator>(&format!("{at}.comparator"), criterion.comparator);
    fields.number(&format!("{at}.value"), criterion.value);
    fields.optional_text(&format!("{at}.unit"), &criterion.unit);
}

#[async_trait]
impl Verb for RecordPlanningOutputRequest {
    type Answer = Project;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Project::FORM);
        fields.require(
            self.item.parse::<PlanOutput>().is_ok(),
            "item",
            "is none of the five planning outputs",
        );
        fields.digest("evidence_digest", &self.evidence_digest);
        fields.optional_text("note", &self.note);
    }

    async fn decide(self, work: &mut Work) -> Result<Project, Error> {
        let seen = work.open::<Project>(&self.name, &self.etag).await?;
        let output: PlanOutput = crate::convert::word("item", &self.item)?;
        let policy = work.policy();
        let row = policy.planning.outputs.iter().find(|row| row.output == output);
        let approval = work.approval(row.map_or(&[], |row| row.approvers.as_slice()))?;
        if seen.planning_outputs.iter().any(|item| item.item == output.as_str()) {
            draft(&seen)?; // what is missing may still come; what was approved with the plan stays
        }
        let contributors = work.contributors(&self.name).await?;
        let record_digest = self.evidence_digest.clone();
        let record = OutputRecord { output, record_digest, approval: approval.clone() };
        approve_output(&record, &contributors, &policy.planning)?;
        let matter = format!("outputs/{output}");
        work.withdraw_approvals(&self.name, &matter).await?; // the newer record takes the place of the older
        work.approves(&self.name, &matter, &approval).await?;
        let mut next = (*seen).clone();
        next.planning_outputs.retain(|item| item.item != output.as_str());
        next.planning_outputs.push(ChecklistItem {
            item: output.to_string(),
            done: true,
            failed: false,
            principal: approval.principal,
            time: work.wire_now(),
            evidence_digest: self.evidence_digest,
            note: self.note,
            role: approval.role.to_string(),
        });
        work.save(&seen, next, "record-planning-output").await
    }
}

#[async_trait]
impl Verb for ApprovePlanRequest {
    type Answer = Project;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Project::FORM);
    }

    async fn decide(self, work: &mut Work) -> Result<Project, Error> {
        let seen = work.open::<Project>(&self.name, &self.etag).await?;
        draft(&seen)?;
        let policy = work.policy();
        let approval = work.approval(&policy.planning.plan_approvers.value)?;
        let (plan, contributors) = (project::plan(&seen)?, work.contributors(&self.name).await?);
        approve_plan(&plan, &contributors, &approval, &policy.planning)?;
        let levels = &policy.monitoring.service_levels;
        let floor = Objective::of(levels);
        let promised = project::objective(&seen, floor);
        Objective::planned(promised.latency_ms, promised.availability, levels)?;
        work.approves(&self.name, "plan", &approval).await?;
        let mut next = (*seen).clone();
        next.set_plan_state(PlanState::Approved);
        work.save(&seen, next, "approve-plan").await
    }
}

/// # Errors
/// `PLAN_APPROVED`: an approved plan is changed by going back to planning.
pub(super) fn draft(project: &Stored<Project>) -> Result<(), Rejection> {
    if project.plan_state() == PlanState::Draft {
        return Ok(());
    }
    let finding = Finding::new("§4.1", "plan", "DRAFT", "APPROVED");
    Err(Rejection::one("PLAN_APPROVED", project.name.clone(), finding))
}
